"""How late an event loop is: everything that one does, it does that much later than it should."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Pulse"]

#: Seconds between two beats.
_INTERVAL = 1.0
#: So many beats are remembered: longer than metrics are usually asked for.
_REMEMBERED = 60


class Pulse:
    """A timer that measures how late it is called."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._lags: deque[float] = deque([0.0], _REMEMBERED)

    @property
    def lag(self) -> float:
        """How late the loop is now, in seconds; of any thread it may be asked.

        A loop that hangs is later with every second.
        """
        overdue = self._loop.time() - self._due if self._handle is not None else 0.0
        return max(self._lags[-1], overdue)

    @property
    def worst_lag(self) -> float:
        """The worst of the last minute."""
        return max(self.lag, *list(self._lags))

    def start(self) -> None:
        """Measure until ``stop`` is called."""
        self._due = self._loop.time() + _INTERVAL
        self._handle = self._loop.call_at(self._due, self._beat)

    def stop(self) -> None:
        """Measure no more, and forget what was measured."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._lags.clear()
        self._lags.append(0.0)

    def _beat(self) -> None:
        self._lags.append(max(0.0, self._loop.time() - self._due))
        self.start()
