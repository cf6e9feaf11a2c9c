from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from collab_storage import compaction
from collab_storage.authorship import Authorship
from collab_storage.base import LogRow, Storage, StoredDocument
from collab_storage.compaction import (
    apply_stored,
    compact,
    is_pycrdt_error,
    read_in_process,
    read_news,
    read_stored,
    readable_update,
)
from collab_storage.exceptions import DocumentCorrupt
from collab_storage.memory import MemoryStorage
from collab_storage.testing.material import entry
from collab_storage.updates import merge
from tests.harness.waiting import DEADLINE

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
    def test_rows_that_cannot_be_read_are_left_out_and_named(
        self, bad: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        good = typed("hello")
        doc: Doc[Any] = Doc()
        rest = apply_stored(doc, stored(*good, bad, *good, bad))
        assert (text(doc), rest) == ("hello", b"\0\0")
        assert "cannot read rows 105, 111 of the log" in caplog.text

    def test_updates_with_missing_dependencies_are_returned_and_not_applied(self) -> None:
        updates = typed("hello")
        doc: Doc[Any] = Doc()
        rest = apply_stored(doc, stored(*updates[:2], *updates[3:]))
        assert text(doc) == "he"
        doc.apply_update(updates[2])
        assert text(doc) == "hel"
        doc.apply_update(rest)
        assert text(doc) == "hello"

    def test_nothing_but_what_builds_upon_others(self) -> None:
        update = typed("hello")[1]
        doc: Doc[Any] = Doc()
        assert apply_stored(doc, stored(update)) == update
        assert doc.get_update() == b"\0\0"

    def test_without_the_rows_that_cannot_be_read_there_must_be_something_left(self) -> None:
        with pytest.raises(DocumentCorrupt, match="rows 100 of the log"):
            apply_stored(Doc(), stored(b"\xff", typed("hello")[1]))

    def test_the_snapshot_at_fault_is_named(self) -> None:
        with pytest.raises(DocumentCorrupt) as raised:
            apply_stored(Doc(), stored(*typed("hello"), snapshot=b"\xff\xff"))
        assert str(raised.value) == "pycrdt cannot read the snapshot."

    def test_not_all_of_many_are_named(self) -> None:
        with pytest.raises(DocumentCorrupt) as raised:
            apply_stored(Doc(), stored(*[b""] * 50))
        assert "119, ... (50)" in str(raised.value) and "120" not in str(raised.value)

    def test_a_panic(self, caplog: pytest.LogCaptureFixture) -> None:
        start = Doc({"text": Text("x" * 110)}, client_id=5).get_update()

        def merge_others(updates: Sequence[bytes]) -> bytes:
            if PANIC in updates:
                raise ValueError
            return merge(updates)

        with pytest.MonkeyPatch.context() as patch:
            # Merging sorts out all updates that are known to cause one.
            patch.setattr(compaction, "merge", merge_others)
            doc: Doc[Any] = Doc()
            apply_stored(doc, stored(start, PANIC, start))
        assert text(doc) == "x" * 110
        assert "rows 101 of the log" in caplog.text

    def test_the_message_of_pycrdt_is_not_shown(self) -> None:
        # It may quote the document.
        with pytest.raises(DocumentCorrupt) as raised:
            apply_stored(Doc(), stored(snapshot=b"\xff\xff"))
        assert raised.value.__cause__ is None and raised.value.__suppress_context__

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
    def test_errors_that_are_not_about_the_document_pass(self, error: type[BaseException]) -> None:
        doc: Doc[Any] = Doc()

        def interrupt(updates: object) -> bytes:
            raise error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compaction, "merge", interrupt)
            with pytest.raises(error):
                apply_stored(doc, stored(*typed("hello")))

    @pytest.mark.parametrize("at", [b"", b"\0\0"])
    def test_an_interruption_of_the_search_for_the_culprit_passes(self, at: bytes) -> None:
        class Interrupted(Doc[Any]):
            def apply_update(self, update: bytes) -> None:
                if update == at:
                    raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compaction, "Doc", Interrupted)
            with pytest.raises(KeyboardInterrupt):
                apply_stored(Doc(), stored(b""))


def test_errors_of_pycrdt_are_distinguished_from_others() -> None:
    with pytest.raises(BaseException) as raised:
        applied([Doc({"text": Text("x" * 110)}, client_id=5).get_update(), PANIC])
    assert not isinstance(raised.value, Exception)
    assert is_pycrdt_error(raised.value)
    assert is_pycrdt_error(ValueError()) and is_pycrdt_error(RuntimeError())
    assert not is_pycrdt_error(KeyboardInterrupt()) and not is_pycrdt_error(OSError())


class TestCompact:
    async def test_overwritten_values_need_no_space(self) -> None:
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

    async def test_rows_that_cannot_be_read_stay(self) -> None:
        storage = await memory(*typed("he"), b"\xff", typed("hello")[0])
        result = await compact(storage, "doc")
        assert result is not None and (result.rows, result.complete) == (3, True)
        after = await storage.load("doc")
        assert after is not None and [row.data for row in after.log] == [b"\xff"]
        assert await compact(storage, "doc") is None
        assert await storage.load("doc") == after

    async def test_a_document_that_another_process_compacted_first_is_left_alone(self) -> None:
        class Contended(MemoryStorage):
            async def fold(
                self, name: str, loaded: StoredDocument, snapshot: bytes, authorship: Authorship
            ) -> bool:
                assert await super().fold(name, loaded, snapshot, authorship)
                return await super().fold(name, loaded, snapshot, authorship)

        storage = Contended()
        await storage.append([entry(data=update) for update in typed("hello")])
        assert await compact(storage, "doc") is None

    async def test_a_storage_without_histories_keeps_the_snapshot_only(self) -> None:
        whole = await memory(*typed("hello"))

        class Plain(Storage):
            """Only what compaction asks for."""

            create = append = delete = rename = exists = marks = page = None  # type: ignore

            async def load(self, name: str) -> StoredDocument | None:
                return await whole.load(name)

            async def replace(self, name: str, loaded: StoredDocument, snapshot: bytes) -> bool:
                return await whole.replace(name, loaded, snapshot)

        result = await compact(Plain(), "doc")
        assert result is not None and result.complete
        after = await whole.load("doc")
        assert after is not None and after.log == []
        assert text(applied(after.updates)) == "hello"

    async def test_the_event_loop_stays_free(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The fold does not end before the loop has run something else.
        storage = await memory(*typed("hello"))
        free = threading.Event()
        fold = compaction._fold

        def waiting_fold(
            stored: StoredDocument, name: str, keeps_authors: bool
        ) -> tuple[bytes, bool, StoredDocument, Authorship]:
            assert free.wait(DEADLINE)
            return fold(stored, name, keeps_authors)

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


class TestLargeDocuments:
    """Compaction that delays no other work, as it is done in another process."""

    LARGE = Doc({"text": Text("x" * 1_100_000)}).get_update()

    @pytest.mark.parametrize("snapshot", [None, LARGE], ids=["none", "large"])
    async def test_they_are_read_as_others_are(
        self, snapshot: bytes | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        updates = typed("hello")
        document = stored(*updates[:2], b"\xff", updates[3], snapshot=snapshot)
        content = await read_in_process(document, "doc")
        assert content == read_stored(document, "doc")
        doc = applied([content.update])
        assert doc.get_state() == content.state
        doc.apply_update(updates[2])
        doc.apply_update(content.rest)
        assert "hell" in text(doc)
        assert [record.room for record in caplog.records] == ["doc"] * 2  # type: ignore[attr-defined]

    async def test_of_many_updates(self) -> None:
        updates = concurrent_updates(1, 2_100)
        assert text(applied([(await read_in_process(stored(*updates))).update])) == text(
            applied(updates)
        )

    async def test_nothing_can_be_read_of_them(self) -> None:
        with pytest.raises(DocumentCorrupt, match="the snapshot"):
            await read_in_process(stored(snapshot=b"\xff" * 1_100_000))

    @pytest.mark.parametrize("snapshot", [b"\0\0", LARGE], ids=["empty", "large"])
    async def test_updates_that_a_client_lacks_are_read(self, snapshot: bytes) -> None:
        updates = typed("hello")
        knows = applied([snapshot, *updates[:3]])
        news = await read_news(stored(*updates, snapshot=snapshot), knows.get_state())
        assert len(news) < 100
        knows.apply_update(news)
        assert "hello" in text(knows)
        assert await read_news(stored(), b"\0") == b"\0\0"

    @pytest.mark.parametrize("snapshot", [typed("a")[0], LARGE], ids=["small", "large"])
    async def test_rows_that_cannot_be_read_hide_no_others(self, snapshot: bytes) -> None:
        document = stored(b"\xff", *typed("hello"), snapshot=snapshot)
        news = await read_news(document, b"\0", "doc")
        assert news == readable_update(document)
        assert "hello" in text(applied([snapshot, news]))

    async def test_a_document_of_which_nothing_can_be_read_has_no_news(self) -> None:
        with pytest.raises(DocumentCorrupt):
            await read_news(stored(b"\xff"), b"\0")

    async def test_they_are_compacted(self) -> None:
        storage = await memory(self.LARGE, *typed("hello"))
        result = await compact(storage, "doc")
        assert result is not None
        assert (result.rows, result.complete) == (6, True)
        after = await storage.load("doc")
        assert after is not None
        assert "hello" in text(applied(after.updates))
