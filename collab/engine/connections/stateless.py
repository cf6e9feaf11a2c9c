"""Hands clients' messages that are no part of a document to the project."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from typing import Any, Protocol

from collab.engine.runtime.background import BackgroundTasks
from collab.exceptions import MemberError, TooBig, TryAgainLater
from collab.wire import CloseCode

__all__ = ["StatelessConsumer", "StatelessMessages", "StatelessSender"]

logger = logging.getLogger("collab.consumers")

#: Cost of a waiting message beside its text.
_MESSAGE_COST = 256
_tasks = BackgroundTasks("collab-stateless", logger)


class StatelessSender(Protocol):
    """The member that sent a message."""

    room_name: str | None
    user_id: str | None

    @property
    def is_closed(self) -> bool:
        """Whether the connection is closed or closing."""

    def close(self, code: int, reason: str) -> None:
        """Close the document for the client."""

    def refuse(self, error: MemberError) -> None:
        """Close the document because of ``error``."""


class StatelessConsumer(Protocol):
    """A consumer, as far as its clients' messages are concerned."""

    def receive_stateless(self, member: Any, payload: str) -> Awaitable[None]:
        """Handle a message that is not part of a document."""


class StatelessMessages:
    """The messages of one connection, of which the project handles one after the other.

    Args:
        consumer: the project's.
        limit: letters of messages that wait, and of one message.
        failure: code and reason with which a document is closed if the project fails.
    """

    __slots__ = ("_consumer", "_failure", "_limit", "_size", "_task", "_waiting")

    def __init__(
        self,
        consumer: StatelessConsumer,
        limit: int,
        failure: tuple[int, str] = (CloseCode.INTERNAL, ""),
    ) -> None:
        self._consumer = consumer
        self._limit = limit
        self._failure = failure
        self._task: asyncio.Task[None] | None = None
        #: Most connections send none.
        self._waiting: deque[tuple[StatelessSender, str]] | None = None
        self._size = 0

    def receive(self, member: StatelessSender, payload: str) -> None:
        """Hand a message to the project, after those before it.

        Raises:
            TooBig: it is larger than allowed.
            TryAgainLater: too many wait.
        """
        size, limit = len(payload), self._limit
        if size > limit:
            raise TooBig(f"A message has {size} letters, more than {limit}.", limit="MAX_TEXT_SIZE")
        if self._size + size > limit:
            raise TryAgainLater("Too many stateless messages wait.", limit="MAX_TEXT_SIZE")
        self._size += size + _MESSAGE_COST
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append((member, payload))
        if self._task is None:
            handling = self._handle_all(self._waiting)
            self._task = _tasks.start(handling, "handle", member.room_name)

    def close(self) -> None:
        """Handle no more messages: the connection has ended."""
        if self._task is not None:
            self._task.cancel()

    async def _handle_all(self, waiting: deque[tuple[StatelessSender, str]]) -> None:
        try:
            while waiting:
                member, payload = waiting.popleft()
                self._size -= len(payload) + _MESSAGE_COST
                if not member.is_closed:
                    await self._handle(member, payload)
        finally:
            self._task = None

    async def _handle(self, member: StatelessSender, payload: str) -> None:
        try:
            await self._consumer.receive_stateless(member, payload)
        except MemberError as error:
            member.refuse(error)
        except Exception:
            logger.exception(
                "receive_stateless() failed.",
                extra={"room": member.room_name, "user": member.user_id},
            )
            member.close(*self._failure)
