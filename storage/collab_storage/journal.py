"""Lets an app record which documents have changed, with each change that a storage makes.

A storage on the project's database records in the transaction of the change; others do it right
after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from asgiref.sync import sync_to_async

from .base import LogEntry

__all__ = ["DocumentEvent", "EventKind", "Recorder", "arecord", "changes_of", "journal", "record"]


class EventKind(IntEnum):
    """The kind of a change of a document; the numbers are stored."""

    CREATED = 1
    CHANGED = 2
    DELETED = 3
    RENAMED = 4


class DocumentEvent(NamedTuple):
    """A change of a document.

    Args:
        name: the document.
        kind: of the change.
        user_id: primary key of the user who made it, as text; ``None`` if unknown.
        old_name: the name that a renamed document had.
    """

    name: str
    kind: EventKind
    user_id: str | None = None
    old_name: str = ""


class Recorder(NamedTuple):
    """Records the events of documents whose names it ``tracks``.

    ``record`` gets the alias of the database whose transaction it runs in; ``None`` if it runs
    in none.
    """

    tracks: Callable[[str], bool]
    record: Callable[[Sequence[DocumentEvent], str | None], None]


#: The recorders of the project's apps.
journal: list[Recorder] = []


def changes_of(entries: Iterable[LogEntry], created: Iterable[str] = ()) -> list[DocumentEvent]:
    """Return the tracked events of appending ``entries``, which creates documents ``created``."""
    if not journal:
        return []
    changed = [entry for entry in entries if _is_tracked(entry.name)]
    events = [DocumentEvent(name, EventKind.CREATED) for name in created if _is_tracked(name)]
    events += [DocumentEvent(entry.name, EventKind.CHANGED, entry.user_id) for entry in changed]
    return list(dict.fromkeys(events))


def record(events: Sequence[DocumentEvent], using: str | None = None) -> None:
    """Record those of ``events`` that are tracked."""
    for recorder in journal:
        if tracked := [event for event in events if recorder.tracks(event.name)]:
            recorder.record(tracked, using)


async def arecord(events: Sequence[DocumentEvent]) -> None:
    """See :func:`record`."""
    if any(_is_tracked(event.name) for event in events):
        await sync_to_async(record)(events)


def _is_tracked(name: str) -> bool:
    for recorder in journal:  # noqa: SIM110 (a generator would take twice as long, for each row)
        if recorder.tracks(name):
            return True
    return False
