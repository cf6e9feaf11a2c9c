"""Looks up which documents rows are in, and the values that were last written there.

It runs after each commit, so with SQL of its own: Django takes longer to build the statement than
the database to answer. It takes no lock. The next holder of a document's lock knows by the number
of its writings whether rows were written meanwhile; if not, it need not look again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from collab.mirror.models import MirroredDocument, MirroredRow
from collab.mirror.querysets import CHUNK, chunks

__all__ = ["DocumentRows", "find"]

#: A statement and its parameters.
_Select = tuple[str, Sequence[str]]


@dataclass(slots=True)
class DocumentRows:
    """A document and some of its rows, as they were when they were looked up.

    Args:
        pk: of its record.
        writings: how often rows were written into it.
    """

    pk: int
    writings: int
    #: Rows that are in it, by map name and key; ``None`` without their values.
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
    """Find documents, with one query unless it is many rows.

    Args:
        keys: of rows that may be in some, by the mirror's ``map_name``.
        room_names: of further documents to find.

    Returns:
        by their names the documents that rows are mirrored to.
    """
    connection = connections[router.db_for_write(MirroredDocument)]
    are_few = len(room_names) + sum(map(len, keys.values())) <= CHUNK
    columns = _columns(connection, with_values=are_few)
    selects = list(_selects(connection, columns, keys, room_names))
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
    found = None
    if with_values:
        fields = MirroredRow._meta.concrete_fields
        names = [field.attname for field in fields]
        found = MirroredRow.from_db(connection.alias, names, _converted(connection, values))
    known.rows[map_name, key] = found


def _converted(connection: BaseDatabaseWrapper, values: Iterable[Any]) -> list[Any]:
    json: Any = MirroredRow._meta.get_field("values")
    fields = MirroredRow._meta.concrete_fields
    return [
        json.from_db_value(value, None, connection) if field.name == json.name else value
        for field, value in zip(fields, values, strict=True)
    ]


def _columns(connection: BaseDatabaseWrapper, *, with_values: bool) -> list[str]:
    """Return the columns of rows that are asked for: map name, key, and all if they are few."""
    fields = MirroredRow._meta.concrete_fields if with_values else ()
    names = [str(field.column) for field in fields]
    return [connection.ops.quote_name(name) for name in ("map_name", "key", *names)]


def _selects(
    connection: BaseDatabaseWrapper,
    columns: Sequence[str],
    keys: Mapping[str, Collection[str]],
    room_names: Collection[str],
) -> Iterator[_Select]:
    """Yield the statements for the documents, and for rows with the documents that they are in."""
    quote = connection.ops.quote_name
    documents, rows = (quote(model._meta.db_table) for model in (MirroredDocument, MirroredRow))
    document = ", ".join(f"d.{quote(name)}" for name in ("id", "name", "writings"))
    nothing = ", ".join(["NULL"] * len(columns))
    for chunk in chunks(room_names):
        where = f"d.{quote('name')} IN ({_places(chunk)})"
        yield f"SELECT {document}, {nothing} FROM {documents} d WHERE {where}", chunk
    row = ", ".join(f"r.{column}" for column in columns)
    joined = f"{rows} r JOIN {documents} d ON d.{quote('id')} = r.{quote('document_id')}"
    for map_name, of_map in keys.items():
        for chunk in chunks(of_map):
            where = f"r.{quote('map_name')} = %s AND r.{quote('key')} IN ({_places(chunk)})"
            yield f"SELECT {document}, {row} FROM {joined} WHERE {where}", [map_name, *chunk]


def _united(selects: Sequence[_Select]) -> list[_Select]:
    if not selects:
        return []
    parameters = [value for _, values in selects for value in values]
    return [(" UNION ALL ".join(sql for sql, _ in selects), parameters)]


def _places(values: Collection[str]) -> str:
    return ", ".join(["%s"] * len(values))
