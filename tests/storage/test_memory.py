from __future__ import annotations

import asyncio
import sys

import pytest

from collab_storage.memory import MemoryStorage
from collab_storage.testing import HistoryContract, StorageContract
from collab_storage.testing.material import entry, rows


class TestMemoryStorage(StorageContract, HistoryContract):
    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()


async def test_each_object_has_documents_of_its_own() -> None:
    await MemoryStorage().append([entry()])
    assert not await MemoryStorage().exists("doc")


def test_documents_in_memory_are_not_shared() -> None:
    assert not MemoryStorage.shared


async def test_threads_do_not_get_in_each_others_way() -> None:
    storage = MemoryStorage()
    await storage.append([entry()])

    def work() -> None:
        async def append_and_load() -> None:
            for _ in range(300):
                await storage.append([entry()])
                await storage.load("doc")

        asyncio.run(append_and_load())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
    finally:
        sys.setswitchinterval(interval)
    stored = await storage.load("doc")
    assert stored is not None and len(stored.log) == 1_201


def test_synchronous_code_waits_for_its_verbs() -> None:
    storage = MemoryStorage()
    storage.wait_for(lambda: storage.append([entry(data=b"one")]))
    assert rows(storage.wait_for(lambda: storage.load("doc"))) == [b"one"]
