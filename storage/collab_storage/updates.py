"""Yjs update bytes: merging many of them, and checking whether a Doc has integrated one.

An update that depends on a missing one is pending in a Doc. pycrdt may lose some of several pending
updates, from ``Doc.get_update()`` too, and even when the missing one comes later. Merged bytes lose
nothing. Therefore updates that may be incomplete or out of order are merged before they are
applied, and stay bytes until :func:`is_covered` returns True.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pycrdt import Doc, get_update, merge_updates

__all__ = [
    "EMPTY_STATE",
    "EMPTY_UPDATE",
    "Deletions",
    "deletions",
    "is_covered",
    "merge",
    "state_vector",
]

#: State vector of a document without content.
EMPTY_STATE = b"\0"
#: An update without insertions and without deletions.
EMPTY_UPDATE = b"\0\0"
#: Merging many updates at once takes time in the square of their number.
FAN_IN = 16

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


def state_vector(state: bytes) -> dict[int, int]:
    """Decode ``Doc.get_state()`` into the next clock by client; the bytes have no order."""
    numbers = _numbers(state)
    return {next(numbers): next(numbers) for _ in range(next(numbers))}


def deletions(doc: Doc[Any]) -> Deletions:
    """Return the deletions in ``doc``."""
    return _read(doc.get_update(doc.get_state()))


def _read(update: bytes) -> Deletions:
    """Decode the deletions of an update without content."""
    numbers = _numbers(update)
    next(numbers)
    result: Deletions = {}
    for _ in range(next(numbers)):
        client, count = next(numbers), next(numbers)
        ranges = [(next(numbers), next(numbers)) for _ in range(count)]
        result[client] = [(start, start + length) for start, length in ranges]
    return result


def _numbers(data: bytes) -> Iterator[int]:
    """Decode bytes that consist of variable-length integers."""
    rest = iter(data)
    while True:
        number = shift = 0
        while (byte := next(rest)) > 0x7F:
            number |= (byte & 0x7F) << shift
            shift += 7
        yield number | byte << shift
