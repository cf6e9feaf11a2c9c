"""Insertions and deletions of updates, as ranges of the ids that Yjs gives to insertions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from collab.protocol.yjs.validation import UpdateOutline
from collab_storage.structs import Struct, read_deletions, read_structs
from collab_storage.updates import varuint

__all__ = [
    "Range",
    "deletions",
    "encode_deletions",
    "garbage",
    "joined",
    "overlaps",
    "without",
]

#: Client id, first clock, and the clock behind the last.
Range = tuple[int, int, int]


def deletions(outline: UpdateOutline) -> Iterator[Range]:
    """Yield the deletions of an update."""
    return read_deletions(outline.update, outline.deletions)


def garbage(update: bytes) -> Iterator[Range]:
    """Yield the insertions that have lost everything but their ids."""
    for struct in read_structs(update):
        if struct.is_garbage:
            yield struct.client, struct.clock, struct.clock + struct.length


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


def without(outline: UpdateOutline, removed: Sequence[Range], until: Mapping[int, int]) -> bytes:
    """Return an update without deletions, and without insertions of clients from clocks on.

    Args:
        outline: of the update.
        removed: the deletions to leave out, :func:`joined`.
        until: those clocks, by client id.
    """
    data = outline.update
    sections: dict[int, list[Struct]] = {}
    for struct in read_structs(data):
        if struct.clock + struct.length <= until.get(struct.client, struct.clock + struct.length):
            sections.setdefault(struct.client, []).append(struct)
    kept = [
        gone
        for gone in deletions(outline)
        if not overlaps(removed, gone) and gone[2] <= until.get(gone[0], gone[2])
    ]
    encoded = [_section(data, found) for found in sections.values()]
    return varuint(len(encoded)) + b"".join(encoded) + encode_deletions(kept)


def _section(data: bytes, found: Sequence[Struct]) -> bytes:
    """Encode structs of one client that follow each other in an update."""
    first, last = found[0], found[-1]
    head = varuint(len(found)) + varuint(first.client) + varuint(first.clock)
    return head + data[first.start : last.end]


def encode_deletions(ranges: Iterable[Range]) -> bytes:
    """Return the deletions of an update, encoded."""
    by_client: dict[int, list[bytes]] = {}
    for client, start, end in ranges:
        by_client.setdefault(client, []).append(varuint(start) + varuint(end - start))
    parts = [varuint(len(by_client))]
    for client, encoded in by_client.items():
        parts += [varuint(client), varuint(len(encoded)), *encoded]
    return b"".join(parts)
