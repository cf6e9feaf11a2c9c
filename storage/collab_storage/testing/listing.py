"""The contract of the list of documents."""

from __future__ import annotations

from datetime import timedelta

import pytest

from collab_storage.base import DocumentInfo, Storage

from .material import START, appended, entry, listed

__all__ = ["ListingContract"]


@pytest.mark.asyncio
class ListingContract:
    async def test_no_documents(self, storage: Storage) -> None:
        assert await listed(storage) == []
        assert list(await storage.page("doc", "", 10)) == []

    async def test_sizes_and_last_change(self, storage: Storage) -> None:
        await storage.append([entry(data=b"12345", minutes=2), entry(data=b"\xc3\xa9", minutes=1)])
        latest = START + timedelta(minutes=2)
        [info] = await listed(storage)
        assert info == DocumentInfo("doc", 0, 7, 2, latest)
        assert info.size == 7
        stored = await storage.load("doc")
        assert stored is not None
        await storage.replace("doc", stored, b"\xff\0\xc3\xa9")
        assert await listed(storage) == [DocumentInfo("doc", 4, 0, 0, latest)]
        await storage.append([entry(data=b"1", minutes=3)])
        assert await listed(storage) == [DocumentInfo("doc", 4, 1, 1, START + timedelta(minutes=3))]

    async def test_a_late_row_does_not_turn_the_clock_back(self, storage: Storage) -> None:
        await storage.append([entry(minutes=5)])
        stored = await storage.load("doc")
        assert stored is not None
        await storage.replace("doc", stored, b"")
        await storage.append([entry(minutes=1)])
        [info] = await listed(storage)
        assert info.updated_at == START + timedelta(minutes=5)
        stored = await storage.load("doc")
        assert stored is not None
        await storage.replace("doc", stored, b"")
        [info] = await listed(storage)
        assert info.updated_at == START + timedelta(minutes=5)

    @pytest.mark.parametrize("page_size", [1, 2, 3, 7, 500])
    async def test_every_document_once_whatever_the_page_size(
        self, storage: Storage, page_size: int
    ) -> None:
        names = [f"{letter}{number}" for letter in "Aab" for number in range(5)]
        await storage.append([entry(name) for name in names])
        found = [info.name for info in await listed(storage, page_size=page_size)]
        assert sorted(found) == sorted(names)
        assert len(found) == len(set(found))
        with_prefix = [info.name for info in await listed(storage, "a", page_size)]
        assert with_prefix == [name for name in found if name.startswith("a")]

    async def test_a_page_is_no_longer_than_asked_for(self, storage: Storage) -> None:
        await storage.append([entry(f"doc{number}") for number in range(5)])
        assert len(await storage.page("", "", 3)) == 3

    async def test_the_last_name_of_a_page_may_be_gone(self, storage: Storage) -> None:
        await storage.append([entry(f"doc{number}") for number in range(6)])
        first = await storage.page("", "", 3)
        await storage.delete(first[-1].name)
        rest = await storage.page("", first[-1].name, 10)
        assert {info.name for info in [*first, *rest]} == {f"doc{n}" for n in range(6)}

    async def test_documents_that_stay_are_listed_while_others_come_and_go(
        self, storage: Storage
    ) -> None:
        stay = [f"stay{number}" for number in range(20)]
        await storage.append([entry(name) for name in stay])
        found = []
        async for info in storage.documents(page_size=2):
            found.append(info.name)
            await appended(storage, b"", name=f"come{len(found)}")
            await storage.delete(f"come{len(found) - 1}")
            assert len(found) < 1_000, "the list has no end"
        assert set(stay) <= set(found)
