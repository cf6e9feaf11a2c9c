"""Database queries of :class:`collab_storage.orm.ORMStorage`; synchronous, one thread.

Each function is one transaction, or joins that of the caller. The reasons for the order of the
statements are in ``storage/README.md`` under "Concurrency".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache, partial
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Left
from django.db.models.lookups import Exact
from django.utils import timezone

from .base import (
    DocumentId,
    DocumentInfo,
    LogEntry,
    LogRow,
    Mark,
    StoredDocument,
    new_version,
    under_present_names,
)
from .chunks import chunks
from .exceptions import DocumentExists, DocumentNotFound
from .formats import UPDATE_FORMAT, check_formats
from .journal import DocumentEvent, EventKind, changes_of, record
from .models import Document, Update, latest_change

#: The fields of an update that the database does not fill in itself.
_INSERTED = ("document", "data", "format", "at", "user_id")


def to_database(at: datetime) -> datetime:
    return at if settings.USE_TZ else timezone.make_naive(at)


def from_database(at: datetime) -> datetime:
    return at if settings.USE_TZ else timezone.make_aware(at)


# Many rows have the same time, and converting is slow: these are cached where there are several.


def _written(connection: BaseDatabaseWrapper, at: datetime) -> Any:
    """Return a time as the driver expects it."""
    return connection.ops.adapt_datetimefield_value(to_database(at))


def _read(connection: BaseDatabaseWrapper, value: Any) -> datetime:
    """Return the aware time of one that the driver has returned."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return timezone.make_aware(at, connection.timezone) if timezone.is_naive(at) else at


def _values(entry: LogEntry, at: Any) -> Sequence[Any]:
    """Return the values of ``_INSERTED`` for an update, but for its document."""
    return entry.data, UPDATE_FORMAT, at, entry.user_id


class _LockWaits(threading.local):
    """Longest wait of the current thread for a lock; ``None``: as the database has it."""

    milliseconds: int | None = None


_lock_waits = _LockWaits()


def bound_lock_waits(milliseconds: int) -> None:
    """Limit the time that changes of the current thread wait for a lock on a document.

    Only PostgreSQL locks documents one by one.
    """
    _lock_waits.milliseconds = milliseconds


def _bound(connection: BaseDatabaseWrapper) -> str:
    """Return the start of a statement that bounds its transaction's waits for locks.

    It costs no round trip of its own, and is of no effect on the next client of a pooler.
    """
    wait = _lock_waits.milliseconds
    if connection.vendor != "postgresql" or wait is None:
        return ""
    return f"WITH bound AS MATERIALIZED (SELECT set_config('lock_timeout', '{wait}', true)) "


def _bound_transaction(using: str) -> None:
    connection = connections[using]
    if start := _bound(connection):
        with connection.cursor() as cursor:
            cursor.execute(f"{start}SELECT * FROM bound")


def _lock_statement(connection: BaseDatabaseWrapper, ids: int, names: int) -> str:
    """Return the statement that locks documents, of which it gets numbers of ids and names."""
    quote = connection.ops.quote_name
    name, pk = quote("name"), quote("id")
    table, bound = quote(Document._meta.db_table), _bound(connection)
    source = f"bound CROSS JOIN {table} d" if bound else f"{table} d"
    choices = [
        f"{column} IN ({', '.join(['%s'] * count)})"
        for column, count in ((pk, ids), (name, names))
        if count
    ]
    sql = f"{bound}SELECT {pk}, {name} FROM {source} WHERE {' OR '.join(choices)} ORDER BY {name}"
    # Django has no API for this lock; with its select_for_update() only one process at a time
    # could append to a document.
    return f"{sql} FOR KEY SHARE OF d" if connection.vendor == "postgresql" else sql


def _insert_statement(connection: BaseDatabaseWrapper) -> str:
    quote = connection.ops.quote_name
    fields = {field.name: field for field in Update._meta.concrete_fields}
    names = ", ".join(quote(str(fields[name].column)) for name in _INSERTED)
    places = ", ".join(["%s"] * len(_INSERTED))
    return f"INSERT INTO {quote(Update._meta.db_table)} ({names}) VALUES ({places})"


def _append_statement(connection: BaseDatabaseWrapper, *, by_id: bool) -> str:
    """Return the statement that appends to a document, and locks it if it exists.

    It returns the document's key, and gets its name, and its id if there is one to compare.
    """
    quote = connection.ops.quote_name
    fields = {field.name: field for field in Update._meta.concrete_fields}
    names = ", ".join(quote(str(fields[name].column)) for name in _INSERTED)
    places = ", ".join(["%s"] * (len(_INSERTED) - 1))
    table, documents = quote(Update._meta.db_table), quote(Document._meta.db_table)
    bound = _bound(connection)
    source = f"bound CROSS JOIN {documents} d" if bound else f"{documents} d"
    found = f"SELECT {quote('id')}, {places} FROM {source} WHERE {quote('name')} = %s"
    if by_id:
        found += f" AND {quote('id')} = %s"
    lock = " FOR KEY SHARE OF d" if connection.vendor == "postgresql" else ""
    return f"{bound}INSERT INTO {table} ({names}) {found}{lock} RETURNING {quote('document_id')}"


def mark_columns(using: str, name: str) -> str:
    """Return the columns of the mark of a document; ``name`` is SQL for its name."""
    quote = connections[using].ops.quote_name
    log, documents = quote(Update._meta.db_table), quote(Document._meta.db_table)
    pk, version = quote("id"), quote("version")
    found = f"FROM {documents} d WHERE d.{quote('name')} = {name}"
    length = (
        f"SELECT COUNT(*) FROM {log} u WHERE u.{quote('document_id')} = (SELECT d.{pk} {found})"
    )
    return f"(SELECT d.{version} {found}), ({length})"


@cache
def _log_statement(using: str) -> str:
    """Return the statement for a document's log and version; the time of SQLite is text."""
    quote = connections[using].ops.quote_name
    log, documents = quote(Update._meta.db_table), quote(Document._meta.db_table)
    names = ("document_id", "id", "data", "format", "user_id")
    columns = ", ".join(f"u.{quote(name)}" for name in names)
    # An expression is not converted, which takes several times as long as to read the row.
    at = f"{'+' if connections[using].vendor == 'sqlite' else ''}u.{quote('at')}"
    joined = f"{log} u JOIN {documents} d ON d.{quote('id')} = u.{quote('document_id')}"
    where = f"d.{quote('name')} = %s ORDER BY u.{quote('id')}"
    return f"SELECT {columns}, {at}, d.{quote('version')} FROM {joined} WHERE {where}"


def _marks_statement(connection: BaseDatabaseWrapper, count: int) -> str:
    """Return the statement for the marks of documents."""
    quote = connection.ops.quote_name
    log, documents = quote(Update._meta.db_table), quote(Document._meta.db_table)
    name, pk, version = quote("name"), quote("id"), quote("version")
    length = f"SELECT COUNT(*) FROM {log} u WHERE u.{quote('document_id')} = d.{pk}"
    places = ", ".join(["%s"] * count)
    return f"SELECT {name}, {version}, ({length}) FROM {documents} d WHERE {name} IN ({places})"


class Queries:
    """The verbs of the storage on the database ``using``."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.documents = Document.objects.using(using)
        self.updates = Update.objects.using(using)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change documents in the block, in one transaction."""
        with transaction.atomic(self.using):
            _bound_transaction(self.using)
            yield

    def load(self, name: str) -> StoredDocument | None:
        # The log first: rows that a compaction folds meanwhile are in the snapshot, which is read
        # after it. The other way round they would be in neither.
        while True:
            rows = self._log(name)
            found = (
                self.documents.filter(name=name)
                .values_list("pk", "snapshot", "snapshot_format", "version")
                .first()
            )
            if found is None:
                return None
            pk, snapshot, snapshot_format, version = found
            # Otherwise the name belongs to another document since then, or the rows are deleted.
            # SQLite may use their ids again, for updates that `replace` would delete.
            if not rows or (rows[0][0], rows[0][-1]) == (pk, version):
                break
        check_formats(name, snapshot_format, ((row[1], row[3]) for row in rows))
        times = cache(partial(_read, connections[self.using]))
        return StoredDocument(
            None if snapshot is None else bytes(snapshot),
            [LogRow(row[1], bytes(row[2]), row[4], times(row[5])) for row in rows],
            version,
            pk,
        )

    def _log(self, name: str) -> list[tuple[Any, ...]]:
        """Return the rows of a log as the driver does: Django converts each of their values."""
        with connections[self.using].cursor() as cursor:
            cursor.execute(_log_statement(self.using), [name])
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def create(self, entry: LogEntry) -> DocumentId | None:
        document = self._new_document(entry)
        with self.changing():
            self.documents.bulk_create([document], ignore_conflicts=True)
            # Django does not return whether that inserted the row, but its version is unique.
            created = self.documents.filter(name=entry.name, version=document.version)
            pk = created.values_list("pk", flat=True).first()
            if pk is not None:
                self._insert([entry], {entry.name: pk})
                record(changes_of([entry], [entry.name]), self.using)
            return pk

    def append(self, entries: Sequence[LogEntry]) -> dict[str, DocumentId]:
        if len(entries) == 1 and not changes_of(entries):
            pk = self._append_one(entries[0])
            if pk is not None:
                return {entries[0].name: pk}
        with transaction.atomic(self.using):
            named, ids, created = self._ensure(entries)
            self._insert(named, ids)
            record(changes_of(named, created), self.using)
        return {
            entry.name: ids[present.name] for entry, present in zip(entries, named, strict=True)
        }

    def _append_one(self, entry: LogEntry) -> int | None:
        """Append to a document with a single statement, and return the document's key.

        ``None`` if no document has both the name and the id of the entry.
        """
        connection = connections[self.using]
        if not connection.features.can_return_columns_from_insert:
            return None
        statement = _append_statement(connection, by_id=entry.document_id is not None)
        wanted = [each for each in (entry.name, entry.document_id) if each is not None]
        # Without a savepoint: if it fails, the caller's transaction cannot go on.
        with transaction.mark_for_rollback_on_error(self.using), connection.cursor() as cursor:
            cursor.execute(statement, [*_values(entry, _written(connection, entry.at)), *wanted])
            return next((pk for [pk] in cursor.fetchall()), None)

    def _ensure(
        self, entries: Sequence[LogEntry]
    ) -> tuple[list[LogEntry], dict[str, DocumentId], list[str]]:
        """Lock the documents of ``entries``, and create missing ones.

        Returns:
            The entries under the present names of their documents, the keys of these names, and
            the names that are new.
        """
        # In the order of the names, against deadlocks.
        wanted = {entry.document_id or entry.name: entry for entry in reversed(entries)}
        names: dict[DocumentId, str] = {}
        for part in chunks(sorted(wanted.values(), key=attrgetter("name"))):
            names |= self._lock(
                [entry.document_id for entry in part if entry.document_id is not None],
                [entry.name for entry in part if entry.document_id is None],
            )
        named = under_present_names(entries, names)
        first = {entry.name: entry for entry in reversed(named)}
        created: list[str] = []
        # A second round is needed only if a document is deleted right after the first.
        while missing := sorted(first.keys() - set(names.values())):
            new = [self._new_document(first[name]) for name in missing]
            self.documents.bulk_create(new, ignore_conflicts=True)
            created += missing
            for chunk in chunks(missing):
                names |= self._lock([], chunk)
        return named, {name: id for id, name in names.items()}, created

    def _lock(self, ids: list[DocumentId], names: list[str]) -> dict[DocumentId, str]:
        """Return the keys and names of those documents that exist.

        It keeps them from being deleted before the commit. Other transactions may append to them
        and replace their snapshots at the same time.
        """
        connection = connections[self.using]
        with connection.cursor() as cursor:
            cursor.execute(_lock_statement(connection, len(ids), len(names)), [*ids, *names])
            return dict(cursor.fetchall())

    def _new_document(self, entry: LogEntry) -> Document:
        at = to_database(entry.at)
        return Document(name=entry.name, created_at=at, updated_at=at)

    def _insert(self, entries: Sequence[LogEntry], ids: Mapping[str, DocumentId]) -> None:
        # bulk_create() would take several times as long: it creates an object for each row and
        # compiles each of its values.
        connection = connections[self.using]
        times = cache(partial(_written, connection))
        rows = [(ids[entry.name], *_values(entry, times(entry.at))) for entry in entries]
        with connection.cursor() as cursor:
            cursor.executemany(_insert_statement(connection), rows)

    def replace(self, name: str, loaded: StoredDocument, snapshot: bytes) -> bool:
        """Replace the snapshot and log rows, in the caller's transaction."""
        replaced = self.documents.filter(name=name, version=loaded.version).update(
            snapshot=snapshot,
            snapshot_format=UPDATE_FORMAT,
            version=new_version(),
            updated_at=latest_change(),
        )
        if replaced:
            for ids in chunks(row.id for row in loaded.log):
                self.updates.filter(pk__in=ids).delete()
        return bool(replaced)

    def delete(self, name: str, document_id: DocumentId | None) -> bool:
        with self.changing():
            # The lock waits for the transactions that append to it, so that none of their rows
            # appears between the deletion of the log and that of the document.
            document = self.documents.select_for_update().filter(name=name).only("pk").first()
            if document is None or document_id not in (None, document.pk):
                return False
            document.delete()
            record([DocumentEvent(name, EventKind.DELETED)], self.using)
            return True

    def rename(self, old: str, new: str) -> None:
        try:
            with self.changing():
                renamed = self.documents.filter(name=old).update(name=new)
                if renamed:
                    record([DocumentEvent(new, EventKind.RENAMED, None, old)], self.using)
        except IntegrityError as error:
            raise DocumentExists(new) from error
        if not renamed:
            raise DocumentNotFound(old)

    def exists(self, name: str) -> bool:
        return self.documents.filter(name=name).exists()

    def marks(self, names: Sequence[str]) -> dict[str, Mark]:
        found: dict[str, Mark] = {}
        for chunk in chunks(names):
            connection = connections[self.using]
            with connection.cursor() as cursor:
                cursor.execute(_marks_statement(connection, len(chunk)), chunk)
                found |= {name: Mark(*mark) for name, *mark in cursor.fetchall()}
        return found

    def page(self, prefix: str, after: str, limit: int) -> Sequence[DocumentInfo]:
        rows = self.documents.with_sizes().filter(name__gt=after).order_by("name")
        if prefix:
            # SQLite's LIKE ignores case, so Left() decides; LIKE is for PostgreSQL's index.
            rows = rows.filter(Exact(Left("name", len(prefix)), prefix), name__startswith=prefix)
        columns = ("name", "snapshot_size", "log_size", "log_length", "changed_at")
        return [
            DocumentInfo(name, snapshot_size, log_size, log_length, from_database(at))
            for name, snapshot_size, log_size, log_length, at in rows.values_list(*columns)[:limit]
        ]
