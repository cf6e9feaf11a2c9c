"""Checks that members that may only comment do nothing else.

A check reads the whole document, twice. For a document that is not small it runs in a process of
its own, so that nothing else waits for it. Meanwhile the connection may end, or the access of its
user; the update was sent by a user that was allowed to, and so the project is asked once more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from collab.access import Access
from collab.engine.connections.refused_answers import UpdateQuestion
from collab.engine.runtime.background import BackgroundTasks
from collab.engine.runtime.per_loop import PerLoop
from collab.exceptions import MemberError, TryAgainLater
from collab.protocol.effects import RoomUpdate
from collab.protocol.yjs.formats import MAX_CHECKED_SIZE, changes_formats_only
from collab.protocol.yjs.updates import EMPTY_STATE
from collab_storage.subprocesses import ProcessQueue

__all__ = ["AccessQuestion", "CheckedDocument", "CommentChecks", "Commenter"]

logger = logging.getLogger("collab.room")

#: Bytes of a document that is checked at once, within milliseconds.
_SMALL = 16 * 1024
#: Updates of a member that wait for their check, and bytes of them, at most.
_MAX_WAITING, _MAX_WAITING_SIZE = 100, 2 * MAX_CHECKED_SIZE
#: Bytes of all updates that wait in an event loop.
_MAX_TOTAL_SIZE = 64 * 1024 * 1024
#: Cost of a waiting update beside its bytes.
_UPDATE_COST = 512
#: Processes that check at once, and seconds until one counts as failed.
_AT_ONCE, _TIMEOUT = 2, 30.0

_processes = ProcessQueue(_AT_ONCE, _TIMEOUT)


class AccessQuestion(Protocol):
    """The question for a client's access."""

    #: The last answer.
    access: Access

    @property
    def has_expired(self) -> bool:
        """Whether the last answer is void."""

    async def ask_again(self) -> Access:
        """Ask the project."""


class CommentingConnection(Protocol):
    """A commenter's connection."""

    @property
    def access_check(self) -> AccessQuestion:
        """The question for the client's access, also when the connection has ended."""


class Commenter(Protocol):
    """A member that may comment, as its checks know it."""

    comment_formats: Sequence[str]
    user_id: str | None
    question: UpdateQuestion

    @property
    def connection(self) -> CommentingConnection:
        """The connection."""

    def refuse(self, error: MemberError) -> None:
        """Close the connection because of ``error``."""

    def refuse_update(self, number: int) -> None:
        """Report that an update is dropped."""


class CheckedDocument(Protocol):
    """The document, as its checks know it."""

    name: str

    @property
    def size(self) -> int:
        """Bytes of the document, about."""

    def flush(self) -> None:
        """Integrate the received updates."""

    def encode(self, state: bytes) -> bytes:
        """Return the update that a document of state vector ``state`` lacks."""

    def has_all(self, update: bytes) -> bool:
        """Return whether the document has all of an update, which then needs no check."""


C = TypeVar("C", bound=Commenter)


@dataclass(eq=False)
class _Waiting(Generic[C]):
    """The updates of a member that wait, each with whether it may only comment."""

    #: About the sender as it was then: by the check the client may be another user's.
    question: AccessQuestion
    updates: deque[tuple[RoomUpdate[C], bool]]
    size: int = 0


class _Budget:
    """The cost of the updates that wait in an event loop."""

    def __init__(self) -> None:
        self.size = 0
        #: Each check has a copy of its document.
        self.slots = asyncio.Semaphore(_AT_ONCE)


_budgets = PerLoop(_Budget)


class CommentChecks(Generic[C]):
    """The updates of a room's members that may only comment: each member's in their order.

    Args:
        document: that they change.
        accept: called with an update of a member that is allowed.
        on_idle: called when no update waits any more.
    """

    def __init__(
        self,
        document: CheckedDocument,
        accept: Callable[[RoomUpdate[C]], None],
        on_idle: Callable[[], None],
    ) -> None:
        self._document = document
        self._accept = accept
        self._on_idle = on_idle
        self._budget = _budgets.current()
        self._tasks = BackgroundTasks("collab-comments", logger)
        self._waiting: dict[C, _Waiting[C]] = {}
        self._checks: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether updates wait."""
        return bool(self._waiting)

    async def finish(self) -> None:
        """Wait until no update waits any more."""
        await self._tasks.finish()

    def close(self) -> None:
        """Drop all updates that wait: their senders are not informed."""
        for task in self._checks:
            task.cancel()

    # Updates.

    def receive(self, member: C, update: RoomUpdate[C]) -> None:
        """Check an update, now or later.

        Raises:
            MemberError: too many wait, or the project refuses the update.
        """
        document = self._document
        if member in self._waiting:
            self._wait(member, update, is_comment=True)
        elif document.has_all(update.data):
            self._accept(update)
        elif max(document.size, len(update.data)) > MAX_CHECKED_SIZE:
            member.refuse_update(update.number)
        elif document.size > _SMALL:
            self._wait(member, update, is_comment=True)
        elif changes_formats_only(update.data, self._content(), member.comment_formats):
            self._accept(update)
        else:
            member.refuse_update(update.number)

    def hold(self, member: C, update: RoomUpdate[C]) -> bool:
        """Return whether an update of a member that may write waits behind others of the member.

        Raises:
            TryAgainLater: too many wait.
        """
        if member not in self._waiting:
            return False
        self._wait(member, update, is_comment=False)
        return True

    def _wait(self, member: C, update: RoomUpdate[C], *, is_comment: bool) -> None:
        waiting, cost = self._waiting.get(member), len(update.data) + _UPDATE_COST
        if waiting is not None and (
            len(waiting.updates) >= _MAX_WAITING or waiting.size + cost > _MAX_WAITING_SIZE
        ):
            raise TryAgainLater("Too many of your comments wait for their check.")
        if self._budget.size + cost > _MAX_TOTAL_SIZE:
            raise TryAgainLater("Too many comments wait for their check.")
        if waiting is None:
            waiting = _Waiting(member.connection.access_check, deque())
            self._waiting[member] = waiting
            task = self._tasks.start(self._check_all(member, waiting), "check", self._document.name)
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)
        self._charge(waiting, cost)
        waiting.updates.append((update, is_comment))

    def _charge(self, waiting: _Waiting[C], cost: int) -> None:
        waiting.size += cost
        self._budget.size += cost

    # Checks.

    async def _check_all(self, member: C, waiting: _Waiting[C]) -> None:
        try:
            while waiting.updates:
                update, is_comment = waiting.updates[0]
                needed = Access.COMMENT if is_comment else Access.WRITE
                is_allowed = not is_comment or await self._only_comments(member, update)
                is_allowed = is_allowed and await self._access(member, waiting) >= needed
                waiting.updates.popleft()
                self._charge(waiting, -len(update.data) - _UPDATE_COST)
                if is_allowed:
                    self._accept(update)
                else:
                    member.refuse_update(update.number)
        except MemberError as error:
            member.question.refuse(error)
            member.refuse(error)
        except Exception:
            logger.exception(
                "A comment cannot be checked.",
                extra={"room": self._document.name, "user": member.user_id},
            )
            member.refuse(TryAgainLater("Your comment cannot be checked now."))
        finally:
            self._charge(waiting, -waiting.size)
            del self._waiting[member]
            self._on_idle()

    async def _only_comments(self, member: C, update: RoomUpdate[C]) -> bool:
        """Return whether an update does nothing but comment.

        Edits of others meanwhile change nothing that the update refers to.

        Raises:
            Exception: that cannot be found out.
        """
        async with self._budget.slots:
            self._document.flush()
            if self._document.has_all(update.data):
                return True
            content, formats = self._content(), list(member.comment_formats)
            return await _processes.run(changes_formats_only, update.data, content, formats)

    async def _access(self, member: C, waiting: _Waiting[C]) -> Access:
        """Return the client's access now, whether it is still connected or not."""
        question = waiting.question
        try:
            return await question.ask_again()
        except MemberError:
            return Access.NONE
        except Exception:
            logger.exception(
                "Access could not be checked.",
                extra={"room": self._document.name, "user": member.user_id},
            )
            return Access.NONE if question.has_expired else question.access

    def _content(self) -> bytes:
        self._document.flush()
        return self._document.encode(EMPTY_STATE)
