"""Records of the values that were written into a document, see :mod:`collab.mirror.models`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from django.db import connections, router

from collab.mirror.models import MirroredDocument, MirroredRow
from collab.mirror.registry import Values

__all__ = ["remember"]


def remember(
    record: MirroredDocument,
    map_name: str,
    gone: list[MirroredRow],
    news: Mapping[str, Values],
    known: Mapping[str, MirroredRow],
) -> None:
    """Record the values of rows that were written into a document.

    Args:
        record: of the document.
        map_name: of the rows' mirror.
        gone: rows that have left.
        news: values of those that were written, by key.
        known: the rows that were in the document before, by key.
    """
    if gone:
        record.rows.filter(pk__in=[row.pk for row in gone]).delete()
    created = [
        MirroredRow(document=record, map_name=map_name, key=key, values=values)
        for key, values in news.items()
        if key not in known
    ]
    if created:
        record.rows.bulk_create(created)
    changed = [known[key] for key in news if key in known]
    for row in changed:
        row.values = news[row.key]
    _update(changed)


def _update(rows: Sequence[MirroredRow]) -> None:
    """Store the values of rows; ``bulk_update()`` takes several times as long."""
    if not rows:
        return
    using = router.db_for_write(MirroredRow)
    connection, values = connections[using], MirroredRow._meta.get_field("values")
    sql = _update_statement(using)
    changed = [(values.get_db_prep_save(row.values, connection), row.pk) for row in rows]
    with connection.cursor() as cursor:
        # One is the usual case, and for one psycopg's pipeline costs more than it saves.
        if len(changed) == 1:
            cursor.execute(sql, changed[0])
        else:
            cursor.executemany(sql, changed)


@cache
def _update_statement(using: str) -> str:
    quote = connections[using].ops.quote_name
    table = quote(MirroredRow._meta.db_table)
    return f"UPDATE {table} SET {quote('values')} = %s WHERE {quote('id')} = %s"
