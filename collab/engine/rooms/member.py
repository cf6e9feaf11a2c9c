"""One connection in a room: its user, its session, and its way out to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from collab.access import Access
from collab.conf import Settings
from collab.engine.connections.comment_checks import AccessQuestion
from collab.engine.connections.fast_path import Send
from collab.engine.connections.refused_answers import current_refused_answers
from collab.engine.rooms.outbox import DocumentView, Outbox
from collab.engine.runtime.counters import counters
from collab.exceptions import MemberError, ProtocolViolation, TooBig
from collab.protocol.frames import step1_frame
from collab.protocol.json_frames import json_frame
from collab.protocol.session import Session
from collab.wire import CloseCode

__all__ = ["COMMENT_FORMATS", "Connection", "Member"]

#: By default: names with ``*`` for any letters.
COMMENT_FORMATS = ("comment", "comment--*")


class Connection(Protocol):
    """A member's connection, as far as rooms and the hub need it."""

    @property
    def access_check(self) -> AccessQuestion:
        """The question for the client's access, also when the connection has ended."""

    @property
    def scope(self) -> dict[str, Any]:
        """The scope of the connection, as ASGI has it."""

    def evict(self) -> None:
        """End the connection without the client's help: it takes no data."""

    async def recheck_access(self, *, routine: bool = False) -> None:
        """Ask the project again for the member's access, and act on the answer.

        Args:
            routine: a periodic check, which forgives for a while that there is no answer.
        """

    async def forget_user(self) -> None:
        """Treat the member as anonymous, as its user has logged out, and check its access."""


class Member:
    """A connection in a room.

    Args:
        connection: the consumer.
        session: the connection's protocol state.
        send: the ASGI server's ``send``.
        settings: for the limits.
        user_id: primary key of the user, as text; ``None`` for an anonymous one.
        echo_updates: send the member its own updates back once they are stored.
        write: the server's shorter way out, if it has one; see :class:`Outbox`.
    """

    #: The room it is in, and that room's name; a connection without a document is in none.
    room: DocumentView
    room_name: str | None = None

    def __init__(
        self,
        connection: Connection,
        session: Session,
        send: Send,
        settings: Settings,
        *,
        user_id: str | None = None,
        echo_updates: bool = False,
        write: Callable[[bytes | str], bool] | None = None,
    ) -> None:
        self.connection = connection
        self.session = session
        self.user_id = user_id
        #: JSON text that the server adds to the presence that comes through it.
        self.verified = ""
        #: Names of the formats that it may change if it may comment only.
        self.comment_formats: Sequence[str] = COMMENT_FORMATS
        self.echo_updates = echo_updates
        self._who: dict[str, str | None] = {"room": None, "user": user_id}
        self.outbox = self.new_outbox(send, write, settings)
        self._saved = 0
        self._pending = self._sent_pending = 0
        #: Bytes that the member has asked for since ``take_answered`` was called last.
        self.answered = 0
        #: Asks for missing updates when the pause is over.
        self._question: asyncio.TimerHandle | None = None

    def new_outbox(
        self, send: Send, write: Callable[[bytes | str], bool] | None, settings: Settings
    ) -> Outbox:
        """Return the way out to the client."""
        return Outbox(send, write, settings, self.connection.evict, self._who)

    @property
    def user(self) -> Any:
        """The user as the project's middleware has it; ``None`` if there is none."""
        return self.connection.scope.get("user")

    @property
    def access(self) -> Access:
        """The client's access to the document."""
        return self.session.access

    def enter(self, room: DocumentView, name: str) -> None:
        """Be in a room of that name from now on."""
        counters.joins += 1
        self.room = self.outbox.view = room
        self.room_name = self._who["room"] = name

    # Sending.

    def send_frame(self, frame: bytes | str) -> None:
        """Send a frame of which none may be left out."""
        self.outbox.send_frame(frame)

    async def ready(self) -> None:
        """Wait until the client has read everything that was sent to it, or is gone."""
        await self.outbox.ready()

    def send_stateless(self, payload: str) -> None:
        """Send a message that is no part of the document, if the client understands it."""
        if self.session.greeted:
            self.send_frame(json_frame("stateless", data=payload))

    def ask(self, state: bytes) -> None:
        """Ask a client that may write for updates that a document of state ``state`` lacks.

        If its updates were refused for good a moment ago, it is asked later.
        """
        if not self.session.can_write or self._question is not None:
            return
        loop = asyncio.get_running_loop()
        if pause := current_refused_answers().pause(self._key, loop.time()):
            self._question = loop.call_later(pause, self._ask_late)
        else:
            self.send_frame(step1_frame(state))

    def _ask_late(self) -> None:
        self._question = None
        self.ask(self.room.state())

    def record_accepted(self) -> None:
        """Record that the client's answer was accepted."""
        current_refused_answers().accept(self._key)

    def record_refused(self, error: MemberError) -> None:
        """Record that the client is refused because of ``error``, for good or not."""
        if isinstance(error, TooBig | ProtocolViolation) and self.room_name is not None:
            now = asyncio.get_running_loop().time()
            current_refused_answers().refuse(self._key, error.cause, now, self.user_id)

    @property
    def _key(self) -> tuple[str, str]:
        """The document, and the user or the address."""
        address, *_ = self.connection.scope.get("client") or ("",)
        return self.room_name or "", self.user_id or address

    def send_state(self, state: bytes) -> None:
        """Send the updates that a document of state vector ``state`` lacks."""
        if not self.outbox.is_blocked:
            for frame in self.room.answer(state):
                self.answered += len(frame)
                self.send_frame(frame)
        elif self.outbox.owe_full_state():
            self.answered += self.room.size

    def send_all_presence(self) -> None:
        """Send all presence to a member that asks for it."""
        presence = self.room.presence
        frame = presence.frame()
        self.answered += len(frame)
        self.outbox.send_presence(presence.client_ids(), frame)

    def take_answered(self) -> int:
        """Return how many bytes the member has asked for since this was called last."""
        answered, self.answered = self.answered, 0
        return answered

    def send_saved(self, number: int) -> None:
        """Report that the first ``number`` updates of this connection are stored."""
        self._saved = max(self._saved, number)
        if self.session.greeted:
            self.outbox.send_saved(self._saved)

    def send_pending(self, number: int) -> None:
        """Report that ``number`` updates of this connection are pending."""
        self._pending = number
        if self.session.greeted and number != self._sent_pending:
            self._sent_pending = number
            self.outbox.send_pending(number)

    def send_reports(self) -> None:
        """Send all reports to a client that may have just asked for them."""
        self.send_saved(self._saved)
        self.send_pending(self._pending)

    def echo(self, update: bytes) -> None:
        """Send the member's own ``update`` back, if it wants that."""
        if self.echo_updates:
            self.outbox.send_own(update)

    def refuse_update(self, number: int) -> None:
        """Report that the update of that number is dropped: the member may not make it."""
        if reply := self.session.refuse_update():
            self.send_frame(reply.frame)

    # Its end.

    @property
    def is_closed(self) -> bool:
        """Whether the connection is closed or closing; frames that it still sends are ignored."""
        return self.outbox.is_closed

    def close(self, code: int, reason: str) -> None:
        """Close the connection; nothing is sent after that. ``code`` may be the project's own."""
        self.outbox.close(code, reason)

    def close_document(self, reason: str) -> None:
        """Close the document for this client."""
        self.close(CloseCode.NORMAL, reason)

    def refuse(self, error: MemberError) -> None:
        """Close the connection because of ``error``."""
        counters.refuse(error.close_code, error.cause)
        self.close(error.close_code, str(error))

    def detach(self) -> None:
        """Stop sending: the connection is gone."""
        if self._question is not None:
            self._question.cancel()
        self.outbox.stop()
