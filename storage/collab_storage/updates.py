"""Yjs update bytes: merging many of them, and checking whether a Doc has integrated one.

An update that depends on a missing one is pending in a Doc. pycrdt may lose some of several pending
updates, from ``Doc.get_update()`` too, and even when the missing one comes later. Merged bytes lose
nothing. Therefore updates that may be incomplete or out of order are merged before they are
applied, and stay bytes until :func:`is_covered` returns True.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pycrdt import Doc, get_update, merge_updates

__all__ = [
    "EMPTY_STATE",
    "EMPTY_UPDATE",
    "Deletions",
    "deletions",
    "encode_state_vector",
    "has_no_news",
    "is_covered",
    "merge",
    "read_varuint",
    "state_vector",
    "varuint",
]

#: State vector of a document without content.
EMPTY_STATE = b"\0"
#: An update without insertions and without deletions.
EMPTY_UPDATE = b"\0\0"
#: Merging many updates at once takes time in the square of their number.
FAN_IN = 16

#: Bits of the largest integers that are read.
_MAX_BITS = 56

#: Client id -> ranges of clocks [start, end); pycrdt sorts them and joins neighbours.
Deletions = dict[int, list[tuple[int, int]]]


def merge(updates: Sequence[bytes]) -> bytes:
    """Return one update with all of ``updates``, which may overlap, in any order.

    Raises:
        ValueError: ``updates`` is empty, or one of them is not valid.
    """
    if not updates:
        raise ValueError("There is no update to merge.")
    merged = list(updates)
    while True:
        groups = (merged[i : i + FAN_IN] for i in range(0, len(merged), FAN_IN))
        merged = [merge_updates(*group) for group in groups]
        if len(merged) == 1:
            return merged[0]


def is_covered(state: bytes, update: bytes) -> bool:
    """Return whether a Doc of state vector ``state`` has integrated all of ``update``.

    If not, a part is pending.
    """
    known = state_vector(state)
    rest = get_update(update, state)
    # The first number is of clients with content that the state does not cover.
    return rest[0] == 0 and all(
        end <= known.get(client, 0) for client, ranges in _read(rest).items() for _, end in ranges
    )


def has_no_news(state: bytes, rest: bytes, update: bytes) -> bool:
    """Return whether a Doc gains nothing from ``update``, which it may never have integrated.

    Args:
        state: the Doc's state vector.
        rest: what a Doc of that state vector lacks, which is the Doc's deletions.
        update: Yjs update bytes.
    """
    news = get_update(update, state)
    deleted = _read(rest)
    return news[0] == 0 and all(
        any(start <= first and last <= end for start, end in deleted.get(client, ()))
        for client, ranges in _read(news).items()
        for first, last in ranges
    )


def state_vector(state: bytes) -> dict[int, int]:
    """Decode ``Doc.get_state()`` into the next clock by client; the bytes have no order."""
    count, position = read_varuint(state, 0)
    known = {}
    for _ in range(count):
        client, position = read_varuint(state, position)
        known[client], position = read_varuint(state, position)
    return known


def encode_state_vector(known: Mapping[int, int]) -> bytes:
    """Return the bytes that ``state_vector`` decodes."""
    numbers = [len(known), *(number for item in known.items() for number in item)]
    return b"".join(map(varuint, numbers))


def deletions(doc: Doc[Any]) -> Deletions:
    """Return the deletions in ``doc``."""
    return _read(doc.get_update(doc.get_state()))


def _read(update: bytes) -> Deletions:
    """Decode the deletions of an update without content."""
    sections, position = read_varuint(update, 1)
    result: Deletions = {}
    for _ in range(sections):
        client, position = read_varuint(update, position)
        count, position = read_varuint(update, position)
        ranges = result[client] = []
        for _ in range(count):
            start, position = read_varuint(update, position)
            length, position = read_varuint(update, position)
            ranges.append((start, start + length))
    return result


# Integers in lib0's encoding.


def varuint(value: int) -> bytes:
    """Encode ``value``."""
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varuint(data: bytes, position: int) -> tuple[int, int]:
    """Return the integer at ``position`` and the position behind it.

    Raises:
        ValueError, IndexError: there is none, or it is larger than 56 bits.
    """
    digit = data[position]
    if digit < 0x80:
        return digit, position + 1
    value, bits = digit & 0x7F, 7
    while bits < _MAX_BITS:
        position += 1
        digit = data[position]
        if digit < 0x80:
            return value | digit << bits, position + 1
        value |= (digit & 0x7F) << bits
        bits += 7
    raise ValueError("There is no valid integer.")
