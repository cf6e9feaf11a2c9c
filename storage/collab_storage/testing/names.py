"""The contract of names: any text of 1 to 255 characters, and no two of them are the same."""

from __future__ import annotations

import itertools

import pytest

from collab_storage.base import Storage
from collab_storage.exceptions import InvalidName

from .material import HOSTILE_NAMES, NO_NAMES, appended, entry, listed, rows

__all__ = ["NamesContract"]


@pytest.mark.asyncio
class NamesContract:
    async def test_hostile_names_are_different_documents(self, storage: Storage) -> None:
        await storage.append([entry(name, name.encode()) for name in HOSTILE_NAMES])
        for name in HOSTILE_NAMES:
            assert rows(await storage.load(name)) == [name.encode()]
        assert sorted(info.name for info in await listed(storage)) == sorted(HOSTILE_NAMES)

    async def test_hostile_neighbours_are_left_alone(self, storage: Storage) -> None:
        for name in HOSTILE_NAMES:
            assert await storage.create(entry(name, name.encode()))
        for name in HOSTILE_NAMES[::2]:
            stored = await storage.load(name)
            assert stored is not None
            assert await storage.replace(name, stored, b"snapshot")
            assert await storage.delete(name)
        for name in HOSTILE_NAMES[::2]:
            assert not await storage.exists(name)
        for name in HOSTILE_NAMES[1::2]:
            assert rows(await storage.load(name)) == [name.encode()]

    async def test_rename_to_hostile_names(self, storage: Storage) -> None:
        await appended(storage, b"one", name=HOSTILE_NAMES[0])
        for old, new in itertools.pairwise(HOSTILE_NAMES):
            await storage.rename(old, new)
        assert [info.name for info in await listed(storage)] == HOSTILE_NAMES[-1:]

    @pytest.mark.parametrize("prefix", HOSTILE_NAMES)
    async def test_a_prefix_is_taken_literally(self, storage: Storage, prefix: str) -> None:
        await storage.append([entry(name) for name in HOSTILE_NAMES])
        found = sorted(info.name for info in await listed(storage, prefix))
        assert found == sorted(name for name in HOSTILE_NAMES if name.startswith(prefix))

    @pytest.mark.parametrize("name", NO_NAMES)
    async def test_names_that_are_not_valid_are_refused(self, storage: Storage, name: str) -> None:
        stored = await appended(storage, b"one")
        for refused in (
            storage.load(name),
            storage.create(entry(name)),
            storage.append([entry(), entry(name)]),
            storage.replace(name, stored, b""),
            storage.delete(name),
            storage.rename(name, "moved"),
            storage.rename("doc", name),
            storage.exists(name),
            storage.marks(["doc", name]),
        ):
            with pytest.raises(InvalidName):
                await refused
        # Of the batch with one such name nothing is stored.
        assert await storage.load("doc") == stored
        assert len(await listed(storage)) == 1

    @pytest.mark.parametrize("name", NO_NAMES[1:])
    async def test_prefixes_that_are_not_valid_are_refused(
        self, storage: Storage, name: str
    ) -> None:
        with pytest.raises(InvalidName):
            await storage.page(name, "", 1)
        with pytest.raises(InvalidName):
            await storage.page("", name, 1)
