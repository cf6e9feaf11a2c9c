"""Images by their first bytes; names and types that clients send prove nothing."""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = ["HEAD_SIZE", "Image", "read_image"]

#: Bytes that show the type of a file; the size of a JPEG may come after a preview of 64 KB.
HEAD_SIZE = 256 * 1024
#: Segments of a JPEG with its size: all frames but those that define tables.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


class Image(NamedTuple):
    """The kind and the size of an image."""

    extension: str
    width: int
    height: int

    @property
    def content_type(self) -> str:
        """The type under which it is served."""
        return f"image/{'jpeg' if self.extension == 'jpg' else self.extension}"


def read_image(head: bytes) -> Image | None:
    """Return the image that a file begins with; ``None`` if it is of no known kind."""
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
            return Image("png", *struct.unpack_from(">II", head, 16))
        if head.startswith((b"GIF87a", b"GIF89a")):
            return Image("gif", *struct.unpack_from("<HH", head, 6))
        if head.startswith(b"\xff\xd8\xff"):
            return _jpeg(head)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp(head)
    except (struct.error, IndexError):
        # It ends too early.
        pass
    return None


def _jpeg(head: bytes) -> Image | None:
    position = 2
    while head[position] == 0xFF:
        kind = head[position + 1]
        if kind in _FRAMES:
            height, width = struct.unpack_from(">HH", head, position + 5)
            return Image("jpg", width, height)
        (length,) = struct.unpack_from(">H", head, position + 2)
        position += 2 + length
    return None


def _webp(head: bytes) -> Image | None:
    kind = head[12:16]
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 26)
        return Image("webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L" and head[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", head, 21)
        return Image("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        width, height = head[24:27] + b"\0", head[27:30] + b"\0"
        return Image("webp", *(1 + struct.unpack("<I", size)[0] for size in (width, height)))
    return None
