from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pycrdt import Doc

from collab.conf import Settings
from collab.engine.relay.timings import DEFAULT
from collab.engine.rooms.member import Member
from collab.engine.storing import writer as storing_writer
from collab.engine.storing.marks import DocumentMarks
from collab.engine.storing.writer import (
    _ENOUGH_BYTES,
    _ENOUGH_UPDATES,
    _LONGEST_WAIT,
    _USUAL_PAUSE,
    Writer,
    _number_of,
)
from collab.protocol.effects import RoomUpdate
from collab.protocol.yjs.updates import EMPTY_UPDATE, merge
from collab_storage.base import DocumentId
from collab_storage.exceptions import (
    DocumentCorrupt,
    DocumentLocked,
    DocumentNotFound,
    StorageUnavailable,
)
from tests.engine.fakes import HinderedStorage, Socket, new_member
from tests.harness.waiting import DEADLINE, until
from tests.protocol.yjs.samples import HELLO, new_doc, text, typed

UPDATES = typed("abcdef")
SIZE = len(UPDATES[0])


class Harness:
    """A writer, and what it has told."""

    def __init__(self, **limits: Any) -> None:
        self.settings = Settings(**{"WRITE_DELAY": 0.001, **limits})
        self.storage = HinderedStorage()
        self.marks = DocumentMarks()
        self.tasks: list[asyncio.Task[None]] = []
        self.stored: list[tuple[str, int]] = []
        self.writer = Writer(
            self.storage,
            self.settings,
            self.marks,
            self._start,
            self._start,
            lambda name, rows: self.stored.append((name, rows)),
            max_retry_delay=0.005,
        )

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]

    async def id_of(self, name: str) -> DocumentId | None:
        stored = await self.storage.load(name)
        return None if stored is None else stored.id

    async def text(self, name: str = "notes") -> str:
        """Return the text of what is stored."""
        stored = await self.storage.load(name)
        doc: Doc[Any] = Doc()
        if stored:
            doc.apply_update(merge(stored.updates))
        return text(doc)


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    harness = Harness()
    yield harness
    for task in harness.tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def edits(*updates: bytes) -> list[RoomUpdate[Member]]:
    return [RoomUpdate(update) for update in updates]


def saved(socket: Socket) -> list[int]:
    return [reply["data"]["count"] for reply in socket.replies if reply["action"] == "saved"]


# Storing.


async def test_queued_updates_are_stored(harness: Harness) -> None:
    harness.writer.put("notes", edits(*UPDATES))
    await harness.writer.saved("notes")
    assert await harness.text() == "abcdef"
    assert not harness.writer.has("notes")


async def test_waiting_updates_are_one_call_and_one_row_for_each_document(harness: Harness) -> None:
    harness.writer.put("notes", edits(*UPDATES[:2]))
    harness.writer.put("plans", edits(HELLO))
    harness.writer.put("notes", edits(*UPDATES[2:]))
    await harness.writer.saved("notes")
    assert harness.storage.calls["append"] == 1
    assert sorted(harness.stored) == [("notes", 1), ("plans", 1)]
    assert await harness.text("notes") == "abcdef"
    assert await harness.text("plans") == "hello"


async def test_each_user_has_a_row_of_its_own(harness: Harness) -> None:
    ann, _ = new_member(user_id="ann")
    bob, _ = new_member(user_id="bob")
    authors = [ann, bob, ann, None, bob, ann]
    harness.writer.put(
        "notes",
        [RoomUpdate(update, member=by) for update, by in zip(UPDATES, authors, strict=True)],
    )
    await harness.writer.saved("notes")
    assert harness.stored == [("notes", 3)]
    assert await harness.text() == "abcdef"


async def test_one_batch_is_in_flight_at_a_time(harness: Harness) -> None:
    gate = harness.storage.hold("append")
    harness.writer.put("notes", edits(UPDATES[0]))
    await until(lambda: harness.storage.calls["append"] == 1)
    for update in UPDATES[1:]:
        harness.writer.put("notes", edits(update))
    gate.set()
    await harness.writer.saved("notes")
    assert harness.storage.calls["append"] == 2
    assert await harness.text() == "abcdef"


async def test_putting_nothing_starts_nothing(harness: Harness) -> None:
    harness.writer.put("notes", [])
    assert harness.tasks == []


async def test_an_idle_writer_has_no_task(harness: Harness) -> None:
    for update in UPDATES:
        harness.writer.put("notes", edits(update))
        await asyncio.wait(harness.tasks)
        assert harness.tasks[-1].done()
    assert len(harness.tasks) == len(UPDATES)
    assert await harness.text() == "abcdef"


# Batches. With a ``WRITE_DELAY`` of 0, each pause is a turn of the event loop.


async def type_until(harness: Harness, condition: Callable[[], bool]) -> int:
    """Queue an update in each turn of the loop; return how many that were."""
    for number, update in enumerate(typed("x" * 64)):
        if condition():
            return number
        harness.writer.put("typed", edits(update))
        await asyncio.sleep(0)
    raise AssertionError("not within 64 turns")


async def test_a_lone_update_is_stored_at_once_and_the_next_ones_together() -> None:
    harness = Harness(WRITE_DELAY=0)
    for update in typed("x" * 64):
        harness.writer.put("notes", edits(update))
        await asyncio.sleep(0)
    await harness.writer.saved("notes")
    assert harness.storage.calls["append"] <= 2 + 64 / 20
    assert await harness.text() == "x" * 64


async def test_receipts_for_other_processes_do_not_count_as_updates() -> None:
    harness = Harness(WRITE_DELAY=0)
    receipts: list[int] = []
    for number, update in enumerate(typed("x" * 64)):
        receipt = RoomUpdate[Member](EMPTY_UPDATE, on_stored=partial(receipts.append, number))
        harness.writer.put("notes", [*edits(update), receipt])
        await asyncio.sleep(0)
    await harness.writer.saved("notes")
    assert harness.storage.calls["append"] <= 2 + 64 / 20
    assert receipts == [*range(64)]


async def test_a_receipt_is_answered_at_once_if_nothing_waits(harness: Harness) -> None:
    member, socket = new_member(greeted=True)
    answered: list[int] = []
    harness.writer.put("notes", [])
    harness.writer.put("notes", [RoomUpdate(EMPTY_UPDATE, 3, member=member)])
    harness.writer.put("notes", [RoomUpdate(EMPTY_UPDATE, on_stored=partial(answered.append, 1))])
    assert saved(socket) == [3]
    assert answered == [1]
    assert not harness.writer.has("notes")
    assert not harness.tasks


async def test_a_receipt_waits_for_the_updates_before_it(harness: Harness) -> None:
    answered: list[int] = []
    harness.writer.put("notes", edits(HELLO))
    harness.writer.put("notes", [])
    harness.writer.put("notes", [RoomUpdate(EMPTY_UPDATE, on_stored=partial(answered.append, 1))])
    assert not answered
    await harness.writer.saved("notes")
    assert answered == [1]


async def test_the_updates_of_each_of_several_documents_are_stored_together() -> None:
    harness = Harness(WRITE_DELAY=0)
    for update in typed("x" * 48):
        for name in ("notes", "plans"):
            harness.writer.put(name, edits(update))
        await asyncio.sleep(0)
    await harness.writer.saved("notes")
    await harness.writer.saved("plans")
    assert harness.storage.calls["append"] <= 2 + 48 / 20
    assert await harness.text("notes") == await harness.text("plans") == "x" * 48


async def test_updates_that_come_slowly_wait_for_a_limited_time() -> None:
    harness = Harness(WRITE_DELAY=0)
    for turn, update in enumerate(typed("x" * 40) * 4):
        if turn % 4 == 0:
            harness.writer.put("notes", edits(update))
        await asyncio.sleep(0)
    # The first one, and after every 32 turns of 160 those that wait by then.
    assert harness.storage.calls["append"] in range(4, 8)
    await asyncio.wait(harness.tasks)


@pytest.mark.parametrize(
    ("write_delay", "pauses"), [(0, 32), (0.05, 32), (0.1, 16), (0.5, 3), (1, 1), (8, 1)]
)
def test_a_longer_write_delay_makes_nothing_wait_much_longer(
    write_delay: float, pauses: int
) -> None:
    assert _number_of(write_delay, 32) == pauses


def test_other_processes_wait_as_long_as_updates_are_collected() -> None:
    waited = DEFAULT.adoption - DEFAULT.timeout
    assert waited == pytest.approx(_LONGEST_WAIT * _USUAL_PAUSE)


async def test_the_last_update_is_stored_though_no_other_follows() -> None:
    harness = Harness(WRITE_DELAY=0)
    await type_until(harness, lambda: harness.storage.calls["append"] == 1)
    harness.writer.put("notes", edits(HELLO))
    await asyncio.wait(harness.tasks)
    assert harness.storage.calls["append"] == 2
    assert await harness.text() == "hello"


async def test_updates_that_a_task_waits_for_do_not_wait_for_others() -> None:
    harness = Harness(WRITE_DELAY=0)
    await type_until(harness, lambda: harness.storage.calls["append"] == 1)
    harness.writer.put("notes", edits(HELLO))
    waiting = asyncio.create_task(harness.writer.saved("notes"))
    assert await type_until(harness, waiting.done) < 8
    await asyncio.wait(harness.tasks)


async def test_many_updates_of_a_document_do_not_wait_for_more() -> None:
    harness = Harness(WRITE_DELAY=0)
    await type_until(harness, lambda: harness.storage.calls["append"] == 1)
    harness.writer.put("notes", edits(*typed("y" * 2 * _ENOUGH_UPDATES)))
    assert await type_until(harness, lambda: not harness.writer.has("notes")) < 8
    await asyncio.wait(harness.tasks)


async def test_others_have_their_turn_while_many_documents_are_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storing_writer, "_TURN_DOCUMENTS", 2)
    harness = Harness(WRITE_DELAY=0)
    gate = harness.storage.hold("append")
    for name in "abcde":
        harness.writer.put(name, edits(HELLO))
    await until(lambda: harness.storage.calls["append"])
    gate.set()
    stored = [0]
    while stored[-1] < 5:
        await asyncio.sleep(0)
        stored.append(len(harness.stored))
    assert sorted({*stored}) == [0, 2, 4, 5]
    await asyncio.wait(harness.tasks)


async def test_large_updates_do_not_wait_for_others() -> None:
    harness = Harness(WRITE_DELAY=0)
    await type_until(harness, lambda: harness.storage.calls["append"] == 1)
    harness.writer.put("notes", edits(new_doc("x" * _ENOUGH_BYTES).get_update()))
    assert await type_until(harness, lambda: not harness.writer.has("notes")) < 8
    await asyncio.wait(harness.tasks)


# Telling.


async def test_saved_is_reported_after_the_storage_has_confirmed_and_not_before(
    harness: Harness,
) -> None:
    gate = harness.storage.hold("append")
    ann, socket = new_member(greeted=True)
    harness.writer.put(
        "notes", [RoomUpdate(UPDATES[0], 1, member=ann), RoomUpdate(UPDATES[1], 2, member=ann)]
    )
    await until(lambda: harness.storage.calls["append"])
    harness.writer.put("notes", [RoomUpdate(UPDATES[2], 3, member=ann)])
    assert saved(socket) == []
    gate.set()
    await until(lambda: 2 in saved(socket))
    await harness.writer.saved("notes")
    # Once for each batch, whatever was in it.
    assert saved(socket) == [2, 3]


async def test_an_empty_update_is_reported_saved_in_its_turn(harness: Harness) -> None:
    gate = harness.storage.hold("append")
    ann, socket = new_member(greeted=True)
    harness.writer.put(
        "notes", [RoomUpdate(UPDATES[0], 1, member=ann), RoomUpdate(EMPTY_UPDATE, 2, member=ann)]
    )
    await until(lambda: harness.storage.calls["append"])
    assert saved(socket) == []
    gate.set()
    await until(lambda: saved(socket) == [2])
    harness.writer.put("notes", [RoomUpdate(EMPTY_UPDATE, 3, member=ann)])
    await until(lambda: saved(socket) == [2, 3])
    # There was nothing to be stored.
    assert harness.storage.calls["append"] == 1


async def test_an_echo_comes_after_storing(harness: Harness) -> None:
    gate = harness.storage.hold("append")
    ann, socket = new_member(echo_updates=True)
    harness.writer.put(
        "notes", [RoomUpdate(UPDATES[0], 1, member=ann), RoomUpdate(EMPTY_UPDATE, 2, member=ann)]
    )
    await until(lambda: harness.storage.calls["append"])
    assert socket.frames == []
    gate.set()
    await until(lambda: socket.frames)
    assert socket.frames[0][3:] == UPDATES[0]
    await harness.writer.saved("notes")
    assert len(socket.frames) == 1


# Failing.


async def test_an_outage_loses_nothing_and_reports_nothing_as_saved(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.storage.failures["append"] = StorageUnavailable("no disk")
    ann, socket = new_member(greeted=True)
    with caplog.at_level(logging.ERROR, "collab"):
        harness.writer.put("notes", [RoomUpdate(UPDATES[0], 1, member=ann)])
        await until(lambda: harness.storage.calls["append"] >= 2)
    harness.writer.put("notes", [RoomUpdate(UPDATES[1], 2, member=ann)])
    await until(lambda: harness.storage.calls["append"] >= 4)
    assert saved(socket) == []
    assert harness.writer.has("notes")
    assert harness.writer.unsaved_updates("notes") == UPDATES[:2]
    assert "StorageUnavailable" in caplog.text
    assert f"{SIZE} bytes wait" in caplog.text
    del harness.storage.failures["append"]
    await harness.writer.saved("notes")
    assert saved(socket) == [2]
    assert await harness.text() == "ab"


async def test_an_outage_is_logged_in_a_line_without_a_traceback(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.storage.failures["append"] = StorageUnavailable("no disk")
    with caplog.at_level(logging.ERROR, "collab"):
        harness.writer.put("notes", edits(HELLO))
        await until(lambda: harness.storage.calls["append"] >= 4)
    assert "Traceback" not in caplog.text
    assert "(StorageUnavailable: no disk)" in caplog.text


async def test_a_document_that_cannot_be_stored_does_not_hold_up_the_others(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.storage.spoilt["bad"] = DocumentCorrupt()
    with caplog.at_level(logging.ERROR, "collab"):
        for name in ("bad", "good", "fine"):
            harness.writer.put(name, edits(HELLO))
        await harness.writer.saved("good")
        await harness.writer.saved("fine")
    assert {record.__dict__["room"] for record in caplog.records} == {"bad"}
    assert harness.writer.unsaved_updates("bad") == [HELLO]
    # Alone in a batch, it is tried on.
    calls = harness.storage.calls["append"]
    await until(lambda: harness.storage.calls["append"] > calls)
    harness.writer.put("good", edits(HELLO))
    await harness.writer.saved("good")
    del harness.storage.spoilt["bad"]
    await harness.writer.saved("bad")
    assert await harness.text("bad") == "hello"


async def test_a_held_document_keeps_its_updates_in_order(
    harness: Harness,
) -> None:
    harness.storage.spoilt["notes"] = DocumentCorrupt()
    ann, socket = new_member(greeted=True)
    for number, update in enumerate(UPDATES, 1):
        calls = harness.storage.calls["append"]
        harness.writer.put("notes", [RoomUpdate(update, number, member=ann)])
        await until(partial(lambda before: harness.storage.calls["append"] > before, calls))
    assert harness.writer.unsaved_updates("notes") == UPDATES
    del harness.storage.spoilt["notes"]
    await harness.writer.saved("notes")
    assert saved(socket) == [6]


async def test_an_outage_while_a_broken_document_is_isolated_loses_nothing(
    harness: Harness,
) -> None:
    harness.storage.spoilt["a bad one"] = DocumentCorrupt()
    harness.storage.spoilt["good"] = StorageUnavailable()
    for name in ("a bad one", "good"):
        harness.writer.put(name, edits(HELLO))
    await until(lambda: harness.storage.calls["append"] >= 3)
    harness.storage.spoilt.clear()
    await harness.writer.saved("a bad one")
    await harness.writer.saved("good")
    assert await harness.text("good") == "hello"


async def test_a_locked_document_is_stored_once_it_is_free_and_delays_no_other(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.storage.spoilt["locked"] = DocumentLocked("held by a view")
    for name in ("locked", "other"):
        harness.writer.put(name, edits(UPDATES[0]))
    await harness.writer.saved("other")
    harness.writer.put("locked", edits(UPDATES[1]))
    for _ in range(5):
        harness.writer.put("other", edits(HELLO))
        await harness.writer.saved("other")
    assert harness.writer.unsaved_updates("locked") == UPDATES[:2]
    assert {record.getMessage().split(";")[0] for record in caplog.records} == {
        "A document is locked (DocumentLocked: held by a view)"
    }
    harness.storage.spoilt.clear()
    await harness.writer.saved("locked")
    assert await harness.text("locked") == "ab"
    # From then on it is stored with the others.
    harness.writer.put("locked", edits(UPDATES[2]))
    await harness.writer.saved("locked")


async def test_batches_go_on_while_the_lock_of_a_held_document_is_waited_for(
    harness: Harness,
) -> None:
    harness.storage.spoilt["locked"] = DocumentLocked()
    harness.writer.put("locked", edits(HELLO))
    await until(lambda: harness.storage.calls["append"] >= 2)
    let = harness.storage.hold("append")
    await until(lambda: harness.writer._unsaved.in_flight)
    del harness.storage.gates["append"]
    harness.writer.put("other", edits(HELLO))
    await harness.writer.saved("other")
    harness.storage.spoilt.clear()
    let.set()
    await harness.writer.saved("locked")


async def test_a_document_whose_error_looks_like_an_outage_is_found_out(
    harness: Harness,
) -> None:
    harness.storage.spoilt["bad"] = StorageUnavailable("packet too large")
    for name in ("bad", "good", "fine"):
        harness.writer.put(name, edits(HELLO))
    await harness.writer.saved("good")
    await harness.writer.saved("fine")
    harness.writer.put("late", edits(HELLO))
    await harness.writer.saved("late")
    assert harness.writer.unsaved_updates("bad") == [HELLO]
    harness.storage.spoilt.clear()
    await harness.writer.idle()


async def test_a_held_document_that_is_dropped_or_moved_is_not_retried(harness: Harness) -> None:
    for name in ("dropped", "moved"):
        harness.storage.spoilt[name] = DocumentLocked()
        harness.writer.put(name, edits(HELLO))
    await until(lambda: len(harness.writer._held) == 2)
    await until(lambda: not harness.writer._unsaved.in_flight)
    harness.writer.drop("dropped")
    harness.writer.move("moved", "new")
    await harness.writer.idle()
    assert await harness.text("new") == "hello"
    assert await harness.text("dropped") == ""


async def test_held_documents_do_not_use_the_limit_of_others() -> None:
    harness = Harness(MAX_UNSAVED=8 * SIZE)
    harness.storage.spoilt["bad"] = DocumentLocked()
    harness.writer.put("bad", edits(UPDATES[0]))
    await until(lambda: harness.writer._held)
    # It has an eighth for itself.
    assert not harness.writer.has_room("bad")
    assert harness.writer.has_room("good")
    gate = harness.storage.hold("append")
    harness.writer.put("good", edits(*UPDATES, *UPDATES[:1]))
    assert harness.writer.has_room("good")
    harness.writer.put("good", edits(UPDATES[0]))
    assert not harness.writer.has_room("good")
    harness.storage.spoilt.clear()
    gate.set()
    await harness.writer.idle()
    assert harness.writer.has_room("bad")


# Limits.


async def test_it_is_full_while_too_much_waits() -> None:
    harness = Harness(MAX_UNSAVED=2 * SIZE)
    gate = harness.storage.hold("append")
    harness.writer.put("notes", edits(UPDATES[0]))
    assert not harness.writer.is_full
    await until(lambda: harness.storage.calls["append"])
    harness.writer.put("notes", edits(UPDATES[1]))
    assert harness.writer.is_full
    gate.set()
    await harness.writer.saved("notes")
    assert not harness.writer.is_full
    await asyncio.wait(harness.tasks)


async def test_dropping_gives_the_room_back() -> None:
    harness = Harness(MAX_UNSAVED=SIZE)
    harness.writer.put("notes", edits(UPDATES[0]))
    assert harness.writer.is_full
    harness.writer.drop("notes")
    assert not harness.writer.is_full
    await asyncio.wait(harness.tasks)


# Documents that go away.


async def test_dropped_updates_are_not_stored_and_not_waited_for(harness: Harness) -> None:
    gate = harness.storage.hold("append")
    harness.writer.put("other", edits(HELLO))
    await until(lambda: harness.storage.calls["append"])
    harness.writer.put("notes", edits(HELLO))
    waiting = asyncio.create_task(harness.writer.saved("notes"))
    await asyncio.sleep(0)
    harness.writer.drop("notes")
    assert not harness.writer.has("notes")
    await asyncio.wait_for(waiting, DEADLINE)
    gate.set()
    await harness.writer.saved("other")
    assert not await harness.storage.exists("notes")


async def test_dropping_during_a_pause_ends_all_waiting() -> None:
    harness = Harness(WRITE_DELAY=0.05)
    harness.writer.put("other", edits(HELLO))
    await harness.writer.saved("other")
    harness.writer.put("notes", edits(HELLO))
    waiting = asyncio.create_task(harness.writer.saved("notes"))
    await asyncio.sleep(0)
    harness.writer.drop("notes")
    await asyncio.wait(harness.tasks)
    await asyncio.wait_for(waiting, DEADLINE)
    assert not await harness.storage.exists("notes")


async def test_updates_in_flight_land(harness: Harness) -> None:
    gate = harness.storage.hold("append")
    harness.writer.put("notes", edits(HELLO))
    await until(lambda: harness.storage.calls["append"])
    harness.writer.drop("notes")
    assert harness.writer.has("notes")
    landing = asyncio.create_task(harness.writer.landed("notes"))
    await asyncio.sleep(0)
    assert not landing.done()
    gate.set()
    await asyncio.wait_for(landing, DEADLINE)
    assert await harness.storage.exists("notes")


async def test_waiting_updates_move_to_a_new_name(harness: Harness) -> None:
    gate = harness.storage.hold("append")
    harness.writer.put("other", edits(HELLO))
    await until(lambda: harness.storage.calls["append"])
    harness.writer.move("notes", "plans")
    assert not harness.writer.has("plans")
    harness.writer.put("notes", edits(HELLO))
    waiting = asyncio.create_task(harness.writer.saved("notes"))
    await asyncio.sleep(0)
    harness.writer.move("notes", "plans")
    assert not harness.writer.has("notes")
    await asyncio.wait_for(waiting, DEADLINE)
    gate.set()
    await harness.writer.saved("plans")
    assert await harness.text("plans") == "hello"
    assert not await harness.storage.exists("notes")


async def test_after_it_has_given_up_nothing_waits(harness: Harness) -> None:
    assert harness.writer.unsaved_entries() == []
    harness.storage.failures["append"] = StorageUnavailable()
    ann, socket = new_member(user_id="ann", greeted=True)
    harness.writer.put("notes", [RoomUpdate(UPDATES[0], 1, member=ann)])
    await until(lambda: harness.storage.calls["append"])
    harness.writer.put("notes", [RoomUpdate(UPDATES[1], 2, member=ann)])
    harness.writer.put("plans", edits(HELLO))
    waiting = asyncio.create_task(harness.writer.saved("notes"))
    await asyncio.sleep(0)
    kept = {entry.name: entry for entry in harness.writer.unsaved_entries()}
    harness.writer.give_up()
    await asyncio.wait_for(waiting, DEADLINE)
    await asyncio.wait(harness.tasks)
    assert merge([kept["notes"].data, HELLO]) == merge([*UPDATES[:2], HELLO])
    assert (kept["notes"].user_id, kept["plans"].data) == ("ann", HELLO)
    assert saved(socket) == []
    assert not harness.writer.has("notes")
    assert harness.writer.unsaved_size == 0


async def test_updates_of_one_turn_have_one_time(harness: Harness) -> None:
    for name in ("notes", "plans", "tasks"):
        harness.writer.put(name, edits(HELLO))
    (at,) = {entry.at for entry in harness.writer.unsaved_entries()}
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    gate = harness.storage.hold("append")
    await asyncio.sleep(0)
    harness.writer.put("later", edits(HELLO))
    assert len({entry.at for entry in harness.writer.unsaved_entries()}) == 2
    gate.set()


async def test_it_is_idle_when_nothing_is_left_to_do(harness: Harness) -> None:
    await harness.writer.idle()
    gate = harness.storage.hold("append")
    harness.writer.put("notes", edits(HELLO))
    idle = asyncio.create_task(harness.writer.idle())
    await until(lambda: harness.storage.calls["append"])
    assert not idle.done()
    gate.set()
    await asyncio.wait_for(idle, DEADLINE)
    assert harness.tasks[-1].done()


async def test_a_callback_runs_when_an_update_is_stored(harness: Harness) -> None:
    told: list[bool] = []
    harness.writer.put(
        "notes", [RoomUpdate(HELLO, on_stored=lambda: told.append(harness.writer.has("notes")))]
    )
    await until(lambda: told)
    assert told == [False]


async def test_waiting_for_nothing_ends_at_once(harness: Harness) -> None:
    await harness.writer.saved("notes")
    await harness.writer.landed("notes")
    assert harness.writer.unsaved_updates("notes") == []


async def test_saved_waits_for_earlier_updates_and_not_for_later_ones(
    harness: Harness,
) -> None:
    harness.writer.put("notes", edits(UPDATES[0]))
    waiting = asyncio.create_task(harness.writer.saved("notes"))
    await until(lambda: harness.storage.calls["append"])
    harness.storage.hold("append")
    harness.writer.put("notes", edits(UPDATES[1]))
    await asyncio.wait_for(waiting, DEADLINE)
    assert harness.writer.has("notes")


# Deleted documents.


async def test_a_held_document_that_is_deleted_is_not_retried(harness: Harness) -> None:
    harness.writer.put("notes", edits(UPDATES[0]))
    await harness.writer.saved("notes")
    harness.marks.opened("notes", 1, 1, await harness.id_of("notes"))
    deleted: list[str] = []
    harness.writer.on_deleted = deleted.append
    harness.storage.spoilt["notes"] = DocumentLocked()
    harness.writer.put("notes", edits(UPDATES[1]))
    await until(lambda: "notes" in harness.writer._held)
    await harness.storage.delete("notes")
    harness.storage.spoilt.clear()
    await harness.writer.idle()
    assert deleted == ["notes"]
    assert not harness.writer.has("notes") and not harness.writer._held
    assert not await harness.storage.exists("notes")


async def test_updates_of_a_deleted_document_that_wait_are_dropped_without_a_hub(
    harness: Harness,
) -> None:
    harness.writer.put("notes", edits(UPDATES[0]))
    await harness.writer.saved("notes")
    harness.marks.opened("notes", 1, 1, await harness.id_of("notes"))
    let = harness.storage.hold("append")
    harness.writer.put("notes", edits(UPDATES[1]))
    await until(lambda: harness.storage.calls["append"] == 2)
    harness.writer.put("notes", edits(UPDATES[2]))
    await harness.storage.delete("notes")
    let.set()
    await harness.writer.idle()
    assert harness.storage.calls["append"] == 2
    assert not await harness.storage.exists("notes")


async def test_an_error_about_another_document_drops_nothing(harness: Harness) -> None:
    harness.storage.spoilt["notes"] = DocumentNotFound("plans")
    harness.writer.put("notes", edits(*UPDATES))
    await until(lambda: "notes" in harness.writer._held)
    harness.storage.spoilt.clear()
    await harness.writer.saved("notes")
    assert await harness.text() == "abcdef"


async def test_updates_that_wait_while_a_document_is_created_ask_for_it(harness: Harness) -> None:
    let = harness.storage.hold("append")
    harness.marks.created("notes", 0)
    harness.writer.put("notes", edits(UPDATES[0]))
    await until(lambda: harness.storage.calls["append"])
    harness.writer.put("notes", edits(UPDATES[1]))
    let.set()
    await until(lambda: harness.storage.calls["append"] == 2)
    await harness.writer.idle()
    assert harness.storage.asked == [None, await harness.id_of("notes")]
    assert harness.marks.id_of("notes") == await harness.id_of("notes")


async def test_updates_that_move_to_a_new_name_ask_for_the_same_document(harness: Harness) -> None:
    harness.marks.opened("notes", 1, 0, 12)
    harness.writer.put("notes", edits(*UPDATES))
    harness.writer.move("notes", "plans")
    await harness.writer.idle()
    assert harness.storage.asked == [12]
    assert not await harness.storage.exists("plans")
