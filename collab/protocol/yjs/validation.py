"""The form of Yjs updates and state vectors, checked before pycrdt sees them.

pycrdt trusts what it decodes. An update of 27 bytes makes it loop for ever, a longer one overflows
its stack, and others can be applied but leave a document that cannot be encoded, or not be read
again. None of that can be caught. What such updates have in common is a form in which Yjs does
not write them, so they are recognized by that. For a state vector pycrdt allocates memory by the
number of clients that its first bytes announce.

The form is that of :mod:`collab_storage.structs`.

The same reading finds what an update extends and what it depends on, as an :class:`UpdateOutline`.
"""

from __future__ import annotations

import re

from collab.exceptions import ProtocolViolation
from collab_storage.structs import (
    CONTENT,
    GC,
    HAS_KEY,
    HAS_ORIGINS,
    KIND,
    SHARED_TYPE,
    SKIP,
    read_chunk,
    read_text,
)
from collab_storage.updates import VARUINT, decode_varuint, read_varuint

__all__ = [
    "Section",
    "UpdateOutline",
    "check_state",
    "check_structure",
]

#: A client's last clock; pycrdt counts in 32 bits.
_MAX_CLOCK = 2**31 - 1
_ID = re.compile(b"(%b)" % VARUINT * 2)
_HEADER = re.compile(b"(%b)" % VARUINT * 3)
_TWO_IDS = re.compile(b"(%b)" % VARUINT * 4)
#: An update of typed text: of one client one string, behind an item or between two.
_TYPED = re.compile(b"\x01\x01(N)(N)(?:\x84|(\xc4))(N)(N)(?(3)(N)(N))(N)".replace(b"N", VARUINT))

#: What an update has of one client: the client's id, the clock of the first struct, the clock
#: behind the last, the number of structs, gaps included, and the bytes of the update they are in.
Section = tuple[int, int, int, int, int, int]


class UpdateOutline:
    """The properties of an update that decide when it can be integrated.

    Attributes:
        update: its bytes.
        sections: its insertions.
        needs: client id -> clock up to which that client's insertions must be there, those of
            the same section not counted.
        deletes: client id -> clock up to which it deletes.
        deletions: where in the update the deletions start.
        types: the number of its items that are shared types.
        has_gaps: a section skips some clocks.
        is_text: it is typed text and nothing else, read to its last byte.
    """

    __slots__ = (
        "deletes",
        "deletions",
        "has_gaps",
        "is_text",
        "needs",
        "sections",
        "types",
        "update",
    )

    def __init__(self, update: bytes) -> None:
        self.update = update
        self.sections: list[Section] = []
        self.needs: dict[int, int] = {}
        self.deletes: dict[int, int] = {}
        self.deletions = 0
        self.types = 0
        self.has_gaps = self.is_text = False


def check_structure(update: bytes) -> UpdateOutline:
    """Return the outline of ``update``, which has the form of a Yjs update (format 1).

    Raises:
        ProtocolViolation: it has not.
    """
    outline = UpdateOutline(update)
    try:
        if _read_typed(update, outline):
            outline.is_text = True
            return outline
        outline.deletions = _read_insertions(update, outline)
        end = _read_deletions(update, outline)
    except (LookupError, ValueError):
        end = -1
    if end != len(update):
        raise ProtocolViolation("Not a valid Yjs update.")
    return outline


def check_state(state: bytes) -> None:
    """Return if ``state`` has the form of a state vector.

    Raises:
        ProtocolViolation: it has not.
    """
    try:
        end = _read_state(state)
    except (LookupError, ValueError):
        end = -1
    if end != len(state):
        raise ProtocolViolation("Not a valid state vector.")


def _read_state(data: bytes) -> int:
    clients, position = read_varuint(data, 0)
    for _ in range(clients):
        _, position = read_varuint(data, position)
        clock, position = read_varuint(data, position)
        if clock > _MAX_CLOCK:
            raise ValueError
    return position


def _read_typed(data: bytes, outline: UpdateOutline) -> bool:
    """Read an update that is typed text and nothing else; return whether it is one.

    Most are, and this takes half the time. An update that is not valid is not one, or raises as
    it does when it is read as any other.
    """
    match = _TYPED.match(data)
    if match is None:
        return False
    whose, clock, is_between, left, left_clock, right, right_clock, size = match.groups()
    client, start = decode_varuint(whose), decode_varuint(clock)
    length, end = read_text(data, match.end(), decode_varuint(size))
    if not 0 < length <= _MAX_CLOCK - start or data[end:] != b"\0":
        return False
    _record_id(left, left_clock, client, start, outline)
    if is_between:
        if left == right and left_clock == right_clock:
            return False
        _record_id(right, right_clock, client, start, outline)
    outline.sections.append((client, start, start + length, 1, match.end(2), end))
    outline.deletions = end
    return True


def _read_insertions(data: bytes, outline: UpdateOutline) -> int:
    sections, position = read_varuint(data, 0)
    clients = set()
    for _ in range(sections):
        structs, client, start, position = _header(data, position)
        if client in clients or not structs:
            raise ValueError
        clients.add(client)
        clock, first = start, position
        for _ in range(structs):
            length, position = _read_struct(data, position, client, clock, outline)
            if not length:
                raise ValueError
            clock += length
        if clock > _MAX_CLOCK:
            raise ValueError
        outline.sections.append((client, start, clock, structs, first, position))
    return position


def _header(data: bytes, position: int) -> tuple[int, int, int, int]:
    match = _HEADER.match(data, position)
    if match is None:
        raise ValueError
    structs, client, clock = match.groups()
    return decode_varuint(structs), decode_varuint(client), decode_varuint(clock), match.end()


def _read_deletions(data: bytes, outline: UpdateOutline) -> int:
    sections, position = read_varuint(data, outline.deletions)
    for _ in range(sections):
        client, position = read_varuint(data, position)
        ranges, position = read_varuint(data, position)
        last = outline.deletes.get(client, 0)
        for _ in range(ranges):
            clock, position = read_varuint(data, position)
            length, position = read_varuint(data, position)
            if not 0 < length <= _MAX_CLOCK - clock:
                raise ValueError
            last = max(last, clock + length)
        outline.deletes[client] = last
    return position


def _read_struct(
    data: bytes, position: int, client: int, clock: int, outline: UpdateOutline
) -> tuple[int, int]:
    """Return the length of a struct, in clocks, and the position behind it."""
    info = data[position]
    if origins := info & HAS_ORIGINS:
        match = (_TWO_IDS if origins == HAS_ORIGINS else _ID).match(data, position + 1)
        position = _record_ids(match, client, clock, outline)
    elif info in (GC, SKIP):
        outline.has_gaps |= info == SKIP
        return read_varuint(data, position + 1)
    else:
        position = _read_parent(data, position + 1, client, clock, outline)
    kind = info & KIND
    if kind == SHARED_TYPE:
        outline.types += 1
    return CONTENT[kind](data, position)


def _record_ids(
    match: re.Match[bytes] | None, client: int, clock: int, outline: UpdateOutline
) -> int:
    """Record that a struct depends on those items; return the position behind the ids."""
    if match is None:
        raise ValueError
    ids = match.groups()
    if ids[:2] == ids[2:]:
        # Behind an item and before it: where it comes to stand would depend on what came when.
        raise ValueError
    for at in (0, 2) if len(ids) == 4 else (0,):
        _record_id(ids[at], ids[at + 1], client, clock, outline)
    return match.end()


def _record_id(whose: bytes, which: bytes, client: int, clock: int, outline: UpdateOutline) -> None:
    other, end = decode_varuint(whose), decode_varuint(which) + 1
    if other != client:
        if outline.needs.get(other, 0) < end:
            outline.needs[other] = end
    elif end > clock:
        # Itself, or what comes behind it: decoders would never find it.
        raise ValueError


def _read_parent(
    data: bytes, position: int, client: int, clock: int, outline: UpdateOutline
) -> int:
    is_root, key = read_varuint(data, position)
    if is_root == 1:
        _, end = read_chunk(data, key)
    elif is_root == 0:
        end = _record_ids(_ID.match(data, key), client, clock, outline)
    else:
        raise ValueError
    return read_chunk(data, end)[1] if data[position - 1] & HAS_KEY else end
