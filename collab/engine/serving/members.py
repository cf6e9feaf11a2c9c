"""Makes the member that a connection is in its room."""

from __future__ import annotations

from collab.access import Access
from collab.conf import get_settings
from collab.engine.connections.fast_path import Send, Socket, write_of
from collab.engine.rooms.member import Connection, Member
from collab.engine.serving.access_check import user_id_of
from collab.engine.serving.served_consumer import ServedConsumer
from collab.protocol.session import Session

__all__ = ["new_member"]


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
        access: what the client may do.
        send: of the ASGI server.
        socket: of the server, if frames can go past ASGI.
    """
    settings = get_settings()
    return Member(
        connection,
        Session(access, settings, durable=consumer_class.storage is not None),
        send,
        settings,
        user_id=user_id_of(connection.scope),
        echo_updates=consumer_class.echo_updates,
        write=write_of(socket, send),
    )
