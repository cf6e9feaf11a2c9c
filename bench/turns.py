"""Servers are measured one at a time, each in its turn, while the others are idle."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from time import perf_counter

__all__ = ["Turn"]


class Turn:
    """The right to load the machine, which passes from one measured server to the next.

    Args:
        lock: shared by all servers that are measured together; by default there is one server.
        limit: seconds that all turns of this server may last together.
    """

    def __init__(self, lock: asyncio.Lock | None = None, limit: float = inf) -> None:
        #: Seconds that the turns have lasted, and those of the load generator's processor.
        self.seconds = 0.0
        self.load_seconds = 0.0
        self._lock = lock or asyncio.Lock()
        self._limit = limit
        self._timeout: asyncio.Timeout | None = None
        self._has_turn = False
        self._began = self._load_began = 0.0

    @property
    def has_expired(self) -> bool:
        """Return whether the turns have lasted longer than their limit."""
        return self._timeout is not None and self._timeout.expired()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for the first turn; the last one ends with the block.

        Raises:
            TimeoutError: the turns have lasted longer than their limit.
        """
        async with asyncio.timeout(None) as self._timeout:
            await self._take()
            try:
                yield
            finally:
                self._give()

    async def pass_on(self) -> None:
        """Give the turn to the next server, and wait for the next one of this server."""
        if self._has_turn:
            self._give()
            await self._take()

    async def _take(self) -> None:
        # The lock is fair: it passes to those that wait in their order.
        await self._lock.acquire()
        self._has_turn = True
        self._began, self._load_began = perf_counter(), time.process_time()
        left = self._limit - self.seconds
        if left < inf:
            self._reschedule(asyncio.get_running_loop().time() + left)

    def _give(self) -> None:
        if not self._has_turn:
            return
        self._has_turn = False
        self.seconds += perf_counter() - self._began
        self.load_seconds += time.process_time() - self._load_began
        self._reschedule(None)
        # The benchmark collects no garbage while a server is measured.
        gc.collect()
        self._lock.release()

    def _reschedule(self, when: float | None) -> None:
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(when)
