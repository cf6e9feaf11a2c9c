"""Events of the channel layer, for connections with or without a channel of their own.

Channels' in-memory layer looks through all channels at each receive, and a channel takes a task. A
class that handles no events of its own needs none: the connections of such classes that are in the
same room share one channel, in which the room's two events arrive.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from channels.consumer import get_handler_name
from channels.exceptions import InvalidChannelLayerError

from collab.engine.relay.layer_channel import ChannelLayer, LayerChannel, Message
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.runtime.per_loop import PerLoop
from collab.engine.serving.served_consumer import ServedConsumer, group_name
from collab.exceptions import ProtocolViolation
from collab.protocol.yjs.updates import check

__all__ = [
    "EventConnection",
    "GroupedConnection",
    "RoomEvents",
    "handles_events",
    "join_class_groups",
    "join_room_group",
    "leave_groups",
]

logger = logging.getLogger("collab.consumers")

#: Names that are not handlers of events, and need no channel.
_PASSIVE = frozenset(
    (
        "__annotations__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__orig_bases__",
        "__parameters__",
        "__qualname__",
        "__static_attributes__",
        "authorize",
        "echo_updates",
        "make_room_name",
        "make_ydoc",
        "receive_stateless",
        "seed_ydoc",
        "storage",
    )
)


def handles_events(consumer: ServedConsumer, base: type) -> bool:
    """Return whether a consumer may handle events of the channel layer itself.

    Args:
        consumer: the project's.
        base: the class whose methods the project may have overridden.
    """
    if consumer.groups or (cls := type(consumer)) is base:
        return bool(consumer.groups)
    mro = cls.__mro__
    own = mro[: mro.index(base)] if base in mro else mro
    return any(not _PASSIVE.issuperset(vars(each)) for each in own)


async def join_class_groups(consumer: ServedConsumer, channel: LayerChannel | None) -> None:
    """Join the groups of a consumer's class with its own channel."""
    for group in consumer.groups:
        if channel is None:
            name = type(consumer).__name__
            raise InvalidChannelLayerError(f"{name}.groups needs a channel layer.")
        await channel.join(group)


class EventConnection(Protocol):
    """A connection that may be in a room."""

    @property
    def has_room(self) -> bool:
        """Return whether the connection has joined a room."""

    @property
    def room(self) -> Room:
        """The room that the connection is in."""

    @property
    def member(self) -> Member | None:
        """The member that the connection is, once it has joined."""


class GroupedConnection(EventConnection, Protocol):
    """A connection that handles the events of its room."""

    channel_layer: ChannelLayer | None
    #: The consumer's own channel, if it has one.
    layer_channel: LayerChannel | None
    room_name: str | None


class _Listener:
    """The channel of one room's group."""

    def __init__(self, layer: ChannelLayer, name: str) -> None:
        self.connections: set[EventConnection] = set()
        #: The channel is in the group: nothing is left to wait for.
        self.has_begun = False
        self._name = name
        self._channel = LayerChannel(layer, self._handle)
        # Others wait for it, too, and must not end it when they are cancelled.
        self._start = asyncio.get_running_loop().create_task(
            self._begin(), name=f"listen to {name}"
        )

    async def begun(self) -> None:
        """Wait until the channel is in the group; a layer that fails is not waited for."""
        await asyncio.shield(self._start)

    async def close(self) -> None:
        """Leave the group."""
        await self.begun()
        await self._channel.close()

    async def _begin(self) -> None:
        await self._channel.start()
        await self._channel.join(group_name(self._name))
        self.has_begun = True

    def _handle(self, event: Message) -> None:
        """Handle an event as each connection would, except that an update is applied once."""
        try:
            self._dispatch(event)
        except (KeyError, TypeError, ValueError, ProtocolViolation):
            text = "An event of the channel layer for a room is not valid and is dropped."
            logger.exception(text, extra={"room": self._name})

    def _dispatch(self, event: Message) -> None:
        inside = [each for each in self.connections if each.has_room]
        match get_handler_name(event):
            case "doc_update":
                update = check(event["update"])
                for room in {each.room for each in inside}:
                    room.edit(update)
            case "send_message":
                for member in [each.member for each in inside if each.member is not None]:
                    member.send_frame(event["message"])
            case name:
                raise ValueError(f"No handler for message type {name}")


class RoomEvents:
    """The shared channels of one event loop."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[Any, str], _Listener] = {}

    async def enter(self, layer: ChannelLayer, name: str, connection: EventConnection) -> None:
        """Handle the events of a room for ``connection`` from now on."""
        if (listener := self._listeners.get((layer, name))) is None:
            listener = self._listeners[layer, name] = _Listener(layer, name)
        listener.connections.add(connection)
        if not listener.has_begun:
            await listener.begun()

    async def leave(self, layer: ChannelLayer, name: str, connection: EventConnection) -> None:
        """Handle no more events for ``connection``, unless that has not begun."""
        listener = self._listeners.get((layer, name))
        if listener is None or connection not in listener.connections:
            return
        listener.connections.discard(connection)
        if not listener.connections:
            del self._listeners[layer, name]
            await listener.close()


_room_events = PerLoop(RoomEvents)


async def join_room_group(connection: GroupedConnection) -> None:
    """Handle the events of the room that a connection is about to join."""
    assert connection.room_name is not None
    if connection.layer_channel is not None:
        await connection.layer_channel.join(group_name(connection.room_name))
    elif connection.channel_layer is not None:
        events = _room_events.current()
        await events.enter(connection.channel_layer, connection.room_name, connection)


async def leave_groups(connection: GroupedConnection) -> None:
    """Handle no more events for a connection."""
    if connection.layer_channel is not None:
        await connection.layer_channel.close()
    elif connection.channel_layer is not None and connection.room_name is not None:
        events = _room_events.current()
        await events.leave(connection.channel_layer, connection.room_name, connection)
