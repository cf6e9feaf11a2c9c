"""JSON values in lib0's encoding *any*, which hashes of marks are made of."""

from __future__ import annotations

import struct
from typing import Any

from collab_storage.updates import varuint

__all__ = ["encode_any"]

_MAX_INTEGER = 2**31 - 1


def encode_any(value: Any) -> bytes:
    """Return a JSON value encoded; the order of an object's keys makes a difference."""
    match value:
        case None:
            return b"\x7e"
        case bool():
            return b"\x78" if value else b"\x79"
        case int() | float():
            return _number(value)
        case str():
            return b"\x77" + _string(value)
        case list() | tuple():
            return b"\x75" + varuint(len(value)) + b"".join(map(encode_any, value))
        case dict():
            pairs = (_string(key) + encode_any(item) for key, item in value.items())
            return b"\x76" + varuint(len(value)) + b"".join(pairs)
        case _:
            raise TypeError(f"A {type(value).__name__} is not a JSON value.")


def _number(value: float) -> bytes:
    if value == int(value) and abs(value) <= _MAX_INTEGER:
        return b"\x7d" + _signed(int(value))
    try:
        small = struct.pack(">f", value)
    except OverflowError:
        small = b""
    if small and struct.unpack(">f", small)[0] == value:
        return b"\x7c" + small
    return b"\x7b" + struct.pack(">d", value)


def _string(value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    return varuint(len(data)) + data


def _signed(value: int) -> bytes:
    # The first byte has six bits of the number beside its sign.
    sign, value = (0x40 if value < 0 else 0), abs(value)
    first, value = sign | value & 0x3F, value >> 6
    return bytes([first | 0x80]) + varuint(value) if value else bytes([first])
