"""Sends in-process signals from the event loop, without waiting for their receivers."""

from __future__ import annotations

import asyncio
from typing import Any

from django.dispatch import Signal

__all__ = ["notify"]

#: Tasks of signals whose receivers run; the event loop itself keeps no task alive.
_tasks: set[asyncio.Task[Any]] = set()


def notify(signal: Signal, **arguments: Any) -> None:
    """Send ``signal`` in a task of its own, if it has receivers.

    Synchronous receivers run in a worker thread. Django logs those that raise.
    """
    if signal.receivers:
        sending = signal.asend_robust(sender=None, **arguments)
        task = asyncio.get_running_loop().create_task(sending, name="collab-signal")
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
