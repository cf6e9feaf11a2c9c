"""Plain values from shared types."""

from __future__ import annotations

import base64
from typing import Any

from pycrdt import Array, Map, Text

from collab.content.trees import clean_number

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return a value of a shared type, or such a type, as JSON has it."""
    match value:
        case bool() | int() | str() | None:
            return value
        case float():
            return clean_number(value)
        case dict() | Map():
            return {key: plain(value[key]) for key in sorted(value.keys())}
        case list() | tuple() | Array():
            return [plain(item) for item in value]
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case Text():
            return str(value)
        case _:
            return None
