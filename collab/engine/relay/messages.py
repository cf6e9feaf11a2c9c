"""Messages of the relay, as the channel layer carries them.

A message costs far more than its content. So the messages of all rooms in a few milliseconds go
to each process that is concerned as one, unless groups take fewer.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from collab.engine.relay.layer_channel import Message
from collab.engine.relay.layer_key import layer_group

__all__ = ["ALL_ROOMS", "MESSAGE_TYPE", "SEVERAL", "order", "pack", "relay_group", "this_process"]

#: The layer hands messages to consumers by their type; the relay reads its own channel.
MESSAGE_TYPE = "collab.engine.relay.relay"
#: In place of the name of a room, which is never empty: the order concerns every process.
ALL_ROOMS = ""
#: Kind of a message that holds others.
SEVERAL = "several"

#: Messages, and bytes of updates and presence, in one message at most.
_MAX_PARTS = 100
_MAX_SIZE = 256 * 1024


def this_process() -> str:
    """Return the id of this process, which carries out its own orders directly.

    A fork has another one than the process that has loaded this module.
    """
    return _id_of(os.getpid())


@cache
def _id_of(pid: int) -> str:
    return secrets.token_hex(8)


def relay_group(room_name: str) -> str:
    """Return the channel layer's group of the processes that hold a room, or of ``ALL_ROOMS``."""
    return layer_group("room", room_name)


def order(room_name: str, what: str, **fields: Any) -> Message:
    """Return a message in which server code orders something of the processes with a room."""
    return {
        "type": MESSAGE_TYPE,
        "kind": "order",
        "room": room_name,
        "from": this_process(),
        "what": what,
        **fields,
    }


def pack(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield ``messages``, at least one, as parts of as few messages as they fit into."""
    parts: list[Message] = []
    size = 0
    for message in messages:
        size += _size(message)
        if parts and (len(parts) == _MAX_PARTS or size > _MAX_SIZE):
            yield _together(parts)
            parts, size = [], _size(message)
        parts.append(message)
    yield _together(parts)


def _together(parts: list[Message]) -> Message:
    if len(parts) == 1:
        return parts[0]
    return {"type": MESSAGE_TYPE, "kind": SEVERAL, "parts": parts}


def _size(message: Message) -> int:
    states = message.get("present", ())
    return len(message.get("update", b"")) + sum(len(state) for _, _, state in states)
