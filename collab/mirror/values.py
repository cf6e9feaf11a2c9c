"""Values of rows and of maps, brought to one form so that they can be compared."""

from __future__ import annotations

import json
from typing import Any

from pycrdt import Map

__all__ = ["from_json", "of_map", "plain", "same"]


def from_json(text: str) -> Any:
    """Decode JSON; a whole number is an ``int``, as documents do not tell 1.0 from 1."""
    return json.loads(text, parse_float=_number)


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value


def plain(value: Any) -> Any:
    """Return what a document holds as a value of JSON: numbers come from it as ``float``."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def of_map(row: Map[Any]) -> dict[str, Any]:
    """Return the values of a row's map; Text as ``str``."""
    values: dict[str, Any] = plain(row.to_py())
    return values


def same(one: Any, other: Any) -> bool:
    """Tell whether two values of JSON are the same; for Python, 1 is equal to ``True``."""
    if type(one) is not type(other):
        # An int and a float are never the same: whole numbers are ints.
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)
