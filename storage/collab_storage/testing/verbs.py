"""The contract of each verb on its own."""

from __future__ import annotations

import pytest

from collab_storage.base import Storage, StoredDocument
from collab_storage.exceptions import DocumentExists, DocumentNotFound

from .material import appended, entry, rows

__all__ = ["VerbsContract"]


@pytest.mark.asyncio
class VerbsContract:
    async def test_a_document_that_is_not_stored_is_not_there(self, storage: Storage) -> None:
        assert await storage.load("doc") is None
        assert not await storage.exists("doc")
        assert not await storage.delete("doc")

    async def test_append_makes_the_document(self, storage: Storage) -> None:
        stored = await appended(storage, b"one")
        assert stored.snapshot is None
        assert rows(stored) == [b"one"]
        assert await storage.exists("doc")

    async def test_append_keeps_every_entry_even_equal_ones(self, storage: Storage) -> None:
        await appended(storage, b"one", b"one")
        stored = await appended(storage, b"one", b"two")
        assert rows(stored) == [b"one", b"one", b"one", b"two"]
        assert len({row.id for row in stored.log}) == 4

    async def test_append_to_many_documents_at_once(self, storage: Storage) -> None:
        names = [f"doc {number}" for number in range(1_200)]
        await storage.append([entry("doc 5", b"before")])
        await storage.append([entry(name, name.encode()) for name in names])
        assert rows(await storage.load("doc 5")) == [b"before", b"doc 5"]
        assert rows(await storage.load("doc 1199")) == [b"doc 1199"]

    async def test_append_nothing(self, storage: Storage) -> None:
        await storage.append([])

    @pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)), b"x" * 2**20])
    async def test_any_bytes(self, storage: Storage, data: bytes) -> None:
        stored = await appended(storage, data)
        assert rows(stored) == [data]
        assert await storage.replace("doc", stored, data)
        replaced = await storage.load("doc")
        assert replaced is not None and replaced.snapshot == data

    async def test_a_user_may_be_unknown(self, storage: Storage) -> None:
        known = entry()
        await storage.append([type(known)("doc", b"", known.at), known])
        stored = await storage.load("doc")
        assert stored is not None
        assert {row.data: row.user_id for row in stored.log} == {b"": None, known.data: "7"}

    async def test_create_stores_the_first_entry(self, storage: Storage) -> None:
        assert await storage.create(entry(data=b"seed"))
        assert rows(await storage.load("doc")) == [b"seed"]

    async def test_create_leaves_an_existing_document_alone(self, storage: Storage) -> None:
        await appended(storage, b"one")
        assert not await storage.create(entry(data=b"seed"))
        assert rows(await storage.load("doc")) == [b"one"]

    async def test_create_after_delete(self, storage: Storage) -> None:
        await storage.create(entry())
        await storage.delete("doc")
        assert await storage.create(entry())

    async def test_replace_takes_the_place_of_all_that_was_loaded(self, storage: Storage) -> None:
        stored = await appended(storage, *(b"%d" % number for number in range(1_200)))
        assert await storage.replace("doc", stored, b"snapshot")
        replaced = await storage.load("doc")
        assert replaced is not None
        assert (replaced.snapshot, list(replaced.log)) == (b"snapshot", [])
        assert replaced.version != stored.version
        assert replaced.updates == [b"snapshot"]

    async def test_replace_leaves_later_rows(self, storage: Storage) -> None:
        stored = await appended(storage, b"one")
        await storage.append([entry(data=b"two")])
        assert await storage.replace("doc", stored, b"snapshot")
        replaced = await storage.load("doc")
        assert rows(replaced) == [b"two"]
        assert replaced is not None and replaced.updates == [b"snapshot", b"two"]

    async def test_replace_deletes_exactly_the_rows_that_were_loaded(
        self, storage: Storage
    ) -> None:
        # Rows with lower ids may turn up late: some databases number them before the commit.
        stored = await appended(storage, b"one", b"two", b"three")
        late = next(row for row in stored.log if row.data == b"two")
        loaded = StoredDocument(None, [r for r in stored.log if r != late], stored.version)
        assert await storage.replace("doc", loaded, b"snapshot")
        assert rows(await storage.load("doc")) == [b"two"]

    async def test_replace_leaves_other_documents(self, storage: Storage) -> None:
        await appended(storage, b"other", name="other")
        stored = await appended(storage, b"one")
        await storage.replace("doc", stored, b"snapshot")
        other = await storage.load("other")
        assert other is not None and other.updates == [b"other"]

    async def test_replace_only_once(self, storage: Storage) -> None:
        stored = await appended(storage, b"one")
        await storage.replace("doc", stored, b"first")
        await storage.append([entry(data=b"two")])
        assert not await storage.replace("doc", stored, b"second")
        replaced = await storage.load("doc")
        assert replaced is not None and replaced.updates == [b"first", b"two"]

    async def test_replace_again_and_again(self, storage: Storage) -> None:
        versions = set()
        for number in range(5):
            stored = await appended(storage, b"%d" % number)
            versions.add(stored.version)
            assert await storage.replace("doc", stored, b"".join(stored.updates))
        replaced = await storage.load("doc")
        assert replaced is not None and replaced.updates == [b"01234"]
        assert len(versions) == 5

    async def test_replace_does_not_bring_a_document_back(self, storage: Storage) -> None:
        stored = await appended(storage, b"one")
        await storage.delete("doc")
        assert not await storage.replace("doc", stored, b"snapshot")
        assert not await storage.exists("doc")

    async def test_replace_does_not_touch_a_namesake(self, storage: Storage) -> None:
        stored = await appended(storage, b"one")
        await storage.delete("doc")
        await appended(storage, b"new")
        assert not await storage.replace("doc", stored, b"snapshot")
        assert rows(await storage.load("doc")) == [b"new"]

    async def test_replace_does_not_follow_a_rename(self, storage: Storage) -> None:
        stored = await appended(storage, b"one")
        await storage.rename("doc", "moved")
        assert not await storage.replace("doc", stored, b"snapshot")
        assert rows(await storage.load("moved")) == [b"one"]

    async def test_stored_rows_have_different_ids(self, storage: Storage) -> None:
        stored = await appended(storage, b"one", b"two")
        await storage.replace("doc", stored, b"snapshot")
        logs = [(await appended(storage, b"1", b"2", name=name)).log for name in ("doc", "other")]
        assert len({row.id for log in logs for row in log}) == 4

    async def test_replace_deletes_no_row_that_has_the_id_of_a_deleted_one(
        self, storage: Storage
    ) -> None:
        stored = await appended(storage, b"one", b"two")
        await storage.replace("doc", stored, b"snapshot")
        await appended(storage, b"three", b"four")
        assert not await storage.replace("doc", stored, b"late")
        assert rows(await storage.load("doc")) == [b"four", b"three"]
        await storage.delete("doc")
        await appended(storage, b"five", name="other")
        await appended(storage, b"six")
        assert not await storage.replace("doc", stored, b"late")
        assert rows(await storage.load("other")) == [b"five"]
        assert rows(await storage.load("doc")) == [b"six"]

    async def test_delete_takes_everything(self, storage: Storage) -> None:
        stored = await appended(storage, b"one")
        await storage.replace("doc", stored, b"snapshot")
        await appended(storage, b"two")
        await appended(storage, b"other", name="other")
        assert await storage.delete("doc")
        assert await storage.load("doc") is None
        assert (await appended(storage, b"new")).updates == [b"new"]
        assert await storage.exists("other")

    async def test_rename_keeps_the_content(self, storage: Storage) -> None:
        stored = await appended(storage, b"one")
        await storage.replace("doc", stored, b"snapshot")
        before = await appended(storage, b"two")
        await storage.rename("doc", "moved")
        assert await storage.load("moved") == before
        assert await storage.load("doc") is None

    async def test_rename_needs_a_document(self, storage: Storage) -> None:
        with pytest.raises(DocumentNotFound):
            await storage.rename("doc", "moved")

    async def test_rename_overwrites_nothing(self, storage: Storage) -> None:
        await appended(storage, b"one")
        await appended(storage, b"other", name="other")
        with pytest.raises(DocumentExists):
            await storage.rename("doc", "other")
        assert rows(await storage.load("doc")) == [b"one"]
        assert rows(await storage.load("other")) == [b"other"]

    async def test_rename_to_the_same_name(self, storage: Storage) -> None:
        before = await appended(storage, b"one")
        await storage.rename("doc", "doc")
        assert await storage.load("doc") == before

    async def test_close_loses_nothing_and_may_be_followed_by_anything(
        self, storage: Storage
    ) -> None:
        before = await appended(storage, b"one")
        await storage.close()
        await storage.close()
        assert await storage.load("doc") == before

    async def test_on_commit_without_a_transaction(self, storage: Storage) -> None:
        called: list[int] = []
        await storage.on_commit(lambda: called.append(1))
        assert called == [1]

    async def test_flags(self, storage: Storage) -> None:
        assert isinstance(type(storage).joins_transactions, bool)
        assert isinstance(type(storage).shared, bool)

    async def test_a_mark_changes_with_each_change(self, storage: Storage) -> None:
        marks = [await storage.marks(["doc"])]
        stored = await appended(storage, b"one")
        marks.append(await storage.marks(["doc"]))
        await appended(storage, b"two")
        marks.append(await storage.marks(["doc"]))
        await storage.replace("doc", stored, b"snapshot")
        marks.append(await storage.marks(["doc"]))
        assert [mark.get("doc") and mark["doc"].log_length for mark in marks] == [None, 1, 2, 1]
        assert len({repr(mark) for mark in marks}) == 4

    async def test_marks_agree_with_what_is_loaded(self, storage: Storage) -> None:
        names = [f"doc {number}" for number in range(1_200)]
        await storage.append([entry(name, b"data") for name in names[::2]])
        marks = await storage.marks(names)
        assert marks.keys() == set(names[::2])
        stored = await storage.load("doc 4")
        assert stored is not None
        assert marks["doc 4"] == (stored.version, len(stored.log))
