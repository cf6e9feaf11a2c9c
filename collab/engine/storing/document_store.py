"""The storage as the rooms of one event loop use it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from collab.conf import Settings
from collab.engine.rules import DocumentRules
from collab.engine.storing.compaction_queue import CompactionQueue
from collab.engine.storing.marks import DocumentMarks
from collab.engine.storing.spool_store import SpoolStore, sizes
from collab.engine.storing.storage_context import StorageContext
from collab.engine.storing.upgrade import upgrade_stored
from collab.engine.storing.writer import MAX_RETRY_DELAY, Writer
from collab_storage.base import LogEntry, Storage
from collab_storage.compaction import ReadableContent, compact, read_in_process, read_news
from collab_storage.exceptions import DocumentLocked, StorageError

__all__ = ["HOLD_TIME", "DocumentStore", "rest_watchers"]

logger = logging.getLogger("collab.hub")

#: Called with the name of a document after it was compacted, and after its room was closed.
rest_watchers: list[Callable[[str], Awaitable[None]]] = []

#: A process that can neither store nor spool its updates goes on trying for this time, in seconds:
#: together with the time before, less than the 30 seconds after which Kubernetes kills it.
HOLD_TIME = 15.0
_HOLD_STEP = 1.0
#: Pause before the next attempt to store a new document that is locked, in seconds.
_LOCKED_PAUSE = 0.1


class DocumentStore:
    """Loads, seeds, compacts and clears documents, off the event loop.

    Coroutines of this class, except ``end_storing`` and ``release``, run in a task of
    ``loading``: loading does not wait for writing, as each has connections of its own.

    Args:
        storage: keeps the documents.
        settings: for the limits.
        max_retry_delay: the longest pause between two attempts to store, in seconds.
    """

    def __init__(
        self, storage: Storage, settings: Settings, max_retry_delay: float = MAX_RETRY_DELAY
    ) -> None:
        self.storage = storage
        self.settings = settings
        self.marks = DocumentMarks()
        self.loading = StorageContext(storage, "collab-loading")
        self._writing = StorageContext(storage, "collab-writing")
        self._retrying = StorageContext(storage, "collab-retrying")
        self.writer = Writer(
            storage,
            settings,
            self.marks,
            self._writing.start,
            self._retrying.start,
            self._count_appended,
            max_retry_delay,
        )
        self._compactions = CompactionQueue(self.loading.start, self._compact)
        self.spool = SpoolStore(Path(settings.SPOOL_DIRECTORY), storage, self.loading)

    # Documents.

    async def load(self, name: str, rules: DocumentRules | None = None) -> ReadableContent | None:
        """Return the stored content of a document that is being opened, or ``None``.

        Args:
            name: the document.
            rules: of its type, which may have another version than the document.

        Raises:
            DocumentCorrupt: pycrdt cannot read it.
        """
        if rules is None or rules.version is None:
            loaded = await self.storage.load(name)
            content = None if loaded is None else await read_in_process(loaded, name)
        else:
            upgraded = await upgrade_stored(self.storage, name, rules)
            loaded, content = (None, None) if upgraded is None else upgraded
        if loaded is None:
            self.marks.created(name, 0)
            return None
        self.marks.opened(name, loaded.version, len(loaded.log), loaded.id)
        return content

    async def create(self, name: str, update: bytes) -> bool:
        """Store a new document; return ``False`` if another process has stored it first.

        A transaction that has stored or deleted it, and is not committed, is waited for; other
        documents are loaded meanwhile.
        """
        entry = LogEntry(name, update, datetime.now(UTC))
        while True:
            try:
                id = await self.storage.create(entry)
                break
            except DocumentLocked:
                await asyncio.sleep(_LOCKED_PAUSE)
        if id:
            # A storage without ids returns ``True``.
            self.marks.created(name, 1, None if id is True else id)
        return bool(id)

    async def load_news(self, name: str, state: bytes) -> bytes | None:
        """Return the updates that a document of this state lacks; ``None`` if none is stored.

        Raises:
            DocumentCorrupt: pycrdt cannot read it.
        """
        if (loaded := await self.storage.load(name)) is None:
            return None
        self.marks.identify(name, loaded.id)
        return await read_news(loaded, state, name)

    def leave(self, name: str, moved_to: str | None) -> None:
        """Move or drop the waiting updates of a document that has left its name."""
        if moved_to is None:
            self.writer.drop(name)
        else:
            self.writer.move(name, moved_to)

    def clear(
        self, name: str, moved_to: str | None, *, had_unsaved: bool = False
    ) -> asyncio.Task[None]:
        """Move or delete a new document that an append creates under a left name.

        It is in flight, or has landed since the name was left if updates were unsaved then. Other
        appends create none: their updates follow the document, or are refused.
        """
        is_new = had_unsaved or self.marks.id_of(name) is None
        return self.loading.start(self._clear(name, moved_to, is_new=is_new))

    async def _clear(self, name: str, moved_to: str | None, *, is_new: bool) -> None:
        await self.writer.landed(name)
        # Updates that could not be stored wait again.
        self.leave(name, moved_to)
        landed, id = await self.storage.load(name) if is_new else None, self.marks.id_of(name)
        if landed is None or landed.id != id:
            # If there is one of that name, another process has stored it since.
            return
        if moved_to is not None:
            now = datetime.now(UTC)
            # One by one: pycrdt need not be able to read all of them.
            await self.storage.append([LogEntry(moved_to, data, now) for data in landed.updates])
        await self.storage.delete(name, *([] if id is None else [id]))

    def _count_appended(self, name: str, rows: int) -> None:
        if self.marks.appended(name, rows) >= self.settings.COMPACT_AFTER:
            # From zero again, so that no second compaction begins meanwhile.
            self.marks.compacting(name)
            self._compactions.add(name)

    async def _compact(self, name: str) -> None:
        try:
            await compact(self.storage, name)
        except StorageError:
            logger.exception("A document could not be compacted.", extra={"room": name})
        else:
            await self.rest(name)

    async def rest(self, name: str) -> None:
        """Call the watchers of a document that was compacted, or whose room was closed."""
        for watch in rest_watchers:
            try:
                await watch(name)
            except Exception:
                logger.exception("A document at rest could not be kept.", extra={"room": name})

    # The end of a process.

    async def end_storing(self, hold_time: float = HOLD_TIME) -> None:
        """Write all unsaved updates to a file, for the next process to store.

        While that fails, storing and writing are tried again: these updates have no other chance.
        """
        until = asyncio.get_running_loop().time() + hold_time
        failure: OSError | None = None
        while entries := self.writer.unsaved_entries():
            try:
                self.spool.write(entries)
                break
            except OSError as error:
                if failure is None:
                    self._report_failure(error, entries, hold_time)
                failure = error
            if asyncio.get_running_loop().time() >= until:
                self._report_lost(entries)
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(min(_HOLD_STEP, hold_time)):
                    await self.writer.idle()
        self.writer.give_up()

    def spool_at_exit(self) -> None:
        """Write all unsaved updates to a file when the process ends without having drained.

        Some servers close the event loop while it drains.
        """
        if entries := self.writer.unsaved_entries():
            try:
                self.spool.write(entries)
            except OSError:
                self._report_lost(entries)

    def _report_failure(self, error: OSError, entries: list[LogEntry], hold_time: float) -> None:
        logger.error(
            "%d updates can neither be stored nor written to %s (%s); trying on for %g s.",
            len(entries),
            self.settings.SPOOL_DIRECTORY,
            error.strerror,
            hold_time,
            extra={"rooms": sizes(entries)},
        )

    def _report_lost(self, entries: list[LogEntry]) -> None:
        for name, size in sizes(entries).items():
            logger.critical(
                "%d bytes of a document are not stored; only its clients have them.",
                size,
                extra={"room": name},
            )

    async def release(self) -> None:
        """Give back the connections once the work on them has ended."""
        self._compactions.clear()
        await self.loading.close()
        await self._writing.close()
        await self._retrying.close()
