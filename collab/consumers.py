"""The Channels consumer: it moves bytes between a websocket and a room.

It runs a receive loop of its own, as Channels' dispatch costs a thread hop per message (it
closes old database connections, which nothing on this path opens).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from importlib import import_module
from math import inf
from typing import Any, ClassVar, Literal, TypedDict, cast

from channels.auth import get_user
from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.sessions import InstanceSessionWrapper
from django.conf import settings as django_settings
from django.contrib.auth import SESSION_KEY
from pycrdt import Doc

from collab.engine.connections.fast_path import Receive, Send, Socket, socket_of
from collab.engine.connections.throttle import Throttle
from collab.engine.hub.admission import Admission, address_of, current_limits
from collab.engine.hub.current import current_hub
from collab.engine.hub.hub import Hub
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.runtime.counters import counters
from collab.engine.runtime.timers import Deadline
from collab.protocol.frames import read_bytes, read_varuint
from collab.protocol.session import Session
from collab.protocol.yjs.updates import check
from collab_storage.base import check_name
from collab_storage.exceptions import InvalidName

from .access import Access
from .conf import get_settings
from .exceptions import Forbidden, MemberError, NoSuchDocument, ProtocolViolation, Unauthenticated
from .wire import SUBPROTOCOL, CloseCode, MessageType, SyncType

__all__ = ["WrappedMessage", "WrappedUpdate", "YjsConsumer", "group_name"]

logger = logging.getLogger("collab.consumers")

#: Pause before the next attempt to receive from a channel layer that fails, in seconds.
_LAYER_RETRY = 1.0
#: A member that had to wait for so long is told why, in seconds.
_LONG_WAIT = 1.0
#: How often a member that waits is looked at, in seconds.
_LONGEST_NAP = 0.5

_LAYER_FAILS = "The channel layer fails (%s)."

_GROUP_NAME = re.compile(r"[a-zA-Z0-9\-_.]{1,99}")


class WrappedMessage(TypedDict):
    """A frame for the client."""

    message: bytes


class WrappedUpdate(TypedDict):
    """An update for the document."""

    update: bytes


def group_name(room_name: str) -> str:
    """Return the channel layer's group for a room: its name, where that is a legal group name."""
    if _GROUP_NAME.fullmatch(room_name):
        return room_name
    return f"collab.{hashlib.sha256(room_name.encode()).hexdigest()}"


class YjsConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types.
    """Serves a document to Yjs clients: ``path("ws/<str:room>", YjsConsumer.as_asgi())``.

    Subclass it to say which document a connection opens (``make_room_name``), who may
    (``authorize``) and what a new document holds (``seed_ydoc``).
    """

    #: ``None``: the room lives in memory only and is gone soon after its last member left.
    storage: ClassVar[Literal["default"] | None] = "default"
    #: Send members their own updates back once they are stored. Clients of y-websocket 4 learn
    #: from that what is saved; older ones do not need it.
    echo_updates: ClassVar[bool] = False

    room_name: str
    #: What the member may do; set by ``connect``.
    access: Access = Access.NONE
    _hub: Hub
    _room: Room | None = None
    _member: Member | None = None
    _accepted = False
    _closed = False
    #: Until when the member has to have sent its first frame.
    _deadline: Deadline | None = None
    #: When to join the channel layer's groups again.
    _stay_due = 0.0
    #: Why the connection is closed, if that is not the project's decision.
    _cause = "close"
    #: The server's end of the connection, where it can be used without ASGI.
    _socket: Socket | None = None
    #: It waits for the next frame or event.
    _is_idle = False
    #: What frames are taken in that come past ASGI.
    _context: Context

    # To be overridden.

    def make_room_name(self) -> str:
        """Return the name of the document, by default the URL's ``room``."""
        name: str = self.scope["url_route"]["kwargs"]["room"]
        return name

    async def authorize(self) -> Access:
        """Return what the user of ``self.scope`` may do; by default everything."""
        return Access.WRITE

    async def make_ydoc(self) -> Doc[Any]:
        """Return a new Doc, called when this process opens the room; attach observers here."""
        return Doc()

    @property
    def makes_plain_docs(self) -> bool:
        """The project has no ``make_ydoc`` of its own."""
        return type(self).make_ydoc is YjsConsumer.make_ydoc

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        """Fill a document that was never stored; called once in the document's life (I5)."""

    async def connect(self) -> None:
        """Let the client into the room.

        An override that closes the connection without calling this refuses the client.
        """
        try:
            self.room_name = check_name(self.make_room_name())
        except InvalidName as error:
            raise NoSuchDocument from error
        self._visit.enter(current_limits().users, self._user_id())
        with current_hub().pending_join(self.room_name, self._user_id()) as pending:
            await self._let_in()
        if pending.needs_recheck:
            await self.recheck_access()

    async def disconnect(self, code: int) -> None:
        """Called when the connection has ended."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Take a frame from the client."""
        if bytes_data is not None:
            self._receive_bytes(bytes_data)
        else:
            self._receive_text(text_data or "")

    def _receive_bytes(self, frame: bytes) -> None:
        if (member := self._member) is not None and not member.is_closed:
            self.room.handle(member, member.session.receive_bytes(frame))

    def _receive_text(self, frame: str) -> None:
        if (member := self._member) is not None and not member.is_closed:
            self.room.handle(member, member.session.receive_text(frame))

    @classmethod
    def is_open_to_everybody(cls) -> bool:
        """Tell whether the project has not said who may connect; a system check warns of that."""
        return cls.authorize is YjsConsumer.authorize and cls.connect is YjsConsumer.connect

    # To be used.

    @property
    def room(self) -> Room:
        """The room this connection is in."""
        if self._room is None:
            raise RuntimeError("There is a room once super().connect() has returned.")
        return self._room

    @property
    def ydoc(self) -> Doc[Any]:
        """The room's Doc, shared by its members; what server code changes in it is sent to all."""
        return self.room.doc

    async def send_message(self, message_wrapper: WrappedMessage) -> None:
        """Send a frame to this client; handles the layer event of that name, too."""
        if self._member is not None:
            self._member.send_frame(message_wrapper["message"])

    async def group_send_message(self, message: bytes) -> None:
        """Send a frame to all members of the room; a document update becomes part of it."""
        if (update := _update_of(message)) is not None:
            self.room.edit(check(update))
        elif self.channel_layer is None:
            self.room.broadcast(message)
        else:
            event = {"type": "send_message", "message": message}
            await self.channel_layer.group_send(group_name(self.room_name), event)

    async def doc_update(self, update_wrapper: WrappedUpdate) -> None:
        """Handle the layer event ``{"type": "doc_update", "update": bytes}``."""
        self.room.edit(check(update_wrapper["update"]))

    async def recheck_access(self, *, routine: bool = False) -> None:
        """Run ``authorize`` again and act on what it says.

        If it fails, the connection is ended, unless this is the check that comes now and then:
        a database that is away for a while sends nobody away.
        """
        try:
            await self._refresh_user()
            access = await self.authorize()
        except Exception:
            logger.exception("Access could not be checked.", extra=self._who)
            if not routine:
                await self.close(CloseCode.TRY_LATER, "Your access cannot be checked now.")
            return
        if access < Access.READ:
            self._note_access(access)
            await self._end_with(self._refusal())
        elif access != self.access and self._member is not None:
            self._note_access(access)
            if reply := self._member.session.change_access(access):
                self._member.send_frame(reply.frame)
            self.room.welcome(self._member)

    async def keep_up(self) -> None:
        """Check access again, and stay in the channel layer's groups; called now and then."""
        await self.recheck_access(routine=True)
        if self.channel_layer is not None and self._stay_due <= asyncio.get_running_loop().time():
            await self._stay_in_groups()

    async def _refresh_user(self) -> None:
        """Let ``scope["user"]`` be who the session belongs to now, which may be nobody."""
        session = self.scope.get("session")
        if session is None or self._user_id() is None:
            return
        if await database_sync_to_async(session.get)(SESSION_KEY) == self._user_id():
            engine = import_module(django_settings.SESSION_ENGINE)
            current = engine.SessionStore(session.session_key)
            self.scope["user"] = await get_user({**self.scope, "session": current})

    def _note_access(self, access: Access) -> None:
        counters.access_changes[access.label] += access != self.access
        self.access = access

    def evict(self) -> None:
        """End the connection without the client's help."""
        self._evicted = True
        self._task.cancel()

    async def accept(self, subprotocol: str | None = None, headers: Any = None) -> None:
        """Accept the connection, with the subprotocol of ``CollabProvider`` if it was offered."""
        if subprotocol is None and self._offers_subprotocol():
            subprotocol = SUBPROTOCOL
        self._accepted = True
        await super().accept(subprotocol, headers)

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the connection, or refuse it if it is not accepted yet."""
        if self._closed:
            return
        self._closed = True
        if not self._accepted:
            if code is None:
                code = self._refusal().close_code
            if self._offers_subprotocol():
                await self.accept()
        if code is not None and code != CloseCode.NORMAL:
            counters.refuse(code, self._cause)
        if self._member is not None:
            self._member.close(code or CloseCode.NORMAL, reason or "")
        else:
            await super().close(code and int(code), reason)

    # How it works.

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection."""
        self.scope = scope
        self.base_send = send
        self._base_receive = receive
        self._loop = asyncio.get_running_loop()
        self._task = cast("asyncio.Task[None]", asyncio.current_task())
        self._evicted = False
        self._failure: BaseException | None = None
        # Channels handles one message of a connection at a time; so do we.
        self._turn = asyncio.Lock()
        self._throttle = Throttle(get_settings())
        self._visit = Admission()
        #: Groups of the channel layer.
        self._joined: set[str] = set()
        self._socket = socket_of(scope)
        self.channel_layer = get_channel_layer(self.channel_layer_alias)
        listener = await self._start_listener()
        try:
            await self._serve(receive)
        except StopConsumer:
            pass
        finally:
            if self._socket is not None:
                self._socket.take = None
            if listener is not None:
                listener.remove_done_callback(self._listener_done)
                listener.cancel()
            if self._deadline is not None:
                self._deadline.meet()
            self._visit.end()
            await self._leave()

    async def _serve(self, receive: Receive) -> None:
        try:
            while True:
                self._is_idle = True
                message = await receive()
                self._is_idle = False
                async with self._turn:
                    await self.dispatch(message)
        except asyncio.CancelledError:
            if not self._evicted:
                raise
            self._task.uncancel()
            if self._failure is not None:
                await self.close(CloseCode.INTERNAL)
                raise self._failure from None
        except StopConsumer:
            raise
        except Exception:
            await self.close(CloseCode.INTERNAL)
            raise

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Call the method that handles ``message``; end the connection as it asks for."""
        handler = self._handler_of(message)
        if handler is None:
            raise ValueError(f"No handler for message type {message['type']}")
        try:
            await handler(message)
        except MemberError as error:
            await self._end_with(error)

    def _handler_of(self, message: dict[str, Any]) -> Any:
        return getattr(self, get_handler_name(message), None)

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        """Open the connection, unless its address has too many."""
        self._visit.enter(current_limits().addresses, address_of(self.scope))
        self._joined.update(self.groups)
        await super().websocket_connect(message)
        self._open_socket()

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """Take a frame, not faster than the member may send them."""
        text, data = message.get("text"), message.get("bytes")
        size = len(data if data is not None else text or "")
        now = self._note_frame(size)
        await self.receive(text_data=text, bytes_data=data)
        if wait := self._charge(size, now):
            await self._make_wait(wait)

    def _note_frame(self, size: int) -> float:
        """Note that a frame has come, and return when."""
        if self._deadline is not None:
            self._deadline.meet()
            self._deadline = None
        counters.received_frames += 1
        counters.received_bytes += size
        return self._loop.time()

    def _charge(self, size: int, now: float) -> float:
        """Return how long the member has to wait after a frame that came at the time ``now``."""
        answered = self._member.take_answered() if self._member else 0
        return self._throttle.take(size, now, answered=answered)

    async def _make_wait(self, seconds: float) -> None:
        counters.throttled_seconds += seconds
        member, is_long = self._member, self._throttle.waited > _LONG_WAIT
        if member is not None and is_long and (reply := member.session.tell_throttled()):
            member.send_frame(reply.frame)
        # What a connection has left behind that has ended holds up the end of the process.
        while seconds > 0 and not (member and member.is_closed):
            await asyncio.sleep(min(seconds, _LONGEST_NAP))
            seconds -= _LONGEST_NAP

    # Past ASGI, with a server that lets us.

    def _open_socket(self) -> None:
        """Take frames from the server's socket if nobody else is to see them."""
        socket = self._socket
        if socket is None or self._base_receive != socket.receive:
            return
        if _is_direct(type(self)):
            self._context = copy_context()
            socket.take = self._take_directly

    def _take_directly(self, frame: bytes) -> bool:
        """Take a frame as ``websocket_receive`` does, unless something comes before it.

        What is left to do, which takes time, the connection's task does next.
        """
        if not self._is_idle or self._turn.locked():
            return False
        try:
            if wait := self._context.run(self._take_bytes, frame):
                self._tell_itself({"type": "collab.throttled", "seconds": wait})
        except BaseException as error:
            self._tell_itself({"type": "collab.failed", "error": error})
        return True

    def _tell_itself(self, event: dict[str, Any]) -> None:
        assert self._socket is not None
        self._socket.tell(event)

    def _take_bytes(self, frame: bytes) -> float:
        now = self._note_frame(len(frame))
        self._receive_bytes(frame)
        return self._charge(len(frame), now)

    async def collab_failed(self, message: dict[str, Any]) -> None:
        """End the connection, as a frame has asked for that was taken past ASGI."""
        raise message["error"]

    async def collab_throttled(self, message: dict[str, Any]) -> None:
        """Take no frame for a while."""
        await self._make_wait(message["seconds"])

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """End the connection."""
        self._closed = True
        await self.disconnect(message["code"])
        raise StopConsumer

    async def _start_listener(self) -> asyncio.Task[None] | None:
        if self.channel_layer is None:
            return None
        self.channel_name = ""
        with suppress(Exception):
            # If that fails, the listener tries again.
            await self._take_channel()
        listener = asyncio.create_task(self._listen())
        listener.add_done_callback(self._listener_done)
        return listener

    async def _listen(self) -> None:
        failing = False
        while True:
            try:
                if not self.channel_name:
                    await self._take_channel()
                if failing and self._member is not None:
                    await self._join_groups()
                message = await self.channel_layer.receive(self.channel_name)
                failing = False
            except Exception as error:
                # Editing does not need the layer, so its failure is no reason to end.
                if not failing:
                    logger.warning(_LAYER_FAILS, type(error).__name__, extra=self._who)
                failing = True
                await asyncio.sleep(_LAYER_RETRY)
                continue
            async with self._turn:
                await self.dispatch(message)

    async def _take_channel(self) -> None:
        async with asyncio.timeout(get_settings().RELAY_TIMEOUT):
            self.channel_name = await self.channel_layer.new_channel()

    async def _join_groups(self) -> None:
        """Join the room's group and those of the class; a layer that restarts forgets them."""
        async with asyncio.timeout(get_settings().RELAY_TIMEOUT):
            for group in self._groups():
                self._joined.add(group)
                await self.channel_layer.group_add(group, self.channel_name)

    def _groups(self) -> list[str]:
        return [group_name(self.room_name), *self.groups]

    async def _stay_in_groups(self) -> None:
        # Layers that forget who is in a group say after how many seconds they do.
        pause = getattr(self.channel_layer, "group_expiry", inf) / 2
        self._stay_due = asyncio.get_running_loop().time() + pause
        try:
            await self._join_groups()
        except Exception as error:
            logger.warning(_LAYER_FAILS, type(error).__name__, extra=self._who)

    def _listener_done(self, listener: asyncio.Task[None]) -> None:
        if not listener.cancelled():
            self._failure = listener.exception()
            self.evict()

    async def _let_in(self) -> None:
        self.access = await self.authorize()
        if self.access < Access.READ:
            raise self._refusal()
        await self.accept()
        await self._join()

    async def _join(self) -> None:
        member = self._new_member()
        if self.channel_layer is not None:
            await self._stay_in_groups()
        self._hub = current_hub()
        self._room = await self._hub.join(
            self.room_name, member, self, stored=self.storage is not None
        )
        self._member = member
        self._deadline = Deadline(
            self._hub.loop,
            get_settings().FIRST_FRAME_TIMEOUT,
            partial(_miss_first_frame, member),
        )

    def _new_member(self) -> Member:
        settings = get_settings()
        session = Session(self.access, settings, durable=self.storage is not None)
        socket = self._socket
        is_bare = socket is not None and _sender(self.base_send) == socket.send
        return Member(
            self,
            session,
            self.base_send,
            settings,
            user_id=self._user_id(),
            echo_updates=self.echo_updates,
            write=socket.write if socket is not None and is_bare else None,
        )

    async def _leave(self) -> None:
        if self._room is not None and self._member is not None:
            self._room.leave(self._member)
            self._room.flush()
        await self._leave_groups()
        if self._room is not None:
            # A server that shuts down waits for its connections, and so for their updates.
            with suppress(TimeoutError):
                async with asyncio.timeout(get_settings().CLOSE_TIMEOUT):
                    await self._hub.writer.saved(self.room_name)

    async def _leave_groups(self) -> None:
        with suppress(Exception):
            async with asyncio.timeout(get_settings().RELAY_TIMEOUT):
                for group in self._joined:
                    await self.channel_layer.group_discard(group, self.channel_name)

    async def _end_with(self, error: MemberError) -> None:
        self._cause = error.cause
        await self.close(error.close_code, str(error))

    def _offers_subprotocol(self) -> bool:
        return SUBPROTOCOL in self.scope.get("subprotocols", ())

    def _refusal(self) -> MemberError:
        return Unauthenticated() if self._user_id() is None else Forbidden()

    @property
    def _who(self) -> dict[str, str | None]:
        """Whom a log record is about."""
        return {"room": getattr(self, "room_name", None), "user": self._user_id()}

    def _user_id(self) -> str | None:
        key = getattr(self.scope.get("user"), "pk", None)
        return None if key is None else str(key)


def _is_direct(consumer: type[YjsConsumer]) -> bool:
    """Tell whether frames may come to a consumer past its methods: none of them is overridden."""
    names = ("dispatch", "websocket_receive", "receive")
    return all(getattr(consumer, name) is getattr(YjsConsumer, name) for name in names)


def _sender(send: Send) -> Send:
    """Return what ``send`` ends in: Channels' sessions look at the responses of HTTP only."""
    while isinstance(owner := getattr(send, "__self__", None), InstanceSessionWrapper):
        send = owner.real_send
    return send


def _miss_first_frame(member: Member) -> None:
    if not member.is_closed:
        limit = "FIRST_FRAME_TIMEOUT"
        member.refuse(ProtocolViolation("No frame came in time.", limit=limit))


def _update_of(message: bytes) -> bytes | None:
    """Return the document update in a frame, or None if it is another frame."""
    try:
        kind, position = read_varuint(message, 0)
        sync_kind, position = read_varuint(message, position)
        if kind != MessageType.SYNC or sync_kind == SyncType.STEP1:
            return None
        return read_bytes(message, position)[0]
    except ProtocolViolation:
        return None
