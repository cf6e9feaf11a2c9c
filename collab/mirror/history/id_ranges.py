"""Ranges of the ids that Yjs gives to insertions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from collab.protocol.yjs.validation import (
    Place,
    UpdateOutline,
    check_structure,
    read_place,
    read_struct,
)

__all__ = ["Range", "garbage", "joined", "overlaps", "structs"]

#: Client id, first clock, and the clock behind the last.
Range = tuple[int, int, int]


def structs(outline: UpdateOutline) -> Iterator[tuple[int, int, int, Place]]:
    """Yield the client id, clock and length of each insertion, and where it belongs."""
    for client, clock, _, number, position, _ in outline.sections:
        for _ in range(number):
            length, end, _ = read_struct(outline.update, position, client, clock)
            yield client, clock, length, read_place(outline.update, position)
            clock, position = clock + length, end


def garbage(update: bytes | UpdateOutline) -> Iterator[Range]:
    """Yield the insertions of which nothing is left but their ids."""
    outline = check_structure(update) if isinstance(update, bytes) else update
    for client, clock, length, place in structs(outline):
        if not place.is_item:
            yield client, clock, clock + length


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Return ``ranges`` in order; those that touch or overlap are one."""
    found: list[Range] = []
    for client, start, end in sorted(ranges):
        if found and found[-1][0] == client and start <= found[-1][2]:
            start, end = found[-1][1], max(end, found.pop()[2])
        found.append((client, start, end))
    return found


def overlaps(ranges: Sequence[Range], found: Range) -> bool:
    """Return whether ``found`` overlaps one of ``ranges``, which are :func:`joined`."""
    client, start, end = found
    # The last range that begins before the end.
    index = bisect_left(ranges, (client, end)) - 1
    return index >= 0 and ranges[index][0] == client and ranges[index][2] > start
