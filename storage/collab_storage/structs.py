"""The grammar of Yjs updates (format 1): how the structs in their bytes are read.

The form is that of ``readClientsStructRefs``, ``readItemContent`` and ``readDeleteSet`` in Yjs.
Bytes of another form raise ``ValueError`` or ``LookupError``, wherever a reader notices it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from .updates import read_id, read_text, read_varuint

__all__ = [
    "CONTENT",
    "DELETED",
    "GC",
    "HAS_KEY",
    "HAS_ORIGINS",
    "KIND",
    "SHARED_TYPE",
    "SKIP",
    "STRING",
    "SUBDOCUMENT",
    "Id",
    "Struct",
    "read_chunk",
    "read_deletions",
    "read_struct",
    "read_structs",
]

#: Flags in the first byte of a struct: it has an origin on the left, on the right, a key.
HAS_LEFT: Final = 0x80
HAS_RIGHT: Final = 0x40
HAS_KEY: Final = 0x20
HAS_ORIGINS: Final = HAS_LEFT | HAS_RIGHT
#: The lowest five bits of that byte, and their values for some kinds of structs.
KIND: Final = 0x1F
GC: Final = 0
DELETED: Final = 1
STRING: Final = 4
SHARED_TYPE: Final = 7
SUBDOCUMENT: Final = 9
SKIP: Final = 10

#: Lists and objects inside each other in one value; decoders recurse.
_MAX_DEPTH = 64
#: Numbers of Yjs' shared types: an XML element, which has a name, and XmlText, the last one. The
#: hook is not among them: pycrdt reads it otherwise than Yjs does.
_ELEMENT: Final = 3
_HOOK: Final = 5
_LAST_TYPE: Final = 6

#: Reads at a position, and returns a number and the position behind.
Reader = Callable[[bytes, int], tuple[int, int]]
#: Client id and clock of an insertion.
Id = tuple[int, int]


class Struct(NamedTuple):
    """One struct of an update.

    Args:
        client: its client id.
        clock: of its first insertion.
        length: the number of its insertions.
        kind: of its content; garbage and gaps are kinds, too.
        left: the insertion behind which it was made, if there was one.
        right: the insertion before which it was made, if there was one.
        parent: the insertion that is the shared type it was made in. ``None`` for a root, and for
            a struct with a neighbour, which is in the same type.
        start: position of the struct in the update.
        content: position of its content there.
        end: position behind it.
    """

    client: int
    clock: int
    length: int
    kind: int
    left: Id | None
    right: Id | None
    parent: Id | None
    start: int
    content: int
    end: int

    @property
    def is_garbage(self) -> bool:
        """Whether only the ids of its insertions are left."""
        return self.kind in (GC, SKIP)

    @property
    def neighbour(self) -> Id | None:
        """An insertion in the same shared type, if it was made beside one."""
        return self.left or self.right


def read_structs(update: bytes) -> Iterator[Struct]:
    """Yield the structs of an update, client by client."""
    sections, position = read_varuint(update, 0)
    for _ in range(sections):
        number, position = read_varuint(update, position)
        client, position = read_varuint(update, position)
        clock, position = read_varuint(update, position)
        for _ in range(number):
            struct = read_struct(update, position, client, clock)
            yield struct
            clock, position = clock + struct.length, struct.end


def read_struct(data: bytes, start: int, client: int, clock: int) -> Struct:
    """Read the struct that begins at a position of an update."""
    info, position = data[start], start + 1
    if info in (GC, SKIP):
        length, end = read_varuint(data, position)
        return Struct(client, clock, length, info, None, None, None, start, position, end)
    left = right = parent = None
    if info & HAS_LEFT:
        left, position = read_id(data, position)
    if info & HAS_RIGHT:
        right, position = read_id(data, position)
    if not info & HAS_ORIGINS:
        parent, position = _read_parent(data, position, has_key=bool(info & HAS_KEY))
    length, end = CONTENT[info & KIND](data, position)
    return Struct(client, clock, length, info & KIND, left, right, parent, start, position, end)


def _read_parent(data: bytes, position: int, *, has_key: bool) -> tuple[Id | None, int]:
    parent = None
    is_root, position = read_varuint(data, position)
    if is_root:
        _, position = read_chunk(data, position)
    else:
        parent, position = read_id(data, position)
    return parent, read_chunk(data, position)[1] if has_key else position


def read_deletions(data: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    """Yield the deletions of an update: client id, first clock, clock behind the last."""
    sections, position = read_varuint(data, position)
    for _ in range(sections):
        client, position = read_varuint(data, position)
        ranges, position = read_varuint(data, position)
        for _ in range(ranges):
            clock, position = read_varuint(data, position)
            length, position = read_varuint(data, position)
            yield client, clock, clock + length


def read_chunk(data: bytes, position: int) -> tuple[int, int]:
    """Skip bytes and their length; the next reader notices a position behind the end."""
    length, position = read_varuint(data, position)
    return length, position + length


# The content of an item: its length, in clocks, and the position behind it.


def _one_chunk(data: bytes, position: int) -> tuple[int, int]:
    return 1, read_chunk(data, position)[1]


def _string(data: bytes, position: int) -> tuple[int, int]:
    size, start = read_varuint(data, position)
    return read_text(data, start, size)


def _format(data: bytes, position: int) -> tuple[int, int]:
    _, position = read_chunk(data, position)
    return _one_chunk(data, position)


def _type(data: bytes, position: int) -> tuple[int, int]:
    kind, position = read_varuint(data, position)
    if kind == _HOOK or kind > _LAST_TYPE:
        raise ValueError
    return _one_chunk(data, position) if kind == _ELEMENT else (1, position)


def _values(data: bytes, position: int) -> tuple[int, int]:
    length, position = read_varuint(data, position)
    for _ in range(length):
        position = _read_value(data, position, 0)
    return length, position


def _document(data: bytes, position: int) -> tuple[int, int]:
    _, position = read_chunk(data, position)
    return 1, _read_value(data, position, 0)


#: Readers by the kind of the item. Kind 2, of the first versions of Yjs, is not among them:
#: pycrdt reads one string more than there are.
CONTENT: dict[int, Reader] = {
    1: read_varuint,  # deleted
    3: _one_chunk,  # binary
    STRING: _string,
    5: _one_chunk,  # embed
    6: _format,
    SHARED_TYPE: _type,
    8: _values,
    SUBDOCUMENT: _document,
}


# Values as lib0 encodes them.

_UNDEFINED, _NULL, _INTEGER, _FLOAT32, _FLOAT64, _BIGINT = 127, 126, 125, 124, 123, 122
_FALSE, _TRUE, _STRING, _OBJECT, _LIST, _BYTES = 121, 120, 119, 118, 117, 116
_SIZES = {_UNDEFINED: 0, _NULL: 0, _FALSE: 0, _TRUE: 0, _FLOAT32: 4, _FLOAT64: 8, _BIGINT: 8}


def _read_value(data: bytes, position: int, depth: int) -> int:
    kind = data[position]
    position += 1
    if kind in (_STRING, _BYTES):
        return read_chunk(data, position)[1]
    if kind == _INTEGER:
        return read_varuint(data, position)[1]
    if kind not in (_LIST, _OBJECT):
        return position + _SIZES[kind]
    if depth == _MAX_DEPTH:
        raise ValueError
    length, position = read_varuint(data, position)
    for _ in range(length):
        if kind == _OBJECT:
            _, position = read_chunk(data, position)
        position = _read_value(data, position, depth + 1)
    return position
