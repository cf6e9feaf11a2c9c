"""The times at which the access of each connection is due to be checked again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from random import uniform
from typing import Generic, TypeVar

__all__ = ["RecheckSchedule"]

T = TypeVar("T", bound=Hashable)

#: Parts of the interval: between two looks at the schedule, until the first check of a connection
#: (spread, so that connections that came together are not checked together), and until the next.
#: A check is due in less than the interval, looks included.
_TICK = 1 / 20
_FIRST = (0.3, 0.85)
_NEXT = 0.85


class RecheckSchedule(Generic[T]):
    """A due time for each connection, at most ``interval`` after it came and after each check.

    Args:
        interval: in seconds.
        spread: returns a number between two others.
    """

    def __init__(self, interval: float, spread: Callable[[float, float], float] = uniform) -> None:
        self._interval = interval
        self._spread = spread
        self._due_at: dict[T, float] = {}

    @property
    def tick(self) -> float:
        """Seconds between two calls of :meth:`due`."""
        return self._interval * _TICK

    def due(self, connections: Iterable[T], now: float) -> list[T]:
        """Return those of all ``connections`` whose check is due now."""
        known, self._due_at = self._due_at, {}
        due = []
        for each in connections:
            due_at = known.get(each)
            if due_at is None:
                due_at = now + self._interval * self._spread(*_FIRST)
            elif due_at <= now:
                due.append(each)
                due_at = now + self._interval * _NEXT
            self._due_at[each] = due_at
        return due
