"""The times at which idle connections are pinged: one timer for all that wait equally long."""

from __future__ import annotations

from typing import Protocol

from collab.engine.connections.shared_timers import SharedTimer, SharedTimers

__all__ = ["PingSchedule", "Pinged", "current_ping_schedule"]


class Pinged(Protocol):
    """A connection that is pinged."""

    def send_keepalive_ping(self) -> None:
        """Ping the client."""


PingSchedule = SharedTimer[Pinged]


def _ping(connection: Pinged) -> None:
    connection.send_keepalive_ping()


_schedules = SharedTimers(_ping)
#: Return the running event loop's connections that are pinged after a number of seconds.
current_ping_schedule = _schedules.of
