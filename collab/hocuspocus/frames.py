"""Frames of Hocuspocus to values and back; pure functions.

A frame begins with the address of a document on its connection, a text; behind it is a message of
y-websocket, or one of Hocuspocus' own types. The address is the document's name, or the name, NUL
and the name of a session.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from collab.exceptions import ProtocolViolation
from collab.protocol.frames import read_bytes, read_varuint
from collab.wire import MessageType
from collab_storage.updates import varuint

__all__ = [
    "MAX_ADDRESS_SIZE",
    "PING",
    "PONG",
    "AddressedType",
    "AuthType",
    "SocketCode",
    "TokenFrame",
    "authenticated_frame",
    "close_frame",
    "denied_frame",
    "document_name",
    "prefix_of",
    "read_text",
    "read_token",
    "split",
    "stateless_frame",
    "status_frame",
    "token_request_frame",
]

#: Bytes of an address: a name of 255 characters, and a session.
MAX_ADDRESS_SIZE = 2 * 1024


class AddressedType(IntEnum):
    """Types of messages behind an address, besides those of y-websocket."""

    SYNC_REPLY = 4
    STATELESS = 5
    BROADCAST_STATELESS = 6
    CLOSE = 7
    SYNC_STATUS = 8


class AuthType(IntEnum):
    """Second varuint of an auth message."""

    TOKEN = 0
    PERMISSION_DENIED = 1
    AUTHENTICATED = 2


class SocketCode(IntEnum):
    """Codes of Hocuspocus for the end of a whole connection."""

    RESET = 4205
    UNAUTHORIZED = 4401
    TIMEOUT = 4408


#: Frames without an address.
PING, PONG = b"\x09", b"\x0a"

_SEPARATOR = "\0"


class TokenFrame(NamedTuple):
    """An auth message of a client.

    Args:
        token: may be empty.
        version: of the provider, from its release 4 on.
    """

    token: str
    version: str | None


# Reading.


def split(frame: bytes) -> tuple[bytes, int]:
    """Return the address of a frame, encoded, and the position of the message behind it.

    Raises:
        ProtocolViolation: there is none.
    """
    if len(frame) > 1 and (end := frame[0] + 1) <= 0x80 and end < len(frame):
        # Nearly all addresses are short.
        return frame[1:end], end
    length, start = read_varuint(frame, 0)
    end = start + length
    if length > MAX_ADDRESS_SIZE or end >= len(frame):
        raise ProtocolViolation("The frame has no address, or nothing behind it.")
    return frame[start:end], end


def document_name(address: bytes) -> str:
    """Return the name of the document of an address.

    Raises:
        ProtocolViolation: it is not valid UTF-8.
    """
    try:
        return address.decode().partition(_SEPARATOR)[0]
    except UnicodeDecodeError:
        raise ProtocolViolation("The address is not valid UTF-8.") from None


def read_text(data: bytes, position: int) -> tuple[str, int]:
    """Return the length-prefixed text at ``position`` and the position behind it.

    Raises:
        ProtocolViolation: it is cut off or not valid UTF-8.
    """
    encoded, end = read_bytes(data, position)
    try:
        return encoded.decode(), end
    except UnicodeDecodeError:
        raise ProtocolViolation("The frame has a text that is not valid UTF-8.") from None


def read_token(frame: bytes, position: int) -> TokenFrame:
    """Return the content of a client's auth message, behind its type.

    Raises:
        ProtocolViolation: it is not valid.
    """
    kind, position = read_varuint(frame, position)
    if kind != AuthType.TOKEN:
        raise ProtocolViolation("The auth message of a client has a token.")
    token, position = read_text(frame, position)
    version = read_text(frame, position)[0] if position < len(frame) else None
    return TokenFrame(token, version)


# Writing: messages, without the address that goes before them.


def prefix_of(address: bytes) -> bytes:
    """Return the beginning of all frames of an address."""
    return varuint(len(address)) + address


def _sized(text: str) -> bytes:
    encoded = text.encode()
    return varuint(len(encoded)) + encoded


def _auth(kind: AuthType, text: str) -> bytes:
    return bytes((MessageType.AUTH, kind)) + _sized(text)


def authenticated_frame(scope: str) -> bytes:
    """Return the message that a document is open, for a scope."""
    return _auth(AuthType.AUTHENTICATED, scope)


def denied_frame(reason: str) -> bytes:
    """Return the message that a document is not opened."""
    return _auth(AuthType.PERMISSION_DENIED, reason)


def token_request_frame() -> bytes:
    """Return the question for the client's token."""
    return bytes((MessageType.AUTH, AuthType.TOKEN))


_STATUSES = bytes((AddressedType.SYNC_STATUS, 0)), bytes((AddressedType.SYNC_STATUS, 1))


def status_frame(is_stored: bool) -> bytes:
    """Return the report that one frame of the client is stored, or is not and will not be."""
    return _STATUSES[is_stored]


def stateless_frame(payload: str) -> bytes:
    """Return a message that is not part of the document."""
    return bytes((AddressedType.STATELESS,)) + _sized(payload)


def close_frame(reason: str) -> bytes:
    """Return the message that a document is closed, while the connection stays."""
    return bytes((AddressedType.CLOSE,)) + _sized(reason)
