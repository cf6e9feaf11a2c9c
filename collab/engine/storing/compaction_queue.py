"""Compaction of open documents, one after the other.

Rooms in which people write equally fast reach ``COMPACT_AFTER`` at the same moment. If all of them
were compacted then, a server with hundreds of rooms would do nothing else for seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

__all__ = ["CompactionQueue"]

#: The pause after a compaction, as a multiple of its duration, and the longest one in seconds.
_PAUSES = 3
_LONGEST_PAUSE = 1.0


class CompactionQueue:
    """Compacts one document at a time, with a pause after each.

    Args:
        start: starts a coroutine as a task that has resources of the storage.
        compact: compacts the document of a name.
    """

    def __init__(
        self,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        compact: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        self._start = start
        self._compact = compact
        self._names: deque[str] = deque()
        self._task: asyncio.Task[None] | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._began = 0.0

    def add(self, name: str) -> None:
        """Compact a document when those before it are compacted."""
        self._names.append(name)
        if self._task is None and self._pause is None:
            self._begin()

    def clear(self) -> None:
        """Compact none of the documents that wait; their logs are counted when they are opened."""
        self._names.clear()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _begin(self) -> None:
        self._pause = None
        if self._names:
            self._began = perf_counter()
            self._task = self._start(self._compact(self._names.popleft()))
            self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._task = None
        pause = min(_PAUSES * (perf_counter() - self._began), _LONGEST_PAUSE)
        self._pause = asyncio.get_running_loop().call_later(pause, self._begin)
