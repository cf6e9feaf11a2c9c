"""The depth of the shared types in a document, which may be inside each other.

When one is deleted, pycrdt deletes its content by recursion, level by level, and it encodes a type
in the same way. At some depth its stack is used up, and the process ends. Nothing can
catch that, so no member's update may bring a document that far. Each update may be harmless by
itself; the levels of several add up.

Levels cannot be more than there are types, which is all that is looked at as long as they are
few. Only for a document with many, and only when a member brings another, the level of all that
is in it is found out, once, and noted from then on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from collab.exceptions import ProtocolViolation, TooBig
from collab.protocol.yjs.partial import PartialUpdate, StateVector
from collab.protocol.yjs.validation import UpdateOutline, check_structure
from collab_storage.structs import SHARED_TYPE, Struct

__all__ = ["Nesting"]

#: Updates that are kept before they are looked at.
_MAX_NEWS = 1_000

#: Client id -> the clocks from which on its insertions are on another level, and those levels.
_Runs = dict[int, tuple[list[int], list[int]]]


class Nesting:
    """Keeps a document from being nested too deep.

    Args:
        limit: how many types may be inside each other.
        whole: returns the document as an update.
    """

    def __init__(self, limit: int, whole: Callable[[], bytes]) -> None:
        self._limit = limit
        self._whole = whole
        #: The number of types at most; ``None`` if they have not been counted.
        self._types: int | None = None
        self._levels: _Levels | None = None
        #: Updates that the document has integrated since the types were counted.
        self._news: list[bytes] = []

    def note(self, update: bytes) -> None:
        """Note that the document has taken in ``update``."""
        if self._types is not None:
            self._news.append(update)
            if len(self._news) > _MAX_NEWS:
                with self._forgiving():
                    self._catch_up()

    def forget(self) -> None:
        """Begin anew: the document has become another."""
        self._types = self._levels = None
        self._news = []

    def rest(self) -> None:
        """Keep no more than the number of types: the document will not change soon."""
        if self._types is not None:
            with self._forgiving():
                self._catch_up()
        self._levels = None

    def check(self, outline: UpdateOutline) -> None:
        """Return if the document may take in an update, which it can at once.

        Raises:
            TooBig: it would be nested too deep.
        """
        if not outline.types:
            return
        with self._forgiving():
            if self._may_be_too_deep(outline) and self._is_too_deep(outline):
                raise TooBig(
                    f"At most {self._limit} shared types may be inside each other.",
                    limit="MAX_NESTING",
                )

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            yield
        except ProtocolViolation:
            # Server code, or another server, has inserted content that no client writes.
            self.forget()

    def _may_be_too_deep(self, outline: UpdateOutline) -> bool:
        """Return whether there would be more types than may be inside each other."""
        if self._types is None:
            self._types = _most_types(self._whole())
        self._catch_up()
        return self._types + outline.types > self._limit

    def _is_too_deep(self, outline: UpdateOutline) -> bool:
        if self._levels is None:
            whole = check_structure(self._whole())
            self._types = whole.types
            if whole.types + outline.types <= self._limit:
                return False
            self._levels = _Levels()
            self._levels.add(whole)
        return self._levels.depth_of(outline) > self._limit

    def _catch_up(self) -> None:
        assert self._types is not None
        news, self._news = self._news, []
        for update in news:
            outline = check_structure(update)
            self._types += outline.types
            if self._levels is not None:
                self._levels.add(outline)


def _most_types(update: bytes) -> int:
    """Return the number of bytes that may begin a shared type; fast, and too many rather."""
    return sum(update.count(bytes((flags | SHARED_TYPE,))) for flags in range(0, 256, 32))


class _Levels:
    """On which level each insertion of a document is: in how many types, the root included."""

    def __init__(self) -> None:
        self._known: StateVector = {}
        self._runs: _Runs = {}

    def add(self, outline: UpdateOutline) -> None:
        """Note the insertions of an update, which the document has taken in."""
        self._walk(outline, self._known, self._runs)

    def depth_of(self, outline: UpdateOutline) -> int:
        """Return the level of the deepest type in an update, which the document can take in."""
        return self._walk(outline, dict(self._known), {})

    def _walk(self, outline: UpdateOutline, known: StateVector, runs: _Runs) -> int:
        deepest = 0

        def note(struct: Struct) -> None:
            nonlocal deepest
            level = self._level(struct, runs)
            clocks, levels = runs.setdefault(struct.client, ([], []))
            if not levels or levels[-1] != level:
                clocks.append(struct.clock)
                levels.append(level)
            if struct.kind == SHARED_TYPE:
                deepest = max(deepest, level)

        PartialUpdate(outline).take(known, note)
        return deepest

    def _level(self, struct: Struct, runs: _Runs) -> int:
        if struct.neighbour is not None:
            return self._level_at(*struct.neighbour, runs)
        if struct.parent is not None:
            level = self._level_at(*struct.parent, runs)
            # The children of a collected parent are collected, too.
            return level + 1 if level else 0
        return 0 if struct.is_garbage else 1

    def _level_at(self, client: int, clock: int, runs: _Runs) -> int:
        clocks, levels = runs.get(client) or self._runs[client]
        if clock < clocks[0]:
            clocks, levels = self._runs[client]
        return levels[bisect_right(clocks, clock) - 1]
