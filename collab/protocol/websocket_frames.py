"""The headers of websocket frames: RFC 6455, section 5.2."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BINARY",
    "CLOSE",
    "CODE_SIZE",
    "HEADER_SIZE",
    "MASKED",
    "SHORT",
    "TEXT",
    "body_of",
    "bounds_of",
    "frame_of",
    "header_of",
]

#: First bytes of whole messages.
TEXT: Final = 0x81
BINARY: Final = 0x82
#: First byte of a close frame, and the size of its code.
CLOSE: Final = 0x88
CODE_SIZE: Final = 2
#: Set in the second byte of each frame of a client. The rest of it is the size of a short payload.
MASKED: Final = 0x80
#: The largest short payload, and the largest of a control frame.
SHORT: Final = 125
#: Bytes before a short payload in a frame of a client; the last four are its mask.
HEADER_SIZE: Final = 6

#: Headers of short binary frames of the server, by the size of the payload.
_HEADERS: Final = [bytes((BINARY, size)) for size in range(SHORT + 1)]


def body_of(payload: bytes | str) -> tuple[bytes, int]:
    """Return the bytes of a message, and the first byte of its frame."""
    return (payload, BINARY) if isinstance(payload, bytes) else (payload.encode(), TEXT)


def bounds_of(data: bytes | bytearray, start: int) -> tuple[int, int]:
    """Return where the payload of a masked frame begins and ends.

    While its header is incomplete, both are behind the end of ``data``.
    """
    size, body = data[start + 1] & 127, start + HEADER_SIZE
    if size == 126:
        size, body = int.from_bytes(data[start + 2 : start + 4], "big"), start + 8
    elif size == 127:
        size, body = int.from_bytes(data[start + 2 : start + 10], "big"), start + 14
    return body, body + size


def header_of(payload: bytes, kind: int) -> bytes:
    """Return the header of a frame of the server, whose first byte is ``kind``."""
    size = len(payload)
    if size <= SHORT:
        return _HEADERS[size] if kind == BINARY else bytes((kind, size))
    if size < 1 << 16:
        return bytes((kind, 126)) + size.to_bytes(2, "big")
    return bytes((kind, 127)) + size.to_bytes(8, "big")


def frame_of(payload: bytes | str) -> bytes:
    """Return a message as a frame of the server.

    Raises:
        UnicodeEncodeError: it is a text that has no encoding.
    """
    body, kind = body_of(payload)
    return header_of(body, kind) + body
