"""A document on a client's connection: from its first frame, through its opening, to its end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol

from pycrdt import Doc

from collab.access import Access
from collab.documents import policy
from collab.engine.connections.stateless import StatelessMessages
from collab.engine.hub.current import current_hub
from collab.engine.hub.identity import follow_user
from collab.engine.rooms.room import Room
from collab.engine.rules import apply_rules
from collab.engine.runtime.background import BackgroundTasks
from collab.engine.runtime.counters import counters
from collab.engine.runtime.notify import notify
from collab.engine.serving.access_check import AccessCheck
from collab.exceptions import (
    Forbidden,
    MemberError,
    NoSuchDocument,
    ProtocolViolation,
    Restarting,
    RoomFailed,
    TryAgainLater,
    Unauthenticated,
)
from collab.hocuspocus.credentials import Authenticator, Credentials, reason_of
from collab.hocuspocus.frames import (
    AddressedType,
    SocketCode,
    close_frame,
    denied_frame,
    document_name,
    prefix_of,
    read_text,
    read_token,
    token_request_frame,
)
from collab.hocuspocus.member import HocuspocusMember
from collab.hocuspocus.outbox import AddressedOutbox, Line
from collab.hocuspocus.session import ExchangeRequest, HocuspocusSession
from collab.protocol.effects import CommentUpdate, ReaderState, RoomUpdate
from collab.protocol.frames import read_varuint
from collab.signals import member_joined, member_left
from collab.wire import CloseCode, MessageType
from collab_storage.base import check_name
from collab_storage.exceptions import InvalidName

__all__ = ["Address", "AddressSocket"]

logger = logging.getLogger("collab.hocuspocus")

# Python 3.11 takes long to find a member of an enum.
_SYNC: Final = int(MessageType.SYNC)
#: The reason for a client that gets no other; providers of Hocuspocus know it.
_DENIED = "permission-denied"
#: The reason for a client whose access has ended.
_UNAUTHORIZED = "Unauthorized"
#: The reason for a client that has left.
_LEFT = "provider_initiated"
#: Codes of a document's end after which its client is to open it again. A provider does that once
#: it has connected again.
_CONNECT_AGAIN = frozenset({CloseCode.RESTART, CloseCode.TRY_LATER, CloseCode.INTERNAL})
#: Pauses between attempts to open a document, in seconds: the first, which is doubled with each,
#: and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class AddressSocket(Authenticator, Protocol):
    """A client's connection, as its documents know it."""

    line: Line
    #: Documents are stored, not in memory only.
    stored: bool

    #: Slots for documents that are being opened.
    opening: asyncio.Semaphore
    tasks: BackgroundTasks
    stateless: StatelessMessages

    async def may_authenticate(self) -> None:
        """Wait until the project may be asked once more."""

    def send(self, prefix: bytes, message: bytes) -> None:
        """Send a message behind an address, in any case."""

    def keep(self, frame: bytes) -> None:
        """Count a frame that waits until its document is open."""

    def release(self, frames: list[bytes]) -> None:
        """Count frames no more."""

    def receive_addressed(self, frame: bytes) -> None:
        """Handle a frame of any document."""

    def forget(self, address: Address) -> None:
        """Forget a document that the client has left."""

    def opened(self) -> None:
        """Record that the client has opened a document."""

    def fail(self, code: int, reason: str) -> None:
        """Close the connection."""


class Address:
    """A document that a client has open, or is about to open.

    The hub knows it as a :class:`collab.engine.rooms.member.Connection`, and as the
    :class:`collab.engine.hub.loader.Opener` of its document.

    Args:
        socket: the client's connection.
        address: of the document on it, encoded.
    """

    makes_plain_docs = True

    def __init__(self, socket: AddressSocket, address: bytes) -> None:
        self._socket = socket
        #: By which its connection knows it.
        self.key = address
        self._prefix = prefix_of(address)
        self.name = document_name(address)
        self._credentials = Credentials(socket, self.name)
        #: The provider's version, if it says so.
        self.version: str | None = None
        self.member: HocuspocusMember | None = None
        self._room: Room | None = None
        self._checking = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        #: Frames that came before the document is open.
        self._waiting: list[bytes] = []
        #: The document is refused or closed; frames are ignored until the client tries again.
        self.is_ended = False

    @property
    def scope(self) -> dict[str, Any]:
        """The scope of the connection, with the user of this document."""
        return self._credentials.scope

    @property
    def access_check(self) -> AccessCheck:
        """The question for the client's access to the document."""
        return self._credentials.check

    @property
    def is_pending(self) -> bool:
        """Whether frames wait for a token."""
        return self.member is None and self._opening is None and not self.is_ended

    @property
    def is_open(self) -> bool:
        """Whether the client has the document open."""
        return self.member is not None

    @property
    def log_context(self) -> dict[str, str | None]:
        return {"room": self.name, "user": self._credentials.user_id}

    # Frames.

    def receive(self, frame: bytes, position: int) -> None:
        """Handle a frame, whose message is at ``position``."""
        member = self.member
        if member is None:
            kind, behind = read_varuint(frame, position)
            self._receive_early(frame, kind, behind)
            return
        try:
            if frame[position] == _SYNC:
                # Nearly all messages are.
                self._handle(member, frame, position)
                return
            kind, behind = read_varuint(frame, position)
            if kind == MessageType.AUTH:
                self._renew_token(read_token(frame, behind).token)
            elif kind == AddressedType.STATELESS:
                self._socket.stateless.receive(member, read_text(frame, behind)[0])
            elif kind == AddressedType.BROADCAST_STATELESS:
                raise ProtocolViolation("Only servers broadcast stateless messages.")
            elif kind == AddressedType.CLOSE:
                self._leave_for_client()
            else:
                self._handle(member, frame, position)
        except MemberError as error:
            member.question.refuse(error)
            member.refuse(error)

    def _receive_early(self, frame: bytes, kind: int, behind: int) -> None:
        """Handle a frame of a document that is not open: it waits, or is ignored."""
        if kind == MessageType.AUTH and self._credentials.is_awaited:
            self._credentials.renew(read_token(frame, behind).token)
        elif kind == MessageType.AUTH and self._opening is None:
            token, self.version = read_token(frame, behind)
            self._credentials = Credentials(self._socket, self.name)
            self._credentials.renew(token)
            self.is_ended = False
            self._opening = self._socket.tasks.start(self._open(), "open", self.name)
        elif kind == AddressedType.CLOSE and self._opening is None:
            self.leave()
            self._socket.forget(self)
        elif not self.is_ended:
            self._socket.keep(frame)
            self._waiting.append(frame)

    def _receive_waiting(self) -> None:
        """Handle the frames that have waited; the client may have begun anew among them."""
        waiting, self._waiting = self._waiting, []
        self._socket.release(waiting)
        for frame in waiting:
            try:
                self._socket.receive_addressed(frame)
            except MemberError as error:
                self._socket.fail(SocketCode.UNAUTHORIZED, str(error))
                return

    def _handle(self, member: HocuspocusMember, frame: bytes, position: int) -> None:
        room = self._room
        assert room is not None
        effect = member.exchange.receive_message(frame, position)
        if isinstance(effect, RoomUpdate) and not effect.is_whole:
            # Nearly all effects are.
            room.handle(member, effect)
            return
        if isinstance(effect, ReaderState):
            room.flush()
            has_news = not room.has_all(effect.update)
            room.handle(member, member.exchange.answer_reader(has_news=has_news))
            return
        if isinstance(effect, ExchangeRequest):
            room.flush()
            member.begin_exchange()
        else:
            update = effect.update if isinstance(effect, CommentUpdate) else effect
            if isinstance(update, RoomUpdate) and update.is_whole:
                update.on_stored = member.answer_stored
        room.handle(member, effect)

    # Opening.

    async def _open(self, former: HocuspocusMember | None = None) -> None:
        """Open the document, as often as the server cannot answer, or refuse it.

        Args:
            former: the member that had it open, if the client expects it to be.
        """
        pause = _FIRST_PAUSE
        while not await self._try_to_open(former):
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _try_to_open(self, former: HocuspocusMember | None) -> bool:
        """Open or refuse the document; return ``False`` if the server can do neither now."""
        try:
            async with self._socket.opening:
                await self._socket.may_authenticate()
                await self._socket.line.ready()
                await self._join(former)
        except Restarting as error:
            self._socket.fail(error.close_code, str(error))
        except (TryAgainLater, RoomFailed):
            return False
        except MemberError as error:
            self._deny(error, former)
        except Exception:
            logger.exception("A document cannot be opened.", extra=self.log_context)
            return False
        return True

    async def _join(self, former: HocuspocusMember | None) -> None:
        try:
            check_name(self.name)
        except InvalidName as error:
            raise NoSuchDocument from error
        hub, stored, check = current_hub(), self._socket.stored, self._credentials.check
        with hub.pending_join(self.name, self._credentials.user_id) as pending:
            access = await check.ask()
            check.record(access)
            member = self._new_member(access, former)
            await apply_rules(member, self.name, member.user)
            try:
                self._room = await hub.join(self.name, member, self, stored=stored)
            except BaseException:
                member.detach()
                raise
        self.member, self._opening = member, None
        self._socket.opened()
        notify(member_joined, name=self.name, user=member.user, access=access)
        if former is not None:
            member.resume(former)
        self._receive_waiting()
        if pending.needs_recheck:
            await self.recheck_access()

    def _new_member(self, access: Access, former: HocuspocusMember | None) -> HocuspocusMember:
        socket, settings = self._socket, self._socket.settings
        if former is None:
            session = HocuspocusSession(access, settings, durable=socket.stored)
        else:
            session = former.exchange
            session.change_access(access)
        user_id = self._credentials.user_id
        outbox = AddressedOutbox(socket.line, self._prefix, settings, self._closed, user_id)
        return HocuspocusMember(self, session, outbox, user_id)

    def _deny(self, error: MemberError, former: HocuspocusMember | None) -> None:
        """Refuse the document; the connection and its other documents stay."""
        logger.info("A document is refused (%s).", error.cause, extra=self.log_context)
        counters.refuse(error.close_code, error.cause)
        self._opening, self.is_ended = None, True
        if former is None:
            self._socket.send(self._prefix, denied_frame(reason_of(error, _DENIED)))
        else:
            self._socket.send(self._prefix, close_frame(reason_of(error, _UNAUTHORIZED)))
        self._receive_waiting()

    # As the opener of the document.

    async def make_ydoc(self) -> Doc[Any]:
        """Return a new Doc."""
        return Doc()

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        """Fill a new document as its type does."""
        await policy.seed(self.name, doc)

    # Access.

    def evict(self) -> None:
        """End the client's connection, which takes no data."""
        self._socket.line.evict()

    def _renew_token(self, token: str) -> None:
        """Check a token that the client has sent again; a good one is not answered."""
        self._credentials.renew(token)
        if self._renewing is None:
            self._renewing = self._socket.tasks.start(self._check_renewed(), "renew", self.name)

    async def _check_renewed(self) -> None:
        await self._socket.may_authenticate()
        # A token that comes from now on is checked, too.
        self._renewing = None
        await self.recheck_access()

    async def recheck_access(self, *, routine: bool = False) -> None:
        """Ask the project again for the client's access, and act on the answer."""
        async with self._checking:
            if (member := self.member) is None:
                return
            check = self._credentials.check
            try:
                access = await check.ask_again()
                # At once: the next steps may fail.
                if check.record(access):
                    self._change_access(member, access)
                follow_user(member, current_hub())
                await apply_rules(member, self.name, member.user)
            except (Unauthenticated, Forbidden, NoSuchDocument) as refusal:
                check.record(Access.NONE)
                if routine and isinstance(refusal, Unauthenticated) and self._credentials.token:
                    self._reopen(member)
                else:
                    member.close(refusal.close_code, reason_of(refusal, _UNAUTHORIZED))
            except Exception:
                logger.exception("Access could not be checked.", extra=self.log_context)
                if not routine or check.has_expired:
                    reason = "Your access cannot be checked now."
                    self._socket.fail(CloseCode.TRY_LATER, reason)

    def _reopen(self, member: HocuspocusMember) -> None:
        """Leave the room, and open the document again with the token that the client sends now.

        A token may be valid for a shorter time than the document is open. The client need not
        notice: it sends another when it is asked.
        """
        room, self._room, self.member = self._room, None, None
        self._leave_room(room, member)
        self._opening = self._socket.tasks.start(self._open_again(member), "reopen", self.name)

    async def _open_again(self, former: HocuspocusMember) -> None:
        self._socket.send(self._prefix, token_request_frame())
        try:
            await self._credentials.renewed()
        except Unauthenticated as error:
            self._deny(error, former)
        else:
            await self._open(former)

    def _change_access(self, member: HocuspocusMember, access: Access) -> None:
        member.session.change_access(access)
        member.send_scope()
        if member.session.can_write:
            member.await_answer()
        assert self._room is not None
        self._room.welcome(member)

    async def forget_user(self) -> None:
        """Treat the client as anonymous, as its user has logged out, and check its access."""
        self._credentials.forget_user()
        await self.recheck_access()

    # The end.

    def _closed(self, code: int, reason: str) -> None:
        """Close the document for the client, or the connection, if it is to connect again."""
        if code in _CONNECT_AGAIN:
            self._socket.fail(code, reason)
        else:
            self._socket.send(self._prefix, close_frame(reason))
        self.is_ended = True
        room, self._room = self._room, None
        member, self.member = self.member, None
        # The room may be using its members.
        asyncio.get_running_loop().call_soon(self._leave_room, room, member)

    def _leave_for_client(self) -> None:
        self.leave()
        self._socket.forget(self)
        self._socket.send(self._prefix, close_frame(_LEFT))

    def leave(self) -> None:
        """Leave the room, or stop joining it."""
        for task in (self._opening, self._renewing):
            if task is not None:
                task.cancel()
        self._opening = self._renewing = None
        self.is_ended = True
        self._socket.release(self._waiting)
        self._waiting.clear()
        room, self._room = self._room, None
        member, self.member = self.member, None
        self._leave_room(room, member)

    def _leave_room(self, room: Room | None, member: HocuspocusMember | None) -> None:
        if room is not None and member is not None:
            room.leave(member)
            room.flush()
            notify(member_left, name=self.name, user=member.user, access=member.access)
