"""Values that are the same for many connections: one object serves all of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

__all__ = ["shared"]

T = TypeVar("T")

#: Values that are kept, of at most as many bytes as a request has.
_MAX_SHARED = 256


@lru_cache(_MAX_SHARED)
def shared(value: T) -> T:
    """Return an equal value that other connections have, too."""
    return value
