"""The file of :class:`collab_storage.sqlite.SQLiteStorage`: its tables, statements, connections."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlite_anyio
from sqlite_anyio import Connection

from .base import DocumentId, LogEntry, new_version

#: Longest wait of a writer for another one, in milliseconds.
BUSY_TIMEOUT = 20_000
#: Number of the file's tables; a file with an earlier one gets the missing tables.
USER_VERSION = 3
#: Seconds between attempts where SQLite itself does not wait.
RETRY = 0.02

# In WAL mode a commit is on the disk only with synchronous=FULL.
SET_UP = f"""
    PRAGMA busy_timeout = {BUSY_TIMEOUT};
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
"""
# The snapshot is the last column: those before it are read without it. Appending does not touch
# the row of the document, as SQLite would write the snapshot again, nor the table of AUTOINCREMENT,
# which would be another page of each commit.
SCHEMA = f"""
    PRAGMA journal_mode = WAL;
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS documents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        version INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        format INTEGER NOT NULL DEFAULT 1,
        snapshot BLOB
    );
    CREATE TABLE IF NOT EXISTS updates (
        id INTEGER PRIMARY KEY,
        document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        at TEXT NOT NULL,
        user_id TEXT,
        format INTEGER NOT NULL DEFAULT 1,
        data BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS updates_document ON updates (document_id);
    CREATE TABLE IF NOT EXISTS states (
        document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        digest BLOB NOT NULL,
        base BLOB,
        insertions INTEGER NOT NULL,
        deletions INTEGER NOT NULL,
        format INTEGER NOT NULL DEFAULT 1,
        data BLOB NOT NULL,
        PRIMARY KEY (document_id, digest)
    );
    CREATE TABLE IF NOT EXISTS versions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        digest BLOB NOT NULL,
        at TEXT NOT NULL,
        title TEXT NOT NULL,
        kind TEXT NOT NULL,
        authors TEXT NOT NULL,
        made_by TEXT,
        edits INTEGER NOT NULL,
        restored_from INTEGER
    );
    CREATE INDEX IF NOT EXISTS versions_document ON versions (document_id);
    CREATE TABLE IF NOT EXISTS author_ranges (
        document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        client INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        user_id TEXT,
        since TEXT NOT NULL,
        until TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS author_ranges_document ON author_ranges (document_id);
    CREATE TABLE IF NOT EXISTS deletion_counts (
        document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        user_id TEXT,
        count INTEGER NOT NULL,
        since TEXT NOT NULL,
        until TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS deletion_counts_document ON deletion_counts (document_id);
    PRAGMA user_version = {USER_VERSION};
    COMMIT;
"""
INSERT_DOCUMENT = """
    INSERT OR IGNORE INTO documents (name, version, created_at, updated_at) VALUES (?, ?, ?, ?)
"""
INSERT_UPDATE = """
    INSERT INTO updates (document_id, data, at, user_id) VALUES (?, ?, ?, ?)
"""
# Names are lists in JSON, as older builds of SQLite allow 999 values.
FIND = """
    SELECT id, name FROM documents WHERE id IN (SELECT value FROM json_each(?))
    UNION SELECT id, name FROM documents WHERE name IN (SELECT value FROM json_each(?))
"""
LOG = "SELECT id, format, data, user_id, at FROM updates WHERE document_id = ? ORDER BY id"
_LATEST = "(SELECT max(at) FROM updates WHERE document_id = documents.id)"
REPLACE = f"""
    UPDATE documents
    SET snapshot = ?, version = ?, updated_at = max(updated_at, coalesce({_LATEST}, updated_at))
    WHERE name = ? AND version = ?
"""
MARK = """
    SELECT version, (SELECT count(*) FROM updates WHERE document_id = documents.id)
    FROM documents WHERE name = ?
"""
PAGE = f"""
    SELECT name,
        coalesce(length(snapshot), 0),
        (SELECT coalesce(sum(length(data)), 0) FROM updates WHERE document_id = documents.id),
        (SELECT count(*) FROM updates WHERE document_id = documents.id),
        max(updated_at, coalesce({_LATEST}, updated_at))
    FROM documents
    WHERE name > :after AND name >= :prefix AND substr(name, 1, length(:prefix)) = :prefix
    ORDER BY name LIMIT :limit
"""


def document_row(entry: LogEntry) -> tuple[str, int, str, str]:
    at = time_text(entry.at)
    return entry.name, new_version(), at, at


def update_row(id: DocumentId, entry: LogEntry) -> tuple[DocumentId, bytes, str, str | None]:
    return id, entry.data, time_text(entry.at), entry.user_id


def time_text(at: datetime) -> str:
    # All of the same length, so that they sort by time.
    return at.astimezone(UTC).isoformat(timespec="microseconds")


async def connect(path: str) -> Connection:
    """Open the file; create it if it is missing."""
    connection = await sqlite_anyio.connect(path)
    try:
        await _prepare(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _prepare(db: Connection) -> None:
    """Set the connection up, and the file if it is new."""
    cursor = await db.cursor()
    await cursor.executescript(SET_UP)
    loop = asyncio.get_running_loop()
    end = loop.time() + BUSY_TIMEOUT / 1000
    while await _user_version(db) < USER_VERSION:
        try:
            await cursor.executescript(SCHEMA)
        except sqlite3.OperationalError as error:
            # SQLite refuses some connections that switch a new file to WAL at the same time,
            # without waiting.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or loop.time() > end:
                raise
            await asyncio.sleep(RETRY)


async def _user_version(db: Connection) -> int:
    [[number]] = await rows_of(db, "PRAGMA user_version")
    return int(number)


async def rows_of(db: Connection, sql: str, *values: Any, **named: Any) -> list[tuple[Any, ...]]:
    parameters: Any = named or values
    return await (await db.execute(sql, parameters)).fetchall()


async def write(db: Connection, sql: str, *values: Any) -> int:
    """Return the number of rows that ``sql`` has changed."""
    return (await db.execute(sql, values)).rowcount


async def find_documents(
    db: Connection, ids: Iterable[DocumentId | None], names: Iterable[str]
) -> dict[DocumentId, str]:
    """Return the ids and names of those documents that exist."""
    values = (json.dumps([*each], ensure_ascii=False) for each in (ids, names))
    return dict(await rows_of(db, FIND, *values))


async def write_all(db: Connection, sql: str, rows: Iterable[Sequence[Any]]) -> None:
    await (await db.cursor()).executemany(sql, list(rows))
