"""The thread in which a server's rows are read and saved.

Other queries of the project do not wait for them, as they would in the thread that
``sync_to_async`` shares, nor do documents that are loaded or stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakKeyDictionary

from django.db import connections

__all__ = ["Worker", "current_worker"]

T = TypeVar("T")

#: Seconds without work after which its database connections are closed.
_IDLE = 30.0


class Worker:
    """A thread with database connections of its own, while it is held."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._users = 0
        self._idle_handle: asyncio.TimerHandle | None = None

    def hold(self) -> None:
        """Keep the thread until :meth:`let_go` is called as often as this."""
        self._users += 1

    def let_go(self) -> None:
        """End the thread if it is not held any more."""
        self._users -= 1
        if not self._users and (executor := self._executor) is not None:
            self._executor = None
            self._stop_idling()
            executor.submit(connections.close_all)
            # It has no other work.
            executor.shutdown()

    async def run(self, function: Callable[[], T]) -> T:
        """Return what ``function`` returns in the thread; it is finished even if this is not."""
        loop = asyncio.get_running_loop()
        self._stop_idling()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="collab-mirror")
        self.hold()
        work = loop.run_in_executor(self._executor, function)
        work.add_done_callback(lambda work: self._finish(loop))
        return await asyncio.shield(work)

    def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        self._stop_idling()
        self._idle_handle = loop.call_later(_IDLE, self._idle)
        self.let_go()

    def _idle(self) -> None:
        assert self._executor is not None
        self._executor.submit(connections.close_all)

    def _stop_idling(self) -> None:
        if self._idle_handle is not None:
            self._idle_handle.cancel()
            self._idle_handle = None


_workers: WeakKeyDictionary[asyncio.AbstractEventLoop, Worker] = WeakKeyDictionary()


def current_worker() -> Worker:
    """Return the worker of the running event loop."""
    return _workers.setdefault(asyncio.get_running_loop(), Worker())
