"""A row's values, written into its map in a document with the smallest change."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pycrdt import Map, Text

from collab.documents.merging.texts import write_text
from collab.mirror.registry import Values
from collab.mirror.rows.values import plain, same

__all__ = ["write_row"]


def write_row(
    map_: Map[Any], key: str, before: Values, now: Values, text_fields: Collection[str]
) -> None:
    """Write the changes of a row into its map, which is created if it is missing.

    Args:
        map_: of all rows.
        key: of the row.
        before: its values when they were last written.
        now: its values now.
        text_fields: which of them are Text.
    """
    row = map_.get(key)
    if not isinstance(row, Map):
        map_[key] = Map({name: _shared(name, now[name], text_fields) for name in now})
        return
    for name in before.keys() - now.keys():
        row.pop(name, None)
    for name, value in now.items():
        if name in before and same(before[name], value):
            continue
        there = row.get(name)
        if name not in text_fields:
            if name not in row or not same(plain(there), value):
                row[name] = value
        elif isinstance(there, Text):
            write_text(there, before.get(name, str(there)) or "", value or "")
        else:
            row[name] = Text(value or "")


def _shared(name: str, value: Any, text_fields: Collection[str]) -> Any:
    return Text(value or "") if name in text_fields else value
