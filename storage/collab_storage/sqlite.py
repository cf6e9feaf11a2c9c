"""Documents in a SQLite file of their own, without Django's database layer."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sqlite_anyio import Connection

from . import _sqlite_versions as versions_of
from ._sqlite_file import (
    INSERT_DOCUMENT,
    INSERT_UPDATE,
    LOG,
    MARK,
    PAGE,
    REPLACE,
    connect,
    document_row,
    find_documents,
    rows_of,
    update_row,
    write,
    write_all,
)
from .authorship import Authorship
from .base import (
    DocumentId,
    DocumentInfo,
    LogEntry,
    LogRow,
    Mark,
    StoredDocument,
    check_name,
    check_prefix,
    new_version,
    under_present_names,
)
from .exceptions import DocumentExists, DocumentNotFound, StorageUnavailable
from .formats import check_formats
from .journal import DocumentEvent, EventKind, arecord, changes_of
from .versions import (
    ALL_VERSIONS,
    HistoryStorage,
    LoadedVersion,
    Version,
    VersionChoice,
    VersionDraft,
)

__all__ = ["SQLiteStorage"]

P = ParamSpec("P")
T = TypeVar("T")


def _to_the_end(
    verb: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Delay a cancellation of ``verb`` until it has ended.

    The thread of a statement does not end with the task that waits for it, and might still begin a
    transaction on a connection that is being closed.
    """

    @wraps(verb)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.ensure_future(verb(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Retrieve its error, which has no receiver any more.
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            await asyncio.wait([task])
            raise

    return run


class _TaskConnection:
    """The connection of a task inside :meth:`SQLiteStorage.serving`."""

    def __init__(self, storage: SQLiteStorage) -> None:
        self.storage = storage
        self.loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        self.lock = asyncio.Lock()
        self.connection: Connection | None = None

    async def get(self) -> Connection:
        if self.connection is None:
            self.connection = await connect(self.storage.path)
        return self.connection

    async def drop(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.close()


_kept: ContextVar[_TaskConnection | None] = ContextVar("collab_storage_sqlite", default=None)


class SQLiteStorage(HistoryStorage):
    """Stores documents in the SQLite file at ``path``, which is created on first use.

    Any number of tasks, event loops, threads and processes of one machine may use a file at once.
    Each verb opens and closes the file; inside :meth:`serving` it stays open.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    @_to_the_end
    async def load(self, name: str) -> StoredDocument | None:
        check_name(name)
        # One transaction sees one state of the file.
        async with self._transaction("DEFERRED") as db:
            found = await rows_of(
                db, "SELECT id, format, snapshot, version FROM documents WHERE name = ?", name
            )
            if not found:
                return None
            id, format, snapshot, version = found[0]
            log = await rows_of(db, LOG, id)
        check_formats(name, format, (row[:2] for row in log))
        rows = [
            LogRow(id, data, user_id, datetime.fromisoformat(at))
            for id, _, data, user_id, at in log
        ]
        return StoredDocument(snapshot, rows, version, found[0][0])

    @_to_the_end
    async def create(self, entry: LogEntry) -> DocumentId | None:
        check_name(entry.name)
        async with self._transaction() as db:
            if not await write(db, INSERT_DOCUMENT, *document_row(entry)):
                return None
            [id] = await find_documents(db, (), [entry.name])
            await db.execute(INSERT_UPDATE, update_row(id, entry))
        await arecord(changes_of([entry], [entry.name]))
        return id

    @_to_the_end
    async def append(self, entries: Sequence[LogEntry]) -> dict[str, DocumentId]:
        for entry in entries:
            check_name(entry.name)
        if not entries:
            return {}
        # The events are in another database. They are recorded before as well, lest a process that
        # dies in between leaves a change that is never delivered.
        await arecord(changes_of(entries))
        async with self._transaction() as db:
            ids, events = await _append(db, entries)
        await arecord(events)
        return ids

    @_to_the_end
    async def fold(
        self, name: str, loaded: StoredDocument, snapshot: bytes, authorship: Authorship
    ) -> bool:
        check_name(name)
        async with self._transaction() as db:
            values = snapshot, new_version(), name, loaded.version
            replaced = await write(db, REPLACE, *values)
            if replaced:
                ids = ((row.id,) for row in loaded.log)
                await write_all(db, "DELETE FROM updates WHERE id = ?", ids)
                await versions_of.add_authorship(db, name, authorship)
            return bool(replaced)

    @_to_the_end
    async def delete(self, name: str, document_id: DocumentId | None = None) -> bool:
        check_name(name)
        async with self._transaction() as db:
            sql = "DELETE FROM documents WHERE name = ? AND id = coalesce(?, id)"
            deleted = await write(db, sql, name, document_id)
        if deleted:
            await arecord([DocumentEvent(name, EventKind.DELETED)])
        return bool(deleted)

    @_to_the_end
    async def rename(self, old: str, new: str) -> None:
        check_name(old)
        check_name(new)
        async with self._transaction() as db:
            try:
                sql = "UPDATE documents SET name = ? WHERE name = ?"
                renamed = await write(db, sql, new, old)
            except sqlite3.IntegrityError as error:
                raise DocumentExists(new) from error
        if not renamed:
            raise DocumentNotFound(old)
        await arecord([DocumentEvent(new, EventKind.RENAMED, None, old)])

    @_to_the_end
    async def exists(self, name: str) -> bool:
        check_name(name)
        async with self._transaction("DEFERRED") as db:
            return bool(await rows_of(db, "SELECT 1 FROM documents WHERE name = ?", name))

    @_to_the_end
    async def marks(self, names: Sequence[str]) -> dict[str, Mark]:
        for name in names:
            check_name(name)
        found: dict[str, Mark] = {}
        async with self._transaction("DEFERRED") as db:
            for name in names:
                for version, length in await rows_of(db, MARK, name):
                    found[name] = Mark(version, length)
        return found

    @_to_the_end
    async def page(self, prefix: str, after: str, limit: int) -> Sequence[DocumentInfo]:
        check_prefix(prefix)
        check_prefix(after)
        async with self._transaction("DEFERRED") as db:
            rows = await rows_of(db, PAGE, after=after, prefix=prefix, limit=limit)
        return [
            DocumentInfo(name, snapshot_size, log_size, log_length, datetime.fromisoformat(at))
            for name, snapshot_size, log_size, log_length, at in rows
        ]

    @_to_the_end
    async def add_version(
        self, name: str, draft: VersionDraft, entries: Sequence[LogEntry] = ()
    ) -> Version:
        for each in (name, *(entry.name for entry in entries)):
            check_name(each)
        await arecord(changes_of(entries))
        async with self._transaction() as db:
            version = await versions_of.add_version(db, name, draft)
            _, events = await _append(db, entries)
        await arecord(events)
        return version

    @_to_the_end
    async def versions(self, name: str, choice: VersionChoice = ALL_VERSIONS) -> Sequence[Version]:
        check_name(name)
        async with self._transaction("DEFERRED") as db:
            return await versions_of.read_versions(db, name, choice)

    @_to_the_end
    async def load_version(self, name: str, id: int) -> LoadedVersion | None:
        check_name(name)
        async with self._transaction("DEFERRED") as db:
            return await versions_of.load_version(db, name, id)

    @_to_the_end
    async def title_version(self, name: str, id: int, title: str) -> bool:
        check_name(name)
        async with self._transaction() as db:
            return await versions_of.title_version(db, name, id, title)

    @_to_the_end
    async def delete_versions(self, name: str, ids: Iterable[int]) -> int:
        check_name(name)
        async with self._transaction() as db:
            return await versions_of.delete_versions(db, name, ids)

    @_to_the_end
    async def authorship(self, name: str) -> Authorship:
        check_name(name)
        async with self._transaction("DEFERRED") as db:
            return await versions_of.read_authorship(db, name)

    @_to_the_end
    async def forget_user(self, user_id: str) -> int:
        async with self._transaction() as db:
            return await versions_of.forget_user(db, user_id)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Keep one connection open for this task and those that it starts."""
        kept = _TaskConnection(self)
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
            connection = await connect(self.path)
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


async def _append(
    db: Connection, entries: Sequence[LogEntry]
) -> tuple[dict[str, DocumentId], list[DocumentEvent]]:
    """Append to documents; return their ids, and the events of it."""
    names = await find_documents(
        db,
        {entry.document_id for entry in entries} - {None},
        {entry.name for entry in entries if entry.document_id is None},
    )
    named = under_present_names(entries, names)
    ids = {name: id for id, name in names.items()}
    new = {entry.name: document_row(entry) for entry in named if entry.name not in ids}
    if new:
        await write_all(db, INSERT_DOCUMENT, new.values())
        ids |= {name: id for id, name in (await find_documents(db, (), new)).items()}
    await write_all(db, INSERT_UPDATE, (update_row(ids[entry.name], entry) for entry in named))
    found = {entry.name: ids[present.name] for entry, present in zip(entries, named, strict=True)}
    return found, changes_of(named, new)
