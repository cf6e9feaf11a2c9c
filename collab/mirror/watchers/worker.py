"""The threads in which a server's rows are read and saved.

Other queries of the project do not wait for them, as they would in the thread that
``sync_to_async`` shares, nor do documents that are loaded or stored. A document whose rows are
locked by a long transaction keeps one thread waiting; the others go on with other documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

from collab.engine.runtime.per_loop import PerLoop

__all__ = ["Worker", "current_worker"]

T = TypeVar("T")

#: Seconds without work after which database connections are closed.
_IDLE = 30.0
#: Threads, each with database connections of its own, at most.
_MAX_THREADS = 4


class _Thread:
    """One thread, and the work that waits for it."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="collab-mirror")
        self.waiting = 0

    def submit(self, function: Callable[[], T]) -> Future[T]:
        self.waiting += 1
        return self._executor.submit(function)

    def close_connections(self) -> None:
        self._executor.submit(connections.close_all)

    def end(self) -> None:
        self.close_connections()
        # It has no other work.
        self._executor.shutdown()


class Worker:
    """Threads with database connections of their own, while they are held.

    Args:
        max_threads: how many at most. SQLite has one writer at a time, and needs one thread.
    """

    def __init__(self, max_threads: int | None = None) -> None:
        self._max_threads = _default_threads() if max_threads is None else max_threads
        self._threads: list[_Thread] = []
        self._users = 0
        self._idle_handle: asyncio.TimerHandle | None = None

    def hold(self) -> None:
        """Keep the threads until :meth:`let_go` is called as often as this."""
        self._users += 1

    def let_go(self) -> None:
        """End the threads if they are not held any more."""
        self._users -= 1
        if not self._users:
            self._stop_idling()
            threads, self._threads = self._threads, []
            for thread in threads:
                thread.end()

    async def run(self, function: Callable[[], T]) -> T:
        """Return the result of ``function`` in a thread; it is finished even if this is not."""
        loop = asyncio.get_running_loop()
        self._stop_idling()
        thread = self._free_thread()
        self.hold()
        work = asyncio.wrap_future(thread.submit(function))
        work.add_done_callback(lambda work: self._finish(loop, thread))
        return await asyncio.shield(work)

    def _free_thread(self) -> _Thread:
        """Return a thread without work, or else the one with the least."""
        thread = min(self._threads, key=lambda thread: thread.waiting, default=None)
        if thread is None or (thread.waiting and len(self._threads) < self._max_threads):
            thread = _Thread()
            self._threads.append(thread)
        return thread

    def _finish(self, loop: asyncio.AbstractEventLoop, thread: _Thread) -> None:
        thread.waiting -= 1
        self._stop_idling()
        self._idle_handle = loop.call_later(_IDLE, self._idle)
        self.let_go()

    def _idle(self) -> None:
        for thread in self._threads:
            if not thread.waiting:
                thread.close_connections()

    def _stop_idling(self) -> None:
        if self._idle_handle is not None:
            self._idle_handle.cancel()
            self._idle_handle = None


def _default_threads() -> int:
    vendors = {connections[alias].vendor for alias in connections}
    return 1 if "sqlite" in vendors else _MAX_THREADS


_workers = PerLoop(Worker)


def current_worker() -> Worker:
    """Return the worker of the running event loop."""
    return _workers.current()
