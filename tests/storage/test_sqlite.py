from __future__ import annotations

import asyncio
import gc
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from collab_storage import _sqlite_file as file
from collab_storage.exceptions import DocumentCorrupt, StorageUnavailable
from collab_storage.sqlite import SQLiteStorage
from collab_storage.testing import HistoryContract, StorageContract
from collab_storage.testing.material import appended, entry, rows

from .database import pages_written


class TestSQLiteStorage(StorageContract, HistoryContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> SQLiteStorage:
        return SQLiteStorage(tmp_path / "documents.sqlite3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "documents.sqlite3"


def ask(path: Path, sql: str) -> object:
    """Return the first value of the answer of another connection."""
    with closing(sqlite3.connect(path)) as connection:
        [value] = connection.execute(sql).fetchone()
    return value


async def test_storages_with_the_same_file_see_the_same(path: Path) -> None:
    await appended(SQLiteStorage(path), b"one")
    assert rows(await appended(SQLiteStorage(str(path)), b"two")) == [b"one", b"two"]


async def test_the_file_keeps_when_and_by_whom(path: Path) -> None:
    await appended(SQLiteStorage(path), b"one")
    assert ask(path, "SELECT at || ' ' || user_id FROM updates") == (
        "2024-02-29T23:59:59.123456+00:00 7"
    )


async def test_appended_updates_are_on_the_disk_when_append_returns(path: Path) -> None:
    storage = SQLiteStorage(path)
    async with storage._connection() as db:
        answers = [
            await (await db.execute(f"PRAGMA {name}")).fetchall()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    full = 2
    assert answers == [[("wal",)], [(full,)], [(file.BUSY_TIMEOUT,)]]


async def test_a_commit_of_an_update_writes_two_pages_to_the_log_of_the_file(path: Path) -> None:
    storage = SQLiteStorage(path)
    async with storage.serving():
        await appended(storage, b"one")
        append = async_to_sync(storage.append)
        assert await asyncio.to_thread(pages_written, path, lambda: append([entry()])) == 2


async def test_simultaneous_first_users_of_a_file(path: Path) -> None:
    storages = [SQLiteStorage(path) for _ in range(12)]
    await asyncio.gather(*(storage.append([entry()]) for storage in storages))
    assert len(rows(await storages[0].load("doc"))) == 12


async def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "missing" / "documents.sqlite3")
    with pytest.raises(StorageUnavailable, match="missing") as raised:
        await storage.load("doc")
    assert isinstance(raised.value.__cause__, sqlite3.OperationalError)


async def test_a_file_that_is_something_else(path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, b"something else" * 1_000)
    with pytest.raises(StorageUnavailable, match="not a database"):
        await SQLiteStorage(path).load("doc")


async def test_a_writer_that_waits_too_long_for_the_lock_gets_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await appended(SQLiteStorage(path), b"one")
    monkeypatch.setattr(file, "SET_UP", "PRAGMA busy_timeout = 50")
    storage = SQLiteStorage(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with storage.serving():
            with pytest.raises(StorageUnavailable, match="locked"):
                await storage.append([entry(data=b"two")])
            other.rollback()
            assert rows(await appended(storage, b"three")) == [b"one", b"three"]


async def test_a_new_file_that_another_process_holds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "BUSY_TIMEOUT", 50)
    monkeypatch.setattr(file, "SET_UP", "PRAGMA busy_timeout = 10")
    storage = SQLiteStorage(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="locked"):
            await storage.append([entry()])
    assert rows(await appended(storage, b"one")) == [b"one"]


async def test_an_unknown_format_is_not_taken_for_what_it_is_not(path: Path) -> None:
    storage = SQLiteStorage(path)
    stored = await appended(storage, b"one")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE updates SET format = 2")
    with pytest.raises(DocumentCorrupt, match=str(stored.log[0].id)):
        await storage.load("doc")


async def test_nested_serving_of_two_files(tmp_path: Path) -> None:
    one, two = SQLiteStorage(tmp_path / "one"), SQLiteStorage(tmp_path / "two")
    async with one.serving(), two.serving():
        await appended(one, b"one")
        await appended(two, b"two")
    assert rows(await one.load("doc")) == [b"one"]
    assert rows(await two.load("doc")) == [b"two"]


async def cancel(task: asyncio.Task[Any], steps: int) -> None:
    """Cancel the task after so many turns of the loop, and wait for its end."""
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def test_a_cancelled_verb_has_ended_when_it_says_so(path: Path) -> None:
    storage = SQLiteStorage(path)
    for steps in range(40):
        await cancel(asyncio.create_task(storage.append([entry(f"doc{steps}")])), steps)
        with closing(sqlite3.connect(path, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
    assert rows(await appended(storage, b"last")) == [b"last"]


async def test_a_cancelled_verb_that_fails_is_cancelled(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await appended(SQLiteStorage(path), b"one")
    monkeypatch.setattr(file, "SET_UP", "PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.ensure_future(SQLiteStorage(path).append([entry()]))
        await cancel(task, 5)
    assert task.cancelled()
    gc.collect()
    assert not caplog.records


async def test_a_verb_that_is_cancelled_twice_ends_all_the_same(path: Path) -> None:
    storage = SQLiteStorage(path)
    async with storage.serving():
        task = asyncio.ensure_future(storage.append([entry(data=b"one"), entry(data=b"two")]))
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        # On the connection that both share this comes after it.
        assert rows(await storage.load("doc")) == [b"one", b"two"]
