"""Events in the map of a mirror as changes of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from pycrdt import Doc, Map, MapEvent

from collab.mirror.incoming.saving import ROW
from collab.protocol.yjs.updates import apply

__all__ = ["RowField", "apply_observed", "changed_fields"]

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


def apply_observed(
    doc: Doc[Any], update: bytes, map_names: Iterable[str]
) -> dict[str, list[RowField]]:
    """Apply an update; return the fields of rows that it changes, by the name of their map.

    Raises:
        PoisonedDoc: it cannot be applied.
    """
    with ExitStack() as stack:
        changed = {
            name: stack.enter_context(_observing(doc.get(name, type=Map))) for name in map_names
        }
        apply(doc, update)
    return changed


@contextmanager
def _observing(rows: Map[Any]) -> Iterator[list[RowField]]:
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
