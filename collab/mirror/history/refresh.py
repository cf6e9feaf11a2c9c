"""Rows whose tombstones outweigh them are written anew, while nobody has the document open.

Each change of a field leaves a tombstone in the row's map, and those of different fields never
become one. When the map is replaced, all that was in it becomes one range with its neighbours.

What a client changes in an old map, because it does not know of the new one yet, is lost. So
that is done only after nobody has opened the document for a long time: a process that has it open
says so, now and then. And what the document was before is kept, so that who comes back later with
such changes is told what they were, see :mod:`~.losses`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from django.utils import timezone
from pycrdt import Doc, Map, Text, get_state

from collab.conf import get_settings, get_storage
from collab.engine.hub.current import in_all_hubs, live_hubs
from collab.engine.hub.working_copies import recording_updates
from collab.mirror.incoming.client_changes import unchecked
from collab.mirror.models import MirroredDocument, MirroredRefresh
from collab.mirror.outgoing.writing import Writing, writing
from collab.mirror.registry import mirrors_in
from collab.mirror.retry import patiently
from collab.mirror.rows.values import plain
from collab.protocol.yjs.updates import EMPTY_UPDATE, apply, merge
from collab.protocol.yjs.validation import (
    Place,
    UpdateOutline,
    check_structure,
    read_place,
    read_struct,
)
from collab_storage.compaction import compact
from collab_storage.updates import state_vector

__all__ = [
    "Key",
    "Range",
    "arrive",
    "joined",
    "noting_interval",
    "refresh",
    "stay",
    "structs",
]

#: A document is refreshed if it is so many times smaller afterwards, and so many bytes.
FACTOR = 2
LEAST = 16 * 1024
#: If it is so many times smaller than that, a part of ``ROWS_CLOSED_TIME`` is enough, one over
#: this at most. It would else go on growing if it is open each day.
HURRY = 24
#: So many times in the shortest of these times it is noted that a document is open.
NOTED = 4
#: A document that is being opened may have been loaded so long ago, at most.
_LOADED = timedelta(minutes=10)

#: Map name and key.
Key = tuple[str, str]
#: Client id, first clock, and the clock behind the last.
Range = tuple[int, int, int]


@patiently
def refresh(room_name: str) -> bool:
    """Write the rows of a document anew if that makes it much smaller, and compact it.

    Returns:
        False if it was left as it is: because nothing would be gained, or because somebody may
        have it open, or come back to it soon; see :func:`_least_factor`.
    """
    if any(hub.holds(room_name) for hub in live_hubs()):
        return False
    with writing(room_name) as document:
        is_refreshed = document is not None and _refresh(document)
    if is_refreshed:
        async_to_sync(compact)(get_storage(), room_name)
    return is_refreshed


@patiently
def arrive(room_name: str) -> list[MirroredRefresh]:
    """Note that this process opens a document, which is refreshed before if nobody has it open.

    Returns:
        the refreshes of which somebody may come back who does not know of them.
    """
    is_refreshed, refreshes = False, list[MirroredRefresh]()
    with writing(room_name) as document:
        if document is not None:
            is_refreshed = _refresh(document)
            stay(room_name)
            refreshes = _remembered(document.record)
    if is_refreshed:
        async_to_sync(compact)(get_storage(), room_name)
    elif any(timezone.now() - refresh.at < _LOADED for refresh in refreshes):
        _load_again(room_name)
    return refreshes


def stay(room_name: str) -> None:
    """Note that this process has a document open."""
    MirroredDocument.objects.filter(name=room_name).update(opened_at=timezone.now())


def noting_interval() -> float:
    """Return after how many seconds to note again that a document is open."""
    return get_settings().ROWS_CLOSED_TIME / HURRY / NOTED


def _least_factor(record: MirroredDocument) -> float | None:
    """Return how many times smaller a document has to become.

    The longer nobody has had it open, the fewer come back with changes of its old maps; and the
    larger it is, the more of that is it worth. ``None`` if a process may have it open now.
    """
    if record.opened_at is None:
        return FACTOR
    needed = timedelta(seconds=get_settings().ROWS_CLOSED_TIME)
    closed = timezone.now() - record.opened_at
    return None if closed * HURRY <= needed else FACTOR * max(1.0, needed / closed)


def _remembered(record: MirroredDocument) -> list[MirroredRefresh]:
    keep = timedelta(seconds=get_settings().ROWS_PAST_TIME)
    record.refreshes.filter(at__lt=timezone.now() - keep).update(content=None)
    return list(record.refreshes.defer("content").order_by("at"))


def _load_again(room_name: str) -> None:
    """Let this process have what was stored since it has loaded the document.

    Another may just have refreshed it: nobody is to get to see the old maps here.
    """
    stored = get_storage().wait_for(partial(get_storage().load, room_name))
    if stored is not None:
        update = merge(stored.updates)
        in_all_hubs(lambda hub: hub.deliver(room_name, update))


# Refreshing.


def _refresh(document: Writing) -> bool:
    factor = _least_factor(document.record)
    if factor is None or document.doc is None or document.is_new:
        return False
    before = document.doc.get_update()
    if len(before) < LEAST or not _may_gain(document.record, len(before), factor):
        return False
    after, update, left = _refreshed(document, before)
    document.record.fresh_size = len(after)
    document.record.save(update_fields=["fresh_size"])
    if len(before) - len(after) < LEAST or len(before) < factor * len(after):
        return False
    with document.changing():
        apply(document.doc, update)
    _remember(document.record, before, after, update, left)
    return True


def _may_gain(record: MirroredDocument, size: int, factor: float) -> bool:
    """Tell whether it is worth finding out how large a document would be.

    What it was when that was found out last is good enough until it has been closed for long.
    """
    return factor <= FACTOR or record.fresh_size is None or size >= factor * record.fresh_size


def _refreshed(document: Writing, before: bytes) -> tuple[bytes, bytes, list[Key]]:
    """Return what a document would be, the update that makes it so, and which rows stay."""
    copy = Doc[Any](client_id=document.record.client_id)
    copy.apply_update(before)
    keys, left = _rows(document, copy)
    with recording_updates(copy) as updates, copy.transaction():
        for number, (map_name, key) in enumerate(keys):
            _replace(copy.get(map_name, type=Map), key, is_first=not number)
    return _folded(copy), updates[0] if updates else EMPTY_UPDATE, left


def _folded(doc: Doc[Any]) -> bytes:
    """Return a document as it is encoded when it is loaded the next time.

    What has just been deleted is in pieces until then.
    """
    fresh = Doc[Any]()
    fresh.apply_update(doc.get_update())
    return fresh.get_update()


def _rows(document: Writing, doc: Doc[Any]) -> tuple[list[Key], list[Key]]:
    """Return which rows to replace, and which not.

    Those are rows that somebody has changed and nobody has checked, and what cannot be copied.
    """
    concerned = mirrors_in(document.name)
    left = list(unchecked(document.name, concerned))
    names = [mirror.map_name for mirror in concerned]
    rows = document.record.rows.filter(map_name__in=names).order_by("map_name", "pk")
    keys = list[Key]()
    for map_name, key in rows.values_list("map_name", "key"):
        if (map_name, key) not in left:
            is_simple = _is_simple(doc.get(map_name, type=Map)[key])
            (keys if is_simple else left).append((map_name, key))
    return keys, left


def _is_simple(row: Map[Any]) -> bool:
    texts = (value for value in row.values() if isinstance(value, Text))
    return all(isinstance(chunk, str) for text in texts for chunk, _ in text.diff())


def _replace(rows: Map[Any], key: str, *, is_first: bool) -> None:
    """Put a new map with the same values in the place of a row's.

    The first one is replaced twice: what is deleted with that is what tells who knows of it.
    """
    old = rows[key]
    texts = {name: value.diff() for name, value in old.items() if isinstance(value, Text)}
    values = {name: plain(value) for name, value in old.items() if name not in texts}
    if is_first:
        rows[key] = None
    rows[key] = Map(values | {name: Text() for name in texts})
    for name, chunks in texts.items():
        _write_chunks(rows[key][name], chunks)


def _write_chunks(text: Text, chunks: Sequence[tuple[str, dict[str, Any] | None]]) -> None:
    for chunk, _ in chunks:
        text += chunk
    end = 0
    # Not while writing: what comes behind a format would have it, too.
    for chunk, attributes in chunks:
        start, end = end, end + len(chunk.encode())
        if attributes:
            text.format(start, end, attributes)


def _remember(
    record: MirroredDocument, before: bytes, after: bytes, update: bytes, left: list[Key]
) -> None:
    known = state_vector(get_state(before))
    assert record.client_id is not None
    record.refreshes.create(
        at=timezone.now(),
        ids=joined([*_collected(after), *_replaced(update, known)]),
        witness=[record.client_id, known[record.client_id]],
        left=left,
        content=zlib.compress(before),
    )


# Whose and which insertions.


def _collected(update: bytes) -> Iterator[Range]:
    """Yield what was in maps, and other types, that are gone."""
    for client, clock, length, place in structs(check_structure(update)):
        if not place.is_item:
            yield client, clock, clock + length


def _replaced(update: bytes, known: Mapping[int, int]) -> Iterator[Range]:
    """Yield the maps in whose place those of ``update`` are."""
    for _, _, _, place in structs(check_structure(update)):
        if place.beside is not None:
            client, clock = place.beside
            if clock < known.get(client, 0):
                yield client, clock, clock + 1


def structs(outline: UpdateOutline) -> Iterator[tuple[int, int, int, Place]]:
    """Yield the client id, clock and length of each insertion, and where it belongs."""
    for client, clock, _, number, position, _ in outline.sections:
        for _ in range(number):
            length, end, _ = read_struct(outline.update, position, client, clock)
            yield client, clock, length, read_place(outline.update, position)
            clock, position = clock + length, end


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Return ``ranges`` in order; those that touch or overlap are one."""
    found: list[Range] = []
    for client, start, end in sorted(ranges):
        if found and found[-1][0] == client and start <= found[-1][2]:
            start, end = found[-1][1], max(end, found.pop()[2])
        found.append((client, start, end))
    return found
