"""Bounds the messages whose ends have not come yet, in time and in bytes of the process (I16).

A message may be as large as a frame may be, and its parts stay in memory until the last one has
come. Clients that begin messages and never end them must not fill the memory.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from collab.engine.runtime.per_loop import PerLoop
from collab.wire import CloseCode

__all__ = ["MESSAGE_TIMEOUT", "Sender", "UnfinishedMessages", "current_unfinished"]

#: Seconds from the first part of a message to its last, and the bytes that add one second.
MESSAGE_TIMEOUT = 120.0
_BYTES_PER_SECOND = 64 * 1024
#: Bytes of unfinished messages in one event loop.
_MAX_BYTES = 256 * 1024 * 1024


class Sender(Protocol):
    """A connection of the server."""

    def give_up(self, code: int, reason: str) -> None:
        """Close the connection, and free the received bytes."""


class UnfinishedMessages:
    """The unfinished messages of all connections of one event loop.

    Args:
        most: bytes of all of them; beyond it, the oldest one's connection is closed.
        timeout: seconds until the connection of one is closed.
    """

    def __init__(self, most: int = _MAX_BYTES, timeout: float = MESSAGE_TIMEOUT) -> None:
        self._loop = asyncio.get_running_loop()
        self._most = most
        self._timeout = timeout
        self._size = 0
        #: Sizes, times at which they began and deadlines, the oldest first.
        self._messages: dict[Sender, tuple[int, float, asyncio.TimerHandle]] = {}

    def hold(self, sender: Sender, size: int) -> None:
        """Record that ``size`` bytes of a connection's message have come."""
        before, began = 0, self._loop.time()
        if sender in self._messages:
            before, began, deadline = self._messages[sender]
        else:
            deadline = self._loop.call_later(self._timeout, self._check, sender)
        self._messages[sender] = size, began, deadline
        self._size += size - before
        while self._size > self._most:
            reason = "Too many unfinished messages; try again later."
            self._give_up(next(iter(self._messages)), CloseCode.TRY_LATER, reason)

    def release(self, sender: Sender) -> None:
        """Record that a connection has no unfinished message any more."""
        if found := self._messages.pop(sender, None):
            size, _, deadline = found
            self._size -= size
            deadline.cancel()

    def _check(self, sender: Sender) -> None:
        """Close the connection of a message that is late; one that grows has more time."""
        size, began, _ = self._messages[sender]
        due = began + self._timeout + size / _BYTES_PER_SECOND
        if self._loop.time() < due:
            self._messages[sender] = size, began, self._loop.call_at(due, self._check, sender)
        else:
            reason = "The message was not finished in time."
            self._give_up(sender, CloseCode.PROTOCOL_VIOLATION, reason)

    def _give_up(self, sender: Sender, code: int, reason: str) -> None:
        self.release(sender)
        sender.give_up(code, reason)


_unfinished = PerLoop(UnfinishedMessages)
#: Return the unfinished messages of the running event loop.
current_unfinished = _unfinished.current
