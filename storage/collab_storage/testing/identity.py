"""The contract of ids: an append goes to the document that was loaded, or is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest

from collab_storage.base import DocumentId, LogEntry, Storage
from collab_storage.exceptions import DocumentNotFound

from .material import START, appended, entry, parallel, rows

__all__ = ["IdentityContract"]


def _to(id: DocumentId, data: bytes, name: str = "doc") -> LogEntry:
    return LogEntry(name, data, START, document_id=id)


async def _id_of(storage: Storage, *data: bytes, name: str = "doc") -> DocumentId:
    """Append ``data``, and return the id of the document."""
    id = (await appended(storage, *data, name=name)).id
    if id is None:  # pragma: no cover  # Those of this project have ids; others' need not.
        pytest.skip("The documents of this storage have no ids.")
    return id


@pytest.mark.asyncio
class IdentityContract:
    async def test_an_id_is_the_same_as_long_as_the_document_is_stored(
        self, storage: Storage
    ) -> None:
        id = await _id_of(storage, b"one")
        stored = await appended(storage, b"two")
        assert await storage.replace("doc", stored, b"snapshot")
        await storage.rename("doc", "new")
        renamed = await storage.load("new")
        assert renamed is not None and renamed.id == stored.id == id

    async def test_append_and_create_return_the_id(self, storage: Storage) -> None:
        id = await _id_of(storage, b"one")
        created = await storage.create(entry("created"))
        loaded = await storage.load("created")
        assert loaded is not None and created == loaded.id != id
        assert await storage.append([entry()]) == {"doc": id}
        assert await storage.append([_to(id, b"two")]) == {"doc": id}
        batch = [_to(id, b"three"), entry("created"), entry("new"), entry("new")]
        ids = await storage.append(batch)
        new = await storage.load("new")
        assert new is not None and ids == {"doc": id, "created": created, "new": new.id}

    async def test_an_id_is_not_used_again(self, storage: Storage) -> None:
        ids = set()
        for _ in range(3):
            ids.add(await _id_of(storage, b"one"))
            await storage.delete("doc")
        assert len(ids) == 3

    async def test_append_does_not_bring_a_deleted_document_back(self, storage: Storage) -> None:
        id = await _id_of(storage, b"one")
        await storage.delete("doc")
        with pytest.raises(DocumentNotFound) as caught:
            await storage.append([_to(id, b"late")])
        assert caught.value.args == ("doc",)
        assert not await storage.exists("doc")

    async def test_append_leaves_a_later_document_of_the_name_alone(self, storage: Storage) -> None:
        id = await _id_of(storage, b"one")
        await storage.delete("doc")
        await appended(storage, b"another")
        with pytest.raises(DocumentNotFound):
            await storage.append([_to(id, b"late"), _to(id, b"later")])
        assert rows(await storage.load("doc")) == [b"another"]

    async def test_a_refused_batch_names_all_deleted_documents_and_stores_nothing(
        self, storage: Storage
    ) -> None:
        ids = [await _id_of(storage, b"one", name=name) for name in ("doc a", "doc b", "doc c")]
        await storage.delete("doc a")
        await storage.delete("doc c")
        batch = [_to(id, b"late", f"doc {letter}") for id, letter in zip(ids, "abc", strict=True)]
        with pytest.raises(DocumentNotFound) as caught:
            await storage.append([entry("new"), *batch, entry("other")])
        assert sorted(caught.value.args) == ["doc a", "doc c"]
        assert rows(await storage.load("doc b")) == [b"one"]
        for name in ("doc a", "doc c", "new", "other"):
            assert not await storage.exists(name)

    async def test_append_follows_a_renamed_document(self, storage: Storage) -> None:
        id = await _id_of(storage, b"one")
        await storage.rename("doc", "new")
        assert await storage.append([_to(id, b"alone")]) == {"doc": id}
        await storage.append([_to(id, b"two"), entry("new", b"three"), entry("other")])
        assert rows(await storage.load("new")) == [b"alone", b"one", b"three", b"two"]
        assert not await storage.exists("doc")

    async def test_append_follows_a_renamed_document_past_another_of_the_old_name(
        self, storage: Storage
    ) -> None:
        id = await _id_of(storage, b"one")
        await storage.rename("doc", "new")
        other = await _id_of(storage, b"another")
        await storage.append([_to(id, b"two"), _to(other, b"three", "doc"), _to(id, b"four")])
        assert rows(await storage.load("new")) == [b"four", b"one", b"two"]
        assert rows(await storage.load("doc")) == [b"another", b"three"]

    async def test_append_to_many_documents_by_their_ids(self, storage: Storage) -> None:
        await _id_of(storage, b"one")
        names = [f"doc {number}" for number in range(1_200)]
        ids = await storage.append([entry(name, b"one") for name in names])
        assert ids is not None and ids.keys() == set(names)
        await storage.append([_to(ids[name], b"two", name) for name in names])
        assert rows(await storage.load("doc 1199")) == [b"one", b"two"]

    async def test_delete_leaves_a_document_of_another_id_alone(self, storage: Storage) -> None:
        id = await _id_of(storage, b"one")
        await storage.delete("doc")
        other = await _id_of(storage, b"another")
        assert not await storage.delete("doc", id)
        assert rows(await storage.load("doc")) == [b"another"]
        assert await storage.delete("doc", other)
        assert not await storage.exists("doc")

    async def test_simultaneous_appends_to_a_new_document_get_the_same_id(
        self, storage: Storage
    ) -> None:
        await _id_of(storage, b"one", name="other")
        appends = [storage.append([entry(data=b"%d" % number)]) for number in range(8)]
        ids = await parallel(storage, *appends)
        stored = await storage.load("doc")
        assert stored is not None and ids == [{"doc": stored.id}] * 8

    async def test_append_during_delete_is_deleted_or_refused(self, storage: Storage) -> None:
        for _ in range(10):
            id = await _id_of(storage, b"before")

            async def append(id: DocumentId = id) -> None:
                with suppress(DocumentNotFound):
                    await storage.append([_to(id, b"one"), _to(id, b"two")])

            async def delete() -> None:
                assert await storage.delete("doc")

            await parallel(storage, append(), delete(), append())
            assert not await storage.exists("doc")

    async def test_append_during_rename_is_in_the_renamed_document(self, storage: Storage) -> None:
        for _ in range(10):
            id = await _id_of(storage, b"before", name="old")
            appends = [storage.append([_to(id, b"%d" % n, "old")]) for n in range(3)]
            await parallel(storage, *appends, storage.rename("old", "new"))
            assert rows(await storage.load("new")) == [b"0", b"1", b"2", b"before"]
            assert not await storage.exists("old")
            await storage.delete("new")
