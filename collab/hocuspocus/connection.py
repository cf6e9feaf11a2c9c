"""One client's connection: its documents, its limits, and frames without a document."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from collab.access import Access
from collab.conf import get_settings
from collab.engine.connections.fast_path import Receive, Send, write_of
from collab.engine.connections.stateless import StatelessMessages
from collab.engine.hub.current import current_hub
from collab.engine.rooms.member import Member
from collab.engine.rooms.outbox import Outbox
from collab.engine.runtime.background import BackgroundTasks
from collab.engine.runtime.counters import counters
from collab.engine.runtime.timers import Deadline
from collab.engine.runtime.token_bucket import TokenBucket
from collab.engine.serving.connection import ConsumerConnection
from collab.exceptions import MemberError, ProtocolViolation, TryAgainLater
from collab.hocuspocus.address import Address
from collab.hocuspocus.frames import PING, PONG, SocketCode, prefix_of, split
from collab.hocuspocus.outbox import Line
from collab.protocol.frames import presence_frame
from collab.protocol.session import Session
from collab.wire import CloseCode

__all__ = ["HocuspocusConnection"]

logger = logging.getLogger("collab.hocuspocus")

#: Documents of one connection, and those of them whose token has not come.
MAX_DOCUMENTS, MAX_PENDING_DOCUMENTS = 1_000, 100
#: Sessions of one document on one connection.
MAX_SESSIONS = 20
#: Frames, and bytes of them, that wait until their documents are open.
MAX_WAITING_FRAMES, MAX_WAITING_SIZE = 5_000, 5 * 1024 * 1024
#: Documents that are opened at once, and times that the project is asked about tokens in a second,
#: after as many as there may be documents.
_OPENING_AT_ONCE, _AUTHENTICATION_RATE = 8, 10.0
#: Seconds between two looks whether anything was sent: a provider that receives nothing for 30 s
#: connects again.
_QUIET = 14.0
#: How a document is closed if the project fails to handle a message of its client.
_FAILURE = CloseCode.PROTOCOL_VIOLATION, "Reset Connection"
#: A message of presence without any state.
_NOBODY = presence_frame([])
#: Codes of a connection's end because of what its client sent.
_SOCKET_CODES: dict[type[MemberError], int] = {
    ProtocolViolation: SocketCode.UNAUTHORIZED,
    TryAgainLater: SocketCode.RESET,
}


class HocuspocusConnection(ConsumerConnection):
    """A client's connection, which is in no room itself: its documents are."""

    _member: Member | None

    def __init__(
        self,
        consumer: Any,
        base: type,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        super().__init__(consumer, base, scope, receive, send)
        self.settings = get_settings()
        #: The project's: returns the access of a client with a token to a document.
        self.authenticate: Callable[[str, str], Coroutine[Any, Any, Any]] = consumer.authenticate
        self.stored = type(consumer).storage is not None
        self.line = Line(send, write_of(self._socket, send), self.settings, self.evict)
        self.opening = asyncio.Semaphore(_OPENING_AT_ONCE)
        self._authentications = TokenBucket(_AUTHENTICATION_RATE, MAX_DOCUMENTS)
        self._addresses: dict[bytes, Address] = {}
        self.tasks = BackgroundTasks("collab-hocuspocus", logger)
        self._waiting_frames = self._waiting_size = 0
        self.stateless = StatelessMessages(consumer, self.settings.MAX_TEXT_SIZE, _FAILURE)
        #: A first document is due.
        self._deadline: Deadline | None = None
        self._keepalive: asyncio.TimerHandle | None = None

    @property
    def has_document(self) -> bool:
        """Return whether the connection itself opens a document."""
        return False

    # Life.

    async def join(self) -> None:
        """Be known to the hub."""
        session = Session(Access.WRITE, self.settings, durable=self.stored)
        line, user_id = self.line, self.user_id
        outbox = Outbox(line.send, line.write, self.settings, self.evict, user_id)
        member = Member(self, session, outbox, user_id=user_id)
        self._hub = current_hub()
        self._hub.enter(member)
        self._member = member
        loop, timeout = asyncio.get_running_loop(), self.settings.FIRST_FRAME_TIMEOUT
        self._deadline = Deadline(loop, timeout, self._miss_document)
        self._keepalive = loop.call_later(_QUIET, self._keep_alive)
        self._intake.attach(member, timeout)

    def _miss_document(self) -> None:
        self.fail(SocketCode.TIMEOUT, "No document was opened in time.")

    def _keep_alive(self) -> None:
        """Send something to a client to which nothing was sent; see ``_QUIET``."""
        if not self.line.has_sent and self._member is not None and (frame := self._quiet_frame()):
            self._member.send_frame(frame)
        self.line.has_sent = False
        self._keepalive = asyncio.get_running_loop().call_later(_QUIET, self._keep_alive)

    def _quiet_frame(self) -> bytes | None:
        """Return a ping, or for older providers, which do not know it, an empty presence."""
        for key, address in self._addresses.items():
            if address.is_open:
                return prefix_of(key) + _NOBODY if address.version is None else PING
        return None

    async def leave(self) -> None:
        """Leave all documents, and wait until the client's updates are stored."""
        self.stateless.close()
        if self._keepalive is not None:
            self._keepalive.cancel()
        if self._deadline is not None:
            self._deadline.meet()
        names = {address.name for address in self._addresses.values() if address.is_open}
        for address in list(self._addresses.values()):
            address.leave()
        self._addresses.clear()
        if self._member is not None:
            self._hub.leave(self._member)
            await self._hub.wait_saved(*names)
        await self.leave_room()

    # Frames.

    def receive_bytes(self, frame: bytes) -> None:
        """Handle a binary frame."""
        member = self._member
        if member is None or member.outbox.is_closed:
            return
        if len(frame) == 1 and frame in (PING, PONG):
            if frame == PING:
                member.send_frame(PONG)
            return
        self.receive_addressed(frame)

    def receive_text(self, frame: str) -> None:
        """Refuse a text frame: providers send none."""
        raise ProtocolViolation("Text frames are not understood here.")

    def receive_addressed(self, frame: bytes) -> None:
        """Handle a frame of any document."""
        key, position = split(frame)
        address = self._addresses.get(key)
        if address is None:
            self._check_documents()
            address = Address(self, key)
            self._check_sessions(address.name)
            self._addresses[key] = address
        address.receive(frame, position)
        member = address.member
        if member is not None and member.answered and self._member is not None:
            self._member.answered += member.take_answered()

    def _check_documents(self) -> None:
        """Return if one more document may be opened."""
        count = len(self._addresses)
        if count >= MAX_DOCUMENTS:
            for address in [each for each in self._addresses.values() if each.is_ended]:
                self.forget(address)
        if len(self._addresses) >= MAX_DOCUMENTS:
            raise TryAgainLater("Too many documents on one connection.")
        if count >= MAX_PENDING_DOCUMENTS:
            pending = sum(address.is_pending for address in self._addresses.values())
            if pending >= MAX_PENDING_DOCUMENTS:
                raise TryAgainLater("Too many documents without a token.")

    def _check_sessions(self, name: str) -> None:
        """Return if a document may be open once more: one client must not fill its room."""
        opened = [each for each in self._addresses.values() if not each.is_ended]
        if sum(address.name == name for address in opened) >= MAX_SESSIONS:
            raise TryAgainLater("Too many sessions of a document on one connection.")

    def forget(self, address: Address) -> None:
        """Forget a document that the client has left."""
        self._addresses.pop(address.key, None)

    def keep(self, frame: bytes) -> None:
        """Count a frame that waits until its document is open."""
        self._waiting_frames += 1
        self._waiting_size += len(frame)
        if self._waiting_frames > MAX_WAITING_FRAMES or self._waiting_size > MAX_WAITING_SIZE:
            raise TryAgainLater("Too many frames of documents that are not open.")

    def release(self, frames: Iterable[bytes]) -> None:
        """Count frames no more."""
        for frame in frames:
            self._waiting_frames -= 1
            self._waiting_size -= len(frame)

    def send(self, prefix: bytes, message: bytes) -> None:
        """Send a message behind an address, whatever becomes of the document."""
        assert self._member is not None
        self._member.send_frame(prefix + message)

    # Documents.

    def opened(self) -> None:
        """Record that the client has opened a document."""
        if self._deadline is not None:
            self._deadline.meet()
            self._deadline = None

    async def may_authenticate(self) -> None:
        """Wait until the project may be asked once more."""
        now = asyncio.get_running_loop().time()
        if wait := self._authentications.take(1, now):
            await asyncio.sleep(wait)

    # The end.

    def fail(self, code: int, reason: str) -> None:
        """Close the connection with all its documents; the client connects again."""
        if self._member is not None and not self._member.is_closed:
            counters.refuse(code, self._close_cause)
            self._member.close(code, reason)

    async def end_with(self, error: MemberError) -> None:
        """Close the connection because of ``error``."""
        self._close_cause = error.cause
        is_open = self._member is not None
        code = _SOCKET_CODES.get(type(error)) if is_open else None
        await self.close(code or error.close_code, str(error))
