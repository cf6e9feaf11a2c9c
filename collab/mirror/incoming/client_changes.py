"""Maps to rows: edits of clients in a document are saved or set back, under its lock.

Three versions of a row are compared: as it was last written into the document, as it is in the
database, and as it is in its map. Where the database has changed since, it wins. Where only the map
has, the client's edit is saved; if it is refused, the row's value is written into the map again.
The process that has the edit writes it, so that it comes after the edit, and only if nothing newer
is there, which is checked in its turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import monotonic
from typing import Any

from django.db import connections, router
from django.db.models import Model
from pycrdt import Map

from collab.documents.merging.texts import merge_text
from collab.mirror.incoming.map_repairs import move_row, put_back, set_field
from collab.mirror.incoming.row_edits import Author, Outcome, Refusal, RowEdit
from collab.mirror.incoming.saving import ROW, Problem, Problems, Refused, Saving
from collab.mirror.incoming.unchecked import by_mirror, differs, written_rows
from collab.mirror.models import MirroredRow
from collab.mirror.outgoing.writing import Writing, write_changed, writing
from collab.mirror.registry import ModelMirror, Values
from collab.mirror.rows.values import Odd, same, take_row, without_marks
from collab_storage.chunks import chunks

__all__ = ["check"]

#: Seconds after which a check releases the document's lock, however many edits are left.
_MAX_LOCKED = 0.5

_GONE = Problem(404, ("There is no such row here any more.",))
_NO_MAP = Problem(400, ("A row is a Map.",))


def check(room_name: str, edits: Sequence[RowEdit], *, patient: bool = False) -> Outcome:
    """Save the edits of a document, or set them back.

    Args:
        room_name: the document.
        edits: as recorded; newer ones are checked in their turn.
        patient: see :class:`~.saving.Saving`.

    Raises:
        Exception: nothing was saved, nor set back.
    """
    outcome = Outcome()
    with writing(room_name) as document:
        until = monotonic() + _MAX_LOCKED
        if document is not None:
            for mirror, those in by_mirror(edits):
                _Check(document, mirror, outcome, patient).run(those, until)
    return outcome


class _Check:
    """Checks rows of one mirror in one document."""

    def __init__(
        self, document: Writing, mirror: ModelMirror[Any], outcome: Outcome, patient: bool
    ) -> None:
        self._document = document
        self._mirror = mirror
        self._outcome = outcome
        self._patient = patient
        #: By key: as written last, and as they are in the database.
        self._written: dict[str, MirroredRow] = {}
        self._rows: dict[str, Model] = {}
        self._values: dict[str, Values] = {}
        #: Change the map of all rows.
        self._repairs: list[Callable[[Map[Any]], object]] = []

    def run(self, edits: Sequence[RowEdit], until: float) -> None:
        """Check ``edits``, or some of them if the lock is held too long, and repair the map."""
        for number, chunk in enumerate(chunks(edits)):
            if number and monotonic() > until:
                self._outcome.left.extend(chunk)
                continue
            self._written |= written_rows(self._document.name, self._mirror, chunk)
            keys = [edit.key for edit in chunk if edit.key in self._written]
            self._lock_rows(keys)
            self._read_rows(keys)
            for edit in chunk:
                self._check(edit)
        self._repair()

    def _lock_rows(self, keys: list[str]) -> None:
        """Lock the rows until this is committed."""
        model = self._mirror.model
        if keys and connections[router.db_for_write(model)].features.has_select_for_update:
            # By their keys, as not every queryset can be locked; in one order, against deadlocks.
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

    def _check(self, edit: RowEdit) -> None:
        written = self._written.get(edit.key)
        if written is None:
            self._check_new(edit)
        elif edit.key not in self._rows:
            self._take_out(edit, written)
        else:
            self._yield_to_database(edit, written)
            if edit.values is Odd.MISSING:
                self._check_deletion(edit, written)
            elif edit.values is Odd.NOT_JSON:
                self._refuse_row(edit, _NO_MAP)
                self._put_back(edit.key)
            else:
                self._check_fields(edit, written)

    def _take_out(self, edit: RowEdit, written: MirroredRow) -> None:
        """Remove the map of a row that does not belong in the document any more."""
        write_changed(self._document, self._mirror, {}, {edit.key: written})
        if isinstance(edit.values, dict):
            self._refuse_row(edit, _GONE)

    def _yield_to_database(self, edit: RowEdit, written: MirroredRow) -> None:
        """Write changes of the database into the map; edits of the same fields are refused."""
        now, before = self._values[edit.key], written.values
        if same(now, before):
            return
        problem = Problem(409, ("Another member has changed this at the same time.",))
        if not isinstance(edit.values, dict):
            self._refuse_row(edit, problem)
        for author, names in self._by_author(edit, written).items():
            lost = {
                name: problem
                for name in names
                if name not in self._mirror.text_fields
                and not same(before.get(name, Odd.MISSING), now.get(name, Odd.MISSING))
                and differs(self._mirror, name, edit.fields, now)
            }
            self._refuse(edit, author, lost)
        write_changed(self._document, self._mirror, {edit.key: now}, {edit.key: written})
        if (map_ := self._document.map_of(self._mirror)) is not None:
            edit.values = take_row(map_, edit.key, self._mirror.text_fields)

    def _check_deletion(self, edit: RowEdit, written: MirroredRow) -> None:
        if (author := edit.authors.get(ROW)) is None:
            # Its removal is checked as the remover's; these edits were made before.
            self._outcome.overtaken.append(edit)
            return
        try:
            self._saving(author).delete(self._rows[edit.key])
        except Refused as refused:
            self._refuse(edit, author, refused.problems)
            self._put_back(edit.key)
        else:
            written.delete()
            self._document.record_change(self._mirror, edit.key, written.values, None)

    def _check_fields(self, edit: RowEdit, written: MirroredRow) -> None:
        for author, names in self._by_author(edit, written).items():
            if edit.key not in self._rows:
                self._refuse(edit, author, dict.fromkeys(names, _GONE))
                continue
            if texts := [name for name in names if name in edit.parts]:
                for name in texts:
                    self._check_text(edit, written, name)
                names = [name for name in names if name not in texts]
                if not names or edit.key not in self._rows:
                    continue
            changes = {name: edit.fields.get(name, Odd.MISSING) for name in names}
            problems = self._saving(author).update(self._rows[edit.key], changes)
            self._refuse(edit, author, problems)
            if len(problems) < len(changes):
                self._read_rows([edit.key])
            if edit.key in self._rows:
                self._settle_fields(edit, written, names)
            else:
                # It belongs elsewhere now.
                write_changed(self._document, self._mirror, {}, {edit.key: written})

    def _check_text(self, edit: RowEdit, written: MirroredRow, name: str) -> None:
        """Save the parts of a text that several authors have changed, each as its author."""
        parts, refused = edit.parts[name], set[Author]()
        has_others = any(part.author is None for part in parts)
        present = edit.fields[name]
        last, *authors = dict.fromkeys(part.author for part in reversed(parts) if part.author)
        for author in (*authors, last):
            text = self._values[edit.key].get(name) or ""
            for part in parts:
                if part.author is author:
                    text = merge_text(part.before, part.after, text)
            is_rest = author is last and not refused and not has_others
            if is_rest or sorted(text) == sorted(present):
                # Merging may order simultaneous changes otherwise than the document has.
                text = present
            problems = self._saving(author).update(self._rows[edit.key], {name: text})
            self._refuse(edit, author, problems)
            if problems:
                refused.add(author)
            else:
                self._read_rows([edit.key])
            if edit.key not in self._rows:
                write_changed(self._document, self._mirror, {}, {edit.key: written})
                return
        if has_others:
            self._settle_parts(edit, written, name, refused)
        else:
            self._settle_fields(edit, written, [name])

    def _settle_parts(
        self, edit: RowEdit, written: MirroredRow, name: str, refused: set[Author]
    ) -> None:
        """Record a text as the row has it; in the map, set back the refused parts alone."""
        text = edit.fields[name]
        for part in reversed(edit.parts[name]):
            if part.author in refused:
                text = merge_text(part.after, part.before, text)
        self._settle_fields(edit, written, [name], is_repaired=False)
        before = edit.fields[name]
        self._repairs.append(partial(set_field, self._mirror, edit.key, name, before, text))

    def _settle_fields(
        self,
        edit: RowEdit,
        written: MirroredRow,
        names: Iterable[str],
        *,
        is_repaired: bool = True,
    ) -> None:
        """Record these fields as the row has them, and repair the map."""
        values, before = self._values[edit.key], written.values
        written.values = before | {name: values[name] for name in names if name in values}
        self._document.record_change(self._mirror, edit.key, before, written.values)
        self._document.record.rows.filter(pk=written.pk).update(values=written.values)
        if is_repaired:
            self._repair_fields(edit, names)
        if not same(written.values, values):
            # Saving has altered other fields, too.
            write_changed(self._document, self._mirror, {edit.key: values}, {edit.key: written})

    def _check_new(self, edit: RowEdit) -> None:
        author = edit.authors.get(ROW)
        if edit.values is Odd.MISSING or self._has_moved(edit.key):
            self._outcome.overtaken.append(edit)
            return
        if author is None:
            rows = self._document.map_of(self._mirror)
            is_there = rows is not None and edit.key in rows
            (self._outcome.unowned if is_there else self._outcome.overtaken).append(edit)
            return
        others = {name: whose.user for name, whose in edit.authors.items() if whose is not author}
        try:
            if edit.values is Odd.NOT_JSON:
                raise Refused({ROW: _NO_MAP})
            row, problems = self._saving(author).create(edit.key, edit.fields, others)
        except Refused as refused:
            # All edits in it vanish with the row.
            self._refuse(edit, author, refused.problems, edit.fields)
            for name in others:
                self._refuse(edit, edit.authors[name], refused.problems, [name])
            self._repairs.append(lambda rows: rows.pop(edit.key, None))
        else:
            self._enter(edit, author, str(row.pk), problems)

    def _enter(self, edit: RowEdit, author: Author, key: str, problems: Problems) -> None:
        """Record a created row, which has that key."""
        self._read_rows([key])
        values = self._values[key]
        is_renamed = key != edit.key
        # A document other than rows were written into begins without records.
        _ = self._document.doc
        self._document.record.rows.create(
            map_name=self._mirror.map_name,
            key=key,
            client_key=edit.key if is_renamed else None,
            values=values,
        )
        self._document.record_change(self._mirror, key, None, values)
        names = {name for name in problems if differs(self._mirror, name, edit.fields, values)}
        for whose in {author, *(edit.authors.get(name, author) for name in names)}:
            own = {name for name in names if whose in (author, edit.authors.get(name))}
            self._refuse(edit, whose, {name: problems[name] for name in own})
        if is_renamed:
            self._put_back(key)
            self._repairs.append(partial(move_row, self._mirror, edit, key))
            self._outcome.renamed.append((author, self._mirror.map_name, edit.key, key))
        else:
            self._repair_fields(edit, values.keys() | edit.fields.keys())

    def _has_moved(self, key: str) -> bool:
        """Return whether another process has created the row, under another key."""
        rows = self._document.record.rows
        return rows.filter(map_name=self._mirror.map_name, client_key=key).exists()

    # Authors.

    def _by_author(self, edit: RowEdit, written: MirroredRow) -> dict[Author, list[str]]:
        """Return the fields that differ from the values written last, by author."""
        found = defaultdict(list)
        for name in sorted(written.values.keys() | edit.fields.keys()):
            author = edit.authors.get(name) or edit.authors.get(ROW)
            if author and differs(self._mirror, name, edit.fields, written.values):
                found[author].append(name)
        return found

    def _saving(self, author: Author) -> Saving:
        return Saving(self._mirror, self._document.name, author.user, self._patient)

    def _refuse_row(self, edit: RowEdit, problem: Problem) -> None:
        for author in set(edit.authors.values()):
            self._refuse(edit, author, {ROW: problem})

    def _refuse(
        self,
        edit: RowEdit,
        author: Author,
        problems: Problems,
        lost: Iterable[str] | None = None,
    ) -> None:
        """Record ``problems``, and the values of the ``lost`` fields: by default, of theirs."""
        if problems:
            names = lost or (edit.fields if ROW in problems else problems)
            values = without_marks(
                {name: edit.fields[name] for name in names if name in edit.fields}
            )
            refusal = Refusal(author, edit.map_name, edit.key, problems, values)
            self._outcome.refusals.append(refusal)

    # The map.

    def _repair_fields(self, edit: RowEdit, names: Iterable[str]) -> None:
        values = self._values[edit.key]
        for name in names:
            if differs(self._mirror, name, edit.fields, values):
                there = edit.fields.get(name, Odd.MISSING)
                now = values.get(name, Odd.MISSING)
                self._repairs.append(partial(set_field, self._mirror, edit.key, name, there, now))

    def _put_back(self, key: str) -> None:
        self._repairs.append(partial(put_back, self._mirror, key, self._values[key]))

    def _repair(self) -> None:
        if not self._repairs or (map_ := self._document.map_of(self._mirror)) is None:
            return
        with self._document.changing():
            for repair in self._repairs:
                repair(map_)
