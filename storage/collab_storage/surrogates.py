"""Surrogate pairs in the texts of documents, which Yjs and pycrdt break in different ways.

Yjs counts text in UTF-16 units, so an insertion, a deletion or a format may fall between the two
halves of a letter such as an emoji. Yjs puts U+FFFD in the place of each half then; pycrdt, which
keeps UTF-8, drops or keeps whole letters. So such a pair is broken in the bytes of the document
before pycrdt sees the update that breaks it: two U+FFFD have the length of the pair, and pycrdt
makes of them what Yjs does.

It does not matter when a pair is broken: each client that integrates the update breaks it.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Final

from .structs import STRING, Id, Struct, read_deletions, read_structs
from .updates import read_varuint, varuint

__all__ = ["SurrogatePairs", "as_yjs", "break_pairs", "has_pairs"]

#: A letter that is a surrogate pair in UTF-16.
_PAIR: Final = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")
_BROKEN: Final = "\ufffd\ufffd".encode()
_NONE: Set[Id] = frozenset()


def has_pairs(update: bytes) -> bool:
    """Return whether there may be surrogate pairs in the texts of an update."""
    return _PAIR.search(update) is not None


def as_yjs(updates: Sequence[bytes]) -> list[bytes]:
    """Return updates of one document with the pairs broken that any of them breaks.

    If any of them is not valid, they are returned as they are.
    """
    if not any(map(has_pairs, updates)):
        return [*updates]
    pairs = SurrogatePairs(lambda: updates)
    try:
        broken = frozenset[Id]().union(*map(pairs.broken_by, updates))
        return [break_pairs(update, broken) for update in updates]
    except (ValueError, LookupError):
        return [*updates]


def break_pairs(update: bytes, broken: Set[Id]) -> bytes:
    """Return an update with U+FFFD in the place of each half of the pairs with these ids."""
    parts, done = [], 0
    for struct in read_structs(update) if broken else ():
        if struct.kind != STRING:
            continue
        places = [place for id_, place in _pairs_of(struct, update) if id_ in broken]
        if places:
            text = _text(struct, update)
            for place in reversed(places):
                text = text[:place] + _BROKEN + text[place + 4 :]
            parts += [update[done : struct.content], varuint(len(text)), text]
            done = struct.end
    return b"".join([*parts, update[done:]])


def _pairs_of(struct: Struct, update: bytes) -> Iterator[tuple[Id, int]]:
    """Yield the id of the second half of each pair in a text, and where the pair is in it."""
    text = _text(struct, update)
    clock, position = struct.clock, 0
    for match in _PAIR.finditer(text):
        clock += _units(text[position : match.start()]) + 1
        yield (struct.client, clock), match.start()
        clock, position = clock + 1, match.end()


def _text(struct: Struct, update: bytes) -> bytes:
    _, start = read_varuint(update, struct.content)
    return update[start : struct.end]


def _units(text: bytes) -> int:
    return len(text.decode().encode("utf-16-le")) // 2


def _edges_in(update: bytes) -> Iterator[Id]:
    """Yield the ids before which Yjs cuts texts when it integrates an update."""
    end = 1
    for struct in read_structs(update):
        end = struct.end
        if struct.left is not None:
            yield struct.left[0], struct.left[1] + 1
        if struct.right is not None:
            yield struct.right
    for client, first, last in read_deletions(update, end):
        yield client, first
        yield client, last


class SurrogatePairs:
    """The surrogate pairs of a document.

    Args:
        read: returns the document as updates.
    """

    def __init__(self, read: Callable[[], Iterable[bytes]]) -> None:
        self._read = read
        #: The clocks of second halves in their order, by client; ``None`` until they are needed.
        self._clocks: dict[int, array[int]] | None = None

    def forget(self) -> None:
        """Read the document again when that is needed."""
        self._clocks = None

    def add(self, update: bytes) -> None:
        """Add the pairs of an update that the document has integrated."""
        if self._clocks is not None:
            _add_pairs(update, self._clocks)

    def broken_by(self, update: bytes, *, is_ascii: bool = False) -> Set[Id]:
        """Return the ids of pairs, of the document and of an update, that the update breaks.

        Args:
            update: which the document integrates next.
            is_ascii: the letters of its texts are known to be ASCII.
        """
        if self._clocks is None:
            self._clocks = {}
            for part in self._read():
                _add_pairs(part, self._clocks)
        if is_ascii and not self._clocks:
            return _NONE
        own: dict[int, array[int]] = {}
        if not is_ascii:
            _add_pairs(update, own)
        places = [clocks for clocks in (own, self._clocks) if clocks]
        if not places:
            return _NONE
        return {
            edge for edge in _edges_in(update) if any(_is_in(edge, clocks) for clocks in places)
        }

    def known(self, ids: Iterable[Id]) -> Set[Id]:
        """Return those of ``ids`` that are pairs of the document."""
        return {each for each in ids if self._clocks and _is_in(each, self._clocks)}


def _add_pairs(update: bytes, clocks: dict[int, array[int]]) -> None:
    if not has_pairs(update):
        return
    for struct in read_structs(update):
        if struct.kind == STRING:
            for (client, clock), _ in _pairs_of(struct, update):
                of_client = clocks.setdefault(client, array("I"))
                if of_client and of_client[-1] >= clock:
                    of_client.insert(bisect_left(of_client, clock), clock)
                else:
                    of_client.append(clock)


def _is_in(edge: Id, clocks: dict[int, array[int]]) -> bool:
    of_client = clocks.get(edge[0])
    if of_client is None:
        return False
    index = bisect_left(of_client, edge[1])
    return index < len(of_client) and of_client[index] == edge[1]
