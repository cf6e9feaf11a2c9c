"""Long lists in parts, for statements that name each value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

__all__ = ["CHUNK", "chunks"]

T = TypeVar("T")

#: Most values in one statement: older builds of SQLite allow 999.
CHUNK = 500


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Yield ``values`` in lists of :data:`CHUNK`."""
    iterator = iter(values)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
