"""Events in the map of a mirror as changes of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from pycrdt import Map, MapEvent

from collab.mirror.incoming.saving import ROW

__all__ = ["RowField", "changed_fields", "observing"]

#: The key of a row, and a field or the row as a whole.
RowField = tuple[str, str]


def changed_fields(event: Any) -> list[RowField]:
    """Return the keys and fields that an event changes."""
    path = [str(step) for step in event.path]
    if not path:
        return [(key, ROW) for key in event.keys]
    if len(path) > 1:
        return [(path[0], path[1])]
    names = cast(Any, event).keys if isinstance(event, MapEvent) else (ROW,)
    return [(path[0], name) for name in names]


@contextmanager
def observing(rows: Map[Any]) -> Iterator[list[RowField]]:
    """Record the fields that are changed in the block."""
    changed: list[RowField] = []

    def record(events: Iterable[Any]) -> None:
        for event in events:
            changed.extend(changed_fields(event))

    subscription = rows.observe_deep(record)
    try:
        yield changed
    finally:
        rows.unobserve(subscription)
