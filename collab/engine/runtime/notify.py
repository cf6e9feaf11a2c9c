"""Sends in-process signals from the event loop, without waiting for their receivers."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from django.dispatch import Signal

__all__ = ["Joined", "notify", "notify_of"]

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


class Joined(Protocol):
    """A connection that has joined a document."""

    @property
    def room_name(self) -> str | None:
        """The name of the document."""

    @property
    def user(self) -> Any:
        """The user."""

    @property
    def access(self) -> Any:
        """The access of the user."""


def notify_of(connection: Joined, signal: Signal) -> None:
    """Send ``signal``, which is about a connection, if it has receivers."""
    if signal.receivers:
        name, user, access = connection.room_name, connection.user, connection.access
        notify(signal, name=name, user=user, access=access)
