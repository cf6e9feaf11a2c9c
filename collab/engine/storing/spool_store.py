"""Stores the updates that earlier processes have spooled, and spools those of this one."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from collab.engine.runtime.counters import counters
from collab.engine.storing.spool import (
    claim,
    read_spool,
    remove,
    set_aside,
    spooled_files,
    write_spool,
)
from collab.engine.storing.storage_context import StorageContext
from collab.engine.storing.writer import summary
from collab_storage.base import LogEntry, Storage
from collab_storage.exceptions import StorageUnavailable

__all__ = ["SpoolStore", "sizes"]

logger = logging.getLogger("collab.hub")

#: Pause before the next attempt when the storage is not available, in seconds.
_RETRY_DELAY = 5.0


class SpoolStore:
    """The spool directory of a process.

    Args:
        directory: need not exist.
        storage: stores the documents.
        context: has resources of the storage.
    """

    def __init__(self, directory: Path, storage: Storage, context: StorageContext) -> None:
        self._directory = directory
        self._storage = storage
        self._context = context
        self._storing: asyncio.Task[bool] | None = None
        self._next_attempt = 0.0

    async def store(self) -> None:
        """Store all files once, before the first document is loaded.

        Documents open although that fails: nothing in the files was reported as saved. While the
        storage is not available, the next document that opens is the next attempt.
        """
        now = asyncio.get_running_loop().time()
        if self._storing is None and now >= self._next_attempt:
            self._storing = self._context.start(self._store_all())
            self._next_attempt = now + _RETRY_DELAY
        # Documents that open at the same time wait for the same attempt.
        if self._storing is not None and not await asyncio.shield(self._storing):
            self._storing = None

    async def _store_all(self) -> bool:
        """Return whether nothing is left for another attempt."""
        try:
            paths = spooled_files(self._directory)
        except OSError as error:
            logger.error("Spooled updates wait: %s cannot be read (%s).", self._directory, error)
            return False
        for path in paths:
            try:
                await self._store_file(path)
            except StorageUnavailable as error:
                logger.error("Spooled updates wait: the storage fails (%s).", summary(error))
                return False
            except Exception:
                logger.exception("A spool file cannot be stored: %s.", path)
                self._set_aside(path)
        return True

    async def _store_file(self, path: Path) -> None:
        if (file := claim(path)) is None:
            return
        with file:
            entries, invalid = read_spool(file)
            refused = await self._append(entries)
            if invalid or refused:
                logger.error(
                    "%s has %d invalid lines, and %d updates that the storage refuses.",
                    path,
                    invalid,
                    len(refused),
                    extra={"rooms": sizes(refused)},
                )
                self._set_aside(path)
            else:
                remove(path)
            stored = len(entries) - len(refused)
            counters.unspooled_updates += stored
            logger.info("%d updates of an earlier process are stored now.", stored)

    async def _append(self, entries: Sequence[LogEntry]) -> list[LogEntry]:
        """Store entries, and return those that the storage refuses."""
        try:
            await self._storage.append(entries)
        except StorageUnavailable:
            raise
        except Exception:
            if len(entries) == 1:
                return [*entries]
            return [entry for entry in entries for _ in await self._append([entry])]
        return []

    def _set_aside(self, path: Path) -> None:
        try:
            logger.error("The file is kept as %s.", set_aside(path))
        except OSError:
            logger.exception("A spool file cannot be renamed: %s.", path)

    def write(self, entries: Sequence[LogEntry]) -> None:
        """Write updates to a file, for the next process to store.

        Raises:
            OSError: nothing is written.
        """
        path = write_spool(self._directory, entries)
        counters.spooled_updates += len(entries)
        logger.error(
            "%d updates could not be stored; the next process stores them from %s.",
            len(entries),
            path,
            extra={"rooms": sizes(entries)},
        )


def sizes(entries: Sequence[LogEntry]) -> dict[str, int]:
    """Return the bytes of each document."""
    total: Counter[str] = Counter()
    for entry in entries:
        total[entry.name] += len(entry.data)
    return dict(total)
