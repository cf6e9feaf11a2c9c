"""What a connection does one after the other, and what it does beside that."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from typing import Any, cast

__all__ = ["CALL", "EVENT", "CallQueue", "Start", "error_of"]

CALL = "call"
EVENT = "event"

#: Starts some work; it raises nothing.
Start = Callable[[], Coroutine[Any, Any, None]]


async def error_of(work: Awaitable[Any]) -> Exception | None:
    """Wait for what a project does for one connection, and return what it has raised.

    That may be what would end more than this work, as ``sys.exit()`` does, a panic of a library
    in Rust, or a cancellation that is not ours; what cancels the current task is passed on.
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
        ended = RuntimeError(f"It was ended by {type(error).__name__}.")
        ended.__cause__ = error
        return ended
    return None


class CallQueue:
    """Runs work of a connection in tasks, so that nothing holds up what it receives.

    Args:
        most_calls: how many of the client's calls may wait for their turn.
        most_events: how many events may.
        most_detached: how many calls may run beside the turns.
        most_bytes: how many bytes there may be of calls that wait, if it is more than one.
    """

    def __init__(
        self, most_calls: int, most_events: int, most_detached: int, most_bytes: int
    ) -> None:
        self._most = {CALL: most_calls, EVENT: most_events}
        self._most_detached = most_detached
        self._most_bytes = most_bytes
        self._size = 0
        self._waiting: deque[tuple[str, Start, int]] = deque()
        self._numbers = Counter[str]()
        self._runner: asyncio.Task[None] | None = None
        self._detached: set[asyncio.Task[None]] = set()
        #: Of the connection: whoever starts something may be in another.
        self._context = copy_context()

    def enqueue(self, kind: str, start: Start, size: int = 0) -> bool:
        """Do something when all that was put before is done; False if too many wait.

        Args:
            kind: ``CALL`` or ``EVENT``.
            start: starts it.
            size: of what waits, in bytes.
        """
        is_too_large = size and self._size and self._size + size > self._most_bytes
        if self._numbers[kind] >= self._most[kind] or is_too_large:
            return False
        self._numbers[kind] += 1
        self._size += size
        self._waiting.append((kind, start, size))
        if self._runner is None:
            self._runner = self._task(self._run())
        return True

    def detach(self, start: Start) -> bool:
        """Do something at once, beside the rest; False if too much is being done so."""
        if len(self._detached) >= self._most_detached:
            return False
        task = self._task(start())
        self._detached.add(task)
        task.add_done_callback(self._detached.discard)
        return True

    async def end(self, within: float) -> None:
        """Cancel what runs beside the turns, and finish these, ``within`` so many seconds.

        Nothing more is taken.
        """
        self._most = {CALL: 0, EVENT: 0}
        self._most_detached = 0
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
