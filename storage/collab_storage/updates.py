"""Yjs update bytes: merging many of them, and checking whether a Doc has integrated one.

An update that depends on a missing one is pending in a Doc. pycrdt may lose some of several pending
updates, from ``Doc.get_update()`` too, and even when the missing one comes later. Merged bytes lose
nothing. Therefore updates that may be incomplete or out of order are merged before they are
applied, and stay bytes until :func:`is_covered` returns True.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pycrdt import Doc, get_update, merge_updates

__all__ = [
    "EMPTY_STATE",
    "EMPTY_UPDATE",
    "Deletions",
    "TypedRun",
    "TypedText",
    "deletions",
    "encode_state_vector",
    "has_no_news",
    "is_covered",
    "is_panic",
    "merge",
    "read_id",
    "read_text",
    "read_typed",
    "read_varuint",
    "state_vector",
    "varuint",
]

#: State vector of a document without content.
EMPTY_STATE: Final = b"\0"
#: An update without insertions and without deletions.
EMPTY_UPDATE: Final = b"\0\0"
#: Merging many updates at once takes time in the square of their number.
FAN_IN: Final = 16

#: First bytes of strings: behind an item, and between two.
_BEHIND: Final = 0x84
_BETWEEN: Final = 0xC4

#: The encoded integers of one byte.
_BYTES: Final = [bytes((value,)) for value in range(0x80)]
#: Bits of the largest integers that are read.
_MAX_BITS: Final = 56

#: Client id -> ranges of clocks [start, end); pycrdt sorts them and joins neighbours.
Deletions = dict[int, list[tuple[int, int]]]


def is_panic(error: BaseException) -> bool:
    """Return whether pycrdt panicked: it raises a BaseException that it does not export."""
    return type(error).__name__ == "PanicException"


def merge(updates: Sequence[bytes | TypedText]) -> bytes:
    """Return one update with all of ``updates``, which may overlap, in any order.

    Those that have been read as typed text are not read again.

    Raises:
        ValueError: ``updates`` is empty, or one of them is not valid.
    """
    if not updates:
        raise ValueError("There is no update to merge.")
    merged = _join_typed(updates)
    if len(merged) == 1 < len(updates):
        return merged[0]
    while True:
        groups = (merged[i : i + FAN_IN] for i in range(0, len(merged), FAN_IN))
        merged = [merge_updates(*group) for group in groups]
        if len(merged) == 1:
            return merged[0]


class TypedText:
    """An update that is a text behind an item and nothing else.

    Args:
        update: its bytes.
        client: whose client id it has.
        start: the clock of its first character.
        end: the clock behind the last.
        left: client id and clock of the item before it.
        right: client id and clock of the item behind it, if it was not the last in its parent.
        struct_at: where its only struct begins in the update.
        size_at: where the bytes of the text are counted.
        text_at: where the text begins; it ends before the last byte.
    """

    # No dataclass: there is one for each keystroke, and a compiled dataclass has no slots.
    __slots__ = (
        "client",
        "end",
        "left",
        "right",
        "size_at",
        "start",
        "struct_at",
        "text_at",
        "update",
    )

    def __init__(
        self,
        update: bytes,
        client: int,
        start: int,
        end: int,
        left: tuple[int, int],
        right: tuple[int, int] | None,
        struct_at: int,
        size_at: int,
        text_at: int,
    ) -> None:
        self.update = update
        self.client = client
        self.start = start
        self.end = end
        self.left = left
        self.right = right
        self.struct_at = struct_at
        self.size_at = size_at
        self.text_at = text_at

    @property
    def is_ascii(self) -> bool:
        """Whether all of its letters are ASCII: any other takes more bytes than clocks."""
        return self.end - self.start == len(self.update) - 1 - self.text_at

    def continues(self, client: int, end: int, right: tuple[int, int] | None) -> bool:
        """Return whether it might have been typed with a client's text before it, up to ``end``."""
        return (
            self.start == end
            and self.left == (client, end - 1)
            and self.client == client
            and self.right == right
        )


def read_typed(update: bytes) -> TypedText | None:
    """Return ``update`` as typed text, if it has the form of one: nearly all updates have it."""
    right = None
    try:
        if update[0] != 1 or update[1] != 1:
            # Not one struct of one client.
            return None
        client, position = read_varuint(update, 2)
        start, struct_at = read_varuint(update, position)
        info = update[struct_at]
        if info != _BEHIND and info != _BETWEEN:
            return None
        left, size_at = read_id(update, struct_at + 1)
        if info == _BETWEEN:
            right, size_at = read_id(update, size_at)
        size, text_at = read_varuint(update, size_at)
        length, end = read_text(update, text_at, size)
    except (LookupError, ValueError):
        return None
    if not length or end + 1 != len(update) or update[end]:
        return None
    after = start + length
    return TypedText(update, client, start, after, left, right, struct_at, size_at, text_at)


def read_id(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    """Return the client id and clock at ``position``, and the position behind them."""
    client, position = read_varuint(data, position)
    clock, position = read_varuint(data, position)
    return (client, clock), position


class TypedRun:
    """Typed texts of which each continues the one before.

    Args:
        first: of them.
    """

    __slots__ = ("_end", "_first", "_texts")

    def __init__(self, first: TypedText) -> None:
        self._first = first
        self._end = first.end
        self._texts: list[bytes] = []

    def take(self, typed: TypedText) -> bool:
        """Add a text if it continues the last one, as if both had been typed at once."""
        if not typed.continues(self._first.client, self._end, self._first.right):
            return False
        self._texts.append(typed.update[typed.text_at : -1])
        self._end = typed.end
        return True

    @property
    def length(self) -> int:
        """The length of all of them, in clocks."""
        return self._end - self._first.start

    def joined(self) -> bytes:
        """Return all of them as one update; may be called from any thread."""
        first = self._first
        if not self._texts:
            return first.update
        text = first.update[first.text_at : -1] + b"".join(self._texts)
        return b"".join([first.update[: first.size_at], varuint(len(text)), text, b"\0"])


def _join_typed(updates: Sequence[bytes | TypedText]) -> list[bytes]:
    """Join typed texts to those that they continue, which pycrdt would do in ten times as long."""
    joined: list[bytes] = []
    runs: list[tuple[int, TypedRun]] = []
    last: dict[int, TypedRun] = {}
    for update in updates:
        typed = read_typed(update) if isinstance(update, bytes) else update
        if typed is None:
            assert isinstance(update, bytes)
            joined.append(update)
            continue
        run = last.get(typed.client)
        if run is None or not run.take(typed):
            run = last[typed.client] = TypedRun(typed)
            runs.append((len(joined), run))
            joined.append(typed.update)
    for place, run in runs:
        joined[place] = run.joined()
    return joined


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
        rest: the part that a Doc of that state vector lacks: the Doc's deletions.
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
    if 0 <= value < 0x80:
        return _BYTES[value]
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varuint(data: bytes, position: int) -> tuple[int, int]:
    """Return the integer at ``position`` and the position behind it.

    Raises:
        ValueError, IndexError: the bytes have none, or one of more than 56 bits.
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


def read_text(data: bytes, start: int, size: int) -> tuple[int, int]:
    """Return the length of a text, as JavaScript counts, and the position behind it."""
    text = data[start : start + size]
    length = size if text.isascii() else len(text.decode().encode("utf-16-le")) // 2
    return length, start + size
