"""No backend without the contract."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import collab_storage
from collab_storage.base import Storage
from collab_storage.memory import MemoryStorage
from collab_storage.orm import ORMStorage
from collab_storage.sqlite import SQLiteStorage
from collab_storage.testing import HistoryContract, StorageContract

from . import test_memory, test_orm, test_sqlite

CONTRACTS: dict[type[Storage], list[type[StorageContract]]] = {
    MemoryStorage: [test_memory.TestMemoryStorage],
    ORMStorage: [test_orm.TestORMStorageOnSQLite, test_orm.TestORMStorageOnPostgreSQL],
    SQLiteStorage: [test_sqlite.TestSQLiteStorage],
}


def backends() -> set[type[Storage]]:
    found = set()
    for module in pkgutil.iter_modules(collab_storage.__path__):
        members = vars(importlib.import_module(f"collab_storage.{module.name}")).values()
        found |= {member for member in members if inspect.isclass(member)}
    return {cls for cls in found if issubclass(cls, Storage) and not inspect.isabstract(cls)}


def test_every_backend_runs_the_contract() -> None:
    assert backends() == CONTRACTS.keys()


@pytest.mark.parametrize("contract", [c for contracts in CONTRACTS.values() for c in contracts])
@pytest.mark.parametrize("promises", [StorageContract, HistoryContract])
def test_none_of_it_is_left_out(contract: type[StorageContract], promises: type) -> None:
    tests = [name for name in dir(promises) if name.startswith("test_")]
    assert len(tests) > 15
    for name in tests:
        assert getattr(contract, name) is getattr(promises, name)
