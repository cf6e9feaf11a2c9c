"""Every storage journals what it changes, each change once or more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction

from collab_storage.base import Storage
from collab_storage.exceptions import DocumentExists, DocumentNotFound
from collab_storage.journal import DocumentEvent, EventKind, Recorder, journal
from collab_storage.memory import MemoryStorage
from collab_storage.orm import ORMStorage
from collab_storage.sqlite import SQLiteStorage
from collab_storage.testing.material import entry

pytestmark = pytest.mark.django_db(transaction=True)

CREATED, CHANGED, DELETED, RENAMED = EventKind


class Recording:
    """A recorder that keeps what it gets of documents whose names begin with ``doc``."""

    def __init__(self) -> None:
        self.events: list[DocumentEvent] = []
        self.databases: set[str | None] = set()

    def record(self, events: Sequence[DocumentEvent], using: str | None) -> None:
        self.events += events
        self.databases.add(using)

    def take(self) -> list[DocumentEvent]:
        events, self.events = self.events, []
        return events


@pytest.fixture
def recording() -> Iterator[Recording]:
    recording = Recording()
    recorder = Recorder(lambda name: name.startswith("doc"), recording.record)
    journal.append(recorder)
    yield recording
    journal.remove(recorder)


@pytest.fixture(params=["memory", "sqlite", "orm"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    storage: Storage
    match request.param:
        case "memory":
            storage = MemoryStorage()
        case "sqlite":
            storage = SQLiteStorage(tmp_path / "documents.sqlite3")
        case _:
            storage = ORMStorage()
    yield storage
    await storage.close()


async def test_a_seed_creates_and_changes(storage: Storage, recording: Recording) -> None:
    assert await storage.create(entry("doc", b"\0\0"))
    assert recording.take() == [DocumentEvent("doc", CREATED), DocumentEvent("doc", CHANGED, "7")]
    assert not await storage.create(entry("doc", b"\0\0"))
    assert recording.take() == []


async def test_appending_returns_the_authors_and_their_documents(
    storage: Storage, recording: Recording
) -> None:
    entries = [entry(name, b"\0\0") for name in ("doc 1", "doc 2", "other", "doc 1")]
    await storage.append(entries)
    events = recording.take()
    assert {event for event in events if event.kind is CREATED} == {
        DocumentEvent("doc 1", CREATED),
        DocumentEvent("doc 2", CREATED),
    }
    assert {event for event in events if event.kind is CHANGED} == {
        DocumentEvent("doc 1", CHANGED, "7"),
        DocumentEvent("doc 2", CHANGED, "7"),
    }
    await storage.append(entries[:1])
    assert set(recording.take()) == {DocumentEvent("doc 1", CHANGED, "7")}


async def test_deleting_and_renaming_are_journalled_if_they_happen(
    storage: Storage, recording: Recording
) -> None:
    await storage.append([entry("doc", b"\0\0"), entry("doc taken", b"\0\0")])
    recording.take()
    await storage.rename("doc", "doc new")
    assert recording.take() == [DocumentEvent("doc new", RENAMED, None, "doc")]
    with pytest.raises(DocumentNotFound):
        await storage.rename("doc", "doc newer")
    with pytest.raises(DocumentExists):
        await storage.rename("doc new", "doc taken")
    assert await storage.delete("doc new")
    assert not await storage.delete("doc new")
    assert recording.take() == [DocumentEvent("doc new", DELETED)]


async def test_the_database_of_the_documents_is_named(recording: Recording) -> None:
    await ORMStorage().append([entry("doc", b"\0\0")])
    assert recording.databases == {"default"}
    await MemoryStorage().append([entry("doc", b"\0\0")])
    assert recording.databases == {"default", None}


@sync_to_async
def _append_and_fail(recording: Recording) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ORMStorage().wait_for(lambda: ORMStorage().append([entry("doc", b"\0\0")]))
        assert recording.take()
        raise ZeroDivisionError


async def test_a_change_is_journalled_in_its_transaction(recording: Recording) -> None:
    await _append_and_fail(recording)
    assert not await ORMStorage().exists("doc")


async def test_a_change_needs_no_recorder(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collab_storage.journal.journal", [])
    await storage.append([entry("elsewhere", b"\0\0")])
    assert await storage.delete("elsewhere")
