"""Work of a connection: calls and events in order, and detached calls beside them."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from typing import Any, cast

__all__ = [
    "CALL",
    "EVENT",
    "MAX_DETACHED",
    "MAX_EVENTS",
    "MAX_WAITING",
    "CallQueue",
    "Start",
    "error_of",
]

#: Calls of one connection that wait for their turn, at most.
MAX_WAITING = 100
#: Events that wait for a connection's handlers, at most.
MAX_EVENTS = 10_000
#: Detached calls of one connection at a time, at most.
MAX_DETACHED = 20

CALL = "call"
EVENT = "event"

#: Starts work that raises nothing.
Start = Callable[[], Coroutine[Any, Any, None]]


async def error_of(work: Awaitable[Any]) -> Exception | None:
    """Wait for a project's code to run for one connection, and return the exception it raised.

    Exceptions that would end more than this work are included: ``SystemExit``, a panic of a Rust
    library, a cancellation from within. A cancellation of the current task is raised.
    """
    try:
        await work
    except Exception as error:
        return error
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        if isinstance(error, asyncio.CancelledError) and task.cancelling():
            raise
        ended = RuntimeError(f"Ended by {type(error).__name__}.")
        ended.__cause__ = error
        return ended
    return None


class CallQueue:
    """Runs work of a connection in tasks, so that it goes on receiving.

    Args:
        max_size: bytes of waiting calls, at most, if there is more than one.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._size = 0
        self._is_ended = False
        self._waiting: deque[tuple[str, Start, int]] = deque()
        self._numbers = Counter[str]()
        self._runner: asyncio.Task[None] | None = None
        self._detached: set[asyncio.Task[None]] = set()
        #: The connection's context; work may be enqueued from another one.
        self._context = copy_context()

    def enqueue(self, kind: str, start: Start, size: int = 0) -> bool:
        """Enqueue work; return False if too much is waiting.

        Args:
            kind: ``CALL`` or ``EVENT``.
            start: starts the work.
            size: in bytes.
        """
        is_too_large = size and self._size and self._size + size > self._max_size
        limit = MAX_WAITING if kind == CALL else MAX_EVENTS
        if self._is_ended or self._numbers[kind] >= limit or is_too_large:
            return False
        self._numbers[kind] += 1
        self._size += size
        self._waiting.append((kind, start, size))
        if self._runner is None:
            self._runner = self._task(self._run())
        return True

    def detach(self, start: Start) -> bool:
        """Start work at once, beside the queue; return False if too much runs so already."""
        if self._is_ended or len(self._detached) >= MAX_DETACHED:
            return False
        task = self._task(start())
        self._detached.add(task)
        task.add_done_callback(self._detached.discard)
        return True

    async def end(self, within: float) -> None:
        """Cancel detached work, and finish the queue ``within`` a number of seconds.

        Nothing can be enqueued afterwards.
        """
        self._is_ended = True
        tasks = {*self._detached}
        for task in self._detached:
            task.cancel()
        if self._runner is not None:
            tasks.add(self._runner)
            _, late = await asyncio.wait({self._runner}, timeout=within)
            for task in late:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, context=self._context)

    async def _run(self) -> None:
        try:
            while self._waiting:
                kind, start, size = self._waiting.popleft()
                self._numbers[kind] -= 1
                self._size -= size
                await start()
        finally:
            self._runner = None
