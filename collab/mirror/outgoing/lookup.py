"""Looks up which documents rows are in, and the values that were last written there.

It runs after each commit, so with SQL of its own: Django takes longer to build the statement than
the database to answer. It takes no lock. The next holder of a document's lock knows by the number
of its writings whether rows were written meanwhile; if not, it need not look again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from collab.mirror.models import MirroredDocument, MirroredRow
from collab_storage.chunks import CHUNK, chunks

__all__ = ["DocumentRows", "find", "row_columns", "row_of"]

#: A statement and its parameters.
_Select = tuple[str, Sequence[str]]

_VALUES: Any = MirroredRow._meta.get_field("values")


@dataclass(slots=True)
class DocumentRows:
    """A document and some of its rows, as they were when they were looked up.

    Args:
        pk: primary key of the document's record.
        writings: how often rows were written into it.
    """

    pk: int
    writings: int
    #: Rows in the document, by map name and key; ``None`` if their values were not read.
    rows: dict[tuple[str, str], MirroredRow | None] = field(default_factory=dict)

    def of(self, map_name: str, keys: Iterable[str]) -> dict[str, MirroredRow] | None:
        """Return those of these rows that are in the document; ``None`` if some were not looked up.

        They are copies, as a transaction that changes them may have to begin anew.
        """
        found = {key: self.rows[map_name, key] for key in keys if (map_name, key) in self.rows}
        rows = {key: copy(row) for key, row in found.items() if row is not None}
        return rows if len(rows) == len(found) else None

    def is_before(self, record: MirroredDocument) -> bool:
        """Return whether ``record``, which is locked now, was not locked since the lookup."""
        return (self.pk, self.writings + 1) == (record.pk, record.writings)


def find(
    keys: Mapping[str, Collection[str]], room_names: Collection[str]
) -> dict[str, DocumentRows]:
    """Find documents, with one query unless there are many rows.

    Args:
        keys: primary keys of rows that may be in documents, by the mirror's ``map_name``.
        room_names: of further documents to find.

    Returns:
        by their names the documents that rows are mirrored to.
    """
    using = router.db_for_write(MirroredDocument)
    connection = connections[using]
    are_few = len(room_names) + sum(map(len, keys.values())) <= CHUNK
    selects = list(_selects(using, keys, room_names, with_values=are_few))
    if are_few:
        selects = _united(selects)
    found: dict[str, DocumentRows] = {}
    for sql, parameters in selects:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            for pk, name, writings, *row in cursor.fetchall():
                known = found.setdefault(name, DocumentRows(pk, writings))
                if row[0] is not None:
                    _add(known, connection, row, with_values=are_few)
    return found


def _add(
    known: DocumentRows, connection: BaseDatabaseWrapper, row: Sequence[Any], *, with_values: bool
) -> None:
    map_name, key, *values = row
    known.rows[map_name, key] = row_of(connection, values) if with_values else None


def row_of(connection: BaseDatabaseWrapper, values: Iterable[Any]) -> MirroredRow:
    """Return a row from its values in all columns."""
    fields = MirroredRow._meta.concrete_fields
    converted = [
        _VALUES.from_db_value(value, None, connection) if field.name == "values" else value
        for field, value in zip(fields, values, strict=True)
    ]
    return MirroredRow.from_db(connection.alias, [field.attname for field in fields], converted)


def row_columns(using: str, table: str) -> str:
    """Return all columns of rows, in the order that :func:`row_of` expects."""
    quote = connections[using].ops.quote_name
    fields = MirroredRow._meta.concrete_fields
    return ", ".join(f"{table}.{quote(str(field.column))}" for field in fields)


def _columns(using: str, *, with_values: bool) -> tuple[str, str]:
    """Return the columns of rows that are asked for, and as many times nothing.

    They are map name and key, and all others if the rows are few.
    """
    quote = connections[using].ops.quote_name
    columns = f"r.{quote('map_name')}, r.{quote('key')}"
    if not with_values:
        return columns, "NULL, NULL"
    nothing = ", ".join(["NULL"] * (2 + len(MirroredRow._meta.concrete_fields)))
    return f"{columns}, {row_columns(using, 'r')}", nothing


def _selects(
    using: str,
    keys: Mapping[str, Collection[str]],
    room_names: Collection[str],
    *,
    with_values: bool,
) -> Iterator[_Select]:
    """Yield the statements for the documents, and for rows with the documents that they are in."""
    for chunk in chunks(room_names):
        yield _select_documents(using, len(chunk), with_values), chunk
    for map_name, of_map in keys.items():
        for chunk in chunks(of_map):
            yield _select_rows(using, len(chunk), with_values), [map_name, *chunk]


@lru_cache(maxsize=64)
def _select_documents(using: str, number: int, with_values: bool) -> str:
    quote = connections[using].ops.quote_name
    _, nothing = _columns(using, with_values=with_values)
    table, places = quote(MirroredDocument._meta.db_table), _places(number)
    where = f"d.{quote('name')} IN ({places})"
    return f"SELECT {_document(using)}, {nothing} FROM {table} d WHERE {where}"


@lru_cache(maxsize=64)
def _select_rows(using: str, number: int, with_values: bool) -> str:
    quote = connections[using].ops.quote_name
    columns, _ = _columns(using, with_values=with_values)
    documents, rows = (quote(model._meta.db_table) for model in (MirroredDocument, MirroredRow))
    joined = f"{rows} r JOIN {documents} d ON d.{quote('id')} = r.{quote('document_id')}"
    where = f"r.{quote('map_name')} = %s AND r.{quote('key')} IN ({_places(number)})"
    return f"SELECT {_document(using)}, {columns} FROM {joined} WHERE {where}"


def _document(using: str) -> str:
    quote = connections[using].ops.quote_name
    return ", ".join(f"d.{quote(name)}" for name in ("id", "name", "writings"))


def _united(selects: Sequence[_Select]) -> list[_Select]:
    if not selects:
        return []
    parameters = [value for _, values in selects for value in values]
    return [(" UNION ALL ".join(sql for sql, _ in selects), parameters)]


def _places(number: int) -> str:
    return ", ".join(["%s"] * number)
