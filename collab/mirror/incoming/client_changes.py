"""Maps to rows: what clients have changed in a document is saved, or set back, under its lock.

A row's values when they were last written into the document, those of the row, and those of its
map are compared. Where the row has changed since, the database wins. Where only the map has, a
client's change is saved; where it cannot be, the map gets the row's value again. That is written
by who has the client's change, so that it comes after it, and only if nothing newer is there,
which is going to be checked in its turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import connections, router
from django.db.models import Model
from pycrdt import Doc, Map, Text

from collab.conf import get_storage
from collab.engine.hub.working_copies import load_copy
from collab.mirror.incoming.saving import ROW, Problem, Problems, Refused, Saving
from collab.mirror.models import MirroredRow
from collab.mirror.outgoing.writing import Writing, write_changed, write_row, writing
from collab.mirror.querysets import chunks
from collab.mirror.registry import ModelMirror, Values, mirrors
from collab.mirror.rows.text import write_text
from collab.mirror.rows.values import Odd, RowInMap, same, take_field, take_row

if TYPE_CHECKING:
    from collab.engine.rooms.member import Member
    from collab.mirror.registry import User

__all__ = [
    "Author",
    "Change",
    "Found",
    "Outcome",
    "Refusal",
    "check",
    "known_keys",
    "suspicious",
    "unchecked",
]


#: Fields, or the row as a whole, by the name of its map and its key.
Found = dict[tuple[str, str], set[str]]

#: A document is locked for so long at most, in seconds, but for what one row takes.
_LONGEST = 0.5

_GONE = Problem(404, ("There is no such row here any more.",))
_NO_MAP = Problem(400, ("A row is a Map.",))


@dataclass(frozen=True, slots=True, eq=False)
class Author:
    """Who has changed something.

    Args:
        user: as whom it is saved.
        member: who is told what is wrong with it, if that is known.
    """

    user: User
    member: Member | None = None


@dataclass(slots=True)
class Change:
    """A row that was changed in a document.

    Args:
        map_name: of the mirror.
        key: of the row.
        values: what is there now.
        authors: who changed it last, by field, or the :data:`~.saving.ROW` as a whole.
    """

    map_name: str
    key: str
    values: RowInMap
    authors: dict[str, Author]

    @property
    def fields(self) -> Values:
        """The values of a row that is as it should be; else none."""
        return self.values if isinstance(self.values, dict) else {}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What of an author's change is not saved, why, and what was to be saved."""

    author: Author
    map_name: str
    key: str
    problems: Problems
    values: Values


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check, once it is committed."""

    refusals: list[Refusal] = field(default_factory=list)
    #: Of rows that clients have added under keys that are not theirs: the author, the name of the
    #: map, and the key before and now.
    renamed: list[tuple[Author, str, str, str]] = field(default_factory=list)
    #: Rows of which fields were changed that are not there, or not those that they were.
    overtaken: list[Change] = field(default_factory=list)
    #: New rows that others have changed before it is checked who has added them.
    unowned: list[Change] = field(default_factory=list)
    #: What was not looked at: the document should not be locked for too long.
    left: list[Change] = field(default_factory=list)


def check(room_name: str, changes: Sequence[Change], *, patient: bool = False) -> Outcome:
    """Save what has been changed in a document, or set it back.

    Args:
        room_name: the document.
        changes: as they were when they were noted; what is newer is checked in its turn.
        patient: see :class:`~.saving.Saving`.

    Raises:
        Exception: nothing was saved, nor set back.
    """
    outcome = Outcome()
    with writing(room_name) as document:
        until = monotonic() + _LONGEST
        if document is not None:
            for mirror, those in _by_mirror(changes):
                _Check(document, mirror, outcome, patient).run(those, until)
    return outcome


def suspicious(room_name: str, changes: Sequence[Change]) -> Found:
    """Return what differs from what was written last: fields, or the row as a whole.

    That takes no lock, as most is well of which nobody is known to have changed it.
    """
    found = Found()
    for mirror, those in _by_mirror(changes):
        for chunk in chunks(those):
            known = _known(room_name, mirror, chunk)
            for change in chunk:
                if names := _differences(mirror, change, known.get(change.key)):
                    found[change.map_name, change.key] = names
    return found


def known_keys(room_name: str) -> list[tuple[str, str]]:
    """Return the map name and key of all rows that were written into a document."""
    rows = MirroredRow.objects.filter(document__name=room_name)
    return list(rows.values_list("map_name", "key"))


def unchecked(room_name: str, concerned: Iterable[ModelMirror[Any]]) -> Found:
    """Return what is stored of a document and differs from what was written last."""
    doc, found = Doc[Any](), Found()
    get_storage().wait_for(partial(load_copy, room_name, doc))
    for mirror in concerned:
        map_ = doc.get(mirror.map_name, type=Map)
        rows = MirroredRow.objects.filter(document__name=room_name, map_name=mirror.map_name)
        keys = {*map_.keys(), *rows.values_list("key", flat=True)}
        for chunk in chunks(keys):
            taken = {key: take_row(map_, key, mirror.text_fields) for key in chunk}
            found |= suspicious(
                room_name, [Change(mirror.map_name, key, taken[key], {}) for key in chunk]
            )
    return found


def _by_mirror(changes: Iterable[Change]) -> list[tuple[ModelMirror[Any], list[Change]]]:
    found = defaultdict(list)
    for change in changes:
        found[change.map_name].append(change)
    return [(mirror, found[mirror.map_name]) for mirror in mirrors() if mirror.map_name in found]


def _known(
    room_name: str, mirror: ModelMirror[Any], changes: Iterable[Change]
) -> dict[str, MirroredRow]:
    keys = [change.key for change in changes]
    rows = MirroredRow.objects.filter(document__name=room_name, map_name=mirror.map_name)
    return {row.key: row for row in rows.filter(key__in=keys)}


def _differences(mirror: ModelMirror[Any], change: Change, known: MirroredRow | None) -> set[str]:
    if known is None or not isinstance(change.values, dict):
        return set() if known is None and change.values is Odd.MISSING else {ROW}
    names = known.values.keys() | change.values.keys()
    return {name for name in names if _differs(mirror, name, change.values, known.values)}


def _differs(mirror: ModelMirror[Any], name: str, there: Values, written: Values) -> bool:
    one, other = there.get(name, Odd.MISSING), written.get(name, Odd.MISSING)
    if name in mirror.text_fields and other is None:
        other = ""
    return not same(one, other)


class _Check:
    """Checks rows of one mirror in one document."""

    def __init__(
        self, document: Writing, mirror: ModelMirror[Any], outcome: Outcome, patient: bool
    ) -> None:
        self._document = document
        self._mirror = mirror
        self._outcome = outcome
        self._patient = patient
        #: What was written last, and how the rows are; both by key.
        self._known: dict[str, MirroredRow] = {}
        self._rows: dict[str, Model] = {}
        self._values: dict[str, Values] = {}
        #: What is to be done to the mirror's map.
        self._repairs: list[Callable[[Map[Any]], None]] = []

    def run(self, changes: Sequence[Change], until: float) -> None:
        """Check ``changes``, or some of them if it takes too long, and repair the map."""
        for number, chunk in enumerate(chunks(changes)):
            if number and monotonic() > until:
                self._outcome.left.extend(chunk)
                continue
            self._known |= _known(self._document.name, self._mirror, chunk)
            keys = [change.key for change in chunk if change.key in self._known]
            self._lock_rows(keys)
            self._read_rows(keys)
            for change in chunk:
                self._check(change)
        self._repair()

    def _lock_rows(self, keys: list[str]) -> None:
        """Let nobody change the rows until this is committed."""
        model = self._mirror.model
        if keys and connections[router.db_for_write(model)].features.has_select_for_update:
            # By themselves, as not every queryset can be locked; in an order that all follow.
            rows = model._base_manager.using(router.db_for_write(model)).filter(pk__in=keys)
            list(rows.order_by("pk").select_for_update().values_list("pk"))

    def _read_rows(self, keys: list[str]) -> None:
        for key in keys:
            self._rows.pop(key, None)
            self._values.pop(key, None)
        rows = self._mirror.rows(self._document.name)
        found = [] if rows is None or not keys else list(rows.filter(pk__in=keys))
        values = self._mirror.values(found, self._document.name)
        for row, those in zip(found, values, strict=True):
            self._rows[str(row.pk)] = row
            self._values[str(row.pk)] = those

    # One row.

    def _check(self, change: Change) -> None:
        known = self._known.get(change.key)
        if known is None:
            self._check_new(change)
        elif change.key not in self._rows:
            self._take_out(change, known)
        else:
            self._yield_to_database(change, known)
            if change.values is Odd.MISSING:
                self._check_deletion(change, known)
            elif change.values is Odd.NOT_JSON:
                self._refuse_row(change, _NO_MAP)
                self._put_back(change.key)
            else:
                self._check_fields(change, known)

    def _take_out(self, change: Change, known: MirroredRow) -> None:
        """The row has gone."""
        write_changed(self._document, self._mirror, {}, {change.key: known})
        if isinstance(change.values, dict):
            self._refuse_row(change, _GONE)

    def _yield_to_database(self, change: Change, known: MirroredRow) -> None:
        """Write into the map what the database has changed; the client's change of it is lost."""
        now, before = self._values[change.key], known.values
        if same(now, before):
            return
        problem = Problem(409, ("Somebody else has changed this at the same time.",))
        if not isinstance(change.values, dict):
            self._refuse_row(change, problem)
        for author, names in self._by_author(change, known).items():
            lost = {
                name: problem
                for name in names
                if name not in self._mirror.text_fields
                and not same(before.get(name, Odd.MISSING), now.get(name, Odd.MISSING))
                and _differs(self._mirror, name, change.fields, now)
            }
            self._refuse(change, author, lost)
        write_changed(self._document, self._mirror, {change.key: now}, {change.key: known})
        if (map_ := self._document.map_of(self._mirror)) is not None:
            change.values = take_row(map_, change.key, self._mirror.text_fields)

    def _check_deletion(self, change: Change, known: MirroredRow) -> None:
        if (author := change.authors.get(ROW)) is None:
            # It was there when its fields were changed; who removed it is checked.
            self._outcome.overtaken.append(change)
            return
        try:
            self._saving(author).delete(self._rows[change.key])
        except Refused as refused:
            self._refuse(change, author, refused.problems)
            self._put_back(change.key)
        else:
            known.delete()
            self._document.note_change(self._mirror, change.key, known.values, None)

    def _check_fields(self, change: Change, known: MirroredRow) -> None:
        for author, names in self._by_author(change, known).items():
            if change.key not in self._rows:
                self._refuse(change, author, dict.fromkeys(names, _GONE))
                continue
            changes = {name: change.fields.get(name, Odd.MISSING) for name in names}
            problems = self._saving(author).update(self._rows[change.key], changes)
            self._refuse(change, author, problems)
            if len(problems) < len(changes):
                self._read_rows([change.key])
            if change.key in self._rows:
                self._settle_fields(change, known, names)
            else:
                # It has been moved elsewhere.
                write_changed(self._document, self._mirror, {}, {change.key: known})

    def _settle_fields(self, change: Change, known: MirroredRow, names: Iterable[str]) -> None:
        """Let these fields be as the row has them, in the map, too."""
        values, before = self._values[change.key], known.values
        known.values = before | {name: values[name] for name in names if name in values}
        self._document.note_change(self._mirror, change.key, before, known.values)
        self._document.record.rows.filter(pk=known.pk).update(values=known.values)
        self._repair_fields(change, names)
        if not same(known.values, values):
            # Saving has changed more than what was asked for.
            write_changed(self._document, self._mirror, {change.key: values}, {change.key: known})

    def _check_new(self, change: Change) -> None:
        author = change.authors.get(ROW)
        if change.values is Odd.MISSING or self._has_moved(change.key):
            self._outcome.overtaken.append(change)
            return
        if author is None:
            is_there = self._is_there(change.key)
            (self._outcome.unowned if is_there else self._outcome.overtaken).append(change)
            return
        others = {name: whose.user for name, whose in change.authors.items() if whose is not author}
        try:
            if change.values is Odd.NOT_JSON:
                raise Refused({ROW: _NO_MAP})
            row, problems = self._saving(author).create(change.key, change.fields, others)
        except Refused as refused:
            # With the row, all that was written into it vanishes.
            self._refuse(change, author, refused.problems, change.fields)
            for name in others:
                self._refuse(change, change.authors[name], refused.problems, [name])
            self._repairs.append(lambda rows: rows.pop(change.key, None))
        else:
            self._enter(change, author, str(row.pk), problems)

    def _enter(self, change: Change, author: Author, key: str, problems: Problems) -> None:
        """A row was created, and has that key."""
        self._read_rows([key])
        values = self._values[key]
        is_renamed = key != change.key
        # If the document is another than rows were written into, what is known of it goes first.
        _ = self._document.doc
        self._document.record.rows.create(
            map_name=self._mirror.map_name,
            key=key,
            client_key=change.key if is_renamed else None,
            values=values,
        )
        self._document.note_change(self._mirror, key, None, values)
        names = {name for name in problems if _differs(self._mirror, name, change.fields, values)}
        for whose in {author, *(change.authors.get(name, author) for name in names)}:
            own = {name for name in names if whose in (author, change.authors.get(name))}
            self._refuse(change, whose, {name: problems[name] for name in own})
        if is_renamed:
            self._put_back(key)
            self._repairs.append(_Move(self._mirror, change, key))
            self._outcome.renamed.append((author, self._mirror.map_name, change.key, key))
        else:
            self._repair_fields(change, values.keys() | change.fields.keys())

    def _has_moved(self, key: str) -> bool:
        """Tell whether another process has created the row, which has got its key."""
        rows = self._document.record.rows
        return rows.filter(map_name=self._mirror.map_name, client_key=key).exists()

    def _is_there(self, key: str) -> bool:
        map_ = self._document.map_of(self._mirror)
        return map_ is not None and key in map_

    # Whose it is.

    def _by_author(self, change: Change, known: MirroredRow) -> dict[Author, list[str]]:
        """Return by author the fields that differ from what was written last."""
        found = defaultdict(list)
        for name in sorted(known.values.keys() | change.fields.keys()):
            author = change.authors.get(name) or change.authors.get(ROW)
            if author and _differs(self._mirror, name, change.fields, known.values):
                found[author].append(name)
        return found

    def _saving(self, author: Author) -> Saving:
        return Saving(self._mirror, self._document.name, author.user, self._patient)

    def _refuse_row(self, change: Change, problem: Problem) -> None:
        for author in set(change.authors.values()):
            self._refuse(change, author, {ROW: problem})

    def _refuse(
        self,
        change: Change,
        author: Author,
        problems: Problems,
        lost: Iterable[str] | None = None,
    ) -> None:
        """Note ``problems``, and what was written of the ``lost`` fields: by default, of theirs."""
        if problems:
            names = lost or (change.fields if ROW in problems else problems)
            values = {
                name: change.fields[name]
                for name in names
                if not isinstance(change.fields.get(name, Odd.MISSING), Odd)
            }
            refusal = Refusal(author, change.map_name, change.key, problems, values)
            self._outcome.refusals.append(refusal)

    # The map.

    def _repair_fields(self, change: Change, names: Iterable[str]) -> None:
        values = self._values[change.key]
        for name in names:
            if _differs(self._mirror, name, change.fields, values):
                there = change.fields.get(name, Odd.MISSING)
                self._repairs.append(
                    _SetField(self._mirror, change.key, name, there, values.get(name, Odd.MISSING))
                )

    def _put_back(self, key: str) -> None:
        values = self._values[key]

        def put_back(rows: Map[Any]) -> None:
            if not isinstance(rows.get(key), Map):
                write_row(rows, key, {}, values, self._mirror.text_fields)

        self._repairs.append(put_back)

    def _repair(self) -> None:
        if not self._repairs or (map_ := self._document.map_of(self._mirror)) is None:
            return
        with self._document.changing():
            for repair in self._repairs:
                repair(map_)


@dataclass(frozen=True, slots=True)
class _Move:
    """Takes a new row's map out, and writes what is newer in it into that under its ``key``."""

    mirror: ModelMirror[Any]
    change: Change
    key: str

    def __call__(self, rows: Map[Any]) -> None:
        text_fields, before = self.mirror.text_fields, self.change.fields
        there = take_row(rows, self.change.key, text_fields)
        rows.pop(self.change.key, None)
        row = rows[self.key]
        if isinstance(there, Odd):
            return
        for name, value in there.items():
            if isinstance(value, Odd) or not _differs(self.mirror, name, there, before):
                continue
            text = row.get(name)
            if name in text_fields and isinstance(text, Text):
                known = before.get(name)
                write_text(text, known if isinstance(known, str) else "", value)
            else:
                row[name] = value


@dataclass(frozen=True, slots=True)
class _SetField:
    """Lets a field of a row's map be ``now``, if it is still ``before``."""

    mirror: ModelMirror[Any]
    key: str
    name: str
    before: Any
    now: Any

    def __call__(self, rows: Map[Any]) -> None:
        row = rows.get(self.key)
        if not isinstance(row, Map):
            return
        text_fields = self.mirror.text_fields
        # In this document it may be hidden.
        if self.name in text_fields and self.now is not Odd.MISSING:
            self._write_text(row)
        elif same(take_field(row, self.name, text_fields), self.before):
            if self.now is Odd.MISSING:
                row.pop(self.name, None)
            else:
                row[self.name] = self.now

    def _write_text(self, row: Map[Any]) -> None:
        text = row.get(self.name)
        if not isinstance(text, Text):
            row[self.name] = Text(self.now or "")
        elif type(self.before) is str:
            # Of what was typed since, the text keeps what it can.
            write_text(text, self.before, self.now or "")
