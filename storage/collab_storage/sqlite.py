"""Documents in a SQLite file of their own, without Django's database layer."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import sqlite_anyio
from sqlite_anyio import Connection

from .base import (
    DocumentInfo,
    LogEntry,
    LogRow,
    Mark,
    Storage,
    StoredDocument,
    check_name,
    check_prefix,
    new_version,
)
from .exceptions import DocumentExists, DocumentNotFound, StorageUnavailable
from .formats import check_formats

__all__ = ["SQLiteStorage"]

P = ParamSpec("P")
T = TypeVar("T")

#: How long a writer waits for another one, in milliseconds.
BUSY_TIMEOUT = 20_000
#: Seconds until another attempt where SQLite itself does not wait.
RETRY = 0.02

# In WAL mode a commit is on the disk only with synchronous=FULL.
_SET_UP = f"""
    PRAGMA busy_timeout = {BUSY_TIMEOUT};
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
"""
# The snapshot is the last column: those before it are read without it. Appending does not touch
# the row of the document, as SQLite would write the snapshot again.
_SCHEMA = """
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
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        at TEXT NOT NULL,
        user_id TEXT,
        format INTEGER NOT NULL DEFAULT 1,
        data BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS updates_document ON updates (document_id);
    PRAGMA user_version = 1;
    COMMIT;
"""
_INSERT_DOCUMENT = """
    INSERT OR IGNORE INTO documents (name, version, created_at, updated_at) VALUES (?, ?, ?, ?)
"""
_INSERT_UPDATE = """
    INSERT INTO updates (document_id, data, at, user_id)
    SELECT id, ?, ?, ? FROM documents WHERE name = ?
"""
_LATEST = "(SELECT max(at) FROM updates WHERE document_id = documents.id)"
_REPLACE = f"""
    UPDATE documents
    SET snapshot = ?, version = ?, updated_at = max(updated_at, coalesce({_LATEST}, updated_at))
    WHERE name = ? AND version = ?
"""
_MARK = """
    SELECT version, (SELECT count(*) FROM updates WHERE document_id = documents.id)
    FROM documents WHERE name = ?
"""
_PAGE = f"""
    SELECT name,
        coalesce(length(snapshot), 0),
        (SELECT coalesce(sum(length(data)), 0) FROM updates WHERE document_id = documents.id),
        (SELECT count(*) FROM updates WHERE document_id = documents.id),
        max(updated_at, coalesce({_LATEST}, updated_at))
    FROM documents
    WHERE name > :after AND name >= :prefix AND substr(name, 1, length(:prefix)) = :prefix
    ORDER BY name LIMIT :limit
"""


def _document_row(entry: LogEntry) -> tuple[str, int, str, str]:
    at = _text(entry.at)
    return entry.name, new_version(), at, at


def _update_row(entry: LogEntry) -> tuple[bytes, str, str | None, str]:
    return entry.data, _text(entry.at), entry.user_id, entry.name


def _text(at: datetime) -> str:
    # All of the same length, so that they sort by time.
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _to_the_end(
    verb: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Pass a cancellation of ``verb`` on only when it has ended.

    The thread of a statement does not end with the task that waits for it, and might still
    begin a transaction on a connection that is being closed.
    """

    @wraps(verb)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.ensure_future(verb(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Nobody hears of its error any more.
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            await asyncio.wait([task])
            raise

    return run


class _Kept:
    """The connection of a task that is serving."""

    def __init__(self, storage: SQLiteStorage) -> None:
        self.storage = storage
        self.loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        self.lock = asyncio.Lock()
        self.connection: Connection | None = None

    async def get(self) -> Connection:
        if self.connection is None:
            self.connection = await self.storage._connect()
        return self.connection

    async def drop(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.close()


_kept: ContextVar[_Kept | None] = ContextVar("collab_storage_sqlite", default=None)


class SQLiteStorage(Storage):
    """Keeps documents in the SQLite file at ``path``, which is made when it is first used.

    Any number of tasks, event loops, threads and processes of one machine may use a file at
    once. Each verb opens the file and closes it, but inside :meth:`serving` it stays open.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    @_to_the_end
    async def load(self, name: str) -> StoredDocument | None:
        check_name(name)
        # One transaction sees one state of the file.
        async with self._transaction("DEFERRED") as db:
            found = await _rows(
                db, "SELECT id, format, snapshot, version FROM documents WHERE name = ?", name
            )
            if not found:
                return None
            id, format, snapshot, version = found[0]
            log = await _rows(
                db, "SELECT id, format, data FROM updates WHERE document_id = ? ORDER BY id", id
            )
        check_formats(name, format, (row[:2] for row in log))
        return StoredDocument(snapshot, [LogRow(id, data) for id, _, data in log], version)

    @_to_the_end
    async def create(self, entry: LogEntry) -> bool:
        check_name(entry.name)
        async with self._transaction() as db:
            created = await _write(db, _INSERT_DOCUMENT, *_document_row(entry))
            if created:
                await db.execute(_INSERT_UPDATE, _update_row(entry))
            return bool(created)

    @_to_the_end
    async def append(self, entries: Sequence[LogEntry]) -> None:
        for entry in entries:
            check_name(entry.name)
        if not entries:
            return
        async with self._transaction() as db:
            await _write_all(db, _INSERT_DOCUMENT, map(_document_row, entries))
            await _write_all(db, _INSERT_UPDATE, map(_update_row, entries))

    @_to_the_end
    async def replace(self, name: str, loaded: StoredDocument, snapshot: bytes) -> bool:
        check_name(name)
        async with self._transaction() as db:
            values = snapshot, new_version(), name, loaded.version
            replaced = await _write(db, _REPLACE, *values)
            if replaced:
                ids = ((row.id,) for row in loaded.log)
                await _write_all(db, "DELETE FROM updates WHERE id = ?", ids)
            return bool(replaced)

    @_to_the_end
    async def delete(self, name: str) -> bool:
        check_name(name)
        async with self._transaction() as db:
            return bool(await _write(db, "DELETE FROM documents WHERE name = ?", name))

    @_to_the_end
    async def rename(self, old: str, new: str) -> None:
        check_name(old)
        check_name(new)
        async with self._transaction() as db:
            try:
                sql = "UPDATE documents SET name = ? WHERE name = ?"
                renamed = await _write(db, sql, new, old)
            except sqlite3.IntegrityError as error:
                raise DocumentExists(new) from error
        if not renamed:
            raise DocumentNotFound(old)

    @_to_the_end
    async def exists(self, name: str) -> bool:
        check_name(name)
        async with self._transaction("DEFERRED") as db:
            return bool(await _rows(db, "SELECT 1 FROM documents WHERE name = ?", name))

    @_to_the_end
    async def marks(self, names: Sequence[str]) -> dict[str, Mark]:
        found: dict[str, Mark] = {}
        async with self._transaction("DEFERRED") as db:
            for name in names:
                for version, length in await _rows(db, _MARK, name):
                    found[name] = Mark(version, length)
        return found

    @_to_the_end
    async def page(self, prefix: str, after: str, limit: int) -> Sequence[DocumentInfo]:
        check_prefix(prefix)
        check_prefix(after)
        async with self._transaction("DEFERRED") as db:
            rows = await _rows(db, _PAGE, after=after, prefix=prefix, limit=limit)
        return [
            DocumentInfo(name, snapshot_size, log_size, log_length, datetime.fromisoformat(at))
            for name, snapshot_size, log_size, log_length, at in rows
        ]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Inside it, this task and those it starts keep one connection open."""
        kept = _Kept(self)
        token = _kept.set(kept)
        try:
            yield
        finally:
            _kept.reset(token)
            async with kept.lock:
                kept.loop = None
                await kept.drop()

    @asynccontextmanager
    async def _transaction(self, kind: str = "IMMEDIATE") -> AsyncIterator[Connection]:
        try:
            async with self._connection() as db:
                try:
                    await db.execute(f"BEGIN {kind}")
                    yield db
                    await db.commit()
                except BaseException:
                    await db.rollback()
                    raise
        except sqlite3.Error as error:
            raise StorageUnavailable(f"The file {self.path!r}: {error}") from error

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        kept = _kept.get()
        if kept is None or kept.storage is not self or kept.loop is not asyncio.get_running_loop():
            connection = await self._connect()
            try:
                yield connection
            finally:
                await connection.close()
            return
        async with kept.lock:
            try:
                yield await kept.get()
            except sqlite3.Error:
                await kept.drop()
                raise

    async def _connect(self) -> Connection:
        connection = await sqlite_anyio.connect(self.path)
        try:
            await _prepare(connection)
        except BaseException:
            await connection.close()
            raise
        return connection


async def _prepare(db: Connection) -> None:
    """Set the connection up, and the file if it is new."""
    cursor = await db.cursor()
    await cursor.executescript(_SET_UP)
    loop = asyncio.get_running_loop()
    end = loop.time() + BUSY_TIMEOUT / 1000
    while await _rows(db, "PRAGMA user_version") == [(0,)]:
        try:
            await cursor.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            # Of several that switch a new file to WAL at once, SQLite refuses some without
            # waiting.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or loop.time() > end:
                raise
            await asyncio.sleep(RETRY)


async def _rows(db: Connection, sql: str, *values: Any, **named: Any) -> list[tuple[Any, ...]]:
    parameters: Any = named or values
    return await (await db.execute(sql, parameters)).fetchall()


async def _write(db: Connection, sql: str, *values: Any) -> int:
    """Return the number of rows that ``sql`` has changed."""
    return (await db.execute(sql, values)).rowcount


async def _write_all(db: Connection, sql: str, rows: Iterable[Sequence[Any]]) -> None:
    await (await db.cursor()).executemany(sql, list(rows))
