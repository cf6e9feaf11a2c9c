from __future__ import annotations

import pytest

from collab_storage.memory import MemoryStorage
from collab_storage.testing import StorageContract
from collab_storage.testing.material import entry


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()


async def test_each_object_has_documents_of_its_own() -> None:
    await MemoryStorage().append([entry()])
    assert not await MemoryStorage().exists("doc")


def test_nobody_else_sees_them() -> None:
    assert not MemoryStorage.shared
