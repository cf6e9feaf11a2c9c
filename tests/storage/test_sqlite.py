from __future__ import annotations

from pathlib import Path

import pytest

from collab_storage.sqlite import SQLiteStorage
from collab_storage.testing import StorageContract


class TestSQLiteStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> SQLiteStorage:
        return SQLiteStorage(tmp_path / "documents.sqlite3")
