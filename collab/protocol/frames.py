"""Frames to values and back; pure functions.

Binary frames are those of y-websocket: a message type and its payload in lib0 encoding, sync
messages as in y-protocols' ``sync.js``, presence as in its ``awareness.js``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from collab.exceptions import ProtocolViolation
from collab.protocol.json_frames import decoder
from collab.wire import VERIFIED, MessageType, SyncType
from collab_storage import updates
from collab_storage.updates import varuint

__all__ = [
    "GONE",
    "PresenceState",
    "auth_denied_frame",
    "decode_presence",
    "encode_presence",
    "joined_presence",
    "presence_frame",
    "read_bytes",
    "read_varuint",
    "step1_frame",
    "step2_frame",
    "unverified",
    "update_frame",
    "verified",
]

#: lib0 refuses integers that JavaScript cannot hold.
_MAX_SAFE_INTEGER: Final = 2**53 - 1

#: Presence state of a client that has left.
GONE = "null"

_PERMISSION_DENIED: Final = 0


class PresenceState(NamedTuple):
    """The presence of one client id: JSON text, and a clock that grows with each change."""

    client_id: int
    clock: int
    state: str


def read_varuint(data: bytes, position: int) -> tuple[int, int]:
    """Return the integer at ``position`` and the position behind it.

    Raises:
        ProtocolViolation: it is cut off or larger than JavaScript can hold.
    """
    try:
        value, end = updates.read_varuint(data, position)
    except (ValueError, IndexError):
        value, end = _MAX_SAFE_INTEGER + 1, position
    if value > _MAX_SAFE_INTEGER:
        raise ProtocolViolation("The frame has no valid integer where one must be.")
    return value, end


def read_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    """Return the length-prefixed bytes at ``position`` and the position behind them.

    Raises:
        ProtocolViolation: they are cut off.
    """
    length, start = read_varuint(data, position)
    end = start + length
    if end > len(data):
        raise ProtocolViolation("The frame is cut off.")
    return data[start:end], end


def _sized(data: bytes) -> bytes:
    return varuint(len(data)) + data


_STEP1: Final = bytes((MessageType.SYNC, SyncType.STEP1))
_STEP2: Final = bytes((MessageType.SYNC, SyncType.STEP2))
_UPDATE: Final = bytes((MessageType.SYNC, SyncType.UPDATE))
_AWARENESS: Final = bytes((MessageType.AWARENESS,))
_AUTH_DENIED: Final = bytes((MessageType.AUTH, _PERMISSION_DENIED))


def step1_frame(state: bytes) -> bytes:
    """Return the request for the updates that a document of state vector ``state`` lacks."""
    return _STEP1 + _sized(state)


def step2_frame(update: bytes) -> bytes:
    """Return the answer to a step 1."""
    return _STEP2 + _sized(update)


def update_frame(update: bytes) -> bytes:
    """Return the frame of a change."""
    return _UPDATE + _sized(update)


def auth_denied_frame(reason: str) -> bytes:
    """Return the frame that refuses a change; stock clients print the reason."""
    return _AUTH_DENIED + _sized(reason.encode())


def presence_frame(states: Iterable[PresenceState]) -> bytes:
    """Return the frame of these states."""
    return joined_presence([encode_presence(*state) for state in states])


def encode_presence(client_id: int, clock: int, state: str) -> bytes:
    """Encode one state, to be joined with others."""
    return b"".join((varuint(client_id), varuint(clock), _sized(state.encode())))


def joined_presence(encoded: Sequence[bytes]) -> bytes:
    """Return the frame of states that ``encode_presence`` has encoded."""
    return _AWARENESS + _sized(varuint(len(encoded)) + b"".join(encoded))


def decode_presence(payload: bytes, max_size: int) -> list[PresenceState]:
    """Decode the payload of an awareness message; states are at most ``max_size`` bytes.

    A state loses the data that only the server may set.

    Raises:
        ProtocolViolation: it is cut off, too large, or has a state that is not a JSON object,
            with which every other member's client would fail.
    """
    count, position = read_varuint(payload, 0)
    states = []
    for _ in range(count):
        client_id, position = read_varuint(payload, position)
        clock, position = read_varuint(payload, position)
        state, position = read_bytes(payload, position)
        if len(state) > max_size:
            raise ProtocolViolation("The presence state is too large.")
        states.append(PresenceState(client_id, clock, _checked_json(state)))
    if position != len(payload):
        raise ProtocolViolation("The frame has bytes behind its end.")
    return states


def verified(state: str, data: str) -> str:
    """Return a state that is :func:`unverified`, with the server's ``data`` of the user.

    Args:
        state: JSON text of an object.
        data: JSON text; with an empty one, the state stays as it is.
    """
    if not data:
        return state
    members = state.strip()[1:].lstrip()
    separator = "" if members.startswith("}") else ","
    return f'{{"{VERIFIED}":{data}{separator}{members}'


def unverified(state: str) -> str:
    """Return a state without the data that only the server may set.

    Raises:
        ValueError: it is not valid JSON.
    """
    value = decoder.decode(state)
    return _without_verified(value, state) if isinstance(value, dict) else state


def _without_verified(value: dict[str, Any], text: str) -> str:
    if VERIFIED not in value:
        return text
    del value[VERIFIED]
    return json.dumps(value, allow_nan=False)


def _checked_json(data: bytes) -> str:
    try:
        text = data.decode()
        value = decoder.decode(text)
        if isinstance(value, dict):
            text = _without_verified(value, text)
    except (ValueError, RecursionError):
        raise ProtocolViolation("The presence state is not valid JSON.") from None
    if value is None:
        return GONE
    if not isinstance(value, dict):
        raise ProtocolViolation("The presence state is not a JSON object.")
    return text
