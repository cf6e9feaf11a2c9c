"""The form of Yjs updates and state vectors, checked before pycrdt sees them.

pycrdt trusts what it decodes. An update of 27 bytes makes it loop for ever, a longer one overflows
its stack, and others can be applied but leave a document that cannot be encoded, or not be read
again. None of that can be caught. What such updates have in common is a form in which Yjs does
not write them, so they are told by that. For a state vector pycrdt sets memory aside by the
number of clients that its first bytes announce.

The form is that of ``readClientsStructRefs``, ``readItemContent`` and ``readDeleteSet`` in Yjs.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .exceptions import ProtocolViolation

__all__ = ["check_state", "check_structure"]

#: A client's last clock; pycrdt counts in 32 bits.
_MAX_CLOCK = 2**31 - 1
#: Lists and objects inside each other in one value; decoders recurse.
_MAX_DEPTH = 64

_HAS_ORIGINS = 0xC0
_HAS_KEY = 0x20
_KIND = 0x1F
_GC = 0
_SKIP = 10
#: Of Yjs's shared types that of an XML element has a name, and the last is XmlText. The hook is
#: not among them: pycrdt reads it otherwise than Yjs does.
_ELEMENT, _HOOK, _LAST_TYPE = 3, 5, 6

_NUMBER = rb"[\x80-\xff]{0,7}[\x00-\x7f]"
_ONE_NUMBER = re.compile(_NUMBER)
_ID = re.compile(_NUMBER * 2)
_TWO_IDS = re.compile(_NUMBER * 4)

#: What reads at a position and returns a number, and the position behind.
Reader = Callable[[bytes, int], tuple[int, int]]


def check_structure(update: bytes) -> None:
    """Return if ``update`` has the form of a Yjs update (format 1).

    Raises:
        ProtocolViolation: it has not.
    """
    try:
        end = _read_deletions(update, _read_insertions(update))
    except (LookupError, ValueError):
        end = -1
    if end != len(update):
        raise ProtocolViolation("That is no Yjs update.")


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
        raise ProtocolViolation("That is no state vector.")


def _number(data: bytes, position: int) -> tuple[int, int]:
    value = data[position]
    if value < 0x80:
        return value, position + 1
    digits = _match(_ONE_NUMBER, data, position)
    value = 0
    for digit in reversed(digits):
        value = value << 7 | digit & 0x7F
    return value, position + len(digits)


def _match(pattern: re.Pattern[bytes], data: bytes, position: int) -> bytes:
    match = pattern.match(data, position)
    if match is None:
        raise ValueError
    return match[0]


def _chunk(data: bytes, position: int) -> tuple[int, int]:
    """Read a length and so many bytes. A position behind the end is noticed by who reads next."""
    length, position = _number(data, position)
    return length, position + length


def _read_state(data: bytes) -> int:
    clients, position = _number(data, 0)
    for _ in range(clients):
        _, position = _number(data, position)
        clock, position = _number(data, position)
        if clock > _MAX_CLOCK:
            raise ValueError
    return position


def _read_insertions(data: bytes) -> int:
    sections, position = _number(data, 0)
    clients = set()
    for _ in range(sections):
        structs, position = _number(data, position)
        client, position = _number(data, position)
        clock, position = _number(data, position)
        if client in clients or not structs:
            raise ValueError
        clients.add(client)
        for _ in range(structs):
            length, position = _read_struct(data, position)
            if not length:
                raise ValueError
            clock += length
        if clock > _MAX_CLOCK:
            raise ValueError
    return position


def _read_deletions(data: bytes, position: int) -> int:
    sections, position = _number(data, position)
    for _ in range(sections):
        _, position = _number(data, position)
        ranges, position = _number(data, position)
        for _ in range(ranges):
            clock, position = _number(data, position)
            length, position = _number(data, position)
            if not 0 < length <= _MAX_CLOCK - clock:
                raise ValueError
    return position


def _read_struct(data: bytes, position: int) -> tuple[int, int]:
    """Return the length of a struct, in clocks at most, and the position behind it."""
    info = data[position]
    if origins := info & _HAS_ORIGINS:
        pattern = _TWO_IDS if origins == _HAS_ORIGINS else _ID
        position += 1 + len(_match(pattern, data, position + 1))
    elif info in (_GC, _SKIP):
        return _number(data, position + 1)
    else:
        position = _read_parent(data, position + 1, info)
    return _CONTENT[info & _KIND](data, position)


def _read_parent(data: bytes, position: int, info: int) -> int:
    is_root, position = _number(data, position)
    if is_root == 1:
        _, position = _chunk(data, position)
    elif is_root == 0:
        position += len(_match(_ID, data, position))
    else:
        raise ValueError
    return _chunk(data, position)[1] if info & _HAS_KEY else position


# The content of an item: its length, and the position behind it.


def _one_chunk(data: bytes, position: int) -> tuple[int, int]:
    return 1, _chunk(data, position)[1]


def _format(data: bytes, position: int) -> tuple[int, int]:
    _, position = _chunk(data, position)
    return _one_chunk(data, position)


def _type(data: bytes, position: int) -> tuple[int, int]:
    kind, position = _number(data, position)
    if kind == _HOOK or kind > _LAST_TYPE:
        raise ValueError
    return _one_chunk(data, position) if kind == _ELEMENT else (1, position)


def _values(data: bytes, position: int) -> tuple[int, int]:
    length, position = _number(data, position)
    for _ in range(length):
        position = _read_value(data, position, 0)
    return length, position


def _document(data: bytes, position: int) -> tuple[int, int]:
    _, position = _chunk(data, position)
    return 1, _read_value(data, position, 0)


#: By the kind of the item. Kind 2, of the first versions of Yjs, is not among them: pycrdt reads
#: one string more than there are.
_CONTENT: dict[int, Reader] = {
    1: _number,  # deleted
    3: _one_chunk,  # binary
    4: _chunk,  # string
    5: _one_chunk,  # embed
    6: _format,
    7: _type,
    8: _values,
    9: _document,
}


# Values as lib0 encodes them.

_UNDEFINED, _NULL, _INTEGER, _FLOAT32, _FLOAT64, _BIGINT = 127, 126, 125, 124, 123, 122
_FALSE, _TRUE, _STRING, _OBJECT, _LIST, _BYTES = 121, 120, 119, 118, 117, 116
_SIZES = {_UNDEFINED: 0, _NULL: 0, _FALSE: 0, _TRUE: 0, _FLOAT32: 4, _FLOAT64: 8, _BIGINT: 8}


def _read_value(data: bytes, position: int, depth: int) -> int:
    kind = data[position]
    position += 1
    if kind in (_STRING, _BYTES):
        return _chunk(data, position)[1]
    if kind == _INTEGER:
        return position + len(_match(_ONE_NUMBER, data, position))
    if kind not in (_LIST, _OBJECT):
        return position + _SIZES[kind]
    if depth == _MAX_DEPTH:
        raise ValueError
    length, position = _number(data, position)
    for _ in range(length):
        if kind == _OBJECT:
            _, position = _chunk(data, position)
        position = _read_value(data, position, depth + 1)
    return position
