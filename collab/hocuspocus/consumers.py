"""The Channels consumer that serves documents to clients of Hocuspocus."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from collab.access import Access
from collab.consumers import BaseConsumer
from collab.documents import policy
from collab.engine.connections.fast_path import Receive, Send
from collab.hocuspocus.connection import HocuspocusConnection
from collab.hocuspocus.member import HocuspocusMember

__all__ = ["HocuspocusConsumer"]


class HocuspocusConsumer(BaseConsumer):
    """Serves documents to stock providers: ``path("hocuspocus", HocuspocusConsumer.as_asgi())``.

    A client has any number of documents open on one connection, each under its own rights. By
    default the type of each document decides, for the user of the session or of the token.
    """

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
        """Handle a message of a client that is not part of a document; by default do nothing.

        The messages of a connection come one after the other.

        Args:
            member: the sender; see ``member.room_name``, ``member.user`` and ``member.access``.
            payload: of the message.
        """

    # Called by Channels, or in its place.

    def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection."""
        return HocuspocusConnection(self, HocuspocusConsumer, scope, receive, send).serve()
