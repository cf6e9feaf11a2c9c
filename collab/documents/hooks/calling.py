"""Calls a method of a document type, sync or async, within a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from asgiref.sync import AsyncToSync, SyncToAsync, iscoroutinefunction, sync_to_async
from django.db import connections

from collab.documents.hooks.threads import threads_of

__all__ = ["call_hook", "close_old_connections"]

logger = logging.getLogger("collab.documents")

#: A method that takes longer has failed, in seconds. Shorter than the deadlines of those who wait
#: for it, so that the log names the method.
_TIMEOUT = 25.0


async def call_hook(hook: Callable[..., Any], *args: Any, **parameters: Any) -> Any:
    """Return the result of a method of a document type, sync or async.

    On behalf of connections, a synchronous method runs in a thread of its type. In a view, or
    below ``async_to_sync()``, it runs in the caller's thread and transaction, and without a
    deadline.

    Raises:
        TimeoutError: it has not returned in time. A thread that it runs in goes on.
    """
    if _has_thread():
        if iscoroutinefunction(hook):
            return await hook(*args, **parameters)
        return await sync_to_async(_call_in_thread)(hook, *args, **parameters)
    try:
        async with asyncio.timeout(_TIMEOUT) as deadline:
            if iscoroutinefunction(hook):
                return await hook(*args, **parameters)
            # HookThreads has as much of an executor as sync_to_async() uses.
            executor = cast("Any", threads_of(getattr(hook, "__self__", hook)))
            call = sync_to_async(_call_in_thread, thread_sensitive=False, executor=executor)
            return await call(hook, *args, **parameters)
    except TimeoutError:
        if deadline.expired():
            logger.error(
                "%s() has not returned within %g s and counts as failed; other documents go on.",
                getattr(hook, "__qualname__", hook),
                _TIMEOUT,
            )
        raise


def _has_thread() -> bool:
    """Return whether synchronous code has a thread here that it shares with its caller only."""
    return bool(
        getattr(AsyncToSync.executors, "current", None)
        or SyncToAsync.thread_sensitive_context.get(None)
        or asyncio.get_running_loop() in AsyncToSync.loop_thread_executors
    )


def _call_in_thread(hook: Callable[..., Any], *args: Any, **parameters: Any) -> Any:
    close_old_connections()
    try:
        return hook(*args, **parameters)
    finally:
        close_old_connections()


def close_old_connections() -> None:
    """Close connections that are too old, but for those of a transaction of the caller."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
