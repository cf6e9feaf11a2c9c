"""Rooms that go in one way while another is about to take them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collab.engine.hub import loader
from collab.engine.rooms.context import WatchedRoom
from collab.engine.rooms.member import Member
from collab.protocol.yjs.validation import UpdateOutline
from collab_storage.exceptions import StorageUnavailable
from tests.engine.fakes import room_of
from tests.engine.hub.test_hub import LETTERS, Harness, harness_of
from tests.harness.waiting import until
from tests.protocol.yjs.samples import text


async def hold_update(harness: Harness, update: bytes = LETTERS[0]) -> asyncio.Event:
    """Have an update of a member be in flight to the storage until the event is set."""
    member, _ = await harness.join()
    let = harness.storage.hold("append")
    harness.change(member, update)
    await until(lambda: harness.storage.calls["append"])
    return let


async def test_an_idle_room_that_is_deleted_is_not_unloaded_once_more(tmp_path: Path) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=0.01) as harness:
        member, _ = await harness.join()
        await harness.leave(member)
        harness.hub.discard("notes")
        await until(lambda: not harness.hub._upkeep._unload_handles)
        assert not harness.hub.rooms


async def test_a_room_that_is_deleted_while_the_hub_closes_is_closed_once(tmp_path: Path) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        member, _ = await harness.join()
        let = harness.storage.hold("append")
        harness.change(member, LETTERS[0])
        closing = asyncio.create_task(harness.hub.close())
        await until(lambda: harness.storage.calls["append"])
        harness.hub.discard("notes")
        let.set()
        await closing
        assert not harness.hub.rooms
        assert not await harness.storage.exists("notes")


async def test_a_document_that_is_opened_anew_waits_until_the_deleted_one_is_gone(
    tmp_path: Path,
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        let = await hold_update(harness)
        harness.hub.discard("notes")
        loads = harness.storage.calls["load"]
        joining = asyncio.create_task(harness.join())
        await until(lambda: harness.hub._live.opening)
        for _ in range(10):
            await asyncio.sleep(0)
        assert harness.storage.calls["load"] == loads
        let.set()
        again, _ = await joining
        await harness.save(again, LETTERS[0])
        assert await harness.stored() == "a"
        assert not harness.hub._live.clearing


async def test_a_document_that_is_deleted_twice_is_opened_anew_once_all_of_it_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        let = await hold_update(harness)
        harness.hub.discard("notes")
        harness.hub.discard("notes")
        joining = asyncio.create_task(harness.join())
        let.set()
        again, _ = await joining
        await harness.save(again, LETTERS[0])
        assert await harness.stored() == "a"
        assert not harness.hub._live.clearing
    assert not caplog.records


@pytest.mark.parametrize("moved_to", [None, "plans"], ids=["deleted", "renamed"])
async def test_updates_that_fail_to_be_stored_leave_the_old_name_too(
    tmp_path: Path, moved_to: str | None
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        harness.storage.failures["append"] = StorageUnavailable("away")
        let = await hold_update(harness)
        harness.hub.discard("notes", moved_to)
        let.set()
        await until(lambda: not harness.hub._live.clearing)
        harness.storage.failures.clear()
        await harness.hub.writer.idle()
        assert await harness.stored("notes") is None
        assert await harness.stored("plans") == (None if moved_to is None else "a")


async def test_a_document_is_read_again_once_at_a_time(tmp_path: Path) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        member, _ = await harness.join()
        await harness.append(LETTERS[0])
        let = harness.storage.hold("load")
        before = harness.storage.calls["load"]
        reading = [asyncio.create_task(harness.hub._upkeep.reread("notes")) for _ in range(3)]
        await until(lambda: harness.storage.calls["load"] > before)
        let.set()
        await asyncio.gather(*reading)
        room_of(member).flush()
        assert harness.storage.calls["load"] == before + 1
        assert text(room_of(member).doc) == "a"
        await harness.leave(member)


class FailingWatcher:
    """A watcher of an app that cannot process the changes of a document."""

    is_busy = False

    def attach(self, room: WatchedRoom) -> None:
        pass

    def detach(self) -> None:
        pass

    def receive(self, member: Member, outline: UpdateOutline) -> None:
        pass

    async def settle(self) -> None:
        raise LookupError("the app's own")


async def test_a_watcher_that_fails_keeps_no_document_from_being_stored_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def watch(name: str) -> FailingWatcher | None:
        return FailingWatcher() if name == "watched" else None

    monkeypatch.setattr(loader, "room_watchers", [watch])
    async with harness_of(tmp_path) as harness:
        for name in ("watched", "other"):
            member, _ = await harness.join(name)
            harness.change(member, LETTERS[0])
        await harness.hub.drain()
        assert await harness.stored("watched") == await harness.stored("other") == "a"
    assert {record.__dict__["room"] for record in caplog.records} == {"watched"}


async def test_a_document_that_was_closed_meanwhile_is_not_read_again(tmp_path: Path) -> None:
    async with harness_of(tmp_path) as harness:
        await harness.hub._upkeep.reread("closed")
        assert harness.storage.calls["load"] == 0


async def test_a_log_row_that_cannot_be_read_hides_later_updates_from_no_live_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness_of(tmp_path, RELAY_STORAGE_INTERVAL=0.01) as harness:
        await harness.append(LETTERS[0])
        member, _ = await harness.join()
        await harness.append(b"\xff\xff\xff")
        await harness.append(LETTERS[1])
        await until(lambda: text(room_of(member).doc) == "ab")
    assert "cannot read" in caplog.text
