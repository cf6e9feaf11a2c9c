"""The storage as the rooms of one event loop use it."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from collab.conf import Settings
from collab.engine.runtime.counters import counters
from collab.engine.storing.marks import DocumentMarks
from collab.engine.storing.spool import read_spool, spooled_files, write_spool
from collab.engine.storing.storage_context import StorageContext
from collab.engine.storing.writer import MAX_RETRY_DELAY, Writer
from collab.protocol.yjs.updates import merge
from collab_storage.base import LogEntry, Storage
from collab_storage.compaction import ReadableContent, compact, read_in_process, read_news
from collab_storage.exceptions import StorageError

__all__ = ["DocumentStore"]

logger = logging.getLogger("collab.hub")


class DocumentStore:
    """Loads, seeds, compacts and clears documents, off the event loop.

    Coroutines of this class, except ``spool_unsaved`` and ``release``, run in a task of
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
        self.writer = Writer(
            storage, settings, self._writing.start, self._count_appended, max_retry_delay
        )
        self._spool = Path(settings.SPOOL_DIRECTORY)
        self._spool_is_stored = False

    # Documents.

    async def load(self, name: str) -> ReadableContent | None:
        """Return what is stored of a document that is being opened, or ``None``.

        Raises:
            DocumentCorrupt: pycrdt cannot read it.
        """
        loaded = await self.storage.load(name)
        if loaded is None:
            self.marks.created(name, 0)
            return None
        content = await read_in_process(loaded, name)
        self.marks.opened(name, loaded.version, len(loaded.log))
        return content

    async def create(self, name: str, update: bytes) -> bool:
        """Store a new document; return ``False`` if another process has stored it first."""
        created = await self.storage.create(LogEntry(name, update, datetime.now(UTC)))
        if created:
            self.marks.created(name, 1)
        return created

    async def load_news(self, name: str, state: bytes) -> bytes | None:
        """Return what a document of state vector ``state`` lacks; ``None`` if none is stored.

        Raises:
            DocumentCorrupt: pycrdt cannot read it.
        """
        loaded = await self.storage.load(name)
        return None if loaded is None else await read_news(loaded, state)

    async def clear(self, name: str, moved_to: str | None) -> None:
        """Move or delete updates that were stored after the document had left its name."""
        await self.writer.landed(name)
        landed = await self.storage.load(name)
        if landed is not None and moved_to is not None:
            now = datetime.now(UTC)
            await self.storage.append([LogEntry(moved_to, merge(landed.updates), now)])
        await self.storage.delete(name)

    def _count_appended(self, name: str, rows: int) -> None:
        if self.marks.appended(name, rows) >= self.settings.COMPACT_AFTER:
            # From zero again, so that no second compaction begins meanwhile.
            self.marks.compacting(name)
            self.loading.start(self._compact(name))

    async def _compact(self, name: str) -> None:
        try:
            await compact(self.storage, name)
        except StorageError:
            logger.exception("A document could not be compacted.", extra={"room": name})

    # The spool.

    async def store_spool(self) -> None:
        """Store the updates that earlier processes could not store."""
        for path in [] if self._spool_is_stored else spooled_files(self._spool):
            entries = list(read_spool(path))
            await self.storage.append(entries)
            path.unlink(missing_ok=True)
            counters.unspooled_updates += len(entries)
            logger.info("%d updates of an earlier process are stored now.", len(entries))
        self._spool_is_stored = True

    def spool_unsaved(self) -> None:
        """Write all unsaved updates to a file, for the next process to store."""
        entries = self.writer.give_up()
        path = write_spool(self._spool, entries)
        counters.spooled_updates += len(entries)
        sizes: Counter[str] = Counter()
        for entry in entries:
            sizes[entry.name] += len(entry.data)
        logger.error(
            "%d updates could not be stored; the next process stores them from %s.",
            len(entries),
            path,
            extra={"rooms": dict(sizes)},
        )

    async def release(self) -> None:
        """Give back the connections once the work on them has ended."""
        await self.loading.close()
        await self._writing.close()
