"""Images by their first bytes."""

from __future__ import annotations

import struct

import pytest

from collab.editor.uploads.images import Image, read_image
from tests.editor.samples import SVG, png

GIF = b"GIF89a" + struct.pack("<HH", 3, 2) + b"\0\0\0"
JPEG = (
    b"\xff\xd8\xff\xe0" + struct.pack(">H", 4) + b"ab" + b"\xff\xc4" + struct.pack(">H", 2)
    + b"\xff\xc0" + struct.pack(">HBHH", 11, 8, 2, 3)
)  # fmt: skip
WEBP = {
    "lossy": b"VP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 3, 2),
    "lossless": b"VP8L\0\0\0\0\x2f" + struct.pack("<I", 2 | 1 << 14),
    "extended": b"VP8X\0\0\0\0\0\0\0\0\x02\0\0\x01\0\0",
}


def test_kinds_and_sizes_are_read() -> None:
    assert read_image(png(3, 2)) == Image("png", 3, 2)
    assert read_image(GIF) == Image("gif", 3, 2)
    assert read_image(JPEG) == Image("jpg", 3, 2)


@pytest.mark.parametrize("kind", WEBP)
def test_sizes_of_webp_are_read(kind: str) -> None:
    assert read_image(b"RIFF\0\0\0\0WEBP" + WEBP[kind]) == Image("webp", 3, 2)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        SVG,
        b"<!doctype html><script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\nnothing of an image",
        png(3, 2)[:20],
        b"GIF89a",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\x00\x04ab<html>",
        b"RIFF\0\0\0\0WEBPVP9 ",
        b"RIFF\0\0\0\0WEBPVP8L",
    ],
)
def test_other_files_are_no_images(head: bytes) -> None:
    assert read_image(head) is None
