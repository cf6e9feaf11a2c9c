"""Writes the values of a row into its map, unless a newer edit is there."""

from __future__ import annotations

from typing import Any

from pycrdt import Map, Text

from collab.documents.merging.texts import write_text
from collab.mirror.incoming.row_edits import RowEdit
from collab.mirror.incoming.unchecked import differs
from collab.mirror.outgoing.row_maps import write_row
from collab.mirror.registry import ModelMirror, Values
from collab.mirror.rows.values import Odd, same, take_field, take_row

__all__ = ["move_row", "put_back", "set_field"]


def put_back(mirror: ModelMirror[Any], key: str, values: Values, rows: Map[Any]) -> None:
    """Write a row that a client has removed, or overwritten."""
    if not isinstance(rows.get(key), Map):
        write_row(rows, key, {}, values, mirror.text_fields)


def move_row(mirror: ModelMirror[Any], edit: RowEdit, key: str, rows: Map[Any]) -> None:
    """Remove a new row's map, and write newer edits of it into the map under its ``key``."""
    text_fields, before = mirror.text_fields, edit.fields
    there = take_row(rows, edit.key, text_fields)
    rows.pop(edit.key, None)
    row = rows[key]
    if isinstance(there, Odd):
        return
    for name, value in there.items():
        if isinstance(value, Odd) or not differs(mirror, name, there, before):
            continue
        text = row.get(name)
        if name in text_fields and isinstance(text, Text):
            written = before.get(name)
            write_text(text, written if isinstance(written, str) else "", value)
        else:
            row[name] = value


def set_field(
    mirror: ModelMirror[Any], key: str, name: str, before: Any, now: Any, rows: Map[Any]
) -> None:
    """Set a field of a row's map to ``now``, if it is still ``before``."""
    row = rows.get(key)
    if not isinstance(row, Map):
        return
    # The field may be hidden in this document.
    if name in mirror.text_fields and now is not Odd.MISSING:
        _set_text(row, name, before, now or "")
    elif same(take_field(row, name, mirror.text_fields), before):
        if now is Odd.MISSING:
            row.pop(name, None)
        else:
            row[name] = now


def _set_text(row: Map[Any], name: str, before: Any, now: str) -> None:
    text = row.get(name)
    if not isinstance(text, Text):
        row[name] = Text(now)
    elif type(before) is str:
        # The text keeps later typing where it can.
        write_text(text, before, now)
