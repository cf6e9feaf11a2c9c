"""The form of Yjs updates and state vectors, checked before pycrdt sees them.

pycrdt trusts the bytes that it decodes. An update of 27 bytes makes it loop forever, a longer one
overflows its stack, and others can be applied but leave a document that cannot be encoded, or not
be read again. None of that can be caught. All such updates have a form in which Yjs does not write
them, so they are recognized by that. For a state vector pycrdt allocates memory by the number of
clients that its first bytes announce.

The form is that of :mod:`collab_storage.structs`.

The same reading finds the insertions and the dependencies of an update, its :class:`UpdateOutline`.
"""

from __future__ import annotations

from typing import Final

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
)
from collab_storage.updates import TypedText, read_typed, read_varuint

__all__ = [
    "Section",
    "UpdateOutline",
    "check_state",
    "check_structure",
]

#: A client's last clock; pycrdt counts in 32 bits.
_MAX_CLOCK: Final = 2**31 - 1

#: The part of an update by one client: the client's id, the clock of the first struct, the clock
#: behind the last, the number of structs, gaps included, and the bytes of the update they are in.
Section = tuple[int, int, int, int, int, int]


class UpdateOutline:
    """The properties of an update that decide when it can be integrated.

    Args:
        update: its bytes.
        typed: the same, read as typed text, if it is that and nothing else.

    Attributes:
        deletions: where in the update the deletions start.
        types: the number of its items that are shared types.
        has_gaps: a section skips some clocks.
    """

    # There is one for each keystroke: of typed text, nothing more is made than what is asked for.
    __slots__ = (
        "_deletes",
        "_needs",
        "_sections",
        "deletions",
        "has_gaps",
        "typed",
        "types",
        "update",
    )

    def __init__(self, update: bytes, typed: TypedText | None = None) -> None:
        self.update = update
        self.typed = typed
        self._sections: list[Section] | None = None
        self._needs: dict[int, int] | None = None
        self._deletes: dict[int, int] | None = None
        self.deletions = 0 if typed is None else len(update) - 1
        self.types = 0
        self.has_gaps = False

    @property
    def sections(self) -> list[Section]:
        """Its insertions."""
        if self._sections is None:
            self._sections = []
            if (typed := self.typed) is not None:
                section = typed.client, typed.start, typed.end, 1, typed.struct_at, self.deletions
                self._sections.append(section)
        return self._sections

    @property
    def needs(self) -> dict[int, int]:
        """Client id -> clock up to which that client's insertions must be there.

        Those of the same section are not counted.
        """
        if self._needs is None:
            self._needs = {}
            if (typed := self.typed) is not None:
                _record_ids(typed.left, typed.right, typed.client, typed.start, self)
        return self._needs

    @property
    def deletes(self) -> dict[int, int]:
        """Client id -> clock up to which it deletes."""
        if self._deletes is None:
            self._deletes = {}
        return self._deletes


def check_structure(update: bytes) -> UpdateOutline:
    """Return the outline of ``update``, which has the form of a Yjs update (format 1).

    Raises:
        ProtocolViolation: the form is not valid.
    """
    if (
        (typed := read_typed(update)) is not None
        and typed.end <= _MAX_CLOCK
        and _has_place(typed.left, typed.right, typed.client, typed.start)
    ):
        # Most are typed text, and this takes half the time.
        return UpdateOutline(update, typed)
    outline = UpdateOutline(update)
    try:
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
        ProtocolViolation: the form is not valid.
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
    structs, position = read_varuint(data, position)
    client, position = read_varuint(data, position)
    clock, position = read_varuint(data, position)
    return structs, client, clock, position


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
        has_both = origins == HAS_ORIGINS
        position = _read_ids(data, position + 1, has_both, client, clock, outline)
    elif info in (GC, SKIP):
        outline.has_gaps |= info == SKIP
        return read_varuint(data, position + 1)
    else:
        position = _read_parent(data, position + 1, client, clock, outline)
    kind = info & KIND
    if kind == SHARED_TYPE:
        outline.types += 1
    return CONTENT[kind](data, position)


def _read_ids(
    data: bytes, position: int, has_both: bool, client: int, clock: int, outline: UpdateOutline
) -> int:
    """Record that a struct depends on one or two items; return the position behind their ids."""
    other, position = read_varuint(data, position)
    last, position = read_varuint(data, position)
    right: tuple[int, int] | None = None
    if has_both:
        right_client, position = read_varuint(data, position)
        right_clock, position = read_varuint(data, position)
        right = right_client, right_clock
    _record_ids((other, last), right, client, clock, outline)
    return position


def _record_ids(
    left: tuple[int, int],
    right: tuple[int, int] | None,
    client: int,
    clock: int,
    outline: UpdateOutline,
) -> None:
    if not _has_place(left, right, client, clock):
        raise ValueError
    _record_id(left[0], left[1] + 1, client, outline)
    if right is not None:
        _record_id(right[0], right[1] + 1, client, outline)


def _has_place(
    left: tuple[int, int], right: tuple[int, int] | None, client: int, clock: int
) -> bool:
    """Return whether an item of this id can be behind one item, and before another one."""
    if left[0] == client and left[1] >= clock:
        # Itself, or a later insertion: decoders would never find it.
        return False
    if right is None:
        return True
    # Behind an item and before it: its place would depend on the order of arrival.
    return right != left and (right[0] != client or right[1] < clock)


def _record_id(other: int, end: int, client: int, outline: UpdateOutline) -> None:
    if other != client and outline.needs.get(other, 0) < end:
        outline.needs[other] = end


def _read_parent(
    data: bytes, position: int, client: int, clock: int, outline: UpdateOutline
) -> int:
    is_root, key = read_varuint(data, position)
    if is_root == 1:
        _, end = read_chunk(data, key)
    elif is_root == 0:
        end = _read_ids(data, key, False, client, clock, outline)
    else:
        raise ValueError
    return read_chunk(data, end)[1] if data[position - 1] & HAS_KEY else end
