"""Groups of connections across all processes, and events sent to them.

A process joins a group of the channel layer once for all its connections, so an event crosses the
layer once for each process and is encoded once. Events sent while the layer is busy share one
message. The layer may lose messages: use a document, or events that are kept to be replayed (see
:mod:`collab.live.events.events`), for data that must not get lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

from channels.layers import channel_layers

from collab.engine.relay.layer_channel import ChannelLayer, LayerChannel, Message
from collab.engine.relay.layer_key import layer_group, layer_token
from collab.engine.relay.messages import this_process
from collab.engine.relay.publisher import send_to_group, shared_layer
from collab.engine.runtime.per_loop import PerLoop
from collab.live.events.encoding import spliced_frame

__all__ = ["INTERNAL", "Event", "Listener", "check_name", "join", "leave", "local_members", "send"]

logger = logging.getLogger("collab.live")

#: Prefix of groups and events that are not the project's.
INTERNAL = "collab."

_MESSAGE_TYPE = "collab.live"
#: The longest name for which the database has space.
_MAX_LENGTH = 255


def check_name(name: str) -> str:
    """Return a project's name for a group or an event.

    Raises:
        ValueError: the name is not valid.
    """
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_LENGTH:
        raise ValueError(f"{name!r:.300} is not a text of 1 to {_MAX_LENGTH} characters.")
    if name.startswith(INTERNAL):
        raise ValueError(f"{name!r} begins with {INTERNAL!r}, which is reserved.")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"{name!r} has characters that databases cannot store.")
    return name


@dataclass
class Event:
    """An event for the connections of a group.

    Args:
        type: its name.
        group: the recipients.
        json: the payload as JSON.
        number: its position among the kept events of the group.
    """

    type: str
    group: str
    json: str
    number: int | None = None

    @cached_property
    def payload(self) -> Any:
        """The decoded payload."""
        return json.loads(self.json)

    @cached_property
    def frame(self) -> str:
        """The text frame, encoded once for all clients."""
        return spliced_frame(self.type, self.json, group=self.group, number=self.number)

    def as_dict(self) -> dict[str, Any]:
        """Return the event as handlers get it."""
        return {
            "type": self.type,
            "group": self.group,
            "payload": self.payload,
            "number": self.number,
        }


class Listener(Protocol):
    """A connection."""

    def receive_event(self, event: Event) -> None:
        """Handle an event; called in the connection's event loop, and raises nothing."""


class LocalGroups:
    """The groups of one event loop's connections.

    Args:
        layer: to other processes, if there may be any.
    """

    def __init__(self, layer: ChannelLayer | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.members: defaultdict[str, set[Listener]] = defaultdict(set)
        self._channel = (
            None if layer is None else LayerChannel(layer, self._receive, token=layer_token())
        )
        self._changing = asyncio.Lock()

    async def join(self, group: str, member: Listener) -> None:
        # One after the other: from its return on, all events of the group are received.
        async with self._changing:
            if self._channel is None:
                self.members[group].add(member)
                return
            if not self.members:
                await self._channel.start()
            is_new = group not in self.members
            self.members[group].add(member)
            if is_new:
                await self._channel.join(_layer_group(group))

    async def leave(self, group: str, member: Listener) -> None:
        async with self._changing:
            members = self.members.get(group, set())
            if member not in members:
                return
            members.discard(member)
            if members:
                return
            del self.members[group]
            if self._channel is not None:
                await self._channel.leave(_layer_group(group))
                if not self.members:
                    await self._channel.close()

    def deliver(self, events: Iterable[Event]) -> None:
        for event in events:
            for member in list(self.members.get(event.group, ())):
                try:
                    member.receive_event(event)
                except Exception:
                    # The other members receive it all the same.
                    logger.exception("Delivery of an event of group %r failed.", event.group)

    def _receive(self, message: Message) -> None:
        if message.get("from") == this_process():
            return
        try:
            events = [Event(*event) for event in message["events"]]
        except (LookupError, TypeError):
            # From another version of this package, during a rolling update.
            logger.warning("Channel layer message is not valid; events dropped.")
        else:
            self.deliver(events)


_local_groups = PerLoop(lambda: LocalGroups(shared_layer(channel_layers.__getitem__)))


async def join(group: str, member: Listener) -> None:
    """Add a connection of this event loop to a group."""
    await _local_groups.current().join(group, member)


async def leave(group: str, member: Listener) -> None:
    """Remove a connection of this event loop from a group."""
    await _local_groups.current().leave(group, member)


def local_members(group: str) -> set[Listener]:
    """Return this event loop's connections in a group."""
    return set(_local_groups.current().members.get(group, ()))


class _UnsentEvents:
    """Events that wait for the channel layer."""

    def __init__(self) -> None:
        self._events: dict[str, list[tuple[Any, ...]]] = {}
        self._lock = threading.Lock()

    def put(self, event: Event) -> None:
        with self._lock:
            self._events.setdefault(event.group, []).append(
                (event.type, event.group, event.json, event.number)
            )
        if not send_to_group(_layer_group(event.group), partial(self._take, event.group)):
            self._take(event.group)

    def _take(self, group: str) -> dict[str, Any] | None:
        """Return all events that wait for a group as one message; ``None`` if there are none."""
        with self._lock:
            events = self._events.pop(group, None)
        return {"type": _MESSAGE_TYPE, "from": this_process(), "events": events} if events else None


_unsent = _UnsentEvents()


def send(event: Event) -> None:
    """Send an event to its group at once, from any thread, without waiting."""
    for local in _local_groups.all():
        # A closed loop has no connections.
        with suppress(RuntimeError):
            # In a context of its own, as delivery does not belong to the sender.
            local.loop.call_soon_threadsafe(local.deliver, [event], context=Context())
    _unsent.put(event)


def _layer_group(group: str) -> str:
    return layer_group("live", group)
