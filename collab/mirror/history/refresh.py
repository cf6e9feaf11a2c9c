"""Documents whose tombstones outweigh their rows are written anew, while they are closed.

Each change of a field leaves a tombstone in the row's map, and those of different fields never
become one. When the map is replaced, its content becomes one range with its neighbours.

A client that does not know of the new map yet loses its changes of the old one. Therefore a
document is refreshed only after it has been closed for a long time: a process that has it open
records that now and then. The document before is kept, so that a client that comes back later with
such changes is sent their values, see :mod:`~.past`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from django.utils import timezone
from pycrdt import Doc, Map, Text, get_state

from collab.conf import get_storage
from collab.engine.hub.current import in_all_hubs, live_hubs
from collab.mirror.incoming.row_edits import RowKey
from collab.mirror.incoming.unchecked import unchecked
from collab.mirror.models import MirroredDocument, MirroredRefresh
from collab.mirror.outgoing.writing import Writing, writing
from collab.mirror.registry import mirrors_in
from collab.mirror.retry import patiently
from collab.mirror.rows.values import plain
from collab.protocol.yjs.ranges import Range, garbage, joined
from collab.protocol.yjs.updates import EMPTY_UPDATE, apply, recording_updates
from collab_storage.compaction import compact, readable_update
from collab_storage.structs import read_structs
from collab_storage.updates import state_vector

__all__ = ["arrive", "recording_interval", "refresh", "stay"]

#: A document is refreshed when no process has had it open for so long, in seconds.
CLOSED_TIME = 24 * 60 * 60
#: Replaced rows are remembered for so long, in seconds.
REMEMBERED = 90 * 24 * 60 * 60
#: A document is refreshed if that divides its size by at least this, and saves these bytes.
FACTOR = 2
LEAST = 16 * 1024
#: The more it shrinks beyond that, the smaller the part of ``CLOSED_TIME`` that is enough,
#: down to one over this. Otherwise a document that is opened each day would go on growing.
HURRY = 24
#: An open document is recorded this often in the shortest of these times.
RECORDED = 4
#: Longest time between loading a document and opening it.
_LOADED = timedelta(minutes=10)


@patiently
def refresh(room_name: str) -> bool:
    """Write the rows of a document anew if that makes it much smaller, and compact it.

    Returns:
        False if it was left as it is: nothing would be gained, or it may be open or was closed
        recently; see :func:`_least_factor`.
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
    """Record that this process opens a document; refresh it before if no process has it open.

    Returns:
        the refreshes that clients may not know of.
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
    """Record that this process has a document open."""
    MirroredDocument.objects.filter(name=room_name).update(opened_at=timezone.now())


def recording_interval() -> float:
    """Return the seconds between two records that a document is open."""
    return CLOSED_TIME / HURRY / RECORDED


def _least_factor(record: MirroredDocument) -> float | None:
    """Return how many times smaller a document has to become.

    The longer it is closed, the fewer clients come back with changes of its old maps; the more it
    shrinks, the more of that is worth it. ``None`` if a process may have it open now.
    """
    if record.opened_at is None:
        return FACTOR
    needed = timedelta(seconds=CLOSED_TIME)
    closed = timezone.now() - record.opened_at
    return None if closed * HURRY <= needed else FACTOR * max(1.0, needed / closed)


def _remembered(record: MirroredDocument) -> list[MirroredRefresh]:
    keep = timedelta(seconds=REMEMBERED)
    record.refreshes.filter(at__lt=timezone.now() - keep).update(content=None)
    return list(record.refreshes.defer("content").order_by("at"))


def _load_again(room_name: str) -> None:
    """Deliver updates to this process that were stored since it loaded the document.

    Another process may just have refreshed it: no client may see the old maps.
    """
    stored = get_storage().wait_for(partial(get_storage().load, room_name))
    if stored is not None:
        update = readable_update(stored, room_name)
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
    """Return whether to compute the size that a document would have.

    The size computed last is good enough until the document has been closed for long.
    """
    return factor <= FACTOR or record.fresh_size is None or size >= factor * record.fresh_size


def _refreshed(document: Writing, before: bytes) -> tuple[bytes, bytes, list[RowKey]]:
    """Return the refreshed document, the update that leads to it, and the rows that stay."""
    copy = Doc[Any](client_id=document.record.client_id)
    copy.apply_update(before)
    keys, left = _rows(document, copy)
    with recording_updates(copy) as updates, copy.transaction():
        for number, (map_name, key) in enumerate(keys):
            _replace(copy.get(map_name, type=Map), key, is_first=not number)
    return _folded(copy), updates[0] if updates else EMPTY_UPDATE, left


def _folded(doc: Doc[Any]) -> bytes:
    """Return a document as it is encoded when it is loaded the next time.

    Recent deletions are in pieces until then.
    """
    fresh = Doc[Any]()
    fresh.apply_update(doc.get_update())
    return fresh.get_update()


def _rows(document: Writing, doc: Doc[Any]) -> tuple[list[RowKey], list[RowKey]]:
    """Return which rows to replace, and which to leave.

    Left are rows with unchecked edits, and those that cannot be copied.
    """
    concerned = mirrors_in(document.name)
    left = list(unchecked(document.name, concerned))
    names = [mirror.map_name for mirror in concerned]
    rows = document.record.rows.filter(map_name__in=names).order_by("map_name", "pk")
    keys = list[RowKey]()
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

    The first one is replaced twice: clients that have that deletion know of the refresh.
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
    # Not while writing: text behind a format would inherit it.
    for chunk, attributes in chunks:
        start, end = end, end + len(chunk.encode())
        if attributes:
            text.format(start, end, attributes)


def _remember(
    record: MirroredDocument, before: bytes, after: bytes, update: bytes, left: list[RowKey]
) -> None:
    known = state_vector(get_state(before))
    assert record.client_id is not None
    record.refreshes.create(
        at=timezone.now(),
        ids=joined([*garbage(after), *_replaced(update, known)]),
        witness=[record.client_id, known[record.client_id]],
        left=left,
        content=zlib.compress(before),
    )


def _replaced(update: bytes, known: Mapping[int, int]) -> Iterator[Range]:
    """Yield the maps in whose place those of ``update`` are."""
    for struct in read_structs(update):
        if struct.neighbour is not None:
            client, clock = struct.neighbour
            if clock < known.get(client, 0):
                yield client, clock, clock + 1
