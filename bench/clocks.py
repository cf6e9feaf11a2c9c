"""The content of an update, by its clocks, and whether members get all of it, and once.

Yjs counts, for each author, what that author has inserted: its clock. Whatever a server makes of
updates, one frame or several of it, the clocks in them are those that their authors gave.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = [
    "Clocks",
    "DoubledUpdate",
    "LostUpdate",
    "Range",
    "covers",
    "extend",
    "join",
    "ranges",
    "state",
]

#: How many insertions there are of each author, without a gap.
Clocks = dict[int, int]

_GC, _DELETED, _STRING, _SKIP = 0, 1, 4, 10
#: Insertions that a document has at least which is sent to those who are slow.
_DOCUMENT = 10_000
_KIND, _LEFT, _RIGHT, _KEY = 0x1F, 0x80, 0x40, 0x20


class LostUpdate(Exception):
    """A member did not get something."""


class DoubledUpdate(Exception):
    """A member got something again."""


class Range(NamedTuple):
    """Insertions of one author, one after the other."""

    author: int
    clock: int
    length: int


class _Reader:
    """Reads an update in lib0's encoding."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._position]
            self._position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def text(self) -> bytes:
        size = self.number()
        self._position += size
        return self._data[self._position - size : self._position]

    def struct(self) -> tuple[int, int]:
        """Return the kind of a struct and its length in clocks."""
        info = self._data[self._position]
        self._position += 1
        kind = info & _KIND
        if kind in (_GC, _SKIP):
            return kind, self.number()
        self._skip_place(info)
        if kind == _DELETED:
            return kind, self.number()
        if kind == _STRING:
            return kind, _utf16_length(self.text())
        raise ValueError(f"the benchmark writes nothing of kind {kind}")

    def _skip_place(self, info: int) -> None:
        for flag in (_LEFT, _RIGHT):
            if info & flag:
                self.number(), self.number()
        if not info & (_LEFT | _RIGHT):
            if self.number():
                self.text()
            else:
                self.number(), self.number()
            if info & _KEY:
                self.text()


def _utf16_length(text: bytes) -> int:
    return len(text) if text.isascii() else len(text.decode().encode("utf-16-le")) // 2


def ranges(update: bytes) -> tuple[Range, ...]:
    """Return what a Yjs update (format 1) inserts; its deletions are not looked at.

    Raises:
        ValueError: it has something else than text.
    """
    reader = _Reader(update)
    found: list[Range] = []
    for _ in range(reader.number()):
        structs, author, clock = reader.number(), reader.number(), reader.number()
        start = clock
        for _ in range(structs):
            kind, length = reader.struct()
            if kind == _SKIP:
                found.append(Range(author, start, clock - start))
                start = clock + length
            clock += length
        found.append(Range(author, start, clock - start))
    return tuple(each for each in found if each.length)


def state(found: Iterable[Range]) -> Clocks:
    """Return the clocks of a whole document.

    Raises:
        LostUpdate: there are gaps in it.
    """
    clocks: Clocks = {}
    join(clocks, found)
    return clocks


def join(clocks: Clocks, found: Iterable[Range]) -> None:
    """Add what was asked for to what a member has, which may have some of it already.

    Raises:
        LostUpdate: there is a gap between them.
    """
    for author, clock, length in sorted(found):
        has = clocks.get(author, 0)
        if clock > has:
            raise LostUpdate(f"a document has {has} of author {author}, and {clock} and more")
        clocks[author] = max(has, clock + length)


def covers(clocks: Clocks, others: Clocks) -> bool:
    """Return whether who has ``clocks`` has all of ``others``."""
    return all(clocks.get(author, 0) >= clock for author, clock in others.items())


def extend(clocks: Clocks, found: Sequence[Range], own: Sequence[int] = ()) -> Sequence[Range]:
    """Add what a member got to what it has, and return what of that is new.

    Of a whole document that part is new which the member did not have: so a server may let those
    catch up who read slowly.

    Args:
        clocks: of the member.
        found: what it got.
        own: authors who write through this member; whether it gets that back makes no difference.

    Raises:
        LostUpdate: there is a gap between them.
        DoubledUpdate: it had something of that.
    """
    for author, clock, _ in found:
        if clock != clocks.get(author, 0) and author not in own:
            found = _news(clocks, found, own)
            break
    for author, clock, length in found:
        clocks[author] = clock + length
    return found


def _news(clocks: Clocks, found: Sequence[Range], own: Sequence[int]) -> Sequence[Range]:
    if _is_document(found):
        parts = ((author, clocks.get(author, 0), end) for author, _, end in found)
        return [Range(author, has, end - has) for author, has, end in parts if end > has]
    for author, clock, length in found:
        has = clocks.get(author, 0)
        if clock != has and author not in own:
            wrong = LostUpdate if clock > has else DoubledUpdate
            raise wrong(f"a member has {has} of author {author}, gets {clock} to {clock + length}")
    return found


def _is_document(found: Sequence[Range]) -> bool:
    """Return whether this is a document from its start and not what somebody typed just now."""
    is_whole = all(clock == 0 for _, clock, _ in found)
    return is_whole and sum(length for _, _, length in found) >= _DOCUMENT
