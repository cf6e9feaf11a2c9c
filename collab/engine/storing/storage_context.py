"""Tasks that share resources of the storage, reserved for them.

A storage on the database runs its queries in a thread. In Django's shared one, a slow query of
any view would hold up every document; a storage context has a thread and a connection of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar

from collab_storage.base import Storage

__all__ = ["StorageContext"]

T = TypeVar("T")


class StorageContext:
    """Runs coroutines inside ``storage.serving()``, which it enters with the first of them.

    Args:
        storage: has the resources.
        name: of the tasks.
    """

    def __init__(self, storage: Storage, name: str = "collab-storage") -> None:
        self._storage = storage
        self._name = name
        self._context: Context | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._entered: asyncio.Future[None] | None = None
        self._leave = asyncio.Event()
        self._working: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` in a task that has the resources.

        If they cannot be acquired, the task fails with the storage's error, and the next work is
        another attempt.
        """
        loop = asyncio.get_running_loop()
        if self._context is None or self._entered is None:
            self._context = copy_context()
            self._entered, self._leave = loop.create_future(), asyncio.Event()
            # Tasks of one context see the variables that the storage sets in it.
            self._keeper = loop.create_task(
                self._keep(self._entered, self._leave),
                name=f"{self._name}-keeper",
                context=self._context,
            )
        task = loop.create_task(
            self._run(work, self._entered, self._context), name=self._name, context=self._context
        )
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task

    async def close(self) -> None:
        """Give the resources back once the work has ended; work started meanwhile gets new ones."""
        keeper, leave, self._context, self._keeper = self._keeper, self._leave, None, None
        if keeper is None:
            return
        if self._working:
            await asyncio.wait(set(self._working))
        leave.set()
        await keeper

    async def _keep(self, entered: asyncio.Future[None], leave: asyncio.Event) -> None:
        try:
            async with self._storage.serving():
                entered.set_result(None)
                await leave.wait()
        except Exception as error:
            if entered.done():
                raise
            if self._entered is entered:
                self._context = self._keeper = None
            entered.set_exception(error)

    async def _run(
        self, work: Coroutine[Any, Any, T], entered: asyncio.Future[None], context: Context
    ) -> T:
        try:
            # Other tasks wait for it too.
            await asyncio.shield(entered)
        except BaseException:
            work.close()
            raise
        # In a copy: asgiref sets a variable while it runs a function of the project in its thread,
        # and takes another call in the same context for a deadlock.
        copy = context.copy()
        return await asyncio.get_running_loop().create_task(work, name=self._name, context=copy)
