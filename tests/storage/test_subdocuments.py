from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from collab_storage.base import LogRow, StoredDocument
from collab_storage.compaction import apply_stored, compact, is_pycrdt_error, read_stored
from collab_storage.memory import MemoryStorage
from collab_storage.subdocuments import delete_subdocuments, has_subdocuments, temporary_doc
from collab_storage.testing.material import entry
from tests.protocol.yjs import poison

from .yjs import PANIC, applied, typed

#: Each copy that stays takes up a few hundred KiB.
COPIES, MOST = 25, 3 * 1024 * 1024


def with_subdocuments() -> bytes:
    doc: Doc[Any] = Doc()
    text = doc.get("text", type=Text)
    with doc.transaction():
        for number in range(2_000):
            text.insert(0 if number % 2 else number // 2, "abc")
    for number in range(20):
        doc.get("map", type=Map)[f"{number}"] = Doc()
    return doc.get_update()


UPDATE = with_subdocuments()


def memory() -> int:
    """Return the bytes of memory of this process that are of no file.

    Other processes use the same files, and change with their end how much of them counts for it.
    """
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


def kept_by(work: Callable[[], object]) -> int:
    """Return by how many bytes doing something again and again makes the process grow."""
    for _ in range(5):
        work()
    before = memory()
    for _ in range(COPIES):
        work()
    return memory() - before


def read() -> None:
    read_stored(StoredDocument(None, [LogRow(1, UPDATE)], 1))


def read_pending() -> None:
    later = b"\1\1\x09\1\x84\x09\0\1x\0"
    content = read_stored(StoredDocument(None, [LogRow(1, UPDATE), LogRow(2, later)], 1))
    assert content.rest


def use() -> None:
    with temporary_doc() as doc:
        apply_stored(doc, StoredDocument(UPDATE, [], 1))


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells the memory.")
@pytest.mark.parametrize("work", [read, read_pending, use])
def test_a_document_with_subdocuments_is_freed_when_it_was_read(work: Callable[[], object]) -> None:
    assert kept_by(work) < MOST


async def test_subdocuments_are_stored_as_they_were() -> None:
    storage = MemoryStorage()
    await storage.append([entry(data=UPDATE), entry(data=b"\0\0")])
    await compact(storage, "doc")
    folded = await storage.load("doc")
    assert folded is not None
    doc: Doc[Any] = Doc()
    apply_stored(doc, folded)
    assert len(doc.get("map", type=Map)) == 20


def test_subdocuments_are_found_in_an_update() -> None:
    assert has_subdocuments(UPDATE)
    other: Doc[Any] = Doc()
    other.get("map", type=Map)["object"] = {"a": "v", "b": {}}
    other.get("text", type=Text).insert(0, "v")
    assert not has_subdocuments(other.get_update())
    assert not has_subdocuments(b"\0\0")


def test_a_doc_that_pycrdt_has_broken_is_left_alone() -> None:
    doc = applied(typed("a" * 110, client_id=5))
    with pytest.raises(BaseException) as raised:
        doc.apply_update(PANIC)
    assert is_pycrdt_error(raised.value)
    delete_subdocuments(doc)
    # This one cannot even be encoded.
    doc = applied([poison.SILENTLY_POISONING])
    delete_subdocuments(doc)


def test_an_interrupt_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(doc: Doc[Any]) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(Doc, "get_update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        delete_subdocuments(Doc())
