"""The times at which idle connections are pinged: one timer for all that wait equally long."""

from __future__ import annotations

import asyncio
from typing import Protocol

from collab.engine.runtime.per_loop import PerLoop

__all__ = ["PingSchedule", "Pinged", "current_ping_schedule"]


class Pinged(Protocol):
    """A connection that is pinged."""

    def send_keepalive_ping(self) -> None:
        """Ping the client."""


class PingSchedule:
    """The connections of one event loop that are pinged after the same interval.

    A timer of each connection takes 540 bytes.

    Args:
        interval: in seconds, from when a connection is added.
    """

    def __init__(self, interval: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval = interval
        #: Times, the earliest first, as all wait equally long.
        self._due: dict[Pinged, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Pinged) -> None:
        """Ping a connection once, when the interval is over."""
        self._due.pop(connection, None)
        self._due[connection] = self._loop.time() + self._interval
        if self._timer is None:
            self._start()

    def remove(self, connection: Pinged) -> None:
        """Ping a connection no more, if it is due at all."""
        self._due.pop(connection, None)
        if not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        self._timer = self._loop.call_at(next(iter(self._due.values())), self._ping_due)

    def _ping_due(self) -> None:
        now = self._loop.time()
        for connection in [each for each, time in self._due.items() if time <= now]:
            del self._due[connection]
            # Each in a call of its own: an error of one keeps out no other.
            self._loop.call_soon(connection.send_keepalive_ping)
        self._timer = None
        if self._due:
            self._start()


_schedules: PerLoop[dict[float, PingSchedule]] = PerLoop(dict)


def current_ping_schedule(interval: float) -> PingSchedule:
    """Return the running event loop's connections that are pinged after ``interval`` seconds."""
    schedules = _schedules.current()
    if (schedule := schedules.get(interval)) is None:
        schedule = schedules[interval] = PingSchedule(interval)
    return schedule
