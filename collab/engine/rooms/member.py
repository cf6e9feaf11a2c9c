"""One connection in a room: its user, its session, and its way out to the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from collab.access import Access
from collab.engine.connections.comment_checks import AccessQuestion
from collab.engine.connections.refused_answers import UpdateQuestion
from collab.engine.rooms.outbox import DocumentView, Outbox
from collab.engine.runtime.counters import counters
from collab.exceptions import MemberError
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
        outbox: the way out to the client.
        user_id: primary key of the user, as text; ``None`` for an anonymous one.
        echo_updates: send the member its own updates back once they are stored.
    """

    #: The room it is in, and that room's name; a connection without a document is in none.
    room: DocumentView
    room_name: str | None = None

    def __init__(
        self,
        connection: Connection,
        session: Session,
        outbox: Outbox,
        *,
        user_id: str | None = None,
        echo_updates: bool = False,
    ) -> None:
        self.connection = connection
        self.session = session
        self.outbox = outbox
        self.user_id = user_id
        #: JSON text that the server adds to the presence that comes through it.
        self.verified = ""
        #: Names of the formats that it may change if it may comment only.
        self.comment_formats: Sequence[str] = COMMENT_FORMATS
        self.echo_updates = echo_updates
        self._saved = 0
        self._pending = self._sent_pending = 0
        #: Bytes that the member has asked for since ``take_answered`` was called last.
        self.answered = 0
        address, *_ = connection.scope.get("client") or ("",)
        self.question = UpdateQuestion(user_id, address)

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
        self.room = room
        self.room_name = self.question.document = name
        self.outbox.enter(room, name)

    # Sending.

    def send_frame(self, frame: bytes | str) -> None:
        """Send a frame that may neither be merged with others nor left out."""
        self.outbox.send_frame(frame)

    async def ready(self) -> None:
        """Wait until the client has read everything that was sent to it, or is gone."""
        await self.outbox.ready()

    def send_stateless(self, payload: str) -> None:
        """Send a message that is not part of the document, if the client understands it."""
        if self.session.greeted:
            self.outbox.send_stateless(payload)

    def ask(self) -> None:
        """Ask for updates that the server lacks, now or after a pause."""
        self.question.ask(self.send_question)

    def send_question(self) -> None:
        """Ask for updates that the server lacks, if the client may write."""
        if self.session.can_write:
            self.outbox.send_question(self.room.state())

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
        self.question.cancel()
        self.outbox.stop()
