"""Edits that members make in a row while it is removed, or gets another key.

Nothing of them is left in the document, which integrates even later edits as garbage. They are
found by building the document anew from the storage's log, without the removal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pycrdt import Doc, Map

from collab.conf import get_storage
from collab.engine.hub.working_copies import load_copy, unsaved_updates
from collab.mirror.history.past import PastDocument, Pasts
from collab.mirror.incoming.row_edits import Author, Refusal, RowEdit, RowKey
from collab.mirror.incoming.saving import ROW, Problem
from collab.mirror.models import MirroredDocument, MirroredRow
from collab.mirror.registry import Values, mirrors_in
from collab.mirror.rows.values import Odd, RowInMap, same, take_row, without_marks
from collab.protocol.yjs.ranges import Range, deletions, garbage, joined, overlaps, without
from collab.protocol.yjs.updates import EMPTY_UPDATE, apply, merge
from collab.protocol.yjs.validation import UpdateOutline, check_structure
from collab_storage.compaction import read_stored
from collab_storage.surrogates import as_yjs
from collab_storage.updates import encode_state_vector, state_vector

__all__ = ["LostEdits", "has_garbage", "trace_removed", "trace_stale"]

_GONE = Problem(404, ("There is no such row here any more.",))
_MOVED = Problem(409, ("This row has another key now.",))
_REPLACED = Problem(409, ("Another member has replaced this row at the same time.",))
_TOO_OLD = Problem(409, ("This was changed in a version of the document that is too old.",))


@dataclass(slots=True)
class LostEdits:
    """Edits of rows' maps that are not in the document any more."""

    refusals: list[Refusal] = field(default_factory=list)
    #: Edits that are in the same row, under the key that it has now.
    kept: list[RowEdit] = field(default_factory=list)
    #: Edits are lost whose values are not known any more.
    is_unknown: bool = False


def trace_removed(room_name: str, edits: Iterable[RowEdit]) -> LostEdits:
    """Return edits of members in rows that were removed, or got another key, since.

    Raises:
        Exception: the document cannot be built.
    """
    document, lost = _Document(room_name), LostEdits()
    _, past = document.without_removals()
    for edit in edits:
        there = past.row(edit.map_name, edit.key)
        names = defaultdict(list)
        for name, author in edit.authors.items():
            if author.member is not None and name != ROW:
                names[author].append(name)
        for author, those in names.items():
            values = dict.fromkeys(those, Odd.NOT_JSON)
            if isinstance(there, dict):
                values = {name: there.get(name, Odd.MISSING) for name in those}
            document.compare(author, (edit.map_name, edit.key), values, lost)
    return lost


def trace_stale(
    room_name: str, author: Author, updates: Sequence[bytes], pasts: Pasts
) -> LostEdits:
    """Return edits of ``author`` in updates that the document integrated as garbage.

    Raises:
        Exception: a document of the past cannot be built.
    """
    outline, lost = check_structure(merge(updates)), LostEdits()
    replaced, lost.is_unknown = pasts.apply(outline)
    for row, values in replaced.items():
        problems = dict.fromkeys(values, _TOO_OLD)
        lost.refusals.append(Refusal(author, *row, problems, without_marks(values)))
    document = _Document(room_name)
    if not has_garbage(_integrated(document.doc, outline), outline):
        return lost
    doc, past = document.without_removals(outline)
    changes = past.apply(outline.update)
    others = {row: values for row, values in changes.items() if row not in replaced}
    for row, values in others.items():
        document.compare(author, row, values, lost)
    if not (changes or replaced or document.has_more_than_rows):
        # Where there is more than rows, the garbage may be of an editor's text.
        lost.is_unknown = lost.is_unknown or has_garbage(_integrated(doc, outline), outline)
    return lost


def has_garbage(news: bytes, received: UpdateOutline) -> bool:
    """Return whether the document integrated structs as garbage that were received whole."""
    if news == received.update:
        return False
    known = joined([*garbage(received.update), *deletions(received)])
    return any(not overlaps(known, found) for found in garbage(news))


def _integrated(doc: Doc[Any], outline: UpdateOutline) -> bytes:
    """Return an update as ``doc`` has integrated it, and all later ones."""
    clocks = state_vector(doc.get_state())
    clocks |= {client: clock for client, clock, *_ in outline.sections if client in clocks}
    return doc.get_update(encode_state_vector(clocks))


@dataclass(slots=True)
class _Removals:
    """Removals of rows in the log of a document."""

    keys: set[RowKey] = field(default_factory=set)
    deletions: list[Range] = field(default_factory=list)
    #: By client id the clock from which on something else was put in their place.
    until: dict[int, int] = field(default_factory=dict)


class _Document:
    """A document as it is, and as it was."""

    def __init__(self, room_name: str) -> None:
        self._name = room_name
        self._mirrors = {mirror.map_name: mirror for mirror in mirrors_in(room_name)}
        self.doc = Doc[Any]()
        get_storage().wait_for(partial(load_copy, room_name, self.doc))
        records = MirroredDocument.objects.filter(name=room_name)
        self._server = set(records.values_list("client_id", flat=True))

    @property
    def has_more_than_rows(self) -> bool:
        """Whether it has other content than rows."""
        return bool(set(self.doc.keys()) - self._mirrors.keys())

    def without_removals(self, stale: UpdateOutline | None = None) -> tuple[Doc[Any], PastDocument]:
        """Return it with the rows that the log removes, and without the ``stale`` update."""
        snapshot, *updates = self._stored()
        outlines = [check_structure(update) for update in updates]
        removals = self._removals(snapshot, outlines)
        if stale is not None:
            removals.until |= {client: clock for client, clock, *_ in stale.sections}
        doc, removed = Doc[Any](), joined(removals.deletions)
        apply(doc, snapshot)
        for outline in outlines:
            apply(doc, without(outline, removed, removals.until))
        return doc, PastDocument(doc, self._mirrors.values(), removals.keys)

    def _stored(self) -> list[bytes]:
        # Unsaved updates first: they may be stored while the rest is loaded.
        unsaved = unsaved_updates(self._name)
        storage = get_storage()
        stored = storage.wait_for(partial(storage.load, self._name))
        if stored is None:
            return as_yjs([EMPTY_UPDATE, *unsaved])
        read = read_stored(stored, self._name).read
        log = [row.data for row in read.log]
        return as_yjs([read.snapshot or EMPTY_UPDATE, *log, *unsaved])

    def _removals(self, snapshot: bytes, outlines: Iterable[UpdateOutline]) -> _Removals:
        doc, found = Doc[Any](), _Removals()
        apply(doc, snapshot)
        changed: list[tuple[str, str, str]] = []
        subscriptions = []
        for name in self._mirrors:
            rows = doc.get(name, type=Map)
            subscriptions.append((rows, rows.observe(_recorder(name, changed))))
        for outline in outlines:
            for step in self._steps(outline):
                apply(doc, step)
                for map_name, key, action in changed:
                    self._add_removal(found, (map_name, key), action, outline)
                changed.clear()
        for rows, subscription in subscriptions:
            rows.unobserve(subscription)
        return found

    def _steps(self, outline: UpdateOutline) -> Iterator[bytes]:
        """Yield an update, and before it the unsaved part of members that was stored with it.

        A row that is made and removed in one step is in no event.
        """
        by_server = self._clocks_of_server(outline)
        if 0 < len(by_server) < len(outline.sections):
            yield without(outline, joined(deletions(outline)), by_server)
        yield outline.update

    def _clocks_of_server(self, outline: UpdateOutline) -> dict[int, int]:
        """Return where the insertions of the server begin, by its client ids."""
        sections = outline.sections
        return {client: clock for client, clock, *_ in sections if client in self._server}

    def _add_removal(
        self, found: _Removals, row: RowKey, action: str, outline: UpdateOutline
    ) -> None:
        if action == "update" or (action == "add" and row in found.keys):
            clocks = {client: clock for client, clock, *_ in outline.sections}
            # Unsaved updates of members may be stored with the server's change.
            for client, clock in (self._clocks_of_server(outline) or clocks).items():
                found.until[client] = min(clock, found.until.get(client, clock))
        if action != "add":
            found.deletions += deletions(outline)
            found.keys.add(row)

    # The row now.

    def compare(self, author: Author, row: RowKey, values: Values, lost: LostEdits) -> None:
        """Add an author's values to ``lost``: those that are in the row now, and the others."""
        map_name, key = row
        new_key = self._new_key(map_name, key)
        now = self._row(map_name, new_key)
        there = now if isinstance(now, dict) else {}
        kept = [name for name in values if same(values[name], there.get(name, Odd.MISSING))]
        if kept and new_key != key:
            lost.kept.append(RowEdit(map_name, new_key, now, dict.fromkeys(kept, author)))
        problem = _GONE if now is Odd.MISSING else _REPLACED if new_key == key else _MOVED
        if problems := {name: problem for name in values if name not in kept}:
            refused = without_marks({name: values[name] for name in problems})
            lost.refusals.append(Refusal(author, map_name, new_key, problems, refused))

    def _new_key(self, map_name: str, key: str) -> str:
        rows = MirroredRow.objects.filter(
            document__name=self._name, map_name=map_name, client_key=key
        )
        return rows.values_list("key", flat=True).first() or key

    def _row(self, map_name: str, key: str) -> RowInMap:
        text_fields = self._mirrors[map_name].text_fields
        return take_row(self.doc.get(map_name, type=Map), key, text_fields)


def _recorder(map_name: str, changed: list[tuple[str, str, str]]) -> Any:
    """Return an observer that records the changed keys of a map, and how they change."""

    def record(event: Any) -> None:
        changed.extend((map_name, key, change["action"]) for key, change in event.keys.items())

    return record
