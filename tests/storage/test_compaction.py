from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from collab_storage import compaction
from collab_storage.base import LogRow, StoredDocument
from collab_storage.compaction import apply_stored, compact, is_pycrdt_error
from collab_storage.exceptions import DocumentCorrupt
from collab_storage.memory import MemoryStorage
from collab_storage.testing.material import entry

from .yjs import PANIC, applied, concurrent_updates, text, typed

#: An update that is well-formed but fits nowhere: the parent of what it inserts cannot have it.
MISFIT = bytes.fromhex("01020500040101000261620400050102c3a900")


def stored(*log: bytes, snapshot: bytes | None = None) -> StoredDocument:
    return StoredDocument(snapshot, [LogRow(n, data) for n, data in enumerate(log, 100)], 1)


async def memory(*log: bytes) -> MemoryStorage:
    storage = MemoryStorage()
    await storage.append([entry(data=data) for data in log])
    return storage


class TestApplyStored:
    def test_the_snapshot_and_the_log(self) -> None:
        updates = typed("hello")
        doc: Doc[Any] = Doc()
        apply_stored(doc, stored(*updates[2:], snapshot=applied(updates[:3]).get_update()))
        assert text(doc) == "hello"

    def test_nothing(self) -> None:
        doc: Doc[Any] = Doc()
        apply_stored(doc, stored())
        assert doc.get_update() == b"\0\0"

    def test_it_is_one_transaction(self) -> None:
        events: list[Any] = []
        doc: Doc[Any] = Doc()
        subscription = doc.observe(events.append)
        apply_stored(doc, stored(*typed("hello")))
        doc.unobserve(subscription)
        assert len(events) == 1

    def test_the_order_of_the_log_does_not_matter(self) -> None:
        updates = concurrent_updates(1, 60)
        doc: Doc[Any] = Doc()
        apply_stored(doc, stored(*reversed(updates)))
        assert text(doc) == text(applied(updates))

    @pytest.mark.parametrize("bad", [b"", b"\xff\xff", b"\1", MISFIT])
    def test_the_rows_at_fault_are_named(self, bad: bytes) -> None:
        good = typed("hello")
        with pytest.raises(DocumentCorrupt) as raised:
            apply_stored(Doc(), stored(*good, bad, *good, bad))
        assert str(raised.value) == "pycrdt cannot read rows 105, 111 of the log."

    def test_the_snapshot_at_fault_is_named(self) -> None:
        with pytest.raises(DocumentCorrupt) as raised:
            apply_stored(Doc(), stored(*typed("hello"), snapshot=b"\xff\xff"))
        assert str(raised.value) == "pycrdt cannot read the snapshot."

    def test_not_all_of_many_are_named(self) -> None:
        with pytest.raises(DocumentCorrupt) as raised:
            apply_stored(Doc(), stored(*[b""] * 50))
        assert "119, ... (50)" in str(raised.value) and "120" not in str(raised.value)

    def test_a_panic(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Merging sorts out all updates that are known to cause one.
        monkeypatch.setattr(compaction, "merge", b"".join)
        doc = applied([Doc({"text": Text("x" * 110)}, client_id=5).get_update()])
        with pytest.raises(DocumentCorrupt, match="rows 100 of the log") as raised:
            apply_stored(doc, stored(PANIC))
        # What a panic says may quote the document.
        assert raised.value.__cause__ is None and raised.value.__suppress_context__

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
    def test_what_is_not_about_the_document_passes(self, error: type[BaseException]) -> None:
        doc: Doc[Any] = Doc()

        def interrupt(updates: object) -> bytes:
            raise error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compaction, "merge", interrupt)
            with pytest.raises(error):
                apply_stored(doc, stored(*typed("hello")))

    def test_an_interruption_of_the_search_for_the_culprit_passes(self) -> None:
        class Interrupted(Doc[Any]):
            def apply_update(self, update: bytes) -> None:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compaction, "Doc", Interrupted)
            with pytest.raises(KeyboardInterrupt):
                apply_stored(Doc(), stored(b""))


def test_what_pycrdt_raises() -> None:
    with pytest.raises(BaseException) as raised:
        applied([Doc({"text": Text("x" * 110)}, client_id=5).get_update(), PANIC])
    assert not isinstance(raised.value, Exception)
    assert is_pycrdt_error(raised.value)
    assert is_pycrdt_error(ValueError()) and is_pycrdt_error(RuntimeError())
    assert not is_pycrdt_error(KeyboardInterrupt()) and not is_pycrdt_error(OSError())


class TestCompact:
    async def test_what_is_overwritten_takes_no_space(self) -> None:
        doc: Doc[Any] = Doc()
        doc["map"] = shared = Map[Any]()
        updates = [doc.get_update()]
        for number in range(500):
            state = doc.get_state()
            shared["key"] = f"value {number}"
            updates.append(doc.get_update(state))
        result = await compact(await memory(*updates), "doc")
        assert result is not None and result.complete
        assert result.size_before > 10_000 and result.size_after < 100

    async def test_a_snapshot_that_does_not_read_back_is_not_written(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # pycrdt is not known to do that; then the merged updates are as good, only larger.
        class Forgetful(Doc[Any]):
            def get_update(self, state: bytes | None = None) -> bytes:
                return b"\0\0" if state is None else super().get_update(state)

        storage = await memory(*typed("hello"))
        monkeypatch.setattr(compaction, "Doc", Forgetful)
        result = await compact(storage, "doc")
        assert result is not None and result.complete
        after = await storage.load("doc")
        assert after is not None and text(applied(after.updates)) == "hello"

    async def test_somebody_else_was_faster(self) -> None:
        class Contended(MemoryStorage):
            async def replace(self, name: str, loaded: StoredDocument, snapshot: bytes) -> bool:
                assert await super().replace(name, loaded, snapshot)
                return await super().replace(name, loaded, snapshot)

        storage = Contended()
        await storage.append([entry(data=update) for update in typed("hello")])
        assert await compact(storage, "doc") is None

    async def test_the_event_loop_stays_free(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The fold does not end before the loop has run something else.
        storage = await memory(*typed("hello"))
        free = threading.Event()
        fold = compaction._fold

        def waiting_fold(document: StoredDocument) -> tuple[bytes, bool]:
            assert free.wait(20)
            return fold(document)

        monkeypatch.setattr(compaction, "_fold", waiting_fold)
        task = asyncio.ensure_future(compact(storage, "doc"))
        asyncio.get_running_loop().call_later(0.01, free.set)
        assert await task is not None

    @pytest.mark.parametrize("seed", range(20))
    async def test_again_and_again_while_updates_come_in_any_order(self, seed: int) -> None:
        updates = concurrent_updates(seed, 80)
        shuffled = random.Random(seed).sample(updates, len(updates))
        storage = MemoryStorage()
        for number, update in enumerate(shuffled):
            await storage.append([entry(data=update)])
            if number % 7 == 0:
                await compact(storage, "doc")
        after = await storage.load("doc")
        assert after is not None
        doc: Doc[Any] = Doc()
        apply_stored(doc, after)
        assert text(doc) == text(applied(updates))
