"""Named background tasks whose failures are logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any

__all__ = ["BackgroundTasks"]


class BackgroundTasks:
    """The tasks that run beside something and end with it.

    Args:
        owner: prefix of the tasks' names.
        logger: logs failures.
    """

    def __init__(self, owner: str, logger: logging.Logger) -> None:
        self._owner = owner
        self._logger = logger
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(
        self, work: Coroutine[Any, Any, None], name: str, room: str | None = None
    ) -> asyncio.Task[None]:
        """Run ``work`` in a task of that name, and return the task.

        Args:
            work: a coroutine.
            name: the name of the work, for logs and debuggers.
            room: the document it is done for, for the log.
        """
        task = asyncio.get_running_loop().create_task(work, name=f"{self._owner}-{name}")
        self._tasks.add(task)
        task.add_done_callback(partial(self._task_done, name, room))
        return task

    async def finish(self) -> None:
        """Wait until all tasks have ended; failures are logged, not raised."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _task_done(self, name: str, room: str | None, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._logger.error(
                "Background work failed: %s.", name, exc_info=error, extra={"room": room}
            )
