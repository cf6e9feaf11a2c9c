"""The lock of a document: its row in ``MirroredDocument``, held until the commit.

It is acquired for each save of a row, so with SQL of its own: Django takes longer to build the
statement, and an object of the result, than the database to answer. The usual save is of one row
that is in one document. Where the database can pass over what is locked, one statement finds that
out, locks the document and reads the values written last, and the mark of the stored document.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from django.db import connections

from collab.conf import get_storage
from collab.mirror.models import MirroredDocument, MirroredRow
from collab.mirror.outgoing.lookup import DocumentRows, row_columns, row_of
from collab_storage.base import Mark
from collab_storage.orm import ORMStorage

__all__ = ["Locked", "can_lock_alone", "lock", "lock_alone"]

#: Milliseconds that an attempt waits for each lock, if its rows can be written later.
_BRIEF = 100

#: The fields of a document's record that its lock returns; others are read when they are needed.
_LOCKED = ("id", "name", "client_id", "writings", "fresh_size")


def lock(room_name: str, using: str, *, is_brief: bool = False) -> MirroredDocument | None:
    """Lock a document's record until the commit, and count that, with one statement."""
    with connections[using].cursor() as cursor:
        cursor.execute(_lock_statement(using, is_brief), [room_name])
        row = cursor.fetchone()
    return None if row is None else MirroredDocument.from_db(using, _LOCKED, row)


@dataclass(frozen=True, slots=True)
class Locked:
    """A document whose lock is held, and what its statement has found.

    Args:
        record: its row, which is locked.
        known: the row as it was written last; ``None`` if the document was written into while the
            statement ran.
        mark: of the stored document; ``None`` if it must be read.
    """

    record: MirroredDocument
    known: DocumentRows | None = None
    mark: Mark | None = None


def can_lock_alone(using: str) -> bool:
    """Return whether :func:`lock_alone` can be called on a database."""
    return connections[using].features.has_select_for_update_skip_locked


def lock_alone(
    room_name: str, map_name: str, key: str, using: str, *, is_brief: bool
) -> Locked | None:
    """Lock a document's record unless it is locked, or another document has the row.

    Args:
        room_name: the document.
        map_name: of the row.
        key: of the row.
        using: alias of the database.
        is_brief: see :func:`lock`.
    """
    connection = connections[using]
    sql = _lock_alone_statement(using, _mark_columns(using), is_brief)
    with connection.cursor() as cursor:
        cursor.execute(sql, [room_name, map_name, key, map_name, key])
        if (found := cursor.fetchone()) is None:
            return None
    writings, version, log_length, *columns = found
    record = MirroredDocument.from_db(using, _LOCKED, columns[: len(_LOCKED)])
    known = DocumentRows(record.pk, writings)
    if not known.is_before(record):
        return Locked(record)
    values = columns[len(_LOCKED) :]
    if values[0] is not None:
        known.rows[map_name, key] = row_of(connection, values)
    return Locked(record, known, None if version is None else Mark(version, log_length))


def _mark_columns(using: str) -> str:
    """Return the columns of the stored document's mark, if it is in the same database."""
    storage, name = get_storage(), connections[using].ops.quote_name("name")
    if isinstance(storage, ORMStorage) and storage.using == using:
        table = connections[using].ops.quote_name(MirroredDocument._meta.db_table)
        return storage.mark_columns(f"{table}.{name}")
    return "NULL, NULL"


@cache
def _lock_statement(using: str, is_brief: bool) -> str:
    quote = connections[using].ops.quote_name
    table, writings = quote(MirroredDocument._meta.db_table), quote("writings")
    bound, source = _bound(using, is_brief)
    start, source = (f"WITH {bound} ", f" FROM {source}") if bound else ("", "")
    return (
        f"{start}UPDATE {table} SET {writings} = {table}.{writings} + 1{source}"
        f" WHERE {quote('name')} = %s RETURNING {_columns(using, table)}"
    )


@cache
def _lock_alone_statement(using: str, mark: str, is_brief: bool) -> str:
    quote = connections[using].ops.quote_name
    documents, rows = (quote(model._meta.db_table) for model in (MirroredDocument, MirroredRow))
    writings, of_row = quote("writings"), f"{quote('map_name')} = %s AND r.{quote('key')} = %s"
    bound, source = _bound(using, is_brief)
    start, source = (f"{bound}, ", f"{source}, ") if bound else ("", "")
    elsewhere = f"SELECT 1 FROM {rows} r WHERE r.{of_row} AND r.{quote('document_id')} <> d.id"
    return (
        f"WITH {start}alone AS MATERIALIZED ("
        f"SELECT d.id FROM {source}{documents} d WHERE d.{quote('name')} = %s"
        f" AND NOT EXISTS ({elsewhere}) FOR UPDATE OF d SKIP LOCKED)"
        f" UPDATE {documents} SET {writings} = {documents}.{writings} + 1"
        f" FROM alone LEFT JOIN {rows} r ON r.{quote('document_id')} = alone.id AND r.{of_row}"
        f" WHERE {documents}.id = alone.id"
        # The number that the statement sees: lower than the record's if that was changed meanwhile.
        f" RETURNING (SELECT d.{writings} FROM {documents} d WHERE d.id = alone.id), {mark},"
        f" {_columns(using, documents)}, {row_columns(using, 'r')}"
    )


def _bound(using: str, is_brief: bool) -> tuple[str, str]:
    """Return the part of a statement that bounds the waits for locks, and its name."""
    if not is_brief or connections[using].vendor != "postgresql":
        return "", ""
    return f"bound AS MATERIALIZED (SELECT set_config('lock_timeout', '{_BRIEF}', true))", "bound"


def _columns(using: str, table: str) -> str:
    quote = connections[using].ops.quote_name
    return ", ".join(f"{table}.{quote(name)}" for name in _LOCKED)
