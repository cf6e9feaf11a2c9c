"""Documents in the project's own database; the default storage."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, ClassVar, TypeVar

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction

from ._failures import LOCK_TIMEOUT, drop_if_broken, is_not_migrated, translate
from ._queries import Queries, bound_lock_waits, mark_columns
from ._supported import check_supported
from ._version_queries import VersionQueries
from .authorship import Authorship
from .base import (
    DocumentId,
    DocumentInfo,
    LogEntry,
    Mark,
    StoredDocument,
    check_name,
    check_prefix,
)
from .versions import (
    ALL_VERSIONS,
    HistoryStorage,
    LoadedVersion,
    Version,
    VersionChoice,
    VersionDraft,
)

__all__ = ["ORMStorage", "is_not_migrated"]

T = TypeVar("T")


#: Seconds without use after which a connection is replaced, as it may be broken.
MAX_IDLE = 30.0


class _Worker:
    """A thread with database connections of its own."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(
            1,
            thread_name_prefix="collab-storage",
            # A transaction of the project that holds one document must not stop the others.
            initializer=partial(bound_lock_waits, LOCK_TIMEOUT),
        )
        self._used = time.monotonic()
        self.open = True

    async def run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, function)

    def _run(self, function: Callable[[], T]) -> T:
        # Django closes old connections after requests, and this thread has none. With the default
        # of CONN_MAX_AGE every batch would connect anew.
        if time.monotonic() - self._used > MAX_IDLE:
            connections.close_all()
        try:
            return function()
        finally:
            self._used = time.monotonic()

    async def close(self) -> None:
        self.open = False
        closing = self._executor.submit(connections.close_all)
        self._executor.shutdown(wait=False)
        await asyncio.wrap_future(closing)


class _LastVerb(threading.local):
    """The last verb of the current thread."""

    failed = False


_worker: ContextVar[_Worker | None] = ContextVar("collab_storage_worker", default=None)
#: Whether verbs run in the calling thread, without an event loop.
_is_here: ContextVar[bool] = ContextVar("collab_storage_is_here", default=False)


class ORMStorage(HistoryStorage):
    """Stores documents in the tables of :mod:`collab_storage.models`.

    Called below synchronous code, through ``async_to_sync``, the verbs run in the thread of that
    code, and so in its ``transaction.atomic()``. Called from async code they run in the thread of
    ``sync_to_async``, which the whole process shares; :meth:`serving` gives a task its own.

    Args:
        using: the alias of the database in ``DATABASES``.
        tenants: ``"in names"`` if the database has a schema for each tenant, and the name of each
            document begins with its tenant.

    Raises:
        ImproperlyConfigured: the database does not keep documents apart.
    """

    joins_transactions: ClassVar[bool] = True

    def __init__(self, using: str = DEFAULT_DB_ALIAS, tenants: str | None = None) -> None:
        check_supported(using, tenants)
        self.using = using
        self._queries = Queries(using)
        self._versions = VersionQueries(self._queries)
        self._last_verb = _LastVerb()

    async def load(self, name: str) -> StoredDocument | None:
        check_name(name)
        return await self._run(lambda: self._queries.load(name))

    async def create(self, entry: LogEntry) -> DocumentId | None:
        check_name(entry.name)
        return await self._run(lambda: self._queries.create(entry))

    async def append(self, entries: Sequence[LogEntry]) -> dict[str, DocumentId]:
        for entry in entries:
            check_name(entry.name)
        return await self._run(lambda: self._queries.append(entries)) if entries else {}

    async def fold(
        self, name: str, loaded: StoredDocument, snapshot: bytes, authorship: Authorship
    ) -> bool:
        check_name(name)
        return await self._run(lambda: self._versions.fold(name, loaded, snapshot, authorship))

    async def delete(self, name: str, document_id: DocumentId | None = None) -> bool:
        check_name(name)
        return await self._run(lambda: self._queries.delete(name, document_id))

    async def rename(self, old: str, new: str) -> None:
        check_name(old)
        check_name(new)
        await self._run(lambda: self._queries.rename(old, new))

    async def exists(self, name: str) -> bool:
        check_name(name)
        return await self._run(lambda: self._queries.exists(name))

    async def marks(self, names: Sequence[str]) -> dict[str, Mark]:
        for name in names:
            check_name(name)
        return await self._run(lambda: self._queries.marks(names))

    def mark_columns(self, name: str) -> str:
        """Return SQL of two columns, the mark of a document, for a statement that reads more.

        The first one is NULL if the document is not stored.

        Args:
            name: SQL for its name.
        """
        return mark_columns(self.using, name)

    async def page(self, prefix: str, after: str, limit: int) -> Sequence[DocumentInfo]:
        check_prefix(prefix)
        check_prefix(after)
        return await self._run(lambda: self._queries.page(prefix, after, limit))

    # Versions.

    async def add_version(
        self, name: str, draft: VersionDraft, entries: Sequence[LogEntry] = ()
    ) -> Version:
        for each in (name, *(entry.name for entry in entries)):
            check_name(each)
        return await self._run(lambda: self._versions.add(name, draft, entries))

    async def versions(self, name: str, choice: VersionChoice = ALL_VERSIONS) -> Sequence[Version]:
        check_name(name)
        return await self._run(lambda: self._versions.read(self._versions.chosen(name, choice)))

    async def load_version(self, name: str, id: int) -> LoadedVersion | None:
        check_name(name)
        return await self._run(lambda: self._versions.load(name, id))

    async def title_version(self, name: str, id: int, title: str) -> bool:
        check_name(name)
        return await self._run(lambda: self._versions.title(name, id, title))

    async def delete_versions(self, name: str, ids: Iterable[int]) -> int:
        check_name(name)
        return await self._run(lambda: self._versions.delete(name, [*ids]))

    async def authorship(self, name: str) -> Authorship:
        check_name(name)
        return await self._run(lambda: self._versions.authorship(name))

    async def forget_user(self, user_id: str) -> int:
        return await self._run(lambda: self._versions.forget_user(user_id))

    # Transactions and resources.

    async def on_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after the commit, in the thread that commits; never on a rollback."""

        # Django's report of an error needs a function with a name.
        def run() -> None:
            callback()

        await self._run(lambda: transaction.on_commit(run, using=self.using, robust=True))

    def wait_for(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of ``work``, in synchronous code; it may await verbs only.

        It needs no event loop and no other thread, so it takes as long as its queries.
        """
        coroutine, token = work(), _is_here.set(True)
        try:
            coroutine.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            _is_here.reset(token)
            coroutine.close()
        raise RuntimeError("Only verbs of the storage may be awaited in wait_for().")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Give this task, and tasks that it starts, a thread and connections of their own.

        The task that enters it has to leave it; a task that outlives it uses the shared thread.
        """
        worker = _Worker()
        token = _worker.set(worker)
        try:
            yield
        finally:
            _worker.reset(token)
            await worker.close()

    async def close(self) -> None:
        """Close the connection of the thread that the verbs run in, unless in a transaction."""
        await self._run(self._close)

    async def _run(self, verb: Callable[[], T]) -> T:
        if _is_here.get():
            return self._run_here(verb)
        worker = _worker.get()
        if worker is not None and worker.open:
            return await worker.run(lambda: self._translate(verb))
        return await sync_to_async(self._translate, thread_sensitive=True)(verb)

    def _run_here(self, verb: Callable[[], T]) -> T:
        # Not for callbacks of the verb: after a commit they may do anything.
        token = _is_here.set(False)
        try:
            return self._translate(verb)
        finally:
            _is_here.reset(token)

    def _translate(self, verb: Callable[[], T]) -> T:
        """Run ``verb``; translate its errors, and close connections that may cause them."""
        try:
            result = verb()
        except Error as error:
            repeated, self._last_verb.failed = self._last_verb.failed, True
            drop_if_broken(connections[self.using], error, repeated=repeated)
            if (translated := translate(error, self.using)) is error:
                raise
            raise translated from error
        self._last_verb.failed = False
        return result

    def _close(self) -> None:
        connection = connections[self.using]
        if not connection.in_atomic_block:
            connection.close()
