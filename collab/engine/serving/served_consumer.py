"""The documented names of a consumer, as far as its connection uses them, and its member."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Protocol

from pycrdt import Doc

from collab.access import Access
from collab.conf import get_settings
from collab.engine.connections.fast_path import Send, Socket, write_of
from collab.engine.hub.identity import user_id_of
from collab.engine.rooms.member import Connection, Member
from collab.engine.rooms.outbox import Outbox
from collab.exceptions import NoSuchDocument
from collab.protocol.session import Session
from collab_storage.base import check_name
from collab_storage.exceptions import InvalidName

__all__ = ["ServedConsumer", "document_name", "group_name", "new_member"]

_GROUP_NAME = re.compile(r"[a-zA-Z0-9\-_.]{1,99}")


def group_name(room_name: str) -> str:
    """Return the channel layer's group for a room: its name, where that is a legal group name."""
    if _GROUP_NAME.fullmatch(room_name):
        return room_name
    return f"collab.{hashlib.sha256(room_name.encode()).hexdigest()}"


class ServedConsumer(Protocol):
    """The documented names of a consumer that its connection uses; see ``YjsConsumer``."""

    storage: ClassVar[Literal["default"] | None]
    echo_updates: ClassVar[bool]
    groups: Iterable[str]
    channel_layer_alias: str

    # Set by the connection.
    scope: dict[str, Any]
    channel_layer: Any
    base_send: Send
    _collab_connection: Any

    def make_room_name(self) -> str:
        """Return the name of the document."""

    async def authorize(self) -> Access:
        """Return the user's access."""

    async def make_ydoc(self) -> Doc[Any]:
        """Return a new Doc."""

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        """Fill a new document."""

    async def connect(self) -> None:
        """Accept or close the connection."""

    async def accept(self, subprotocol: str | None = None, headers: Any = None) -> None:
        """Accept the connection."""

    async def disconnect(self, code: int) -> None:
        """Handle the end of the connection."""

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Handle a message of ASGI or of the channel layer."""

    async def receive_stateless(self, member: Any, payload: str) -> None:
        """Handle a message that is not part of the document."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Handle a frame."""


def document_name(consumer: ServedConsumer) -> str:
    """Return the name of the document that a consumer opens.

    Raises:
        NoSuchDocument: it is the name of no document.
    """
    try:
        return check_name(consumer.make_room_name())
    except InvalidName as error:
        raise NoSuchDocument from error


def new_member(
    connection: Connection,
    consumer_class: type[ServedConsumer],
    access: Access,
    send: Send,
    socket: Socket | None,
) -> Member:
    """Return a member that is in no room yet.

    Args:
        connection: whose.
        consumer_class: of its consumer.
        access: of the client.
        send: of the ASGI server.
        socket: of the server, if frames can go past ASGI.
    """
    settings, user_id = get_settings(), user_id_of(connection.scope)
    return Member(
        connection,
        Session(access, settings, durable=consumer_class.storage is not None),
        Outbox(send, write_of(socket, send), settings, connection.evict, user_id),
        user_id=user_id,
        echo_updates=consumer_class.echo_updates,
    )
