"""What members change in a row that is removed, or gets another key, at that moment.

Nothing of that is left in the document, which takes in as garbage what comes even later. What it
was is found out by making the document of the storage's log anew, without the removal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pycrdt import Doc, Map

from collab.conf import get_storage
from collab.engine.hub.working_copies import load_copy, unsaved_updates
from collab.mirror.history.refresh import Key, Range, joined, structs
from collab.mirror.history.stale_updates import Past
from collab.mirror.incoming.client_changes import Author, Change, Refusal
from collab.mirror.incoming.saving import ROW, Problem
from collab.mirror.models import MirroredDocument, MirroredRow
from collab.mirror.registry import ModelMirror, mirrors_in
from collab.mirror.rows.values import Odd, RowInMap, same, take_row
from collab.protocol.frames import varuint
from collab.protocol.yjs.updates import EMPTY_UPDATE, apply, merge
from collab.protocol.yjs.validation import (
    UpdateOutline,
    check_structure,
    read_deletions,
    read_struct,
)
from collab_storage.compaction import read_stored
from collab_storage.updates import state_vector

__all__ = ["Traces", "has_garbage", "trace", "trace_late"]

_GONE = Problem(404, ("There is no such row here any more.",))
_MOVED = Problem(409, ("This row has another key now.",))
_REPLACED = Problem(409, ("Somebody else has replaced this row at the same time.",))


@dataclass(frozen=True, slots=True)
class Traces:
    """What has become of changes of rows that are not there any more."""

    refusals: list[Refusal] = field(default_factory=list)
    #: What is in the same row, under the key that it has now.
    kept: list[Change] = field(default_factory=list)
    #: What it was is not known any more.
    is_lost: bool = False


def trace(room_name: str, changes: Iterable[Change]) -> Traces:
    """Find out what members have changed in rows that were removed, or got another key, since.

    Raises:
        Exception: it cannot be found out.
    """
    document = _Document(room_name)
    _, past = document.without_removals()
    traces = Traces()
    for change in changes:
        there = past.row(change.map_name, change.key)
        names = defaultdict(list)
        for name, author in change.authors.items():
            if author.member is not None and name != ROW:
                names[author].append(name)
        for author, those in names.items():
            values = {}
            if isinstance(there, dict):
                values = {name: there.get(name, Odd.MISSING) for name in those}
            document.compare(author, (change.map_name, change.key), those, values, traces)
    return traces


def trace_late(room_name: str, author: Author, updates: Sequence[bytes]) -> Traces:
    """Find out what ``author`` has changed with updates of which the document took in garbage.

    Raises:
        Exception: it cannot be found out.
    """
    document, outline = _Document(room_name), check_structure(merge(updates))
    if not has_garbage(_taken_in(document.doc, outline), outline):
        return Traces()
    doc, past = document.without_removals(outline)
    found, traces = past.apply(author, outline.update), Traces()
    for refusal in found:
        row = refusal.map_name, refusal.key
        document.compare(author, row, list(refusal.problems), refusal.values, traces)
    # Where there is more than rows, it is as where somebody types in what another removes there.
    is_unknown = not found and has_garbage(_taken_in(doc, outline), outline)
    return replace(traces, is_lost=is_unknown and not document.has_more_than_rows)


def has_garbage(news: bytes, received: UpdateOutline) -> bool:
    """Tell whether the document took in as garbage what was none when it was received."""
    if news == received.update:
        return False
    garbage = [*_garbage(received), *read_deletions(received.update, received.deletions)]
    known = joined(garbage)
    return any(not _overlaps(known, found) for found in _garbage(check_structure(news)))


def _taken_in(doc: Doc[Any], outline: UpdateOutline) -> bytes:
    """Return what ``doc`` has made of an update, and what came after it."""
    clocks = state_vector(doc.get_state())
    clocks |= {client: clock for client, clock, *_ in outline.sections if client in clocks}
    numbers = [len(clocks), *(number for item in clocks.items() for number in item)]
    return doc.get_update(b"".join(map(varuint, numbers)))


def _garbage(outline: UpdateOutline) -> Iterator[Range]:
    for client, clock, length, place in structs(outline):
        if not place.is_item:
            yield client, clock, clock + length


def _overlaps(ranges: Sequence[Range], found: Range) -> bool:
    """Tell whether ``found`` overlaps one of ``ranges``, which are sorted and do not."""
    client, start, end = found
    index = bisect_right(ranges, (client, end - 1, 2**53)) - 1
    return index >= 0 and ranges[index][0] == client and ranges[index][2] > start


@dataclass(slots=True)
class _Removals:
    """Of rows, in the log of a document."""

    keys: set[Key] = field(default_factory=set)
    deletions: list[Range] = field(default_factory=list)
    #: By client id the clock from which on something else was put in their place.
    until: dict[int, int] = field(default_factory=dict)


class _Document:
    """A document as it is, and as it was."""

    def __init__(self, room_name: str) -> None:
        self._name = room_name
        self._mirrors = mirrors_in(room_name)
        self.doc = Doc[Any]()
        get_storage().wait_for(partial(load_copy, room_name, self.doc))
        records = MirroredDocument.objects.filter(name=room_name)
        self._server = set(records.values_list("client_id", flat=True))

    @property
    def has_more_than_rows(self) -> bool:
        """There is something else in it than rows."""
        return bool(set(self.doc.keys()) - {mirror.map_name for mirror in self._mirrors})

    def without_removals(self, late: UpdateOutline | None = None) -> tuple[Doc[Any], Past]:
        """Return it with the rows that the log removes, and without what is ``late``."""
        snapshot, *updates = self._stored()
        removals = self._removals(snapshot, updates)
        if late is not None:
            removals.until |= {client: clock for client, clock, *_ in late.sections}
        doc, deletions = Doc[Any](), joined(removals.deletions)
        apply(doc, snapshot)
        for update in updates:
            apply(doc, _cut(check_structure(update), deletions, removals.until))
        return doc, Past(doc, self._mirrors, removals.keys)

    def _stored(self) -> list[bytes]:
        # What waits to be stored is taken first: it may get stored while the rest is loaded.
        unsaved = unsaved_updates(self._name)
        storage = get_storage()
        stored = storage.wait_for(partial(storage.load, self._name))
        if stored is None:
            return [EMPTY_UPDATE, *unsaved]
        read = read_stored(stored, self._name).read
        return [read.snapshot or EMPTY_UPDATE, *(row.data for row in read.log), *unsaved]

    def _removals(self, snapshot: bytes, updates: Iterable[bytes]) -> _Removals:
        doc, found = Doc[Any](), _Removals()
        apply(doc, snapshot)
        changed: list[tuple[str, str, str]] = []
        subscriptions = []
        for mirror in self._mirrors:
            rows = doc.get(mirror.map_name, type=Map)
            subscriptions.append((rows, rows.observe(_noting(mirror.map_name, changed))))
        for update in updates:
            apply(doc, update)
            for map_name, key, action in changed:
                self._note(found, (map_name, key), action, check_structure(update))
            changed.clear()
        for rows, subscription in subscriptions:
            rows.unobserve(subscription)
        return found

    def _note(self, found: _Removals, row: Key, action: str, outline: UpdateOutline) -> None:
        if action != "add":
            found.deletions += read_deletions(outline.update, outline.deletions)
        if action == "update" or (action == "add" and row in found.keys):
            clocks = {client: clock for client, clock, *_ in outline.sections}
            # With the server's change may be stored what members have just typed.
            by_server = {client: clocks[client] for client in clocks.keys() & self._server}
            for client, clock in (by_server or clocks).items():
                found.until[client] = min(clock, found.until.get(client, clock))
        if action != "add":
            found.keys.add(row)

    # What has become of a row.

    def compare(
        self,
        author: Author,
        row: Key,
        names: Sequence[str],
        values: Mapping[str, Any],
        traces: Traces,
    ) -> None:
        """Note of ``author``'s values whether they are in the row as it is now."""
        map_name, key = row
        new_key = self._new_key(map_name, key)
        now = self._row(map_name, new_key)
        there = now if isinstance(now, dict) else {}
        kept = [
            name
            for name in names
            if same(values.get(name, Odd.NOT_JSON), there.get(name, Odd.MISSING))
        ]
        if kept and new_key != key:
            authors = dict.fromkeys(kept, author)
            traces.kept.append(Change(map_name, new_key, now, authors))
        if lost := [name for name in names if name not in kept]:
            problem = _GONE if now is Odd.MISSING else _REPLACED if new_key == key else _MOVED
            told = {
                name: values[name]
                for name in lost
                if not isinstance(values.get(name, Odd.MISSING), Odd)
            }
            problems = dict.fromkeys(lost, problem)
            traces.refusals.append(Refusal(author, map_name, new_key, problems, told))

    def _new_key(self, map_name: str, key: str) -> str:
        rows = MirroredRow.objects.filter(
            document__name=self._name, map_name=map_name, client_key=key
        )
        return rows.values_list("key", flat=True).first() or key

    def _row(self, map_name: str, key: str) -> RowInMap:
        mirror: ModelMirror[Any] = next(m for m in self._mirrors if m.map_name == map_name)
        return take_row(self.doc.get(map_name, type=Map), key, mirror.text_fields)


def _noting(map_name: str, changed: list[tuple[str, str, str]]) -> Any:
    """Return an observer that notes the keys of a map, and what happens to them."""

    def note(event: Any) -> None:
        changed.extend((map_name, key, change["action"]) for key, change in event.keys.items())

    return note


def _cut(outline: UpdateOutline, deletions: Sequence[Range], until: Mapping[int, int]) -> bytes:
    """Return an update without ``deletions``, and without what is of clients from clocks on."""
    sections = [
        found
        for client, clock, _, number, position, _ in outline.sections
        if (found := _first(outline.update, client, clock, number, position, until.get(client)))
    ]
    kept = defaultdict(list)
    for gone in read_deletions(outline.update, outline.deletions):
        client, start, end = gone
        if not _overlaps(deletions, gone) and end <= until.get(client, end):
            kept[client].append(varuint(start) + varuint(end - start))
    ranges = [
        varuint(client) + varuint(len(those)) + b"".join(those) for client, those in kept.items()
    ]
    return b"".join(
        [varuint(len(sections)), *sections, varuint(len(ranges)), *ranges],
    )


def _first(
    update: bytes, client: int, clock: int, number: int, position: int, limit: int | None
) -> bytes:
    """Return a section of an update as far as it is before ``limit``."""
    start, kept, here = position, 0, clock
    for _ in range(number):
        length, end, _ = read_struct(update, position, client, here)
        if limit is not None and here + length > limit:
            break
        kept, here, position = kept + 1, here + length, end
    header = b"".join(map(varuint, (kept, client, clock)))
    return header + update[start:position] if kept else b""
