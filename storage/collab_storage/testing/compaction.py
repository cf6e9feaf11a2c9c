"""The contract of compaction: readers cannot distinguish a compacted document."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pycrdt import Doc, Text

from collab_storage.base import Storage
from collab_storage.compaction import apply_stored, compact
from collab_storage.exceptions import DocumentCorrupt

from .material import entry, listed, parallel

__all__ = ["CompactionContract"]


def _typed(text: str, doc: Doc[Any] | None = None) -> list[bytes]:
    """Return the updates of typing ``text`` letter by letter."""
    doc = Doc() if doc is None else doc
    updates = []
    for letter in text:
        state = doc.get_state()
        content = doc.get("text", type=Text)
        content += letter
        updates.append(doc.get_update(state))
    return updates


async def _text(storage: Storage, name: str = "doc") -> str:
    stored = await storage.load(name)
    assert stored is not None
    doc: Doc[Any] = Doc()
    apply_stored(doc, stored)
    return str(doc.get("text", type=Text))


async def _append(storage: Storage, updates: list[bytes]) -> None:
    await storage.append([entry(data=update) for update in updates])


@pytest.mark.asyncio
class CompactionContract:
    async def test_nothing_to_compact(self, storage: Storage) -> None:
        assert await compact(storage, "doc") is None
        await _append(storage, _typed("hello"))
        assert await compact(storage, "doc") is not None
        assert await compact(storage, "doc") is None

    async def test_compaction_keeps_the_content_in_less_space(self, storage: Storage) -> None:
        doc: Doc[Any] = Doc()
        updates = _typed("x" * 300, doc)
        state = doc.get_state()
        del doc.get("text", type=Text)[5:]
        await _append(storage, [*updates, doc.get_update(state)])
        before = sum(map(len, updates))
        result = await compact(storage, "doc")
        assert result is not None
        assert (result.rows, result.complete) == (301, True)
        assert result.size_before > before > 100 > result.size_after
        assert await _text(storage) == "xxxxx"
        [info] = await listed(storage)
        assert (info.size, info.log_length) == (result.size_after, 0)

    async def test_updates_that_wait_for_another_survive(self, storage: Storage) -> None:
        first, *others = _typed("hello world")
        await _append(storage, others[5:] + others[:5])
        result = await compact(storage, "doc")
        assert result is not None and not result.complete
        assert await _text(storage) == ""
        await _append(storage, [first])
        assert await _text(storage) == "hello world"
        result = await compact(storage, "doc")
        assert result is not None and result.complete
        assert await _text(storage) == "hello world"

    async def test_duplicates(self, storage: Storage) -> None:
        doc: Doc[Any] = Doc()
        updates = _typed("hello", doc)
        await _append(storage, [*updates, doc.get_update(), *updates])
        await compact(storage, "doc")
        await _append(storage, [*updates, doc.get_update()])
        await compact(storage, "doc")
        assert await _text(storage) == "hello"

    async def test_compaction_while_writers_write(self, storage: Storage) -> None:
        finished = asyncio.Event()
        updates = _typed("The quick brown fox jumps over the lazy dog.")

        async def write() -> None:
            for update in updates:
                await _append(storage, [update])
            finished.set()

        async def fold() -> None:
            while not finished.is_set():
                await compact(storage, "doc")
                await asyncio.sleep(0)

        await parallel(storage, write(), fold(), fold())
        assert await _text(storage) == "The quick brown fox jumps over the lazy dog."

    async def test_an_update_that_cannot_be_read_stays_where_it_is(self, storage: Storage) -> None:
        await _append(storage, _typed("hello"))
        await _append(storage, [b"\xff\xffsecret"])
        assert await compact(storage, "doc") is not None
        after = await storage.load("doc")
        assert after is not None and [row.data for row in after.log] == [b"\xff\xffsecret"]
        assert await _text(storage) == "hello"

    async def test_a_corrupt_document_is_left_as_it_is(self, storage: Storage) -> None:
        await _append(storage, [b"\xff\xffsecret"])
        before = await storage.load("doc")
        assert before is not None
        with pytest.raises(DocumentCorrupt) as raised:
            await compact(storage, "doc")
        [culprit] = [row.id for row in before.log if b"secret" in row.data]
        assert str(culprit) in str(raised.value)
        assert "secret" not in str(raised.value)
        assert await storage.load("doc") == before
