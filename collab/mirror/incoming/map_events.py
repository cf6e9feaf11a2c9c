"""What events in the map of a mirror tell of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from pycrdt import Map, MapEvent

from collab.mirror.incoming.saving import ROW

__all__ = ["Spot", "observing", "spots"]

#: The key of a row, and a field or the row as a whole.
Spot = tuple[str, str]


def spots(event: Any) -> list[Spot]:
    """Return the keys and fields that an event tells of."""
    path = [str(step) for step in event.path]
    if not path:
        return [(key, ROW) for key in event.keys]
    if len(path) > 1:
        return [(path[0], path[1])]
    names = cast(Any, event).keys if isinstance(event, MapEvent) else (ROW,)
    return [(path[0], name) for name in names]


@contextmanager
def observing(rows: Map[Any]) -> Iterator[list[Spot]]:
    """Note what is changed in the block."""
    changed: list[Spot] = []

    def note(events: Iterable[Any]) -> None:
        for event in events:
            changed.extend(spots(event))

    subscription = rows.observe_deep(note)
    try:
        yield changed
    finally:
        rows.unobserve(subscription)
