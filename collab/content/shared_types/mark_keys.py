"""Keys of marks in the formatting of a shared text.

A mark is stored under its name. A text can have several marks of one kind, comments for example,
if that kind overlaps itself; such a mark is stored under its name and a hash of its value.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from collab.content.schema import MarkType
from collab.content.trees import Mark

from .any_encoding import encode_any

__all__ = ["mark_key", "mark_name"]

_HASHED = re.compile(r"(.*)--[a-zA-Z0-9+/=]{8}", re.DOTALL)
#: Bytes of the hash.
_SIZE = 6


def mark_name(key: str) -> str:
    """Return the name of the mark that is stored under a key."""
    hashed = _HASHED.fullmatch(key)
    return hashed[1] if hashed else key


def mark_key(mark: Mark, mark_type: MarkType | None) -> str:
    """Return the key that a mark is stored under."""
    if mark_type is None or not mark_type.overlaps:
        name: str = mark["type"]
        return name
    value: dict[str, Any] = {"type": mark["type"]}
    if mark_type.attributes:
        given = mark.get("attrs", {})
        # The hash depends on the order of the attributes, which is the schema's.
        value["attrs"] = {
            key: given.get(key, attribute.default)
            for key, attribute in mark_type.attributes.items()
        }
    return f"{mark['type']}--{_hash(encode_any(value))}"


def _hash(data: bytes) -> str:
    digest = bytearray(hashlib.sha256(data).digest())
    for index in range(_SIZE, len(digest)):
        digest[index % _SIZE] ^= digest[index]
    return base64.b64encode(digest[:_SIZE]).decode()
