"""Changes that came too late: of maps that were replaced before the client that made them knew.

The document takes them in as garbage. What they were is found out by applying them to the
document as it was before; see :mod:`~.refreshing`.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from enum import Enum
from typing import Any

from pycrdt import Doc, Map

from collab.mirror.history.refresh import Key, Range, joined, structs
from collab.mirror.incoming.client_changes import Author, Refusal
from collab.mirror.incoming.map_events import observing
from collab.mirror.incoming.saving import ROW, Problem
from collab.mirror.models import MirroredRefresh
from collab.mirror.registry import ModelMirror, mirrors_in
from collab.mirror.rows.values import Odd, RowInMap, same, take_row
from collab.protocol.yjs.updates import apply
from collab.protocol.yjs.validation import UpdateOutline, read_deletions

__all__ = ["Forgotten", "Late", "Lateness", "Past", "before_refresh"]

_PROBLEM = Problem(409, ("This was changed in a version of the document that is too old.",))

#: Client id and clock.
Id = tuple[int, int]


class Forgotten(Exception):
    """What was changed is not known any more."""


class Late(Enum):
    """What an update may change of maps that were replaced."""

    NOTHING = 0
    #: Rows may be removed. An update tells of old deletions, too.
    DELETIONS = 1
    VALUES = 2


class Lateness:
    """Tells updates that may change maps which a refresh has replaced.

    Args:
        refresh: that one.
    """

    def __init__(self, refresh: MirroredRefresh) -> None:
        self._witness: Id = tuple(refresh.witness)
        self._ids: list[Range] = [tuple(found) for found in refresh.ids]

    def look(self, outline: UpdateOutline) -> Late:
        """Tell what an update may change of them."""
        deletions = list(read_deletions(outline.update, outline.deletions))
        if any(_within(self._witness, deleted) for deleted in deletions):
            # Who sent it knows of the refresh.
            return Late.NOTHING
        if late := dict(reversed(list(self._late(outline)))):
            ends = {section[0]: section[2] for section in outline.sections}
            built = [(client, clock, ends[client]) for client, clock in late.items()]
            # What comes next may build upon it.
            self._ids = joined([*self._ids, *built])
            return Late.VALUES
        is_late = any(self._overlaps(*deleted) for deleted in deletions)
        return Late.DELETIONS if is_late else Late.NOTHING

    def _late(self, outline: UpdateOutline) -> Iterator[Id]:
        """Yield the ids of insertions next to, or in, what is gone."""
        for client, clock, _, place in structs(outline):
            where = place.beside or place.inside
            if where is not None and self._overlaps(*where, where[1] + 1):
                yield client, clock

    def _overlaps(self, client: int, start: int, end: int) -> bool:
        # The last range that begins before the end.
        index = bisect_left(self._ids, (client, end)) - 1
        return index >= 0 and self._ids[index][0] == client and self._ids[index][2] > start


def _within(id_: Id, found: Range) -> bool:
    return id_[0] == found[0] and found[1] <= id_[1] < found[2]


def before_refresh(room_name: str, refresh: MirroredRefresh) -> Past:
    """Return a document as it was before a refresh.

    Raises:
        Forgotten: it is not kept any more.
    """
    refresh.refresh_from_db(fields=["content"])
    if refresh.content is None:
        raise Forgotten
    doc = Doc[Any]()
    doc.apply_update(zlib.decompress(refresh.content))
    mirrors = mirrors_in(room_name)
    left = {(map_name, key) for map_name, key in refresh.left}
    there = {
        (mirror.map_name, key)
        for mirror in mirrors
        for key in list(doc.get(mirror.map_name, type=Map).keys())
    }
    return Past(doc, mirrors, there - left)


class Past:
    """A document with rows that are not in it any more, to which what comes late is applied.

    Args:
        doc: as it was before.
        mirrors: that have rows in it.
        keys: of these rows.
    """

    def __init__(
        self, doc: Doc[Any], mirrors: Iterable[ModelMirror[Any]], keys: Iterable[Key]
    ) -> None:
        #: Bytes that were applied to it.
        self.taken = 0
        self._doc = doc
        self._mirrors = {mirror.map_name: mirror for mirror in mirrors}
        self._rows = {key: self.row(*key) for key in keys}

    def apply(self, author: Author, update: bytes) -> list[Refusal]:
        """Return what ``author`` changes in rows with an update.

        Raises:
            PoisonedDoc: it cannot be applied.
        """
        self.taken += len(update)
        with ExitStack() as stack:
            changed = {
                name: stack.enter_context(observing(self._map(name))) for name in self._mirrors
            }
            apply(self._doc, update)
        touched = {(name, key) for name, spots in changed.items() for key, _ in spots}
        return [
            refusal
            for row in sorted(touched & self._rows.keys())
            if (refusal := self._compare(author, row))
        ]

    def _compare(self, author: Author, row: Key) -> Refusal | None:
        before, now = self._rows[row], self.row(*row)
        self._rows[row] = now
        if isinstance(before, Odd) or isinstance(now, Odd):
            return None if before is now else Refusal(author, *row, {ROW: _PROBLEM}, {})
        names = [
            name
            for name in sorted(before.keys() | now.keys())
            if not same(before.get(name, Odd.MISSING), now.get(name, Odd.MISSING))
        ]
        values = {
            name: now[name] for name in names if not isinstance(now.get(name, Odd.MISSING), Odd)
        }
        return Refusal(author, *row, dict.fromkeys(names, _PROBLEM), values) if names else None

    def _map(self, name: str) -> Map[Any]:
        found: Map[Any] = self._doc.get(name, type=Map)
        return found

    def row(self, name: str, key: str) -> RowInMap:
        """Return what is in the map of a mirror under a key."""
        return take_row(self._map(name), key, self._mirrors[name].text_fields)
