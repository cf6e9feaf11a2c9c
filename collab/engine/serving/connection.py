"""One connection of a consumer, from its handshake until its updates are stored.

It runs a receive loop of its own: Channels' dispatch costs a thread hop per message, to close
old database connections, which nothing on this path opens.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from channels.consumer import get_handler_name
from channels.exceptions import AcceptConnection, DenyConnection, StopConsumer
from channels.layers import get_channel_layer
from pycrdt import Doc

from collab.access import Access
from collab.conf import get_settings
from collab.engine.connections.fast_path import Receive, Send, socket_of
from collab.engine.connections.stateless import StatelessMessages
from collab.engine.hub.addresses import address_of
from collab.engine.hub.admission import Admission, current_limits
from collab.engine.hub.current import current_hub
from collab.engine.hub.hub import Hub
from collab.engine.hub.identity import current_logouts, follow_user, user_id_of
from collab.engine.relay.layer_channel import LayerChannel
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.rules import apply_rules
from collab.engine.runtime.counters import counters
from collab.engine.runtime.notify import notify_of
from collab.engine.serving.access_check import AccessCheck
from collab.engine.serving.frame_intake import FrameIntake, handle_frame
from collab.engine.serving.handshake import Handshake
from collab.engine.serving.layer_events import (
    handles_events,
    join_class_groups,
    join_room_group,
    leave_groups,
)
from collab.engine.serving.life import ConnectionLife
from collab.engine.serving.overrides import EVENT_METHODS, FRAME_METHODS, overrides
from collab.engine.serving.served_consumer import ServedConsumer, document_name, new_member
from collab.exceptions import MemberError
from collab.protocol.effects import StatelessMessage
from collab.signals import member_joined, member_left
from collab.wire import CloseCode

__all__ = ["ConsumerConnection"]

logger = logging.getLogger("collab.consumers")


class ConsumerConnection(ConnectionLife):
    """One client's connection.

    Projects subclass consumers, so a consumer has the documented names and this object, which has
    everything else: no attribute of a subclass can replace a part of it. Of the consumer it uses
    only names that :class:`ServedConsumer` lists, and never an attribute that a project may assign.

    The hub knows it as a :class:`collab.engine.rooms.member.Connection`, and as the
    :class:`collab.engine.hub.loader.Opener` of the documents that it opens first.

    Args:
        consumer: the project's.
        base: the class whose methods the project may have overridden.
        scope: of the connection, as ASGI has it.
        receive: of the ASGI server.
        send: of the ASGI server.
    """

    def __init__(
        self,
        consumer: ServedConsumer,
        base: type,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        self.consumer = consumer
        self.scope = consumer.scope = scope
        self.channel_layer = layer = get_channel_layer(consumer.channel_layer_alias)
        consumer.channel_layer, consumer.base_send = layer, send
        consumer._collab_connection = self
        self._base = base
        self._send = send
        self._is_closed = False
        #: Cause of a close that is not the project's decision.
        self._close_cause = "close"
        self._admission = Admission()
        settings = get_settings()
        self._handshake = Handshake(scope, send)
        self.access_check = AccessCheck(scope, consumer.authorize, settings)
        # A later check must not be overtaken by an earlier one's answer.
        self._checking: asyncio.Lock | None = None
        self.stateless = StatelessMessages(consumer, settings.MAX_TEXT_SIZE)
        self._sees_no_frames = not overrides(consumer, base, *FRAME_METHODS)
        self._sees_no_events = not overrides(consumer, base, *EVENT_METHODS)
        self._hub: Hub
        self._room: Room | None = None
        self._member: Member | None = None
        self.room_name: str | None = None
        intake = FrameIntake(settings, self.receive_bytes, self.receive_text)
        super().__init__(receive, socket_of(scope), intake, self._new_layer_channel())

    def _new_layer_channel(self) -> LayerChannel | None:
        """Return a channel of its own; ``None`` if it has none, or shares that of its room."""
        if (layer := self.channel_layer) is None or not self.needs_channel:
            return None
        return LayerChannel(layer, self._handle_layer_event, on_failed=self._fail)

    # Questions.

    @property
    def access(self) -> Access:
        """The client's access, as the project answered last."""
        return self.access_check.access

    @property
    def user(self) -> Any:
        """The user as the project's middleware has it; ``None`` if there is none."""
        return self.scope.get("user")

    @property
    def user_id(self) -> str | None:
        """Primary key of the user as text; ``None`` for an anonymous one."""
        return user_id_of(self.scope)

    @property
    def member(self) -> Member | None:
        """The member that the connection is, once it has joined."""
        return self._member

    @property
    def room(self) -> Room:
        """The room that the connection is in.

        Raises:
            RuntimeError: it has joined none.
        """
        if self._room is None:
            raise RuntimeError("The connection has no room yet: call super().connect() first.")
        return self._room

    @property
    def document(self) -> str:
        """The name of the document that the connection opens.

        Raises:
            RuntimeError: it opens none.
        """
        if self.room_name is None:
            raise RuntimeError("The connection has no document.")
        return self.room_name

    @property
    def has_room(self) -> bool:
        """Return whether the connection has joined a room."""
        return self._room is not None

    @property
    def has_document(self) -> bool:
        """Return whether the connection opens a document."""
        return True

    @property
    def needs_channel(self) -> bool:
        """Return whether the connection needs a channel of its own in the channel layer."""
        return handles_events(self.consumer, self._base)

    @property
    def log_context(self) -> dict[str, str | None]:
        """The room and the user that a log record is about."""
        return {"room": self.room_name, "user": self.user_id}

    # Opening documents.

    @property
    def makes_plain_docs(self) -> bool:
        """Return whether the project has no ``make_ydoc`` of its own."""
        return not overrides(self.consumer, self._base, "make_ydoc")

    async def make_ydoc(self) -> Doc[Any]:
        """Return a new Doc of the project."""
        return await self.consumer.make_ydoc()

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        """Fill a new document as the project does."""
        await self.consumer.seed_ydoc(doc)

    # Life.

    async def _end(self) -> None:
        self._intake.close()
        self._admission.end()
        await self.leave()

    async def _handle_message(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        try:
            if kind == "websocket.receive" and self._sees_no_frames:
                await self.receive_message(message)
            elif kind == "websocket.connect" and self._sees_no_events:
                await self.open()
            elif kind == "websocket.disconnect" and self._sees_no_events:
                await self.disconnect(message["code"])
            elif not await self._intake.handle_injected(message):
                await self.consumer.dispatch(message)
        except MemberError as error:
            await self.end_with(error)

    async def _handle_layer_event(self, event: dict[str, Any]) -> None:
        assert self._turn is not None
        async with self._turn:
            self._intake.busy += 1
            try:
                await self.consumer.dispatch(event)
            except MemberError as error:
                await self.end_with(error)
            finally:
                self._intake.busy -= 1

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Call the consumer's method for ``message``."""
        handler = self.handler_of(message)
        if handler is None:
            raise ValueError(f"No handler for message type {message['type']}")
        await handler(message)

    def handler_of(self, message: dict[str, Any]) -> Any:
        """Return the consumer's method for ``message``; ``None`` if it has none."""
        return getattr(self.consumer, get_handler_name(message), None)

    # Joining.

    async def open(self) -> None:
        """Ask whether the client may connect, and let the project decide how it does.

        The project is asked for access first, whatever its ``connect()`` does.
        """
        self._admission.enter(current_limits().addresses, address_of(self.scope))
        if self.consumer.groups:
            await join_class_groups(self.consumer, self.layer_channel)
        if self.has_document:
            self.room_name = document_name(self.consumer)
        user_id = self.user_id
        self._admission.enter(current_limits().users, user_id)
        with current_hub().pending_join(self.room_name or "", user_id) as pending:
            self.access_check.access = await self.access_check.ask()
            await self._connect()
        if pending.needs_recheck or current_logouts().concern(self.scope):
            await self.recheck_access()
        socket = self._socket
        if socket is not None and self._receive == socket.receive and self._sees_no_frames:
            # No middleware and no project sees the frames.
            self._intake.open_fast_path(socket)

    async def _connect(self) -> None:
        try:
            await self.consumer.connect()
        except AcceptConnection:
            await self.consumer.accept()
        except DenyConnection:
            await self.close()

    async def accept(self, subprotocol: str | None, headers: Any) -> None:
        """Accept the handshake, unless that is done, and join."""
        if not self._handshake.is_accepted and not self._is_closed:
            await self._handshake.accept(subprotocol, headers)
            await self.join()

    async def join(self) -> None:
        """Become a member of the room."""
        assert self.room_name is not None
        member = self.new_member()
        await apply_rules(member, self.room_name, self.user)
        await join_room_group(self)
        self._hub = current_hub()
        stored = type(self.consumer).storage is not None
        self._room = await self._hub.join(self.room_name, member, self, stored=stored)
        self._member = member
        if member.session.access != self.access:  # It was checked again meanwhile.
            self._change_access(self.access)
        self._intake.attach(member, get_settings().FIRST_FRAME_TIMEOUT, self._room)
        notify_of(self, member_joined)

    def new_member(self) -> Member:
        """Return a member for this connection that is in no room yet."""
        return new_member(self, type(self.consumer), self.access, self._send, self._socket)

    # Frames.

    async def receive_message(self, message: dict[str, Any]) -> None:
        """Handle a frame that came as a message of ASGI."""
        text, data = message.get("text"), message.get("bytes")
        size = len(data if data is not None else text or "")
        self._intake.count(size)
        if not self._sees_no_frames:
            await self.consumer.receive(text_data=text, bytes_data=data)
        elif data is not None:
            self.receive_bytes(data)
        else:
            self.receive_text(text or "")
        if wait := self._intake.charge(size):
            await self._intake.pause(wait)

    def receive_bytes(self, frame: bytes) -> None:
        """Handle a binary frame."""
        if self._room is not None and self._member is not None:
            handle_frame(self._room, self._member, frame)

    def receive_text(self, frame: str) -> None:
        """Handle a text frame."""
        room, member = self._room, self._member
        if room is not None and member is not None and not member.is_closed:
            effect = member.session.receive_text(frame)
            if isinstance(effect, StatelessMessage):
                self.stateless.receive(member, effect.payload)
            else:
                room.handle(member, effect)

    # Access.

    async def recheck_access(self, *, routine: bool = False) -> None:
        """Ask the project again for the client's access, and act on the answer.

        If the project cannot answer, the connection is closed. A periodic check forgives that
        for ``ACCESS_GRACE`` seconds: a database that is away for a while ends no connection.
        """
        if self._checking is None:
            self._checking = asyncio.Lock()
        async with self._checking:
            try:
                access = await self.access_check.ask_again()
                # At once: the next steps may fail.
                if self.access_check.record(access):
                    self._change_access(access)
                if self._member is not None:
                    follow_user(self._member, self._hub)
                    await apply_rules(self._member, self.room_name, self.user)
            except MemberError as refusal:
                self.access_check.record(Access.NONE)
                await self.end_with(refusal)
            except Exception:
                logger.exception("Access could not be checked.", extra=self.log_context)
                if not routine or self.access_check.has_expired:
                    await self.close(CloseCode.TRY_LATER, "Your access cannot be checked now.")

    def _change_access(self, access: Access) -> None:
        if self._member is not None and self._room is not None:
            if reply := self._member.session.change_access(access):
                self._member.send_frame(reply.frame)
            self._room.welcome(self._member)

    async def forget_user(self) -> None:
        """Treat the client as anonymous, as its user has logged out, and check its access."""
        self.access_check.forget_user()
        await self.recheck_access()

    # Leaving.

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the connection, or refuse it if it is not accepted yet."""
        if self._is_closed:
            return
        self._is_closed = True
        if not code:
            is_refused = not self._handshake.is_accepted
            code = self.access_check.denial().close_code if is_refused else CloseCode.NORMAL
        if code != CloseCode.NORMAL:
            counters.refuse(code, self._close_cause)
        if self._member is not None:
            self._member.close(code, reason or "")
        else:
            await self._handshake.close(code, reason)

    async def end_with(self, error: MemberError) -> None:
        """Close the connection because of ``error``."""
        self._close_cause = error.cause
        if self._member is not None:
            self._member.question.refuse(error)
        await self.close(error.close_code, str(error))

    async def disconnect(self, code: int) -> None:
        """Handle the end of the connection."""
        self._is_closed = True
        await self.consumer.disconnect(code)
        raise StopConsumer

    async def leave(self) -> None:
        """Leave, and drop references in circles: the garbage collector has nothing to find."""
        await self.leave_room()
        if (room := self._room) is not None and not room.is_checking and self.makes_plain_docs:
            self._is_closed, self._member = True, None
            self.access_check.release()
            del self.stateless, self.consumer

    async def leave_room(self) -> None:
        """Leave the room and the groups, and wait until the client's updates are stored."""
        self.stateless.close()
        if self._room is not None and self._member is not None:
            self._room.leave(self._member)
            self._room.flush()
            notify_of(self, member_left)
        await leave_groups(self)
        if self._room is not None and self.room_name is not None:
            await self._hub.wait_saved(self.room_name)
