"""Documents and entries that the tests of the contract store."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from collab_storage.base import DocumentInfo, LogEntry, Storage, StoredDocument

__all__ = ["HOSTILE_NAMES", "NO_NAMES", "START", "appended", "entry", "listed", "parallel", "rows"]

T = TypeVar("T")

START = datetime(2024, 2, 29, 23, 59, 59, 123456, UTC)

#: Names that must not be mistaken for one another.
HOSTILE_NAMES = [
    "a",
    "A",
    "a ",
    " a",
    "a  ",
    "a\t",
    "a\n",
    "aa",
    "a%",
    "a_",
    "a\\",
    "a*",
    "a?",
    "a[a]",
    "a'; DROP TABLE documents; --",
    'a"',
    "a/b",
    "../a",
    ".",
    "a\u0301",
    "\u00e1",
    "a\u200d",
    "\ufeffa",
    "\uff41",
    "i",
    "\u0130",
    "I",
    "\u0131",
    "\u00df",
    "ss",
    "\u540d\u524d",
    "\U0001f600",
    "\U0001f600\U0001f600",
    "\U0010ffff",
    "\ue000",
    "0",
    "00",
    "null",
    "x" * 254,
    "x" * 255,
    "\U0001f600" * 255,
]
NO_NAMES = ["", "x" * 256, "\0", "a\0b", "\ud83d", "a\udc00"]


def entry(name: str = "doc", data: bytes = b"data", minutes: int = 0) -> LogEntry:
    """Return an entry that came ``minutes`` after :data:`START`."""
    return LogEntry(name, data, START + timedelta(minutes=minutes), "7")


def rows(stored: StoredDocument | None) -> list[bytes]:
    """Return the data of the log, in a fixed order."""
    assert stored is not None, "the document is not stored"
    return sorted(row.data for row in stored.log)


async def appended(storage: Storage, *data: bytes, name: str = "doc") -> StoredDocument:
    """Append ``data`` and return the stored document."""
    await storage.append([entry(name, item) for item in data])
    stored = await storage.load(name)
    assert stored is not None, "the appended entries are not stored"
    return stored


async def listed(storage: Storage, prefix: str = "", page_size: int = 500) -> list[DocumentInfo]:
    """Return the whole list."""
    return [info async for info in storage.documents(prefix, page_size)]


async def parallel(storage: Storage, *work: Coroutine[Any, Any, T]) -> list[T]:
    """Run all of ``work`` at once, each as a task that serves; if one fails, end the others."""

    async def serve(item: Coroutine[Any, Any, T]) -> T:
        async with storage.serving():
            return await item

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(serve(item)) for item in work]
    return [task.result() for task in tasks]
