"""Any sequence of verbs has the same outcome as on a dictionary."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from collab_storage.base import DocumentInfo, LogEntry, Storage, StoredDocument
from collab_storage.exceptions import DocumentExists, DocumentNotFound
from collab_storage.memory import MemoryStorage
from collab_storage.models import Document
from collab_storage.orm import ORMStorage
from collab_storage.sqlite import SQLiteStorage
from collab_storage.testing.material import HOSTILE_NAMES, START, listed

names = st.sampled_from(HOSTILE_NAMES[:8]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=255
)
entries = st.builds(
    LogEntry,
    name=names,
    data=st.binary(max_size=20),
    at=st.integers(0, 10**9).map(lambda number: START + timedelta(microseconds=number)),
    user_id=st.none() | st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20),
    document_id=st.none(),
)


@dataclass
class Model:
    """The expected content of a document in the storage."""

    changed: datetime
    snapshot: bytes | None = None
    log: list[bytes] = field(default_factory=list)

    def append(self, entry: LogEntry) -> None:
        self.log.append(entry.data)
        self.changed = max(self.changed, entry.at)

    def info(self, name: str) -> DocumentInfo:
        return DocumentInfo(
            name, len(self.snapshot or b""), len(b"".join(self.log)), len(self.log), self.changed
        )


class StorageMachine(RuleBasedStateMachine):
    """Compares a storage with a dictionary."""

    loaded = Bundle[tuple[str, StoredDocument, Model]]("loaded")

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self.storage = storage
        self.documents: dict[str, Model] = {}

    def call(self, verb: Callable[..., Any], *arguments: Any) -> Any:
        return async_to_sync(verb)(*arguments)

    def _append(self, entry: LogEntry) -> None:
        self.documents.setdefault(entry.name, Model(entry.at)).append(entry)

    @rule(batch=st.lists(entries, max_size=6))
    def append(self, batch: list[LogEntry]) -> None:
        self.call(self.storage.append, batch)
        for entry in batch:
            self._append(entry)

    @rule(loaded=loaded, batch=st.lists(entries, max_size=3))
    def append_to_what_was_loaded(
        self, loaded: tuple[str, StoredDocument, Model], batch: list[LogEntry]
    ) -> None:
        name, stored, document = loaded
        if stored.id is None:
            # It was not there.
            return
        batch = [*batch, LogEntry(name, b"to it", START, None, stored.id)]
        if any(each is document for each in self.documents.values()):
            self.call(self.storage.append, batch)
            for entry in batch[:-1]:
                self._append(entry)
            document.append(batch[-1])
        else:
            with pytest.raises(DocumentNotFound, match=re.escape(name)):
                self.call(self.storage.append, batch)

    @rule(entry=entries)
    def create(self, entry: LogEntry) -> None:
        expected = entry.name not in self.documents
        assert bool(self.call(self.storage.create, entry)) is expected
        if expected:
            self._append(entry)

    @rule(target=loaded, data=st.data())
    def load(self, data: st.DataObject) -> Any:
        name = data.draw(st.sampled_from(sorted(self.documents)) if self.documents else names)
        stored = self.call(self.storage.load, name)
        document = self.documents.get(name)
        if document is None:
            assert stored is None
            return name, StoredDocument(None, [], -1), Model(START)
        assert stored.snapshot == document.snapshot
        assert sorted(row.data for row in stored.log) == sorted(document.log)
        return name, stored, document

    @rule(loaded=loaded, snapshot=st.binary(max_size=20))
    def replace(self, loaded: tuple[str, StoredDocument, Model], snapshot: bytes) -> None:
        name, stored, document = loaded
        # The very document that was loaded, and with the same snapshot.
        current = self.call(self.storage.load, name)
        expected = self.documents.get(name) is document and current.version == stored.version
        assert self.call(self.storage.replace, name, stored, snapshot) is expected
        if expected:
            document.snapshot = snapshot
            for row in stored.log:
                document.log.remove(row.data)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(self._some_names())
        assert self.call(self.storage.delete, name) is (name in self.documents)
        self.documents.pop(name, None)

    @rule(data=st.data(), new=names)
    def rename(self, data: st.DataObject, new: str) -> None:
        old = data.draw(self._some_names())
        if old not in self.documents:
            with pytest.raises(DocumentNotFound):
                self.call(self.storage.rename, old, new)
        elif new in self.documents and new != old:
            with pytest.raises(DocumentExists):
                self.call(self.storage.rename, old, new)
        else:
            self.call(self.storage.rename, old, new)
            self.documents[new] = self.documents.pop(old)

    @rule(prefix=st.just("") | names, page_size=st.integers(1, 4))
    def list_documents(self, prefix: str, page_size: int) -> None:
        found = self.call(listed, self.storage, prefix, page_size)
        expected = [
            document.info(name)
            for name, document in self.documents.items()
            if name.startswith(prefix)
        ]
        by_name = {info.name: info for info in found}
        assert by_name == {info.name: info for info in expected}
        assert len(found) == len(by_name)

    @rule()
    def close(self) -> None:
        self.call(self.storage.close)

    @invariant()
    def exactly_these_exist(self) -> None:
        for name in self.documents:
            assert self.call(self.storage.exists, name)

    def _some_names(self) -> st.SearchStrategy[str]:
        return names | st.sampled_from(sorted(self.documents)) if self.documents else names


def check(make: Callable[[], Storage]) -> None:
    class Machine(StorageMachine):
        def __init__(self) -> None:
            super().__init__(make())

    run_state_machine_as_test(Machine, settings=settings(max_examples=25, stateful_step_count=25))


def test_memory() -> None:
    check(MemoryStorage)


def test_sqlite(tmp_path: Path) -> None:
    numbers = iter(range(10**6))
    check(lambda: SQLiteStorage(tmp_path / f"{next(numbers)}.sqlite3"))


@pytest.mark.parametrize(
    "using",
    [
        pytest.param("default", marks=pytest.mark.django_db),
        pytest.param("postgres", marks=pytest.mark.django_db(databases=["default", "postgres"])),
    ],
)
def test_orm(using: str) -> None:
    def empty() -> ORMStorage:
        Document.objects.using(using).all().delete()
        return ORMStorage(using)

    check(empty)
