from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from collab_storage.orm import ORMStorage
from collab_storage.testing import StorageContract


class ORMContract(StorageContract):
    using: str

    @pytest.fixture
    async def storage(self, transactional_db: None) -> AsyncIterator[ORMStorage]:
        storage = ORMStorage(self.using)
        yield storage
        await storage.close()


@pytest.mark.django_db(transaction=True)
class TestORMStorageOnSQLite(ORMContract):
    using = "default"


@pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
class TestORMStorageOnPostgreSQL(ORMContract):
    using = "postgres"
