from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from pycrdt import Doc, read_message

from collab.conf import Settings, get_storage
from collab.engine.hub import current as hub_module
from collab.engine.hub import loader
from collab.engine.hub.current import current_hub, end_serving, live_hubs
from collab.engine.hub.hub import Hub
from collab.engine.hub.identity import follow_user
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.storing.document_store import DocumentStore
from collab.engine.storing.spool import spooled_files
from collab.exceptions import NoSuchDocument, Restarting, RoomFailed, TryAgainLater
from collab.protocol.effects import StateRequest
from collab.protocol.yjs.updates import merge
from collab_storage.base import LogEntry, StoredDocument
from collab_storage.exceptions import DocumentLocked, StorageNotMigrated, StorageUnavailable
from collab_storage.memory import MemoryStorage
from tests.engine.fakes import HinderedStorage, Socket, new_member, room_of
from tests.harness.waiting import DEADLINE, until
from tests.protocol.yjs import poison
from tests.protocol.yjs.samples import HELLO, changes, content, insert, new_doc, text, typed

LETTERS = typed("abcdef")


class Opener:
    """Opens documents as a consumer does that overrides nothing."""

    def __init__(
        self,
        seed: str = "",
        *,
        filling: str = "",
        client_id: int | None = None,
        observe: Callable[[Any], None] | None = None,
        pause: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.makes_plain_docs = False
        self.seed = seed
        self.filling = filling
        self.client_id = client_id
        self.observe = observe
        self.pause = pause
        self.made = self.seeded = 0

    async def make_ydoc(self) -> Doc[Any]:
        self.made += 1
        if self.pause:
            await self.pause()
        doc = new_doc(self.filling, self.client_id)
        if self.observe:
            doc.observe(self.observe)
        return doc

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        self.seeded += 1
        if self.seed:
            content(doc).insert(0, self.seed)


class Harness:
    """A hub on a storage that obeys."""

    def __init__(
        self, directory: Path, storage: type[HinderedStorage] = HinderedStorage, **limits: Any
    ) -> None:
        self.settings = Settings(
            **{
                "WRITE_DELAY": 0.001,
                "UNLOAD_DELAY": 0.005,
                "DRAIN_TIME": 0.001,
                "SPOOL_DIRECTORY": directory,
                **limits,
            }
        )
        self.storage = storage()
        self.hub = Hub(DocumentStore(self.storage, self.settings, max_retry_delay=0.005))
        self.opener = Opener()

    async def join(
        self, name: str = "notes", opener: Opener | None = None, **options: Any
    ) -> tuple[Member, Socket]:
        stored = options.pop("stored", True)
        member, socket = new_member(**options)
        await self.hub.join(name, member, opener or self.opener, stored=stored)
        return member, socket

    async def leave(self, *members: Member) -> None:
        for member in members:
            room_of(member).leave(member)

    def change(self, member: Member, update: bytes) -> None:
        room_of(member).handle(member, member.session.receive_bytes(b"\0\2" + _sized(update)))

    async def save(self, member: Member, update: bytes) -> None:
        self.change(member, update)
        room_of(member).flush()
        await self.hub.writer.saved(room_of(member).name)

    async def append(self, *updates: bytes, name: str = "notes") -> None:
        """Store as if another process had."""
        for update in updates:
            await MemoryStorage.append(self.storage, [LogEntry(name, update, datetime.now(UTC))])

    async def stored(self, name: str = "notes") -> str | None:
        stored = await MemoryStorage.load(self.storage, name)
        return None if stored is None else text(new_doc(merge(stored.updates)))


def _sized(data: bytes) -> bytes:
    assert len(data) < 128
    return bytes((len(data),)) + data


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    async with harness_of(tmp_path) as harness:
        yield harness


@asynccontextmanager
async def harness_of(
    directory: Path, storage: type[HinderedStorage] = HinderedStorage, **limits: Any
) -> AsyncIterator[Harness]:
    harness = Harness(directory, storage, **limits)
    yield harness
    harness.storage.failures.clear()
    harness.storage.spoilt.clear()
    for gate in harness.storage.gates.values():
        gate.set()
    await harness.hub.close()
    # Nothing of it goes on.
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


# Opening.


async def test_all_members_share_one_doc(harness: Harness) -> None:
    ann, _ = await harness.join()
    bob, _ = await harness.join()
    other, _ = await harness.join("plans")
    assert room_of(ann) is room_of(bob)
    assert room_of(ann).doc is room_of(bob).doc
    assert room_of(other) is not room_of(ann)


async def test_first_members_that_come_at_once_load_once(harness: Harness) -> None:
    await harness.append(HELLO)
    gate = harness.storage.hold("load")
    joining = [asyncio.create_task(harness.join()) for _ in range(10)]
    await until(lambda: harness.storage.calls["load"])
    await asyncio.sleep(0)
    gate.set()
    members = await asyncio.gather(*joining)
    assert harness.storage.calls["load"] == harness.opener.made == 1
    assert len({id(room_of(member)) for member, _ in members}) == 1
    assert text(room_of(members[0][0]).doc) == "hello"


async def test_no_member_is_answered_before_the_document_is_loaded(harness: Harness) -> None:
    gate = harness.storage.hold("load")
    member, socket = new_member()
    joining = asyncio.create_task(harness.hub.join("notes", member, harness.opener))
    await until(lambda: harness.storage.calls["load"])
    assert socket.messages == []
    assert harness.hub.rooms == {}
    gate.set()
    await joining
    assert len(socket.frames) == 1


async def test_a_connection_that_ends_while_the_document_loads_delays_no_other(
    harness: Harness,
) -> None:
    gate = harness.storage.hold("load")
    first = asyncio.create_task(harness.join())
    await until(lambda: harness.storage.calls["load"])
    second = asyncio.create_task(harness.join())
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    member, _ = await second
    assert room_of(member).members == {member}


async def test_a_failed_load_fails_for_all_waiting_connections_and_the_next_one_loads_again(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.append(HELLO)
    harness.storage.failures["load"] = StorageUnavailable()
    gate = harness.storage.hold("load")
    with caplog.at_level(logging.ERROR, "collab"):
        joining = [asyncio.create_task(harness.join()) for _ in range(3)]
        await until(lambda: harness.storage.calls["load"])
        gate.set()
        results = await asyncio.gather(*joining, return_exceptions=True)
    assert [type(result) for result in results] == [RoomFailed] * 3
    assert harness.hub.rooms == {}
    assert [record.__dict__["room"] for record in caplog.records] == ["notes"]
    harness.storage.failures.clear()
    member, _ = await harness.join()
    assert text(room_of(member).doc) == "hello"
    # Nothing was stored on the way.
    assert harness.storage.calls["create"] == harness.storage.calls["append"] == 0


async def test_stored_updates_with_missing_dependencies_stay_pending(harness: Harness) -> None:
    doc = new_doc(client_id=9)
    first, second = insert(doc, "abc"), insert(doc, "def", 3)
    with changes(doc) as updates:
        del content(doc)[1:5]
    await harness.append(HELLO, updates[0], second)
    member, socket = await harness.join()
    assert text(room_of(member).doc) == "hello"
    harness.change(member, first)
    await harness.hub.writer.saved("notes")
    room_of(member).flush()
    assert sorted(text(room_of(member).doc)) == sorted("helloaf")
    await harness.hub.writer.saved("notes")
    assert sorted(await harness.stored() or "") == sorted("helloaf")
    assert socket.close_code is None


async def test_a_storage_that_is_not_available_is_one_line_of_the_log(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.storage.failures["load"] = StorageNotMigrated("Run manage.py migrate.")
    with pytest.raises(RoomFailed):
        await harness.join()
    (record,) = caplog.records
    assert record.exc_info is None
    assert record.getMessage() == (
        "A document could not be opened (StorageNotMigrated: Run manage.py migrate.)."
    )


async def test_a_document_that_cannot_be_read_is_neither_served_nor_overwritten(
    harness: Harness,
) -> None:
    await harness.append(b"no update")
    with pytest.raises(RoomFailed):
        await harness.join()
    loaded = await harness.storage.load("notes")
    assert loaded is not None
    assert loaded.updates == [b"no update"]


async def test_a_load_that_takes_too_long_has_failed(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "LOAD_TIMEOUT", 0.01)
    harness.storage.hold("load")
    with pytest.raises(RoomFailed):
        await harness.join()
    assert harness.hub.rooms == {}


async def test_an_opener_that_fails_fails_the_opening_only(harness: Harness) -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(RoomFailed):
        await harness.join(opener=Opener(pause=fail))
    member, _ = await harness.join()
    assert room_of(member).members == {member}


async def test_a_process_has_a_limited_number_of_rooms(tmp_path: Path) -> None:
    async with harness_of(tmp_path, MAX_ROOMS=2) as harness:
        gate = harness.storage.hold("load")
        opening = asyncio.create_task(harness.join("one"))
        await until(lambda: harness.storage.calls["load"])
        gate.set()
        await harness.join("two")
        with pytest.raises(TryAgainLater):
            await harness.join("three")
        await opening
        # One that is open lets others in.
        await harness.join("two")


async def test_a_room_that_is_full_refuses_and_stays(tmp_path: Path) -> None:
    async with harness_of(tmp_path, MAX_ROOM_MEMBERS=1) as harness:
        await harness.join()
        with pytest.raises(TryAgainLater):
            await harness.join()
        assert len(harness.hub.rooms) == 1


# Seeding.


async def test_a_new_document_is_seeded_and_stored_before_it_is_served(harness: Harness) -> None:
    opener = Opener("seed")
    member, _ = await harness.join(opener=opener)
    assert text(room_of(member).doc) == "seed"
    assert await harness.stored() == "seed"


async def test_it_is_seeded_once_in_its_life(harness: Harness) -> None:
    opener = Opener("seed")
    for _ in range(3):
        member, _ = await harness.join(opener=opener)
        assert text(room_of(member).doc) == "seed"
        await harness.leave(member)
        await until(lambda: not harness.hub.rooms)
    assert opener.seeded == 1


async def test_a_document_without_a_seed_is_stored_with_its_first_change(
    harness: Harness,
) -> None:
    await harness.join()
    assert await harness.stored() is None


async def test_a_document_that_was_stored_is_not_seeded(harness: Harness) -> None:
    await harness.append(HELLO)
    opener = Opener("seed")
    member, _ = await harness.join(opener=opener)
    assert (text(room_of(member).doc), opener.seeded) == ("hello", 0)


@pytest.mark.parametrize("size", [5, 1_100_000])
async def test_a_document_that_is_only_read_never_becomes_a_doc(
    harness: Harness, size: int
) -> None:
    await harness.append(new_doc("x" * size).get_update(), *LETTERS[:1], *LETTERS[2:3])
    opener = Opener()
    opener.makes_plain_docs = True
    ann, socket = await harness.join(opener=opener)
    room_of(ann).handle(ann, StateRequest(b"\0"))
    assert (room_of(ann).is_asleep, opener.made) == (True, 0)
    doc = new_doc(read_message(socket.frames[-1][2:]))
    assert sorted(text(doc)) == sorted("x" * size + "a")
    # What waits for another update has not been lost.
    harness.change(ann, LETTERS[1])
    room_of(ann).flush()
    assert len(text(room_of(ann).doc)) == size + 3


async def test_a_document_that_is_gone_before_it_is_read_is_empty(harness: Harness) -> None:
    opener = Opener("seed")
    opener.makes_plain_docs = True

    async def be_first(entry: LogEntry) -> bool:
        return False

    harness.storage.create = be_first  # type: ignore[method-assign]
    member, _ = await harness.join(opener=opener)
    assert text(room_of(member).doc) == ""


async def test_a_plain_doc_that_broke_is_made_anew_without_the_project(harness: Harness) -> None:
    await harness.append(HELLO)
    opener = Opener()
    opener.makes_plain_docs = True
    ann, _ = await harness.join(opener=opener)
    eve, from_eve = await harness.join(opener=opener)
    harness.change(eve, poison.RAISING)
    harness.change(ann, LETTERS[0])
    room_of(ann).flush()
    assert from_eve.close_code == 1008
    assert (len(text(room_of(ann).doc)), opener.made) == (6, 0)


async def test_a_filled_doc_is_the_seed_of_a_new_document(harness: Harness) -> None:
    opener = Opener("seed", filling="filling")
    member, _ = await harness.join(opener=opener)
    assert text(room_of(member).doc) == await harness.stored() == "filling"
    assert opener.seeded == 0


async def test_a_filled_doc_of_a_stored_document_fails_with_advice_in_the_log(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.append(HELLO)
    with caplog.at_level(logging.ERROR, "collab"), pytest.raises(RoomFailed):
        await harness.join(opener=Opener(filling="filling"))
    assert "seed_ydoc" in caplog.text
    assert await harness.stored() == "hello"


async def test_a_seed_that_cannot_be_stored_is_not_served(harness: Harness) -> None:
    harness.storage.failures["create"] = StorageUnavailable()
    with pytest.raises(RoomFailed):
        await harness.join(opener=Opener("seed"))
    harness.storage.failures.clear()
    member, _ = await harness.join(opener=Opener("seed"))
    assert text(room_of(member).doc) == "seed"


async def test_a_new_document_that_is_locked_is_waited_for_and_delays_no_other(
    harness: Harness,
) -> None:
    await harness.append(HELLO, name="plans")
    harness.storage.failures["create"] = DocumentLocked()
    opening = asyncio.create_task(harness.join(opener=Opener("seed")))
    await until(lambda: harness.storage.calls["create"])
    other, _ = await harness.join("plans")
    assert text(room_of(other).doc) == "hello"
    harness.storage.failures.clear()
    member, _ = await opening
    assert text(room_of(member).doc) == await harness.stored() == "seed"


class RacingStorage(MemoryStorage):
    """Says that there is no document until all have asked."""

    def __init__(self, parties: int) -> None:
        super().__init__()
        self.barrier = threading.Barrier(parties)
        self.asked = threading.local()

    async def load(self, name: str) -> StoredDocument | None:
        loaded = await super().load(name)
        if not getattr(self.asked, "once", False):
            self.asked.once = True
            self.barrier.wait(DEADLINE)
        return loaded


@pytest.mark.parametrize("filled", [False, True])
def test_hubs_that_race_seed_it_once(tmp_path: Path, filled: bool) -> None:
    storage = RacingStorage(4)
    settings = Settings(SPOOL_DIRECTORY=tmp_path)
    texts: list[str | None] = []

    async def open_and_read() -> None:
        hub = Hub(DocumentStore(storage, settings))
        member, _ = new_member()
        opener = Opener(filling="seed") if filled else Opener("seed")
        try:
            room = await hub.join("notes", member, opener)
        except RoomFailed:
            texts.append(None)
        else:
            texts.append(text(room.doc))
            room.leave(member)
        await hub.close()

    with ThreadPoolExecutor(4) as executor:
        done = [executor.submit(asyncio.run, open_and_read()) for _ in range(4)]
    for future in done:
        future.result()
    # A filled Doc would double what the first has stored, so the others fail.
    assert texts.count("seed") == (1 if filled else 4)
    stored = asyncio.run(MemoryStorage.load(storage, "notes"))
    assert stored is not None
    assert text(new_doc(merge(stored.updates))) == "seed"


class ForgetfulStorage(MemoryStorage):
    """Another process makes the document and deletes it right away."""

    async def create(self, entry: LogEntry) -> None:
        return None


async def test_a_document_that_is_deleted_while_it_is_seeded_is_empty(tmp_path: Path) -> None:
    hub = Hub(DocumentStore(ForgetfulStorage(), Settings(SPOOL_DIRECTORY=tmp_path)))
    member, _ = new_member()
    room = await hub.join("notes", member, Opener("seed"))
    assert text(room.doc) == ""
    room.leave(member)
    await hub.close()


# In memory only.


async def test_a_room_in_memory_is_seeded_and_not_stored(harness: Harness) -> None:
    opener = Opener("seed")
    member, _ = await harness.join(opener=opener, stored=False)
    harness.change(member, LETTERS[0])
    await asyncio.sleep(0)
    assert sorted(text(room_of(member).doc)) == sorted("seeda")
    assert harness.storage.calls == {}
    await harness.leave(member)
    await until(lambda: not harness.hub.rooms)
    member, _ = await harness.join(opener=opener, stored=False)
    assert text(room_of(member).doc) == "seed"


async def test_a_filled_doc_in_memory_is_not_seeded(harness: Harness) -> None:
    opener = Opener("seed", filling="filling")
    member, _ = await harness.join(opener=opener, stored=False)
    assert text(room_of(member).doc) == "filling"


async def test_a_stored_room_is_another_than_that_in_memory(harness: Harness) -> None:
    stored, _ = await harness.join()
    fleeting, _ = await harness.join(stored=False)
    assert room_of(stored) is not room_of(fleeting)


# Unloading.


async def test_updates_stored_by_other_processes_arrive_without_a_channel_layer(
    tmp_path: Path,
) -> None:
    async with harness_of(tmp_path, RELAY_STORAGE_INTERVAL=0.01) as harness:
        member, _ = await harness.join()
        await harness.append(HELLO)
        await until(lambda: text(room_of(member).doc) == "hello")
        await harness.leave(member)


async def test_an_idle_room_is_unloaded_after_a_while(harness: Harness) -> None:
    member, _ = await harness.join()
    room = room_of(member)
    await harness.leave(member)
    assert harness.hub.rooms
    await until(lambda: not harness.hub.rooms)
    again, _ = await harness.join()
    assert room_of(again) is not room


async def test_a_member_that_returns_in_time_joins_the_same_room(tmp_path: Path) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=30) as harness:
        member, _ = await harness.join()
        room = room_of(member)
        await harness.leave(member)
        again, _ = await harness.join()
        assert room_of(again) is room
        await harness.leave(again)


async def test_a_returning_member_keeps_the_room_loaded(tmp_path: Path) -> None:
    async with harness_of(tmp_path, UNLOAD_DELAY=0.01) as harness:
        member, _ = await harness.join()
        await harness.leave(member)
        again, _ = await harness.join()
        other, _ = await harness.join("plans")
        await harness.leave(other)
        # It left later than the first.
        await until(lambda: len(harness.hub.rooms) == 1)
        assert room_of(again) is room_of(member)
        assert room_of(again) in harness.hub.rooms.values()


async def test_a_joining_member_keeps_the_room_loaded(harness: Harness) -> None:
    # All of them wait for one load; the first is gone before the last is in.
    for _ in range(20):
        _, (second, _) = await asyncio.gather(self_leaving(harness), harness.join())
        assert room_of(second) in harness.hub.rooms.values()
        await harness.leave(second)


async def self_leaving(harness: Harness) -> None:
    member, _ = await harness.join()
    await harness.leave(member)


async def test_unsaved_work_keeps_a_room_loaded(harness: Harness) -> None:
    harness.storage.failures["append"] = StorageUnavailable()
    member, _ = await harness.join()
    room = room_of(member)
    harness.change(member, LETTERS[0])
    await harness.leave(member)
    calls = harness.storage.calls
    await until(lambda: calls["append"] >= 3)
    assert harness.hub.rooms == {("notes", True): room}
    # Who comes back sees it, though it is not stored.
    again, _ = await harness.join()
    assert text(room_of(again).doc) == "a"
    await harness.leave(again)
    harness.storage.failures.clear()
    await until(lambda: not harness.hub.rooms)
    assert await harness.stored() == "a"


async def test_the_last_update_is_there_after_the_next_load(harness: Harness) -> None:
    for number, letter in enumerate(LETTERS):
        member, _ = await harness.join()
        assert text(room_of(member).doc) == "abcdef"[:number]
        harness.change(member, letter)
        await harness.leave(member)
        await until(lambda: not harness.hub.rooms)


async def test_an_unloaded_room_and_its_doc_are_freed(harness: Harness) -> None:
    references: list[weakref.ref[Any]] = []
    for number in range(50):
        member, _ = await harness.join(f"freed {number}", Opener("seed", observe=print_nothing))
        harness.change(member, LETTERS[0])
        references.append(weakref.ref(room_of(member).doc))
        await harness.leave(member)
    del member
    await until(lambda: not harness.hub.rooms)
    gc.collect()
    assert not any(reference() for reference in references)
    # A compiled room cannot be referred to weakly.
    rooms = [each.name for each in gc.get_objects() if type(each) is Room]
    assert not [name for name in rooms if name.startswith("freed")]


def print_nothing(event: object) -> None:
    """Observe a document."""


async def test_when_the_last_room_has_gone_nothing_goes_on(harness: Harness) -> None:
    tasks = asyncio.all_tasks()
    for _ in range(3):
        member, _ = await harness.join()
        harness.change(member, LETTERS[0])
        assert asyncio.all_tasks() != tasks
        await harness.leave(member)
        await until(lambda: asyncio.all_tasks() == tasks)


# Updates that cannot be applied.


async def test_the_projects_observers_are_back_after_an_update_that_cannot_be_applied(
    harness: Harness,
) -> None:
    await harness.append(HELLO)
    seen: list[bytes] = []
    opener = Opener(observe=lambda event: seen.append(event.update))
    ann, _ = await harness.join(opener=opener)
    eve, from_eve = await harness.join(opener=opener)
    broken = room_of(ann).doc
    harness.change(eve, poison.RAISING)
    await until(lambda: opener.made == 2)
    await until(lambda: text(room_of(ann).doc) == "hello")
    seen.clear()
    harness.change(ann, LETTERS[0])
    await until(lambda: seen)
    assert from_eve.close_code == 1008
    assert room_of(ann).doc is not broken
    await harness.hub.writer.saved("notes")
    assert sorted(await harness.stored() or "") == sorted("helloa")


async def test_a_doc_that_is_filled_when_it_is_made_is_not_used_for_a_repair(
    harness: Harness,
) -> None:
    opener = Opener(filling="hello", client_id=1)
    member, _ = await harness.join(opener=opener)
    room_of(member).edit(poison.RAISING)
    await until(lambda: opener.made == 2)
    await asyncio.sleep(0)
    assert text(room_of(member).doc) == "hello"


async def test_a_room_that_is_given_up_is_opened_again(harness: Harness) -> None:
    await harness.append(HELLO)
    member, socket = await harness.join()
    room = room_of(member)
    room.doc.apply_update(poison.CORRUPTING)
    room.edit(poison.RAISING)
    await until(lambda: socket.close_code == 1011)
    assert harness.hub.rooms == {}
    await harness.leave(member)
    again, _ = await harness.join()
    assert room_of(again) is not room
    assert text(room_of(again).doc) == "hello"


# Compaction.


async def test_a_long_log_is_compacted(tmp_path: Path) -> None:
    async with harness_of(tmp_path, COMPACT_AFTER=3) as harness:
        await harness.append(*LETTERS[:2])
        member, _ = await harness.join()
        for letter in LETTERS[2:]:
            await harness.save(member, letter)
        await until(lambda: harness.storage.calls["replace"] == 2)
        loaded = await harness.storage.load("notes")
        assert loaded is not None
        assert loaded.snapshot is not None
        assert await harness.stored() == "abcdef"


async def test_a_room_in_memory_of_the_same_name_does_not_reset_the_count(
    tmp_path: Path,
) -> None:
    async with harness_of(tmp_path, COMPACT_AFTER=3) as harness:
        await harness.append(*LETTERS[:2])
        member, _ = await harness.join()
        fleeting, _ = await harness.join(stored=False)
        await harness.leave(fleeting)
        await until(lambda: len(harness.hub.rooms) == 1)
        await harness.save(member, LETTERS[2])
        await until(lambda: harness.storage.calls["replace"])


async def test_a_compaction_that_fails_is_logged_and_tried_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness_of(tmp_path, COMPACT_AFTER=2) as harness:
        harness.storage.failures["replace"] = StorageUnavailable()
        member, _ = await harness.join()
        with caplog.at_level(logging.ERROR, "collab"):
            for letter in LETTERS:
                await harness.save(member, letter)
            await until(lambda: harness.storage.calls["replace"] == 3)
        assert "could not be compacted" in caplog.text
        assert await harness.stored() == "abcdef"


# Server code.


async def test_updates_stored_by_server_code_reach_the_members(harness: Harness) -> None:
    member, socket = await harness.join()
    await harness.append(LETTERS[0])
    harness.hub.deliver("notes", LETTERS[0])
    await asyncio.sleep(0)
    assert len(socket.frames) == 2
    assert text(room_of(member).doc) == "a"
    assert not harness.hub.writer.has("notes")
    harness.hub.deliver("notes", LETTERS[1], relayed=True)
    await asyncio.sleep(0)
    assert text(room_of(member).doc) == "ab"


async def test_updates_stored_while_a_document_loads_are_not_missed(harness: Harness) -> None:
    loaded, go_on = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        loaded.set()
        await go_on.wait()

    joining = asyncio.create_task(harness.join(opener=Opener(pause=pause)))
    await loaded.wait()
    assert harness.hub.holds("notes")
    await harness.append(LETTERS[0])
    harness.hub.deliver("notes", LETTERS[0])
    go_on.set()
    member, _ = await joining
    await until(lambda: text(room_of(member).doc) == "a")


async def test_a_document_that_is_not_live_is_none_of_the_hubs_business(
    harness: Harness,
) -> None:
    harness.hub.deliver("notes", LETTERS[0])
    harness.hub.discard("notes")
    harness.hub.recheck_access("notes")
    assert not harness.hub.holds("notes")
    assert harness.hub.rooms == {}


async def test_a_deleted_document_is_closed_and_its_unsaved_updates_are_dropped(
    harness: Harness,
) -> None:
    ann, socket = await harness.join()
    harness.change(ann, LETTERS[0])
    harness.hub.discard("notes")
    assert socket.close_code == NoSuchDocument.close_code
    assert not harness.hub.holds("notes")
    await until(lambda: not harness.hub.writer.has("notes"))
    assert await harness.stored() is None


async def test_updates_in_flight_when_a_document_is_deleted_are_deleted_once_stored(
    harness: Harness,
) -> None:
    ann, _ = await harness.join()
    gate = harness.storage.hold("append")
    harness.change(ann, LETTERS[0])
    await until(lambda: harness.storage.calls["append"])
    harness.hub.discard("notes")
    gate.set()
    await harness.hub.close()
    assert await harness.stored() is None


async def test_unsaved_updates_stay_those_of_the_user_who_has_logged_out(harness: Harness) -> None:
    ann, socket = await harness.join(user_id="ann")
    gate = harness.storage.hold("append")
    harness.change(ann, LETTERS[0])
    await until(lambda: harness.storage.calls["append"])
    harness.change(ann, LETTERS[1])
    socket.scope["user"] = None
    follow_user(ann, harness.hub)
    gate.set()
    await until(lambda: ann.user_id is None)
    await harness.save(ann, LETTERS[2])
    stored = await MemoryStorage.load(harness.storage, "notes")
    assert stored is not None
    assert [row.user_id for row in stored.log] == ["ann", "ann", None]
    assert await harness.stored() == "abc"


async def test_unsaved_updates_of_a_renamed_document_follow_it(harness: Harness) -> None:
    await harness.append(LETTERS[0])
    ann, socket = await harness.join()
    gate = harness.storage.hold("append")
    harness.change(ann, LETTERS[1])
    await until(lambda: harness.storage.calls["append"])
    harness.change(ann, LETTERS[2])
    await MemoryStorage.rename(harness.storage, "notes", "plans")
    harness.hub.discard("notes", moved_to="plans")
    assert socket.close_code == NoSuchDocument.close_code
    gate.set()
    await harness.hub.writer.saved("plans")
    await harness.hub.close()
    assert await harness.stored("plans") == "abc"
    assert await harness.stored("notes") is None


async def test_a_document_that_another_process_has_cleared_needs_no_clearing(
    harness: Harness,
) -> None:
    ann, _ = await harness.join()
    gate = harness.storage.hold("append")
    harness.change(ann, LETTERS[0])
    await until(lambda: harness.storage.calls["append"])
    harness.storage.hold("load")
    harness.hub.discard("notes", moved_to="plans")
    gate.set()
    await until(lambda: harness.storage.calls["load"] == 2)
    await harness.storage.delete("notes")
    harness.storage.gates["load"].set()
    await harness.hub.close()
    assert await harness.stored("plans") is None


async def test_access_is_rechecked_of_all_or_of_one_user(harness: Harness) -> None:
    _, ann = await harness.join(user_id="ann")
    _, bob = await harness.join(user_id="bob")
    _, in_memory = await harness.join(user_id="ann", stored=False)
    _, elsewhere = await harness.join("plans", user_id="ann")
    harness.hub.recheck_access("notes", "ann")
    await until(lambda: in_memory.rechecked)
    assert [s.rechecked for s in (ann, bob, in_memory, elsewhere)] == [1, 0, 1, 0]
    harness.hub.recheck_access("notes")
    await until(lambda: bob.rechecked)
    assert [s.rechecked for s in (ann, bob, in_memory, elsewhere)] == [2, 1, 2, 0]


async def test_access_is_rechecked_now_and_then(tmp_path: Path) -> None:
    async with harness_of(tmp_path, ACCESS_CHECK_INTERVAL=0.01) as harness:
        _, ann = await harness.join()
        bob, from_bob = await harness.join("plans")
        gone, from_gone = await harness.join()
        gone.close(1000, "")
        await until(lambda: ann.rechecked >= 2 and from_bob.rechecked >= 2)
        assert from_gone.rechecked == 0
        assert room_of(bob).members == {bob}


async def test_a_check_that_fails_keeps_others_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*, routine: bool) -> None:
        raise LookupError("the project's own")

    async with harness_of(tmp_path, ACCESS_CHECK_INTERVAL=0.01) as harness:
        _, ann = await harness.join(user_id="ann")
        _, bob = await harness.join()
        monkeypatch.setattr(ann, "recheck_access", fail)
        await until(lambda: bob.rechecked >= 2)
    assert {record.getMessage() for record in caplog.records} == {
        "Background work failed: recheck."
    }


# The end.


async def test_closing_stores_all_updates(harness: Harness) -> None:
    ann, _ = await harness.join()
    fleeting, _ = await harness.join(stored=False)
    harness.change(ann, LETTERS[0])
    harness.change(fleeting, LETTERS[0])
    await harness.leave(ann)
    await harness.hub.close()
    assert await harness.stored() == "a"
    assert harness.hub.rooms == {}


async def test_draining_closes_all_connections_and_stores_their_updates(
    harness: Harness,
) -> None:
    ann, from_ann = await harness.join()
    _, from_bob = await harness.join("plans")
    harness.change(ann, LETTERS[0])
    await harness.hub.drain()
    assert harness.hub.is_draining
    assert from_ann.close_code == from_bob.close_code == 1012
    assert await harness.stored() == "a"
    with pytest.raises(Restarting):
        await harness.join()


async def test_updates_that_a_draining_hub_cannot_store_are_spooled_for_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness_of(tmp_path, CLOSE_TIMEOUT=0.01) as harness:
        harness.storage.failures["append"] = StorageUnavailable()
        ann, socket = await harness.join(greeted=True)
        harness.change(ann, LETTERS[0])
        with caplog.at_level(logging.ERROR, "collab"):
            await harness.hub.drain()
        assert "could not be stored" in caplog.text
        assert not any(reply["action"] == "saved" for reply in socket.replies)
    async with harness_of(tmp_path) as harness:
        member, _ = await harness.join()
        assert text(room_of(member).doc) == await harness.stored() == "a"
    assert spooled_files(tmp_path) == []


async def test_the_server_waits_for_a_hub_that_drains_already(tmp_path: Path) -> None:
    limits = {"SPOOL_DIRECTORY": tmp_path, "CLOSE_TIMEOUT": 0.01, "DRAIN_TIME": 0.001}
    backend = {"BACKEND": "tests.engine.fakes.HinderedStorage"}
    with override_settings(COLLAB={**MEMORY, "STORAGE": backend, **limits}):
        hub = current_hub()
        HinderedStorage.latest.failures["append"] = StorageUnavailable()
        member, _ = new_member()
        await hub.join("notes", member, Opener())
        room_of(member).edit(HELLO)
        first = asyncio.create_task(hub.drain())
        await until(lambda: hub.is_draining)
        # As the lifespan of the application does, before the server ends the process.
        await end_serving()
        assert len(spooled_files(tmp_path)) == 1
        await first
        HinderedStorage.latest.failures.clear()
        await hub.close()


async def test_an_empty_hub_drains_at_once(harness: Harness) -> None:
    await harness.hub.drain()


# One hub an event loop.

MEMORY = {"DEFAULT_ACCESS": "write", "STORAGE": {"BACKEND": "collab_storage.memory.MemoryStorage"}}


async def test_an_event_loop_has_one_hub_until_it_is_closed() -> None:
    with override_settings(COLLAB=MEMORY):
        hub = current_hub()
        assert current_hub() is hub
        assert hub in live_hubs()
        assert hub.is_here()
        assert hub._store.storage is get_storage()
        assert not await asyncio.to_thread(hub.is_here)
        await hub.close()
        assert hub not in live_hubs()
        other = current_hub()
        assert other is not hub
        await other.close()


def test_hubs_of_loops_that_ended_are_forgotten() -> None:
    async def hub_of_this_loop() -> Hub:
        return current_hub()

    with override_settings(COLLAB=MEMORY):
        ended = asyncio.run(hub_of_this_loop())
        assert ended not in live_hubs()
        assert ended in hub_module._hubs._made.values()

        async def another() -> None:
            assert current_hub() is not ended
            assert ended not in hub_module._hubs._made.values()
            await current_hub().close()

        asyncio.run(another())
        assert not ended.is_here()


async def test_a_project_without_the_app_installed_gets_an_error_in_the_log(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.COLLAB = MEMORY
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "collab"]
    await current_hub().close()
    assert '"collab" is not in INSTALLED_APPS' in caplog.text
