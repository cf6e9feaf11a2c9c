"""Groups of connections over all processes, and the events that are sent to them.

A process is in a group of the channel layer once for all of its connections, so an event crosses
the layer once for each process and not for each connection, and becomes a text frame once. What
is sent while the layer is busy goes to it as one message. The layer may lose messages: what must
not get lost belongs into a document, or is kept to be replayed (see
:mod:`collab.live.events.events`).
"""

from __future__ import annotations

import asyncio
import hashlib
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
from collab.engine.relay.messages import PROCESS
from collab.engine.relay.publisher import send_to_group, shared_layer
from collab.engine.runtime.per_loop import PerLoop
from collab.live.events.encoding import spliced_frame

__all__ = ["INTERNAL", "Event", "Listener", "check_name", "join", "leave", "local_members", "send"]

logger = logging.getLogger("collab.live")

#: Groups and events whose names begin so are not the project's.
INTERNAL = "collab."

_MESSAGE_TYPE = "collab.live"
#: What the database has space for.
_MAX_LENGTH = 255


def check_name(name: str) -> str:
    """Return the name that a project has given to a group or to an event.

    Raises:
        ValueError: it cannot have it, and why.
    """
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_LENGTH:
        raise ValueError(f"{name!r:.300} is no text of 1 to {_MAX_LENGTH} characters.")
    if name.startswith(INTERNAL):
        raise ValueError(f"{name!r}: names that begin with {INTERNAL!r} are not for projects.")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"{name!r} has characters that no database stores.")
    return name


@dataclass
class Event:
    """Something that connections of a group are told.

    Args:
        type: what it is called.
        group: to which it was sent.
        json: what it says, as JSON.
        number: its position among those of the group that are kept to be replayed.
    """

    type: str
    group: str
    json: str
    number: int | None = None

    @cached_property
    def payload(self) -> Any:
        """What it says."""
        return json.loads(self.json)

    @cached_property
    def frame(self) -> str:
        """What clients are sent, made once for all of them."""
        return spliced_frame(self.type, self.json, group=self.group, number=self.number)

    def as_dict(self) -> dict[str, Any]:
        """Return it as its handlers get it."""
        return {
            "type": self.type,
            "group": self.group,
            "payload": self.payload,
            "number": self.number,
        }


class Listener(Protocol):
    """A connection."""

    def receive_event(self, event: Event) -> None:
        """Take an event; called in the connection's event loop, and raises nothing."""


class LocalGroups:
    """The groups of one event loop's connections.

    Args:
        layer: to other processes, if there may be any.
    """

    def __init__(self, layer: ChannelLayer | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.members: defaultdict[str, set[Listener]] = defaultdict(set)
        self._channel = None if layer is None else LayerChannel(layer, self._receive)
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
                    logger.exception("An event of %r could not be passed on.", event.group)

    def _receive(self, message: Message) -> None:
        if message.get("from") == PROCESS:
            return
        try:
            events = [Event(*event) for event in message["events"]]
        except (LookupError, TypeError):
            # Of another version of this, as while servers are replaced one by one.
            logger.warning("A message of the channel layer is not understood.")
        else:
            self.deliver(events)


_local_groups = PerLoop(lambda: LocalGroups(shared_layer(channel_layers.__getitem__)))


async def join(group: str, member: Listener) -> None:
    """Let a connection of this event loop hear what is sent to a group."""
    await _local_groups.current().join(group, member)


async def leave(group: str, member: Listener) -> None:
    """Let a connection hear it no more."""
    await _local_groups.current().leave(group, member)


def local_members(group: str) -> set[Listener]:
    """Return the connections of this event loop that are in a group."""
    return set(_local_groups.current().members.get(group, ()))


class _UnsentEvents:
    """Events that wait for their turn at the channel layer."""

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
        """Return all that waits for a group as one message, unless an earlier one has had it."""
        with self._lock:
            events = self._events.pop(group, None)
        return {"type": _MESSAGE_TYPE, "from": PROCESS, "events": events} if events else None


_unsent = _UnsentEvents()


def send(event: Event) -> None:
    """Send an event to its group, now; may be called from any thread, and waits for nothing."""
    for local in _local_groups.all():
        # A loop that was closed meanwhile has no connections.
        with suppress(RuntimeError):
            # What it starts has nothing to do with the context of who sends.
            local.loop.call_soon_threadsafe(local.deliver, [event], context=Context())
    _unsent.put(event)


def _layer_group(group: str) -> str:
    return f"collab.live.{hashlib.sha256(group.encode()).hexdigest()}"
