"""Timers on an event loop's clock: the delay of the loop, and deadlines."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import Any, Protocol, TypeVar

__all__ = [
    "HUNG",
    "Clock",
    "Deadline",
    "DeadlineExceeded",
    "LoopLag",
    "Timer",
    "finish_within",
    "resume",
]

T = TypeVar("T")

#: Seconds between two beats.
_INTERVAL = 1.0
#: Number of beats that are kept: longer than the usual interval between two reads of metrics.
_REMEMBERED = 60
#: A deadline that is noticed this late was missed by this process, in seconds.
HUNG = 1.0


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> object: ...


class Clock(Protocol):
    """The part of an event loop that timers use."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer: ...


class LoopLag:
    """A timer that measures the delay of its calls."""

    def __init__(self, loop: Clock) -> None:
        self._loop = loop
        self._handle: Timer | None = None
        self._due = 0.0
        self._lags: deque[float] = deque([0.0], _REMEMBERED)

    @property
    def lag(self) -> float:
        """The present delay of the loop, in seconds; may be read in any thread.

        The delay of a loop that hangs grows.
        """
        overdue = self._loop.time() - self._due if self._handle is not None else 0.0
        return max(self._lags[-1], overdue)

    @property
    def worst_lag(self) -> float:
        """The longest delay of the last minute."""
        return max(self.lag, *list(self._lags))

    def start(self) -> None:
        """Measure until ``stop`` is called."""
        self._due = self._loop.time() + _INTERVAL
        self._handle = self._loop.call_at(self._due, self._beat)

    def stop(self) -> None:
        """Measure no more, and forget all measurements."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._lags.clear()
        self._lags.append(0.0)

    def _beat(self) -> None:
        self._lags.append(max(0.0, self._loop.time() - self._due))
        self.start()


class Deadline:
    """Calls ``on_missed`` after ``seconds``, unless it is met before.

    Args:
        loop: calls it.
        seconds: the time until then.
        on_missed: called once at most.
    """

    __slots__ = ("_due", "_handle", "_loop", "_on_missed", "_seconds")

    def __init__(self, loop: Clock, seconds: float, on_missed: Callable[[], object]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._on_missed = on_missed
        self._start()

    def meet(self) -> None:
        """End the deadline: it is met, or does not matter any more."""
        self._handle.cancel()

    def _start(self) -> None:
        self._due = self._loop.time() + self._seconds
        self._handle = self._loop.call_at(self._due, self._miss)

    def _miss(self) -> None:
        if self._loop.time() - self._due > HUNG:
            # This process was stopped; the awaited data may have arrived and is read next.
            self._start()
        else:
            self._on_missed()


class DeadlineExceeded(TimeoutError):
    """The work took longer than it may; any other ``TimeoutError`` is the work's own."""


async def finish_within(seconds: float, work: Awaitable[T]) -> T:
    """Return the result of ``work``, which may wait for at most ``seconds``.

    It is run as far as it goes at once, before a deadline is set up. Most questions to a project
    are answered without waiting, and a timer that is made and cancelled takes longer than that.

    Raises:
        DeadlineExceeded: it waits longer, and is cancelled.
        Exception: ``work`` fails.
    """
    running = work.__await__()
    try:
        blocked_on = next(running)
    except StopIteration as done:
        result: T = done.value
        return result
    try:
        async with asyncio.timeout(seconds) as deadline:
            return await resume(running, blocked_on)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise DeadlineExceeded from error


@coroutine
def resume(running: Generator[Any, None, T], blocked_on: Any) -> Generator[Any, None, T]:
    """Go on with a coroutine that has been run up to its first wait, in a task."""
    while True:
        try:
            yield blocked_on
        except BaseException as error:
            try:
                blocked_on = running.throw(error)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            continue
        try:
            blocked_on = next(running)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
