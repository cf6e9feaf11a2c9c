"""Newcomers are let in a few at a time, so that who is inside need not wait for all of them.

Hundreds of clients that come back at once have all asked for something when the event loop looks
next. It would answer all of them before it looked at anybody's keystroke.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from collab.engine.runtime.per_loop import PerLoop

__all__ = ["Newcomers", "current_newcomers"]

#: So many are let in between two looks at what those who are inside have sent.
_AT_ONCE = 8


class Newcomers:
    """The newcomers of one event loop, in the order in which they have come."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], object]] = deque()

    def add(self, let_in: Callable[[], object]) -> None:
        """Call ``let_in`` when it is the newcomer's turn."""
        if not self._waiting:
            self._loop.call_soon(self._go_on)
        self._waiting.append(let_in)

    def _go_on(self) -> None:
        for let_in in [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]:
            # What one raises must not keep out the others.
            self._loop.call_soon(let_in)
        if self._waiting:
            self._loop.call_soon(self._go_on)


_newcomers = PerLoop(Newcomers)
#: Return those of the running event loop.
current_newcomers = _newcomers.current
