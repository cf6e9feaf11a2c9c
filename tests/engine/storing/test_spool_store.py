"""Updates that one process has spooled are stored once by the next."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collab.conf import Settings
from collab.engine.storing import spool_store
from collab.engine.storing.document_store import DocumentStore
from collab.engine.storing.spool import claim, read_spool, spooled_files, write_spool
from collab.engine.storing.spool_store import SpoolStore
from collab.engine.storing.storage_context import StorageContext
from collab.protocol.effects import RoomUpdate
from collab_storage.base import LogEntry
from collab_storage.exceptions import DocumentCorrupt, StorageUnavailable
from collab_storage.memory import MemoryStorage
from tests.engine.fakes import HinderedStorage
from tests.harness.waiting import until
from tests.protocol.yjs.samples import HELLO, typed

NOW = datetime.now(UTC)
LETTERS = typed("abcdef")


def entry(name: str, number: int = 0) -> LogEntry:
    return LogEntry(name, LETTERS[number], NOW)


class Spool:
    """A spool directory, and processes that store what is in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.storage = HinderedStorage()

    def process(self) -> SpoolStore:
        return SpoolStore(self.directory, self.storage, StorageContext(self.storage))

    async def rows(self, name: str) -> list[bytes]:
        stored = await MemoryStorage.load(self.storage, name)
        return [] if stored is None else [row.data for row in stored.log]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


async def test_many_documents_that_open_at_once_store_each_update_once(spool: Spool) -> None:
    for number in range(3):
        write_spool(spool.directory, [entry("notes", number), entry("plans", number)])
    process = spool.process()
    await asyncio.gather(*(process.store() for _ in range(30)))
    await process.store()
    assert sorted(await spool.rows("notes")) == sorted(LETTERS[:3])
    assert len(await spool.rows("plans")) == 3
    assert spooled_files(spool.directory) == []


async def test_a_file_that_another_process_stores_is_left_to_it(spool: Spool) -> None:
    path = write_spool(spool.directory, [entry("notes")])
    file = claim(path)
    assert file is not None
    with file:
        await spool.process().store()
        assert await spool.rows("notes") == []
    await spool.process().store()
    assert await spool.rows("notes") == LETTERS[:1]


async def test_a_file_that_is_not_valid_is_renamed_and_delays_no_document(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    bad = spool.directory / "0.collab-spool"
    bad.write_text("garbage\n")
    (spool.directory / "1.collab-spool").mkdir()
    write_spool(spool.directory, [entry("notes")])
    await spool.process().store()
    assert await spool.rows("notes") == LETTERS[:1]
    assert sorted(path.name for path in spool.directory.iterdir()) == [
        "0.collab-spool.not-stored",
        "1.collab-spool.not-stored",
    ]
    assert "1 invalid lines" in caplog.text
    assert "is kept as" in caplog.text


@pytest.mark.parametrize("name", ["file", "a name that is too long" * 20])
async def test_a_directory_that_cannot_be_read_keeps_no_document_from_being_opened(
    name: str, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    (spool.directory / "file").touch()
    spool.directory /= name
    await spool.process().store()
    assert "Spooled updates wait" in caplog.text


async def test_good_lines_of_a_bad_file_are_stored(spool: Spool) -> None:
    path = write_spool(spool.directory, [entry("notes")])
    path.write_text(path.read_text() + "cut o")
    await spool.process().store()
    assert await spool.rows("notes") == LETTERS[:1]


async def test_an_update_that_the_storage_refuses_hides_no_other(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    spool.storage.spoilt["bad"] = DocumentCorrupt()
    write_spool(spool.directory, [entry("notes"), entry("bad"), entry("plans")])
    await spool.process().store()
    assert await spool.rows("notes") == await spool.rows("plans") == LETTERS[:1]
    assert caplog.records[0].__dict__["rooms"] == {"bad": len(LETTERS[0])}
    (kept,) = spool.directory.iterdir()
    assert kept.suffix == ".not-stored"


async def test_an_update_does_not_bring_back_its_deleted_document(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    ids = await spool.storage.append([entry(name) for name in ("deleted", "renamed", "there")])
    late = [entry(name, 1)._replace(document_id=ids[name]) for name in ids]
    path = write_spool(spool.directory, late)
    await spool.storage.delete("deleted")
    await spool.storage.rename("renamed", "new")
    await spool.process().store()
    assert await spool.rows("deleted") == []
    assert await spool.rows("new") == await spool.rows("there") == LETTERS[:2]
    assert caplog.records[0].__dict__["rooms"] == {"deleted": len(LETTERS[1])}
    # It is kept: a backup of the documents may have been restored, with other ids.
    assert [*spool.directory.iterdir()] == [path.with_name(path.name + ".not-stored")]


async def test_unsaved_updates_are_spooled_for_the_document_that_was_loaded(
    tmp_path: Path,
) -> None:
    storage = HinderedStorage()
    store = new_store(tmp_path, storage)
    ids = await storage.append([entry("notes")])
    await store.load("notes")
    storage.failures["append"] = StorageUnavailable("no space")
    store.writer.put("notes", [RoomUpdate(LETTERS[1])])
    store.writer.put("new", [RoomUpdate(LETTERS[1])])
    await until(lambda: storage.calls["append"] > 1)
    await store.end_storing()
    (path,) = spooled_files(tmp_path)
    with path.open("rb") as file:
        entries, _ = read_spool(file)
    assert {each.name: each.document_id for each in entries} == {"notes": ids["notes"], "new": None}
    await store.release()


async def test_while_the_storage_is_away_files_wait_for_the_next_document(
    spool: Spool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_store, "_RETRY_DELAY", 0.0)
    write_spool(spool.directory, [entry("notes"), entry("plans")])
    spool.storage.failures["append"] = StorageUnavailable("no route")
    process = spool.process()
    await process.store()
    assert len(spooled_files(spool.directory)) == 1
    assert "Spooled updates wait: the storage fails (StorageUnavailable: no route)." in caplog.text
    spool.storage.failures.clear()
    await process.store()
    assert await spool.rows("notes") == LETTERS[:1]


async def test_the_next_attempt_is_not_at_once(spool: Spool) -> None:
    write_spool(spool.directory, [entry("notes")])
    spool.storage.failures["append"] = StorageUnavailable()
    process = spool.process()
    for _ in range(5):
        await process.store()
    assert spool.storage.calls["append"] == 1


async def test_a_file_that_can_neither_be_stored_nor_renamed_is_logged(
    spool: Spool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(spool_store, "set_aside", refuse)
    (spool.directory / "0.collab-spool").write_text("garbage\n")
    await spool.process().store()
    assert "cannot be renamed" in caplog.text


# The end of a process.


def new_store(directory: Path, storage: HinderedStorage) -> DocumentStore:
    settings = Settings(SPOOL_DIRECTORY=directory, WRITE_DELAY=0.001)
    return DocumentStore(storage, settings, max_retry_delay=0.005)


def full(path: Path, *args: Any) -> Path:
    raise OSError(28, "No space left on device")


async def test_updates_that_can_neither_be_stored_nor_spooled_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = HinderedStorage()
    storage.failures["append"] = StorageUnavailable("no space")
    store = new_store(tmp_path, storage)
    store.writer.put("notes", [RoomUpdate(HELLO)])
    await until(lambda: storage.calls["append"])
    monkeypatch.setattr(spool_store, "write_spool", full)
    await store.end_storing(hold_time=0.01)
    lost = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert [(record.__dict__["room"], record.args) for record in lost] == [("notes", (len(HELLO),))]
    assert "neither be stored nor written" in caplog.text
    assert "No space left on device" in caplog.text
    assert not store.writer.has("notes")
    await store.release()


async def test_updates_are_stored_after_all_while_the_process_holds_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = HinderedStorage()
    storage.failures["append"] = StorageUnavailable("no space")
    store = new_store(tmp_path, storage)
    store.writer.put("notes", [RoomUpdate(HELLO)])
    await until(lambda: storage.calls["append"])
    monkeypatch.setattr(spool_store, "write_spool", full)
    ending = asyncio.create_task(store.end_storing())
    await until(lambda: caplog.records)
    storage.failures.clear()
    await ending
    stored = await storage.load("notes")
    assert stored is not None
    assert not [record for record in caplog.records if record.levelno == logging.CRITICAL]
    await store.release()


async def test_where_nothing_is_unsaved_no_file_is_written(tmp_path: Path) -> None:
    store = new_store(tmp_path, HinderedStorage())
    await store.end_storing()
    assert spooled_files(tmp_path) == []


async def test_a_process_whose_loop_ends_while_it_drains_spools_unsaved_updates(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = HinderedStorage()
    store = new_store(tmp_path, storage)
    store.spool_at_exit()
    assert spooled_files(tmp_path) == []
    gate = storage.hold("append")
    store.writer.put("notes", [RoomUpdate(HELLO)])
    store.spool_at_exit()
    (path,) = spooled_files(tmp_path)
    with path.open("rb") as file:
        assert [entry.data for entry in read_spool(file)[0]] == [HELLO]
    monkeypatch.setattr(spool_store, "write_spool", full)
    store.spool_at_exit()
    assert caplog.records[-1].levelno == logging.CRITICAL
    gate.set()
    await store.writer.idle()
    await store.release()
