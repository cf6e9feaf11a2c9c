"""Documents as they were, to find out the meaning of updates that came too late.

The present document integrates changes of a map that was replaced or removed as garbage. Applied to
the document before that, they are changes of rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from pycrdt import Doc, Map

from collab.conf import get_settings
from collab.mirror.incoming.map_events import apply_observed
from collab.mirror.incoming.row_edits import RowKey
from collab.mirror.incoming.saving import ROW
from collab.mirror.models import MirroredRefresh
from collab.mirror.registry import ModelMirror, Values, mirrors_in
from collab.mirror.rows.values import Odd, RowInMap, same, take_row
from collab.protocol.yjs.ranges import Range, deletions, overlaps
from collab.protocol.yjs.validation import UpdateOutline
from collab_storage.structs import read_structs

__all__ = ["Changes", "PastDocument", "Pasts", "touches"]

#: By row, the values of its changed fields, or an :class:`Odd` mark of the row as a whole.
Changes = dict[RowKey, Values]


def touches(refresh: MirroredRefresh, outline: UpdateOutline) -> bool:
    """Return whether an update may change maps that a refresh has replaced.

    An update lists old deletions, too; so do those of clients that know of the refresh.
    """
    deleted = list(deletions(outline))
    client, clock = refresh.witness
    if overlaps(sorted(deleted), (client, clock, clock + 1)):
        return False
    replaced = _replaced(refresh)
    return any(overlaps(replaced, each) for each in deleted) or _inserts(replaced, outline)


def _replaced(refresh: MirroredRefresh) -> list[Range]:
    return [tuple(found) for found in refresh.ids]


def _inserts(replaced: Sequence[Range], outline: UpdateOutline) -> bool:
    """Return whether an update inserts next to, or into, a replaced item."""
    places = (struct.neighbour or struct.parent for struct in read_structs(outline.update))
    return any(overlaps(replaced, (*place, place[1] + 1)) for place in places if place is not None)


class Pasts:
    """A document as it was before refreshes, kept as long as clients send such updates.

    Args:
        room_name: the document.
        refreshes: that clients may not know of.
    """

    def __init__(self, room_name: str, refreshes: Sequence[MirroredRefresh]) -> None:
        self._name = room_name
        self._refreshes = refreshes
        self._kept: dict[int, PastDocument] = {}

    def apply(self, outline: UpdateOutline) -> tuple[Changes, bool]:
        """Return the changes of replaced maps that an update makes.

        Returns:
            the changes, and whether it makes others that are not known any more.

        Raises:
            Exception: an update or a document of the past is damaged.
        """
        changes, is_unknown = Changes(), False
        for refresh in self._refreshes:
            # An update that builds upon others need not touch the maps itself.
            if refresh.pk not in self._kept and not touches(refresh, outline):
                continue
            # If it fails, the document may have the update in part.
            past = self._kept.pop(refresh.pk, None) or self._before(refresh)
            if past is None:
                is_unknown = is_unknown or _inserts(_replaced(refresh), outline)
                continue
            for row, values in past.apply(outline.update).items():
                changes[row] = changes.get(row, {}) | values
            if past.size <= get_settings().MAX_PENDING:
                self._kept[refresh.pk] = past
        return changes, is_unknown

    def _before(self, refresh: MirroredRefresh) -> PastDocument | None:
        """Return the document before a refresh; ``None`` if it is not kept any more."""
        refresh.refresh_from_db(fields=["content"])
        if refresh.content is None:
            return None
        doc = Doc[Any]()
        doc.apply_update(zlib.decompress(refresh.content))
        mirrors = mirrors_in(self._name)
        left = {(map_name, key) for map_name, key in refresh.left}
        there = {
            (mirror.map_name, key)
            for mirror in mirrors
            for key in list(doc.get(mirror.map_name, type=Map).keys())
        }
        return PastDocument(doc, mirrors, there - left)


class PastDocument:
    """A document with rows whose maps it does not have any more.

    Args:
        doc: as it was.
        mirrors: that have rows in it.
        keys: of these rows.
    """

    def __init__(
        self, doc: Doc[Any], mirrors: Iterable[ModelMirror[Any]], keys: Iterable[RowKey]
    ) -> None:
        #: Bytes that were applied to it.
        self.size = 0
        self._doc = doc
        self._mirrors = {mirror.map_name: mirror for mirror in mirrors}
        self._rows = {key: self.row(*key) for key in keys}

    def apply(self, update: bytes) -> Changes:
        """Return the changes that an update makes in the rows.

        Raises:
            PoisonedDoc: it cannot be applied.
        """
        self.size += len(update)
        changed = apply_observed(self._doc, update, self._mirrors)
        touched = {(name, key) for name, fields in changed.items() for key, _ in fields}
        rows = sorted(touched & self._rows.keys())
        return {row: values for row in rows if (values := self._changed(row))}

    def _changed(self, row: RowKey) -> Values:
        before, now = self._rows[row], self.row(*row)
        self._rows[row] = now
        if isinstance(before, Odd) or isinstance(now, Odd):
            return {} if before is now else {ROW: Odd.NOT_JSON}
        return {
            name: now.get(name, Odd.NOT_JSON)
            for name in sorted(before.keys() | now.keys())
            if not same(before.get(name, Odd.MISSING), now.get(name, Odd.MISSING))
        }

    def row(self, name: str, key: str) -> RowInMap:
        """Return the value in the map of a mirror under a key."""
        rows = self._doc.get(name, type=Map)
        return take_row(rows, key, self._mirrors[name].text_fields)
