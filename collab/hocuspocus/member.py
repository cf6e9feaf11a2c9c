"""One document of a client: a member of its room, as any other."""

from __future__ import annotations

from collab.engine.rooms.member import Connection, Member
from collab.engine.rooms.outbox import DocumentView
from collab.hocuspocus.frames import (
    authenticated_frame,
    stateless_frame,
    token_request_frame,
)
from collab.hocuspocus.outbox import AddressedOutbox
from collab.hocuspocus.session import HocuspocusSession, scope_of
from collab.protocol.yjs.updates import EMPTY_STATE

__all__ = ["HocuspocusMember"]


class HocuspocusMember(Member):
    """A document that a client has open.

    Args:
        connection: of the document.
        session: the protocol state of the document.
        outbox: the way out for the document.
        user_id: primary key of the user, as text; ``None`` for an anonymous one.
    """

    def __init__(
        self,
        connection: Connection,
        session: HocuspocusSession,
        outbox: AddressedOutbox,
        user_id: str | None,
    ) -> None:
        super().__init__(connection, session, outbox, user_id=user_id)
        #: The session and the outbox, with their own types.
        self.exchange = session
        self._addressed = outbox
        #: The client has asked for the document, and so expects questions.
        self._has_asked = False
        #: Updates that are stored, and those of them that the client need not hear of any more.
        self._stored = self._reported = 0
        #: Updates that are refused for good: those behind the last one that is stored, and the
        #: number of those before it.
        self._refused: list[range] = []
        self._refused_before = 0
        #: Nothing is reported as stored before the client's next answer is.
        self._awaits_answer = False

    # For projects; ``close_document()`` closes the document, and the connection stays.

    def send_stateless(self, payload: str) -> None:
        """Send a message that is not part of the document to this client."""
        self.send_frame(stateless_frame(payload))

    def request_token(self) -> None:
        """Ask the client for its token again, which is checked when it comes."""
        self.send_frame(token_request_frame())

    # As rooms know it.

    def enter(self, room: DocumentView, name: str) -> None:
        """Be in a room of that name from now on, and send that first."""
        super().enter(room, name)
        self.send_scope()

    def send_scope(self) -> None:
        """Send the client's access."""
        self.send_frame(authenticated_frame(scope_of(self.session.access)))

    def begin_exchange(self) -> None:
        """Ask a client that has just asked for the document for updates that the server lacks.

        From now on it expects reports of this exchange's frames only.
        """
        self._has_asked = True
        self._forget_refused()
        self._reported = self.exchange.received_updates
        if self.session.can_write:
            self.ask()
        else:
            # An answer without news is reported as stored.
            self.outbox.send_question(self.room.state())

    def send_question(self) -> None:
        """Ask for updates that the server lacks, if the client may write and has begun."""
        if self._has_asked:
            super().send_question()

    def resume(self, former: HocuspocusMember) -> None:
        """Go on for a client that has had the document open, and asks for nothing by itself."""
        self._has_asked = former._has_asked
        self._stored, self._reported = former._stored, former._reported
        self.await_answer()
        self.ask()
        self.send_state(EMPTY_STATE)

    def await_answer(self) -> None:
        """Report nothing as stored before everything that the client has is."""
        self._forget_refused()
        self._awaits_answer = True

    def answer_stored(self) -> None:
        """Record that everything is stored that the client had when it answered a question."""
        self._awaits_answer = False

    def send_saved(self, number: int) -> None:
        """Report that the first ``number`` updates are stored, each with a message."""
        self._stored = max(self._stored, number)
        while self._refused and self._refused[0].stop <= self._stored:
            self._refused_before += len(self._refused.pop(0))
        due = self._stored - self._refused_before
        if not self._awaits_answer and due > self._reported:
            count, self._reported = due - self._reported, due
            self._addressed.send_stored(count)

    def refuse_update(self, number: int) -> None:
        """Report that the update of that number is dropped, and never that it is stored."""
        super().refuse_update(number)
        if not number:
            # An answer that the client expects no report for.
            return
        start = number
        if self._refused and self._refused[-1].stop == number:
            start = self._refused.pop().start
        self._refused.append(range(start, number + 1))

    def _forget_refused(self) -> None:
        """Report updates that were refused as stored when those after them are."""
        self._refused.clear()
        self._refused_before = 0

    def send_pending(self, number: int) -> None:
        """Send nothing: providers know of no pending updates."""

    def send_reports(self) -> None:
        """Send nothing: reports are sent once."""
