"""Updates to documents that another process has deleted or renamed, before its order arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from collab.engine.runtime.counters import counters
from collab.exceptions import NoSuchDocument
from collab_storage.base import LogEntry, StoredDocument
from collab_storage.memory import MemoryStorage
from tests.engine.fakes import HinderedStorage, Socket, room_of
from tests.engine.hub.test_hub import LETTERS, Harness, Opener, harness_of
from tests.engine.hub.test_hub_races import hold_update
from tests.engine.processes import NOTES, cluster
from tests.harness.waiting import until
from tests.protocol.yjs.samples import text


async def delete(harness: Harness, name: str = "notes") -> None:
    """Delete a document as another process does."""
    assert await MemoryStorage.delete(harness.storage, name)


async def rename(harness: Harness, old: str = "notes", new: str = "plans") -> None:
    """Rename a document as another process does."""
    await MemoryStorage.rename(harness.storage, old, new)


def saved(socket: Socket) -> list[int]:
    return [reply["data"]["count"] for reply in socket.replies if reply["action"] == "saved"]


async def test_an_update_to_a_deleted_document_does_not_bring_it_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        await harness.append(LETTERS[0])
        ann, socket = await harness.join(greeted=True)
        _, reader = await harness.join()
        failures = counters.store_failures
        await delete(harness)
        harness.change(ann, LETTERS[1])
        await until(lambda: socket.close_code)
        assert socket.close_code == reader.close_code == NoSuchDocument.close_code
        assert saved(socket) == []
        await harness.hub.writer.idle()
        assert await harness.stored() is None
        assert not harness.hub.holds("notes")
        assert not harness.hub.writer.unsaved_size
        assert counters.store_failures == failures
    assert caplog.messages == ["A document was deleted; updates to it are dropped."]


async def test_a_document_stored_anew_under_the_name_gets_none_of_them(tmp_path: Path) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        await harness.append(LETTERS[0])
        ann, socket = await harness.join()
        await delete(harness)
        await harness.append(LETTERS[2])
        harness.change(ann, LETTERS[1])
        await until(lambda: socket.close_code)
        again, _ = await harness.join()
        assert text(room_of(again).doc) == await harness.stored() == ""
        await harness.leave(again)


async def test_others_of_the_batch_are_saved(tmp_path: Path) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        sockets = {}
        members = {}
        for name in ("kept", "new", "gone", "gone too"):
            if name != "new":
                await harness.append(LETTERS[0], name=name)
            members[name], sockets[name] = await harness.join(name, greeted=True)
        await delete(harness, "gone")
        await delete(harness, "gone too")
        for name, member in members.items():
            harness.change(member, LETTERS[0 if name == "new" else 1])
        await until(lambda: saved(sockets["kept"]) and saved(sockets["new"]))
        assert [await harness.stored(name) for name in members] == ["ab", "a", None, None]
        codes = [socket.close_code for socket in sockets.values()]
        assert codes == [None, None, NoSuchDocument.close_code, NoSuchDocument.close_code]
        # Two deleted documents are found in one attempt.
        assert harness.storage.calls["append"] == 2
        await harness.leave(members["kept"], members["new"])


async def test_an_update_to_a_renamed_document_follows_it(tmp_path: Path) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        await harness.append(LETTERS[0])
        ann, socket = await harness.join(greeted=True)
        await rename(harness)
        await harness.save(ann, LETTERS[1])
        assert (await harness.stored("plans"), await harness.stored()) == ("ab", None)
        await until(lambda: saved(socket))
        # The order arrives late.
        harness.hub.discard("notes", moved_to="plans")
        assert socket.close_code == NoSuchDocument.close_code
        await harness.hub.writer.idle()
        assert (await harness.stored("plans"), await harness.stored()) == ("ab", None)


@pytest.mark.parametrize("moved_to", [None, "plans"], ids=["deleted", "renamed"])
async def test_an_update_in_flight_waits_for_no_clearing_of_a_stored_document(
    tmp_path: Path, moved_to: str | None
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        await harness.append(LETTERS[0])
        let = await hold_update(harness, LETTERS[1])
        await (delete(harness) if moved_to is None else rename(harness))
        await harness.append(LETTERS[2])
        loads = harness.storage.calls["load"]
        harness.hub.discard("notes", moved_to)
        let.set()
        await until(lambda: not harness.hub._live.clearing)
        assert harness.storage.calls["load"] == loads
        assert harness.storage.calls["delete"] == 0
        assert await harness.stored("notes") == ""
        assert await harness.stored("plans") == (None if moved_to is None else "ab")


async def test_a_document_that_is_renamed_back_meanwhile_is_not_moved_once_more(
    tmp_path: Path,
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        await harness.append(LETTERS[0])
        let = await hold_update(harness, LETTERS[1])
        harness.hub.discard("notes", "plans")
        let.set()
        await until(lambda: not harness.hub._live.clearing)
        assert (await harness.stored(), await harness.stored("plans")) == ("ab", None)


@pytest.mark.parametrize("moved_to", [None, "plans"], ids=["deleted", "renamed"])
async def test_clearing_leaves_a_document_that_was_stored_anew_meanwhile(
    tmp_path: Path, moved_to: str | None
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        storing = await hold_update(harness)
        clearing = harness.storage.hold("delete")
        harness.hub.discard("notes", moved_to)
        storing.set()
        await until(lambda: harness.storage.calls["delete"])
        await delete(harness)
        await harness.append(LETTERS[0], LETTERS[1])
        clearing.set()
        await until(lambda: not harness.hub._live.clearing)
        assert await harness.stored() == "ab"
        assert await harness.stored("plans") == (None if moved_to is None else "a")


async def test_clearing_leaves_a_document_that_another_process_stores_before(
    tmp_path: Path,
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        storing = await hold_update(harness)
        loading = harness.storage.hold("load")
        loads = harness.storage.calls["load"]
        harness.hub.discard("notes")
        storing.set()
        await until(lambda: harness.storage.calls["load"] > loads)
        await delete(harness)
        await harness.append(LETTERS[0], LETTERS[1])
        loading.set()
        await until(lambda: not harness.hub._live.clearing)
        assert await harness.stored() == "ab"


async def test_processes_that_open_a_new_name_at_once_go_on_in_one_document() -> None:
    async with cluster() as processes:
        ann, bob = await processes.start().open(), await processes.start().open()
        lets = [client.process.storage.hold("append") for client in (ann, bob)]
        ann.type("a")
        bob.type("b")
        await until(lambda: all(each.storage.calls["append"] for each in processes.processes))
        for let in lets:
            let.set()
        await processes.calm()
        ids = {each.hub._store.marks.id_of(NOTES) for each in processes.processes}
        assert len(ids) == 1 and None not in ids
        assert sorted(await processes.stored_text()) == ["a", "b"]


async def test_a_process_that_finds_a_new_document_in_the_storage_asks_for_it() -> None:
    async with cluster(RELAY_STORAGE_INTERVAL=0.01) as processes:
        ann, bob = await processes.start().open(), await processes.start().open()
        ann.type("a")
        await processes.wait_stored("a")
        marks = bob.process.hub._store.marks
        await until(lambda: marks.id_of(NOTES) is not None)
        await processes.storage.delete(NOTES)
        bob.type("b")
        await until(lambda: bob.socket.close_code)
        assert await processes.rows() == []


# A storage without ids.


class StorageWithoutIds(HinderedStorage):
    """Knows documents by their names only, as the contract once was."""

    async def load(self, name: str) -> StoredDocument | None:
        stored = await super().load(name)
        return None if stored is None else replace(stored, id=None)

    async def create(self, entry: LogEntry) -> bool:
        return await super().create(entry) is not None

    async def append(self, entries: Sequence[LogEntry]) -> None:  # type: ignore[override]
        assert all(entry.document_id is None for entry in entries)
        await super().append([entry._replace(document_id=None) for entry in entries])

    async def delete(self, name: str) -> bool:  # type: ignore[override]
        return await super().delete(name)


@pytest.mark.parametrize("seed", ["", "seed"])
async def test_a_storage_without_ids_stores_by_name(tmp_path: Path, seed: str) -> None:
    async with harness_of(tmp_path, StorageWithoutIds, UNLOAD_DELAY=30) as harness:
        ann, _ = await harness.join(opener=Opener(seed))
        for letter in LETTERS[:2]:
            await harness.save(ann, letter)
        assert sorted(await harness.stored() or "") == sorted(seed + "ab")
        let = harness.storage.hold("append")
        harness.change(ann, LETTERS[2])
        await until(lambda: harness.storage.calls["append"] == 3)
        await MemoryStorage.delete(harness.storage, "notes")
        harness.hub.discard("notes")
        let.set()
        await until(lambda: not harness.hub._live.clearing)
        assert await harness.stored() is None


async def test_updates_follow_a_document_that_gets_the_name_of_one_just_deleted(
    tmp_path: Path,
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        await harness.append(LETTERS[0])
        await harness.append(LETTERS[0], name="draft")
        let = await hold_update(harness, LETTERS[1])
        ann, _ = await harness.join("draft")
        harness.change(ann, LETTERS[1])
        await delete(harness)
        harness.hub.discard("notes")
        await rename(harness, "draft", "notes")
        harness.hub.discard("draft", moved_to="notes")
        let.set()
        await harness.hub.writer.idle()
        await until(lambda: not harness.hub._live.clearing)
        assert (await harness.stored(), await harness.stored("draft")) == ("ab", None)


# Orders that are lost.


@pytest.mark.parametrize("leave", [delete, rename])
async def test_members_of_a_document_that_has_left_its_name_are_sent_away_without_an_order(
    tmp_path: Path, leave: Callable[[Harness], Awaitable[None]]
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30, RELAY_STORAGE_INTERVAL=0.001) as harness:
        await harness.append(LETTERS[0])
        _, socket = await harness.join()
        await leave(harness)
        await until(lambda: not harness.hub.holds("notes"))
        assert socket.close_code == NoSuchDocument.close_code


async def test_updates_follow_a_renamed_document_before_its_room_is_closed_without_an_order(
    tmp_path: Path,
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30, RELAY_STORAGE_INTERVAL=0.001) as harness:
        await harness.append(LETTERS[0])
        let = await hold_update(harness, LETTERS[1])
        member, socket = await harness.join(greeted=True)
        await rename(harness)
        harness.change(member, LETTERS[2])
        await until(lambda: socket.close_code)
        let.set()
        await until(lambda: not harness.hub.holds("notes"))
        assert (await harness.stored("plans"), await harness.stored()) == ("abc", None)


async def test_a_late_order_closes_no_document_that_is_opened_under_the_name(
    tmp_path: Path,
) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30, RELAY_STORAGE_INTERVAL=0.001) as harness:
        await harness.append(LETTERS[0])
        let = await hold_update(harness, LETTERS[1])
        _, socket = await harness.join()
        await rename(harness)
        await until(lambda: socket.close_code)
        (ending,) = (task for task in asyncio.all_tasks() if task.get_name() == "collab-hub-end")
        harness.hub.discard("notes", moved_to="plans")
        joining = asyncio.create_task(harness.join())
        let.set()
        member, again = await joining
        await ending
        assert room_of(member).members == {member}
        assert again.close_code is None
        await harness.leave(member)
