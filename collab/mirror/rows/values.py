"""Values of rows and of maps, brought to one form so that they can be compared."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from enum import Enum
from math import isfinite
from typing import Any

from pycrdt import Map, Text

__all__ = [
    "Odd",
    "PlainText",
    "RowInMap",
    "from_json",
    "plain",
    "same",
    "take_field",
    "take_row",
    "without_marks",
]


class Odd(Enum):
    """Stands for something in a map that is not a value of JSON."""

    MISSING = "nothing"
    NOT_JSON = "something that rows cannot have"


class PlainText(str):
    """A plain string where there should be a Text."""

    __slots__ = ()


#: The content under a row's key: values, or a mark that it is missing or not a Map.
RowInMap = dict[str, Any] | Odd


def from_json(text: str) -> Any:
    """Decode JSON; a whole number is an ``int``, as documents do not distinguish 1.0 and 1."""
    return json.loads(text, parse_float=_number)


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value


def plain(value: Any) -> Any:
    """Return a value of a document as one of JSON: numbers come from it as ``float``."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def same(one: Any, other: Any) -> bool:
    """Return whether two values of JSON are the same; for Python, 1 is equal to ``True``."""
    if type(one) is not type(other):
        # An int never equals a float: whole numbers are ints.
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def without_marks(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a row's values that are values of JSON."""
    return {name: value for name, value in values.items() if not isinstance(value, Odd)}


def take_row(rows: Map[Any], key: str, text_fields: Collection[str]) -> RowInMap:
    """Return the content of the map ``rows`` under ``key``, valid or not."""
    if key not in rows:
        return Odd.MISSING
    row = rows[key]
    if not isinstance(row, Map):
        return Odd.NOT_JSON
    return {name: take_field(row, name, text_fields) for name in list(row.keys())}


def take_field(row: Map[Any], name: str, text_fields: Collection[str]) -> Any:
    """Return the value of a field in a row's map, or an :class:`Odd` mark if it has none.

    Of a text field it is a ``str`` if there is a Text, and a :class:`PlainText` if there is a
    plain string instead.
    """
    if name not in row:
        return Odd.MISSING
    value = row[name]
    if name in text_fields:
        if isinstance(value, Text):
            return str(value)
        return PlainText(value) if isinstance(value, str) else Odd.NOT_JSON
    try:
        return plain(value) if _is_json(value) else Odd.NOT_JSON
    except RecursionError:
        return Odd.NOT_JSON


def _is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, str | bool | int)
