"""The Channels consumer that serves documents to clients of Hocuspocus."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from channels.generic.websocket import AsyncWebsocketConsumer

from collab.access import Access
from collab.documents import policy
from collab.engine.connections.fast_path import Receive, Send
from collab.engine.serving.overrides import check_overrides
from collab.hocuspocus.connection import HocuspocusConnection
from collab.hocuspocus.member import HocuspocusMember

__all__ = ["HocuspocusConsumer"]


class HocuspocusConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types.
    """Serves documents to stock providers: ``path("hocuspocus", HocuspocusConsumer.as_asgi())``.

    A client has any number of documents open on one connection, each under its own rights. By
    default the type of each document decides, for the user of the session or of the token.
    """

    #: With ``None`` the rooms live in memory only, and are gone soon after their last member left.
    storage: ClassVar[Literal["default"] | None] = "default"

    #: Everything else that belongs to the connection, while it is served.
    _collab_connection: HocuspocusConnection | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_overrides(cls)

    # To be overridden.

    async def authorize(self) -> Access:
        """Return whether the user of ``self.scope`` may connect at all; by default all users may.

        ``authenticate()`` returns its access to each document.
        """
        return Access.WRITE

    async def authenticate(self, name: str, token: str) -> Access | tuple[Access, Any]:
        """Return a client's access to the document ``name``; with it, its user, if need be.

        Called for each document that the client opens, when it sends its token again, and at each
        check of access, with the last token.

        Args:
            name: of the document.
            token: of the client; empty if it has none.

        Raises:
            Unauthenticated, Forbidden, NoSuchDocument: the client is refused; the message is the
                reason that its provider emits.
        """
        user = await self.user_of_token(token)
        access = await policy.authorize(name, user)
        return policy.default_access(type(self)) if access is None else access, user

    async def user_of_token(self, token: str) -> Any:
        """Return the user of a client's token; by default that of the session, for any token.

        Raises:
            Unauthenticated: the token is not valid.
        """
        return self.scope.get("user")

    async def receive_stateless(self, member: HocuspocusMember, payload: str) -> None:
        """Handle a message of a client that is no part of a document; by default do nothing.

        The messages of a connection come one after the other.

        Args:
            member: the sender; see ``member.room_name``, ``member.user`` and ``member.access``.
            payload: of the message.
        """

    async def connect(self) -> None:
        """Accept the client; an override that closes the connection instead refuses it."""
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Called when the connection has ended."""

    # To be used.

    async def accept(self, subprotocol: str | None = None, headers: Any = None) -> None:
        """Accept the connection.

        Args:
            subprotocol: of the handshake's response.
            headers: of the handshake's response.
        """
        await self._connection.accept(subprotocol, headers)

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the connection with all its documents, or refuse it if it is not accepted yet."""
        # Channels' send(close=True) passes True on.
        await self._connection.close(None if code is True else code, reason)

    # Called by Channels, or in its place.

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await HocuspocusConnection(self, HocuspocusConsumer, scope, receive, send).serve()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Call the method that handles ``message``."""
        await self._connection.dispatch(message)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Handle a frame of the client."""
        if bytes_data is not None:
            self._connection.receive_bytes(bytes_data)
        else:
            self._connection.receive_text(text_data or "")

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        """Open the connection."""
        await self._connection.open()

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """Handle a frame, not faster than the client may send them."""
        await self._connection.receive_message(message)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """End the connection."""
        await self._connection.disconnect(message["code"])

    @property
    def _connection(self) -> HocuspocusConnection:
        assert self._collab_connection is not None, "Channels makes and calls one per connection."
        return self._collab_connection
