"""One timer for many connections that wait equally long, as nearly all end before it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import takewhile
from math import inf
from typing import Generic, TypeVar

from collab.engine.runtime.per_loop import PerLoop
from collab.engine.runtime.timers import Clock, Timer

__all__ = ["SharedTimer", "SharedTimers"]

T = TypeVar("T")


class SharedTimer(Generic[T]):
    """Calls ``on_due`` with each of many objects, ``seconds`` after it was added.

    A timer of each would take 540 bytes, and to set and cancel it takes longer than to add an
    object here and to remove it.

    Args:
        loop: calls it.
        seconds: from when an object is added.
        on_due: called once at most for each; it must not raise.
        patience: what is due for longer was missed by this process, and is due ``seconds`` later.
    """

    def __init__(
        self, loop: Clock, seconds: float, on_due: Callable[[T], object], patience: float = inf
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._on_due = on_due
        self._patience = patience
        #: Times, the earliest first, as all wait equally long.
        self._due: dict[T, float] = {}
        self._timer: Timer | None = None

    def add(self, each: T) -> None:
        """Call ``on_due`` with an object once, when it is due."""
        self._due.pop(each, None)
        self._due[each] = self._loop.time() + self._seconds
        self._start()

    def remove(self, each: T) -> None:
        """Do not call ``on_due`` with an object, if it is due at all."""
        # The timer stays: the next one that is added would need it.
        self._due.pop(each, None)

    def _start(self) -> None:
        # The check is not in _call_due, where a compiler believes that the timer is still None.
        if self._timer is None and self._due:
            self._timer = self._loop.call_at(next(iter(self._due.values())), self._call_due)

    def _call_due(self) -> None:
        self._timer = None
        now = self._loop.time()
        due = dict(takewhile(lambda item: item[1] <= now, self._due.items()))
        for each, time in due.items():
            del self._due[each]
            if now - time > self._patience:
                self.add(each)
            else:
                self._on_due(each)
        self._start()


class SharedTimers(Generic[T]):
    """The shared timers of each event loop, one for each time.

    Args:
        on_due: called once at most for each object, in a call of its own.
        patience: see :class:`SharedTimer`.
    """

    def __init__(self, on_due: Callable[[T], object], patience: float = inf) -> None:
        self._on_due = on_due
        self._patience = patience
        self._timers: PerLoop[dict[float, SharedTimer[T]]] = PerLoop(dict)

    def of(self, seconds: float) -> SharedTimer[T]:
        """Return the running event loop's timer of that time."""
        timers = self._timers.current()
        if (timer := timers.get(seconds)) is None:
            loop = asyncio.get_running_loop()

            def call_soon(each: T) -> None:
                # An error of one keeps out no other.
                loop.call_soon(self._on_due, each)

            timer = timers[seconds] = SharedTimer(loop, seconds, call_soon, self._patience)
        return timer
