"""The Channels consumer that serves a document to Yjs clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Generic, Literal, Self, TypedDict, TypeVar, overload

from channels.generic.websocket import AsyncWebsocketConsumer
from pycrdt import Doc

from collab.documents import policy
from collab.engine.connections.fast_path import Receive, Send
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.serving.connection import ConsumerConnection
from collab.engine.serving.overrides import check_overrides
from collab.engine.serving.served_consumer import group_name
from collab.protocol.frames import read_bytes, read_varuint
from collab.protocol.yjs.updates import check

from .access import Access, granted_to
from .exceptions import Forbidden, ProtocolViolation, Unauthenticated
from .wire import MessageType, SyncType

__all__ = [
    "BaseConsumer",
    "WrappedMessage",
    "WrappedUpdate",
    "YjsConsumer",
    "group_name",
    "serving_connection",
]

T = TypeVar("T")


class WrappedMessage(TypedDict):
    """A frame for the client."""

    message: bytes


class WrappedUpdate(TypedDict):
    """An update for the document."""

    update: bytes


class ConnectionValue(Generic[T]):
    """An attribute of a consumer that its connection knows.

    An attribute of the same name that a subclass or an instance has takes its place; nothing here
    reads it from the consumer.

    Args:
        read: returns the value.
    """

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, consumer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, consumer: object, owner: type) -> T: ...
    def __get__(self, consumer: object | None, owner: type) -> Self | T:
        return self if consumer is None else self._read(consumer)


class BaseConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types.
    """A consumer of documents, which leaves all work to the connection that it serves."""

    #: With ``None`` rooms live in memory only, and are gone soon after their last member left.
    storage: ClassVar[Literal["default"] | None] = "default"

    #: Everything else that belongs to the connection, while it is served.
    _collab_connection: ConsumerConnection | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_overrides(cls)

    # To be overridden.

    async def connect(self) -> None:
        """Accept the client.

        Called once ``authorize`` has answered that the client may connect. An override that closes
        the connection instead refuses the client.
        """
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Called when the connection has ended."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Handle a frame of the client."""
        connection = serving_connection(self)
        if bytes_data is not None:
            connection.receive_bytes(bytes_data)
        else:
            connection.receive_text(text_data or "")

    # To be used.

    async def accept(self, subprotocol: str | None = None, headers: Any = None) -> None:
        """Accept the connection; that of a document becomes a member of the room.

        Args:
            subprotocol: by default that of ``CollabProvider``, if the client offers it.
            headers: of the handshake's response.
        """
        await serving_connection(self).accept(subprotocol, headers)

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the connection with all its documents, or refuse it if it is not accepted yet."""
        # Channels' send(close=True) passes True on.
        await serving_connection(self).close(None if code is True else code, reason)

    # Called by Channels, or in its place.

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Call the method that handles ``message``."""
        await serving_connection(self).dispatch(message)

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        """Open the connection."""
        await serving_connection(self).open()

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """Handle a frame, not faster than the client may send them."""
        await serving_connection(self).receive_message(message)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """End the connection."""
        await serving_connection(self).disconnect(message["code"])


class YjsConsumer(BaseConsumer):
    """Serves a document to Yjs clients: ``path("ws/<str:room>", YjsConsumer.as_asgi())``.

    Subclass it to choose the document of a connection (``make_room_name``), who may open it
    (``authorize``) and the content of a new document (``seed_ydoc``). Attributes and methods of
    your own may have any name but those that are documented here and in Channels.
    """

    #: Send members their own updates back once they are stored. The provider of @y/websocket
    #: learns from this that they are saved; y-websocket does not need it.
    echo_updates: ClassVar[bool] = False

    # To be overridden.

    def make_room_name(self) -> str:
        """Return the name of the document, by default the URL's ``room``."""
        name: str = self.scope["url_route"]["kwargs"]["room"]
        return name

    async def authorize(self) -> Access:
        """Return the access of the user of ``self.scope``.

        By default the answer of the document's type, or the grant of an editor's page. For a
        document that has neither, all access if ``connect`` is overridden, and else that of
        ``COLLAB["DEFAULT_ACCESS"]``.
        """
        connection = serving_connection(self)
        name = connection.document
        granted = granted_to(connection.scope, name)
        try:
            access = await policy.authorize(name, connection.user)
        except (Forbidden, Unauthenticated):
            if not granted:
                raise
            access = granted
        if access is not None or granted:
            return max(access or Access.NONE, granted)
        if self.is_open_to_everybody():
            return policy.default_access(type(self))
        return Access.WRITE

    async def make_ydoc(self) -> Doc[Any]:
        """Return a new Doc, called when this process opens the room; attach observers here."""
        return Doc()

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        """Fill a document that was never stored; called once in the document's life (I5).

        By default as the document's type does.
        """
        await policy.seed(serving_connection(self).document, doc)

    async def receive_stateless(self, member: Member, payload: str) -> None:
        """Handle a message of a ``CollabProvider`` that is not part of the document.

        By default do nothing. The messages of a connection come one after the other.

        Args:
            member: the sender; see ``member.room_name``, ``member.user`` and ``member.access``.
            payload: of the message.
        """

    @classmethod
    def is_open_to_everybody(cls) -> bool:
        """Return whether the project decides nowhere who may connect; a system check warns."""
        return cls.authorize is YjsConsumer.authorize and cls.connect is YjsConsumer.connect

    # To be used.

    @ConnectionValue
    def room_name(self) -> str:
        """The name of the document."""
        return serving_connection(self).document

    @ConnectionValue
    def room(self) -> Room:
        """The room this connection is in."""
        return serving_connection(self).room

    @ConnectionValue
    def ydoc(self) -> Doc[Any]:
        """The room's Doc, shared by its members; a change made in it is sent to all of them."""
        return serving_connection(self).room.doc

    @ConnectionValue
    def channel_name(self) -> str:
        """The name of the connection's channel in the channel layer; empty while that fails.

        A class that overrides nothing but ``authorize``, ``make_room_name``, ``make_ydoc``,
        ``seed_ydoc``, ``storage`` and ``echo_updates`` has no use for a channel, and no name.
        """
        channel = serving_connection(self).layer_channel
        return "" if channel is None else channel.name

    @property
    def access(self) -> Access:
        """The client's access: the last result of ``authorize``."""
        connection = self._collab_connection
        return Access.NONE if connection is None else connection.access

    @access.setter
    def access(self, access: Access) -> None:
        raise AttributeError(
            "access is the last result of authorize(): return another value there."
        )

    async def send_message(self, message_wrapper: WrappedMessage) -> None:
        """Send a frame to this client; handles the layer event of that name, too."""
        connection = self._collab_connection
        if connection is not None and connection.member is not None:
            connection.member.send_frame(message_wrapper["message"])

    async def group_send_message(self, message: bytes) -> None:
        """Send a frame to all members of the room; a document update becomes part of it."""
        connection = serving_connection(self)
        if (update := _update_of(message)) is not None:
            connection.room.edit(check(update))
        elif connection.channel_layer is None:
            connection.room.broadcast(message)
        else:
            event = {"type": "send_message", "message": message}
            await connection.channel_layer.group_send(group_name(connection.room.name), event)

    async def doc_update(self, update_wrapper: WrappedUpdate) -> None:
        """Handle the layer event ``{"type": "doc_update", "update": bytes}``."""
        serving_connection(self).room.edit(check(update_wrapper["update"]))

    async def recheck_access(self) -> None:
        """Call ``authorize`` again and act on its answer; if it fails, close the connection."""
        await serving_connection(self).recheck_access()

    # Called by Channels, or in its place.

    def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection."""
        return ConsumerConnection(self, YjsConsumer, scope, receive, send).serve()


def serving_connection(consumer: BaseConsumer) -> ConsumerConnection:
    """Return the connection that a consumer serves.

    Raises:
        RuntimeError: it serves none.
    """
    if consumer._collab_connection is None:
        raise RuntimeError(
            f"This {type(consumer).__name__} serves no connection: Channels makes and calls one"
            " for each connection."
        )
    return consumer._collab_connection


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
