"""Compares documents with the values written last, without a lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from pycrdt import Doc, Map

from collab.conf import get_storage
from collab.engine.hub.working_copies import load_copy
from collab.mirror.incoming.row_edits import Differences, RowEdit, RowKey
from collab.mirror.incoming.saving import ROW
from collab.mirror.models import MirroredRow
from collab.mirror.registry import ModelMirror, Values, mirrors
from collab.mirror.rows.values import Odd, same, take_row
from collab_storage.chunks import chunks

__all__ = ["by_mirror", "differences", "differs", "unchecked", "written_keys", "written_rows"]


def differences(room_name: str, edits: Sequence[RowEdit]) -> Differences:
    """Return the differences from the values written last: fields, or the row as a whole."""
    found = Differences()
    for mirror, those in by_mirror(edits):
        for chunk in chunks(those):
            written = written_rows(room_name, mirror, chunk)
            for edit in chunk:
                if names := _differences(mirror, edit, written.get(edit.key)):
                    found[edit.map_name, edit.key] = names
    return found


def unchecked(room_name: str, concerned: Iterable[ModelMirror[Any]]) -> Differences:
    """Return the differences of a stored document from the values written last."""
    doc, found = Doc[Any](), Differences()
    get_storage().wait_for(partial(load_copy, room_name, doc))
    for mirror in concerned:
        map_ = doc.get(mirror.map_name, type=Map)
        rows = MirroredRow.objects.filter(document__name=room_name, map_name=mirror.map_name)
        keys = {*map_.keys(), *rows.values_list("key", flat=True)}
        for chunk in chunks(keys):
            taken = {key: take_row(map_, key, mirror.text_fields) for key in chunk}
            found |= differences(
                room_name, [RowEdit(mirror.map_name, key, taken[key], {}) for key in chunk]
            )
    return found


def written_keys(room_name: str) -> list[RowKey]:
    """Return the map name and key of all rows that were written into a document."""
    rows = MirroredRow.objects.filter(document__name=room_name)
    return list(rows.values_list("map_name", "key"))


def written_rows(
    room_name: str, mirror: ModelMirror[Any], edits: Iterable[RowEdit]
) -> dict[str, MirroredRow]:
    """Return the edited rows as they were last written into a document, by key."""
    keys = [edit.key for edit in edits]
    rows = MirroredRow.objects.filter(document__name=room_name, map_name=mirror.map_name)
    return {row.key: row for row in rows.filter(key__in=keys)}


def by_mirror(edits: Iterable[RowEdit]) -> list[tuple[ModelMirror[Any], list[RowEdit]]]:
    """Return edits by mirror, in the order of mirrors."""
    found = defaultdict(list)
    for edit in edits:
        found[edit.map_name].append(edit)
    return [(mirror, found[mirror.map_name]) for mirror in mirrors() if mirror.map_name in found]


def differs(mirror: ModelMirror[Any], name: str, there: Values, written: Values) -> bool:
    """Return whether a field has another value in the document than was written."""
    one, other = there.get(name, Odd.MISSING), written.get(name, Odd.MISSING)
    if name in mirror.text_fields and other is None:
        other = ""
    return not same(one, other)


def _differences(mirror: ModelMirror[Any], edit: RowEdit, written: MirroredRow | None) -> set[str]:
    if written is None or not isinstance(edit.values, dict):
        return set() if written is None and edit.values is Odd.MISSING else {ROW}
    names = written.values.keys() | edit.values.keys()
    return {name for name in names if differs(mirror, name, edit.values, written.values)}
