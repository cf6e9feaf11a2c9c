"""Rows to maps: changes of the database are written into documents, under their locks.

A document's row in ``MirroredDocument`` is its lock. Its holder reads the rows as they are then,
compares them with the values written last, and writes the difference: so the last holder has seen
the last commit, and the document ends as the database (I10). Unchecked edits of clients are left
alone: they differ from the values written last, the row does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

from django.db import connections, router, transaction
from django.db.models import QuerySet
from pycrdt import Doc, Map

from collab.conf import get_storage
from collab.engine.hub.working_copies import store_update, unsaved_updates
from collab.mirror.models import MirroredDocument, MirroredRow, new_client_id
from collab.mirror.outgoing.copy_cache import DocumentCopy, Progress, keep, open_copy
from collab.mirror.outgoing.locks import lock, lock_alone
from collab.mirror.outgoing.lookup import DocumentRows
from collab.mirror.outgoing.records import remember
from collab.mirror.outgoing.row_maps import write_row
from collab.mirror.registry import ModelMirror, Values, mirrors, mirrors_in
from collab.mirror.retry import patiently
from collab.mirror.rows.values import same
from collab.protocol.yjs.updates import merge, recording_updates
from collab_storage.chunks import CHUNK, chunks
from collab_storage.updates import state_vector

__all__ = [
    "Later",
    "Writing",
    "reconcile",
    "rename",
    "try_alone",
    "write_rows",
    "writing",
]

#: Has rows of a document written later, by the mirror's ``map_name``.
Later = Callable[[Mapping[str, Collection[str]]], None]


class Writing:
    """A document whose lock is held, for writing rows into it.

    Args:
        record: its row, which is locked.
        create: make the document again if it was deleted.
        later: has rows written that are not to wait for another lock.
        progress: of the document, if it is known.
    """

    def __init__(
        self,
        record: MirroredDocument,
        *,
        create: bool = False,
        later: Later | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.record = record
        self.name = record.name
        #: Whether rows were never written into this document, so that all of them are written.
        self.is_new = False
        self._create = create
        self._progress = progress
        self._later = later or partial(write_rows, self.name)
        self._is_gone = False
        self._copy: DocumentCopy | None = None
        self._typed: bytes | None = None
        self._entered: dict[ModelMirror[Any], dict[str, Values]] = {}
        #: Rows to look at, as others that they belong to have changed.
        self._companions: dict[str, dict[str, None]] = {}
        self._updates: list[bytes] = []

    @cached_property
    def doc(self) -> Doc[Any] | None:
        """A private copy, loaded when it is first needed; ``None`` if it was deleted."""
        client_id = self.record.client_id or new_client_id()
        copy = get_storage().wait_for(partial(open_copy, self.name, client_id, self._progress))
        self._typed = copy.typed
        if self.record.client_id in state_vector(copy.doc.get_state()):
            self._copy = copy
            return copy.doc
        # A document without anything written into it need not be stored.
        self._is_gone = not (copy.is_there or self._create or self.record.client_id is None)
        return None if self._is_gone else self._begin(copy.doc)

    def _begin(self, doc: Doc[Any]) -> Doc[Any]:
        """Return ``doc`` with a client id that was not used in it.

        If rows were written into another document of that name, clients that still have it must
        not take it for the beginning of this one.
        """
        self.is_new = True
        self.record.rows.all().delete()
        self.record.refreshes.all().delete()
        self.record.client_id = new_client_id()
        fresh = Doc[Any](client_id=self.record.client_id)
        fresh.apply_update(doc.get_update())
        return fresh

    def map_of(self, mirror: ModelMirror[Any]) -> Map[Any] | None:
        """Return the map of a mirror; ``None`` if there is no document."""
        return None if self.doc is None else self.doc.get(mirror.map_name, type=Map)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Record the changes of :attr:`doc` in the block as one update, stored at the end."""
        assert self.doc is not None
        with recording_updates(self.doc) as updates, self.doc.transaction():
            yield
        self._updates += updates

    def enter(self, mirror: ModelMirror[Any], rows: Mapping[str, Values]) -> None:
        """Record rows that are new to the document, and look at them again after the commit.

        A transaction that changes one of them, or removes it from the queryset, before this is
        committed, but after it was read here, does not see that it is in the document.
        """
        self._entered.setdefault(mirror, {}).update(rows)

    def record_change(
        self, mirror: ModelMirror[Any], key: str, before: Values | None, now: Values | None
    ) -> None:
        """Record the other values of a row in the document; see ``get_companions()``."""
        companions = mirror.get_companions(self.name, key, before, now)
        for map_name, keys in companions.items():
            self._companions.setdefault(map_name, {}).update(dict.fromkeys(map(str, keys)))

    def write_rows(
        self, keys: Mapping[str, Collection[str]], known: DocumentRows | None = None
    ) -> None:
        """Write rows as they are now, by ``map_name``, and their companions."""
        while keys:
            for mirror in mirrors():
                for chunk in chunks(keys.get(mirror.map_name, ())):
                    _write_chunk(self, mirror, chunk, known)
            keys, known = self._take_companions(), None

    def _take_companions(self) -> dict[str, dict[str, None]]:
        taken, self._companions = self._companions, {}
        return taken

    def write_all(self, concerned: Iterable[ModelMirror[Any]]) -> None:
        """Write all rows of these mirrors, which are all that have rows in the document."""
        for mirror in concerned:
            _write_all(self, mirror)
        self._companions = {}

    def finish(self) -> None:
        """Store the changes; live rooms get them when they are committed."""
        self.write_rows(self._take_companions())
        if self._is_gone:
            # The next opening begins the document anew.
            self.record.delete()
            return
        if self.is_new:
            self._write_all_rows()
        if self._updates:
            # With the updates that it builds upon: were they lost in a crash, the next change would
            # contradict this one, as both would have the same ids.
            typed = [] if self._typed is None else [self._typed]
            self._store(merge([*typed, *self._updates]))
        using = router.db_for_write(MirroredDocument)
        if self._copy is not None and self._copy.version is not None:
            transaction.on_commit(partial(keep, self.name, self._copy), using=using)
        if any(self._entered.values()):
            transaction.on_commit(self._look_again, using=using, robust=True)

    def _look_again(self) -> None:
        # Otherwise, a row that changes names its documents itself.
        with_values = any(
            _has_companions(mirror) and mirror.get_queryset(self.name) is not None
            for mirror in mirrors()
        )
        for mirror, entered in self._entered.items():
            for keys in chunks(entered):
                rows = _rows(mirror, self.name, keys)
                if with_values:
                    there = _values(mirror, self.name, list(rows))
                    unchanged = {key for key, now in there.items() if same(now, entered[key])}
                else:
                    unchanged = {str(pk) for pk in rows.values_list("pk", flat=True)}
                if changed := set(keys) - unchanged:
                    self._later({mirror.map_name: changed})

    def _store(self, update: bytes) -> None:
        get_storage().wait_for(partial(store_update, self.name, update, None))
        if self._copy is not None:
            self._copy.stored(update)

    def _write_all_rows(self) -> None:
        self.write_all(mirrors())
        if not self._updates:
            self.record.client_id = None
        self.record.save(update_fields=["client_id"])


@contextmanager
def writing(
    room_name: str, *, create: bool = False, later: Later | None = None
) -> Iterator[Writing | None]:
    """Hold a document's lock, in a transaction; yield ``None`` if no rows are mirrored to it.

    With ``later`` it waits briefly for each lock, on databases that lock documents one by one.
    """
    using = router.db_for_write(MirroredDocument)
    with transaction.atomic(using):
        record = lock(room_name, using, is_brief=later is not None)
        if record is None:
            yield None
            return
        document = Writing(record, create=create, later=later)
        yield document
        document.finish()


def write_rows(
    room_name: str,
    keys: Mapping[str, Collection[str]],
    known: DocumentRows | None = None,
    later: Later | None = None,
) -> None:
    """Write rows into a document as they are now; those that left it are removed.

    Args:
        room_name: the document; without effect if no rows are mirrored to it yet.
        keys: primary keys as text, by the mirror's ``map_name``.
        known: the document and all of these rows as they were a moment ago.
        later: see :func:`writing`; with it there is but one attempt.

    Raises:
        OperationalError: the document is locked.
    """
    write = patiently(_write_rows) if later is None else _write_rows
    write(room_name, keys, known, later)


def try_alone(room_name: str, map_name: str, key: str, later: Later | None) -> bool:
    """Write a row that is in no other document, with one attempt that waits for no other writing.

    Returns:
        Whether that was done.

    Raises:
        OperationalError: the database is away, or busy.
    """
    using = router.db_for_write(MirroredDocument)
    # Before the mark is read: they may be stored meanwhile.
    unsaved = unsaved_updates(room_name)
    with transaction.atomic(using):
        is_brief = later is not None
        if (found := lock_alone(room_name, map_name, key, using, is_brief=is_brief)) is None:
            return False
        document = Writing(found.record, later=later, progress=Progress(unsaved, found.mark))
        document.write_rows({map_name: [key]}, found.known)
        document.finish()
    return True


def _write_rows(
    room_name: str,
    keys: Mapping[str, Collection[str]],
    known: DocumentRows | None,
    later: Later | None,
) -> None:
    with writing(room_name, later=later) as document:
        if document is not None:
            is_current = known is not None and known.is_before(document.record)
            document.write_rows(keys, known if is_current else None)


@patiently
def rename(old: str, new: str) -> None:
    """Rename the records of a document's rows along with the document.

    Otherwise its maps would count as rows that clients have added, and late changes would get lost
    without notice.
    """
    if old == new or not (mirrors_in(old) or mirrors_in(new)):
        return
    using = router.db_for_write(MirroredDocument)
    records = MirroredDocument.objects.using(using)
    with transaction.atomic(using):
        if (record := lock(old, using)) is not None:
            # Of a document that was deleted, or is open and empty.
            records.filter(name=new).delete()
            records.filter(pk=record.pk).update(name=new)


def reconcile(room_name: str, *, create: bool = True, later: Later | None = None) -> bool:
    """Make a document's maps equal to its rows, in one pass over them.

    Args:
        room_name: the document.
        create: make the document if it is not stored.
        later: see :func:`write_rows`.

    Returns:
        False if no mirror has rows for the document.

    Raises:
        OperationalError: the document is locked.
    """
    work = patiently(_reconcile) if later is None else _reconcile
    return work(room_name, create, later)


def _reconcile(room_name: str, create: bool, later: Later | None) -> bool:
    concerned = mirrors_in(room_name)
    if not concerned:
        return False
    while not _write_concerned(room_name, concerned, create, later):
        # It was found to be deleted, right after this has created a record of it.
        pass
    return True


def _write_concerned(
    room_name: str, concerned: Iterable[ModelMirror[Any]], create: bool, later: Later | None
) -> bool:
    using = router.db_for_write(MirroredDocument)
    # Before the rows are read: from now on, each save of one writes it here.
    _, is_new = MirroredDocument.objects.using(using).get_or_create(name=room_name)
    if is_new and connections[using].in_atomic_block:
        # Other transactions do not see it before the commit.
        again = partial(reconcile, room_name, create=False)
        transaction.on_commit(again, using=using)
    with writing(room_name, create=create, later=later) as document:
        if document is not None and document.doc is not None and not document.is_new:
            document.write_all(concerned)
    return document is not None


def _write_all(document: Writing, mirror: ModelMirror[Any]) -> None:
    if (rows := mirror.rows(document.name)) is None:
        return
    known = {row.key: row for row in document.record.rows.filter(map_name=mirror.map_name)}
    for instances in chunks(rows.iterator(chunk_size=CHUNK)):
        there = _values(mirror, document.name, instances)
        write_changed(
            document, mirror, there, {key: known.pop(key) for key in there if key in known}
        )
    write_changed(document, mirror, {}, known)


def _write_chunk(
    document: Writing, mirror: ModelMirror[Any], keys: list[str], known: DocumentRows | None
) -> None:
    rows = None if known is None else known.of(mirror.map_name, keys)
    if rows is None:
        found = document.record.rows.filter(map_name=mirror.map_name, key__in=keys)
        rows = {row.key: row for row in found}
    there = _values(mirror, document.name, list(_rows(mirror, document.name, keys)))
    write_changed(document, mirror, there, rows)


def _rows(mirror: ModelMirror[Any], room_name: str, keys: Collection[str]) -> QuerySet[Any]:
    """Return the rows with these keys that belong in a document."""
    rows = mirror.rows(room_name)
    if rows is not None and len(keys) == 1:
        (key,) = keys
        # The usual case, for which Django builds the statement in half the time.
        return rows.filter(pk=key)
    return mirror.model._base_manager.none() if rows is None else rows.filter(pk__in=keys)


def _has_companions(mirror: ModelMirror[Any]) -> bool:
    return type(mirror).get_companions is not ModelMirror.get_companions


def _values(mirror: ModelMirror[Any], room_name: str, rows: list[Any]) -> dict[str, Values]:
    values = mirror.values(rows, room_name)
    return {str(row.pk): value for row, value in zip(rows, values, strict=True)}


def write_changed(
    document: Writing,
    mirror: ModelMirror[Any],
    there: Mapping[str, Values],
    known: Mapping[str, MirroredRow],
) -> None:
    """Write rows into the document.

    Args:
        document: that is written into.
        mirror: of the rows.
        there: values of the rows that belong in the document, by key.
        known: rows that were written into it before, these and others; the others leave.
    """
    gone = [row for key, row in known.items() if key not in there]
    news = {
        key: values
        for key, values in there.items()
        if key not in known or not same(known[key].values, values)
    }
    if not (gone or news) or (map_ := document.map_of(mirror)) is None:
        return
    with document.changing():
        for row in gone:
            map_.pop(row.key, None)
        for key, values in news.items():
            if document.is_new and key not in known:
                # The map is of a row of another document, or the document was renamed.
                map_.pop(key, None)
            before = known[key].values if key in known else {}
            write_row(map_, key, before, values, mirror.text_fields)
    document.enter(mirror, {key: news[key] for key in news if key not in known})
    for row in gone:
        document.record_change(mirror, row.key, row.values, None)
    for key, values in news.items():
        document.record_change(mirror, key, known[key].values if key in known else None, values)
    remember(document.record, mirror.map_name, gone, news, known)
