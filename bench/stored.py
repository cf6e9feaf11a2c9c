"""Work with the storage in a process of the project, as a worker of it would do."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from pycrdt import Doc

from collab.conf import get_storage
from collab_storage.base import LogEntry, Storage
from collab_storage.compaction import compact

from .process import highest_memory_bytes
from .week import read_updates, text_of

__all__ = ["append", "print_week"]

#: Updates that one call of the storage gets.
_BATCH = 500
_MB = 1e6


def append(name: str, file: str) -> None:
    """Append the updates of a file to a document's log, each as a row."""
    asyncio.run(_append(get_storage(), name, read_updates(Path(file))))


async def _append(storage: Storage, name: str, updates: Iterable[bytes]) -> None:
    remaining, at = iter(updates), datetime.now(UTC)
    while batch := [LogEntry(name, data, at) for data in islice(remaining, _BATCH)]:
        await storage.append(batch)


def print_week(file: str) -> None:
    """Store the updates of a file, compact them, and print what that took, as JSON."""
    print(json.dumps(asyncio.run(_week(Path(file)))))


async def _week(file: Path) -> Mapping[str, float]:
    storage = get_storage()
    appending, compacting = _Usage(), _Usage()
    with appending:
        await _append(storage, "week", read_updates(file))
    before = await _size(storage)
    with compacting:
        await compact(storage, "week")
    await _check(storage, file)
    return {
        "appended in, s": appending.seconds,
        "compacted in, s": compacting.seconds,
        "memory while compacting, MB": compacting.peak / _MB,
        "size before, MB": before / _MB,
        "size after, MB": await _size(storage) / _MB,
    }


class _Usage:
    """The time that a block took, and the memory that it added to that of the process."""

    def __enter__(self) -> None:
        # The highest that was ever reached begins anew.
        Path("/proc/self/clear_refs").write_text("5")
        self._memory, self._began = highest_memory_bytes(), time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self.peak = highest_memory_bytes() - self._memory


async def _size(storage: Storage) -> int:
    (info,) = await storage.page("week", "", 1)
    return info.size


async def _check(storage: Storage, file: Path) -> None:
    """Refuse figures of a storage that has lost something."""
    stored = await storage.load("week")
    assert stored is not None
    doc: Doc[Any] = Doc()
    for update in stored.updates:
        doc.apply_update(update)
    if text_of(doc) != file.with_suffix(".txt").read_text():
        raise ValueError("The text is not what was typed.")
