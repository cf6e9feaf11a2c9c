"""The work of a hub for other processes: orders, what the storage has, the end of a process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc

from collab.engine.hub import upkeep
from collab.engine.relay.inquiry import ask
from collab.engine.relay.messages import order, relay_group
from collab.engine.runtime.counters import counters
from collab.engine.storing import document_store
from collab.engine.storing.spool import spooled_files
from collab.exceptions import RoomFailed
from collab.protocol.frames import update_frame
from collab_storage.exceptions import StorageUnavailable
from tests.engine.fakes import HinderedStorage
from tests.engine.processes import NOTES, Client, Cluster, Opener, Process, cluster
from tests.harness.waiting import until
from tests.protocol.yjs.samples import HELLO, content, insert

UNEXPECTED = [StorageUnavailable(), OSError("a driver's own")]


async def two(processes: Cluster) -> tuple[Client, Client]:
    return await processes.start().open(), await processes.start().open()


# Orders of server code.


async def test_updates_stored_by_server_code_elsewhere_reach_the_members() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        await processes.tell(NOTES, "deliver", update=HELLO)
        await until(lambda: ann.text == bob.text == "hello")
        await processes.calm()
        # Who ordered it has stored it.
        assert await processes.rows() == []


async def test_an_order_for_a_room_that_is_being_opened_is_kept_until_it_is() -> None:
    async with cluster() as processes:
        process = processes.start()
        gate = process.storage.hold("load")
        opening = asyncio.create_task(process.open())
        await until(lambda: process.storage.calls["load"])
        before = counters.relay_received_messages
        await processes.tell(NOTES, "deliver", update=HELLO)
        await until(lambda: counters.relay_received_messages > before)
        gate.set()
        client = await opening
        await until(lambda: client.text == "hello")


async def test_access_is_checked_again_of_the_user_concerned() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        ann.member.user_id, bob.member.user_id = "1", "2"
        await processes.tell(NOTES, "recheck", user="1")
        await until(lambda: ann.socket.rechecked)
        assert bob.socket.rechecked == 0
        await processes.tell(NOTES, "recheck", user=None)
        await until(lambda: bob.socket.rechecked)


async def test_each_process_answers_who_is_in_a_document() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        ann.show()
        await until(lambda: bob.sees)
        await until(lambda: ann.process.hub.peers_of(NOTES) and bob.process.hub.peers_of(NOTES))
        question = {**order(NOTES, "present"), "from": "elsewhere"}
        answers = await ask(processes.layer, relay_group(NOTES), question, None)
        assert {answer["from"] for answer in answers} == {
            each.process.link().id for each in (ann, bob)
        }
        members = [member for answer in answers for member in answer["members"]]
        assert sorted(member["client_ids"] for member in members) == [[], [ann.doc.client_id]]


async def test_a_process_that_has_no_such_document_open_does_not_answer() -> None:
    async with cluster() as processes:
        process = processes.start()
        await process.open()
        process.hub.handle_order({**order("other", "present"), "channel": "nowhere"})
        assert process.hub.peers_of("other") == set()


async def test_access_of_a_joining_connection_is_checked_again() -> None:
    async with cluster() as processes:
        process = processes.start()
        await process.open()
        hub = process.hub
        with hub.pending_join(NOTES, "1") as ann, hub.pending_join(NOTES, "2") as bob:
            await processes.tell(NOTES, "recheck", user="1")
            await until(lambda: ann.needs_recheck)
            assert not bob.needs_recheck
            await processes.tell(NOTES, "recheck", user=None)
            await until(lambda: bob.needs_recheck)
        assert not hub._live._pending


async def test_a_connection_that_opens_a_document_is_checked_again() -> None:
    """The process hears what is ordered for a room from when it opens it."""
    async with cluster() as processes:
        process = processes.start()
        with process.hub.pending_join(NOTES, "1") as first:
            await process.open()
        with process.hub.pending_join(NOTES, "1") as second:
            await process.open()
        assert (first.needs_recheck, second.needs_recheck) == (True, False)


async def test_a_document_that_is_deleted_elsewhere_is_closed_and_not_stored_again() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        ann.process.storage.failures["append"] = StorageUnavailable()
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        await processes.tell(NOTES, "discard", moved_to=None)
        await until(lambda: ann.socket.close_code == bob.socket.close_code == 4404)
        for process in processes.processes:
            process.storage.failures.clear()
            await until(lambda process=process: not process.hub.rooms)  # type: ignore[misc]
            await process.hub.writer.idle()
        assert await processes.rows() == []


async def test_unsaved_updates_are_stored_under_a_documents_new_name() -> None:
    async with cluster(timings={"timeout": 0.05}) as processes:
        ann = await processes.start().open()
        ann.process.storage.spoilt[NOTES] = StorageUnavailable()
        ann.type("hello")
        await until(lambda: ann.process.storage.calls["append"])
        await processes.tell(NOTES, "discard", moved_to="minutes")
        await until(lambda: ann.socket.close_code == 4404)
        ann.process.storage.spoilt.clear()
        await ann.process.hub.writer.idle()
        await until(lambda: not ann.process.hub._upkeep.tasks)
        stored = await processes.stored_text("minutes") + await processes.stored_text(NOTES)
        assert stored == "hello"


async def test_an_order_of_the_own_process_has_been_carried_out_already() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        message = order(NOTES, "deliver", update=HELLO)
        before = counters.relay_received_messages
        await processes.layer.group_send(relay_group(NOTES), message)
        await until(lambda: counters.relay_received_messages > before)
        ann.process.room().flush()
        assert ann.text == ""


async def test_an_order_of_a_later_version_is_logged_and_harms_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        await processes.tell(NOTES, "something new")
        await until(lambda: caplog.records)
        ann.type("hello")
        await processes.wait_stored("hello")
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert ann.socket.close_code is None


async def test_an_order_for_a_document_that_is_not_open_here_is_nothing() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        await processes.tell("plans", "deliver", update=HELLO)
        await processes.tell("plans", "discard", moved_to=None)
        await processes.tell("plans", "recheck", user=None)
        await processes.tell(NOTES, "deliver", update=HELLO)
        await until(lambda: ann.text == "hello")
        assert list(ann.process.hub.rooms) == [(NOTES, True)]


# What is in the storage.


@pytest.mark.parametrize("error", UNEXPECTED)
async def test_a_storage_that_cannot_be_asked_is_asked_again(
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster(RELAY_STORAGE_INTERVAL=0.01) as processes:
        processes.wire.loses = lambda channel, message: True
        ann, bob = await two(processes)
        bob.process.storage.failures["marks"] = error
        ann.type("hello")
        await processes.wait_stored("hello")
        await until(lambda: caplog.records)
        assert f"cannot be polled ({type(error).__name__})" in caplog.text
        assert bob.text == ""
        bob.process.storage.failures.clear()
        await until(lambda: bob.text == "hello")


@pytest.mark.parametrize("error", UNEXPECTED)
async def test_a_storage_that_cannot_be_read_is_logged_and_read_later(
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster(RELAY_STORAGE_INTERVAL=0.01) as processes:
        processes.wire.loses = lambda channel, message: True
        ann, bob = await two(processes)
        bob.process.storage.failures["load"] = error
        ann.type("a")
        await until(lambda: "could not be read again" in caplog.text)
        bob.process.storage.failures.clear()
        await until(lambda: bob.text == "a")


def asked_for_marks(storage: HinderedStorage, times: int) -> bool:
    return storage.calls["marks"] >= times


@pytest.mark.parametrize("seed", ["", "seed"])
async def test_updates_stored_by_this_process_are_not_read_again(seed: str) -> None:
    async with cluster(RELAY_STORAGE_INTERVAL=0.01) as processes:
        ann = await processes.start().open(opener=Opener(seed))
        await until(lambda: ann.text == seed)
        storage = ann.process.storage
        loads = storage.calls["load"]
        for at, letter in enumerate("abcd"):
            enough = storage.calls["marks"] + 4
            ann.type(letter, at)
            await processes.wait_stored("abcd"[: at + 1] + seed)
            await until(partial(asked_for_marks, storage, enough))
        assert storage.calls["load"] == loads


async def test_a_load_that_fails_leaves_the_other_processes() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        other = processes.start()
        other.storage.failures["load"] = StorageUnavailable()
        with pytest.raises(RoomFailed):
            await other.open()
        group = processes.wire.groups[relay_group(NOTES)]
        assert list(group) == [ann.process.channel]
        other.storage.failures.clear()
        await ann.process.open()
        bob = await other.open()
        ann.type("hello")
        await until(lambda: bob.text == "hello")


# The end of the last room.


async def left_by(last: Callable[[Process], Awaitable[object]]) -> set[str]:
    """Return what still runs after the last room has ended in this way."""
    async with cluster(UNLOAD_DELAY=0) as processes:
        process, before = processes.start(), asyncio.all_tasks()
        await last(process)
        with suppress(TimeoutError):
            await until(lambda: asyncio.all_tasks() <= before)
        return {str(task.get_coro()) for task in asyncio.all_tasks() - before}


async def deleted(process: Process) -> None:
    await process.open()
    process.hub.discard(NOTES)


async def unloaded(process: Process) -> None:
    (await process.open()).leave()


async def failed_to_open(process: Process) -> None:
    process.storage.failures["load"] = StorageUnavailable()
    with pytest.raises(RoomFailed):
        await process.open()


async def broken(process: Process) -> None:
    await process.open()
    room = process.room()
    room._context.on_broken()


async def opened_for_nobody(process: Process) -> None:
    gate = process.storage.hold("load")
    opening = asyncio.create_task(process.open())
    await until(lambda: process.storage.calls["load"])
    opening.cancel()
    await asyncio.wait([opening])
    gate.set()
    await until(lambda: not process.hub._live.opening)


@pytest.mark.parametrize("last", [deleted, unloaded, failed_to_open, broken, opened_for_nobody])
async def test_nothing_goes_on_when_the_last_room_has_ended(
    last: Callable[[Process], Awaitable[object]],
) -> None:
    assert await left_by(last) == set()


async def test_failing_background_work_of_a_hub_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        gate = ann.process.storage.hold("append")
        ann.type("hello")
        await until(lambda: ann.process.storage.calls["append"])
        ann.process.storage.failures["load"] = StorageUnavailable()
        ann.process.hub.discard(NOTES)
        gate.set()
        await until(lambda: caplog.records)
        (record,) = caplog.records
        assert (record.levelno, record.__dict__["room"]) == (logging.ERROR, NOTES)
        assert record.exc_info is not None and record.exc_info[0] is StorageUnavailable
        ann.process.storage.failures.clear()


async def test_a_document_that_is_opened_while_the_last_one_is_at_rest_is_relayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_rest, let = asyncio.Event(), asyncio.Event()

    async def keep(name: str) -> None:
        at_rest.set()
        await let.wait()

    monkeypatch.setattr(document_store, "rest_watchers", [keep])
    monkeypatch.setattr(upkeep, "rest_watchers", [keep])
    async with cluster() as processes:
        ann, bob = await two(processes)
        bob.leave()
        await at_rest.wait()
        await until(lambda: not bob.process.hub._upkeep._periodic)
        (releasing,) = bob.process.hub._upkeep.tasks._tasks
        again = await bob.process.open()
        let.set()
        await asyncio.wait([releasing])
        ann.type("hello")
        await until(lambda: again.text == "hello")


async def test_an_update_known_from_another_process_is_stored_when_it_is_reported() -> None:
    """As of a client that has it from its neighbour directly, and sends all that it gets."""
    async with cluster() as processes:
        ann, bob = await two(processes)
        await until(lambda: bob.process.link().peers and ann.process.link().peers)
        ann.process.storage.hold("append")
        letters = insert(ann.doc, "hello")
        ann.send(update_frame(letters))
        await until(lambda: bob.text == "hello")
        saved = bob.saved
        bob.send(update_frame(letters))
        await until(lambda: bob.saved > saved)
        assert await processes.stored_text() == "hello"


class PanickingOpener(Opener):
    """A project whose seed makes pycrdt panic, which is no ``Exception``."""

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        del content(doc)[0:5]


async def test_a_document_whose_seed_makes_pycrdt_panic_is_not_opened(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster() as processes:
        process = processes.start()
        with pytest.raises(RoomFailed):
            await process.open(opener=PanickingOpener())
        assert process.hub.relay is not None and not process.hub.relay._links
        client = await process.open(opener=Opener("seed"))
        assert client.text == "seed"
    assert caplog.messages == ["A document could not be opened."]


async def test_a_document_whose_opening_is_cancelled_can_be_opened_again() -> None:
    async with cluster() as processes:
        process = processes.start()
        let = process.storage.hold("load")
        joining = asyncio.create_task(process.open())
        await until(lambda: process.storage.calls["load"])
        (opening,) = process.hub._live.opening.values()
        opening.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        let.set()
        ann, bob = await process.open(), await processes.start().open()
        ann.type("hello")
        await until(lambda: bob.text == "hello")


# The end of a process.


async def test_a_draining_process_stores_updates_that_others_have_not_confirmed() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        await until(lambda: bob.process.link().peers and ann.process.link().peers)
        ann.process.storage.hold("append")
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        processes.kill(ann.process)
        await bob.process.hub.drain()
        assert bob.socket.close_code == 1012
        assert await processes.stored_text() == "hello"


async def test_updates_spooled_by_one_process_are_stored_by_another(tmp_path: Path) -> None:
    async with cluster(SPOOL_DIRECTORY=tmp_path, CLOSE_TIMEOUT=0.05) as processes:
        ann = await processes.start().open()
        ann.process.storage.failures["append"] = StorageUnavailable()
        ann.type("hello")
        await ann.process.hub.drain()
        assert ann.process.hub.is_draining
        assert len(spooled_files(tmp_path)) == 1
        bob = await processes.start().open()
        await until(lambda: bob.text == "hello")
        assert spooled_files(tmp_path) == []
