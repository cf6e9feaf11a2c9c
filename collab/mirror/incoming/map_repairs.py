"""Writes the values of a row into its map, unless a newer edit is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pycrdt import Map, Text

from collab.documents.merging.texts import write_text
from collab.mirror.incoming.row_edits import RowEdit
from collab.mirror.incoming.unchecked import differs
from collab.mirror.outgoing.row_maps import write_row
from collab.mirror.registry import ModelMirror, Values
from collab.mirror.rows.values import Odd, same, take_field, take_row

__all__ = ["MoveRow", "PutBack", "Repair", "SetField"]

#: Changes the map of all rows of a mirror.
Repair = Callable[[Map[Any]], object]


@dataclass(frozen=True, slots=True)
class PutBack:
    """Writes a row that a client has removed, or overwritten."""

    mirror: ModelMirror[Any]
    key: str
    values: Values

    def __call__(self, rows: Map[Any]) -> None:
        if not isinstance(rows.get(self.key), Map):
            write_row(rows, self.key, {}, self.values, self.mirror.text_fields)


@dataclass(frozen=True, slots=True)
class MoveRow:
    """Removes a new row's map, and writes newer edits of it into the map under its ``key``."""

    mirror: ModelMirror[Any]
    edit: RowEdit
    key: str

    def __call__(self, rows: Map[Any]) -> None:
        text_fields, before = self.mirror.text_fields, self.edit.fields
        there = take_row(rows, self.edit.key, text_fields)
        rows.pop(self.edit.key, None)
        row = rows[self.key]
        if isinstance(there, Odd):
            return
        for name, value in there.items():
            if isinstance(value, Odd) or not differs(self.mirror, name, there, before):
                continue
            text = row.get(name)
            if name in text_fields and isinstance(text, Text):
                written = before.get(name)
                write_text(text, written if isinstance(written, str) else "", value)
            else:
                row[name] = value


@dataclass(frozen=True, slots=True)
class SetField:
    """Sets a field of a row's map to ``now``, if it is still ``before``."""

    mirror: ModelMirror[Any]
    key: str
    name: str
    before: Any
    now: Any

    def __call__(self, rows: Map[Any]) -> None:
        row = rows.get(self.key)
        if not isinstance(row, Map):
            return
        text_fields = self.mirror.text_fields
        # The field may be hidden in this document.
        if self.name in text_fields and self.now is not Odd.MISSING:
            self._write_text(row)
        elif same(take_field(row, self.name, text_fields), self.before):
            if self.now is Odd.MISSING:
                row.pop(self.name, None)
            else:
                row[self.name] = self.now

    def _write_text(self, row: Map[Any]) -> None:
        text = row.get(self.name)
        if not isinstance(text, Text):
            row[self.name] = Text(self.now or "")
        elif type(self.before) is str:
            # The text keeps later typing where it can.
            write_text(text, self.before, self.now or "")
