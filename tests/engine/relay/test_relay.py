"""The work of a process for all of its rooms, and for a layer that fails."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from channels.exceptions import ChannelFull

from collab.engine.relay import messages, relay
from collab.engine.relay.layer_channel import Message
from collab.engine.relay.messages import relay_group
from tests.engine.processes import (
    NOTES,
    QUICK,
    Client,
    Cluster,
    Wire,
    cluster,
    hold_no_updates,
    losing,
    met,
    pause,
    present,
    two,
)
from tests.harness.virtual_time import in_virtual_time
from tests.harness.waiting import until

# All is well.


async def test_typing_in_one_process_is_read_in_the_other() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        bob.type("oh, ")
        await until(lambda: ann.text == "oh, hello")
        assert ann.process.text() == bob.process.text()


@in_virtual_time
async def test_a_turns_changes_are_one_message_and_cause_no_question() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        second = await ann.process.open()
        await processes.calm()
        processes.wire.forget()
        ann.type("a")
        ann.show()
        second.type("b")
        second.show()
        await until(lambda: len(bob.text) == 2 and bob.sees == present(ann, second))
        await processes.calm()
        assert processes.wire.kinds(sender=ann.process).count("change") == 1
        await pause()
        assert "ask" not in processes.wire.kinds()


@in_virtual_time
async def test_an_update_is_stored_by_the_process_it_came_to_and_by_no_other() -> None:
    async with cluster(timings={"timeout": 0.1}) as processes:
        ann, bob = await two(processes)
        ann.type("hello")
        await processes.wait_stored("hello")
        await until(lambda: bob.text == "hello")
        await hold_no_updates(bob.process)
        # Longer than the time after which it would store them itself, on the virtual clock.
        await asyncio.sleep(0.15)
        assert len(await processes.rows()) == 1
        assert bob.process.storage.calls["append"] == 0


@in_virtual_time
async def test_each_room_hears_of_its_own_document_only() -> None:
    async with cluster() as processes:
        first, second = processes.start(), processes.start()
        ann, bob = await first.open("notes"), await second.open("plans")
        ann.type("hello")
        await processes.wait_stored("hello")
        await pause()
        assert bob.text == ""
        assert processes.wire.kinds() == []


async def test_messages_of_a_room_that_is_not_open_here_are_left_alone() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        message = {**ann.process.link()._message("change", number=1), "room": "plans"}
        await processes.layer.send(bob.process.channel, message)
        ann.type("hello")
        await until(lambda: bob.text == "hello")


# Many rooms, and many processes.

ROOMS = [f"room{number}" for number in range(5)]


async def meet_in_all(processes: Cluster) -> list[tuple[Client, Client]]:
    """Return a client in each of two processes for each of the rooms; all have met."""
    ann, bob = await two(processes)
    pairs = [(await ann.process.open(name), await bob.process.open(name)) for name in ROOMS]
    for one, other in pairs:
        one.type("before ")
        await until(lambda other=other: other.text == "before ")  # type: ignore[misc]
        other.type("before ")
        await until(lambda one=one: one.text == "before before ")  # type: ignore[misc]
    await processes.calm()
    await pause()
    processes.wire.forget()
    return pairs


async def all_type(processes: Cluster, letters: str) -> list[list[str]]:
    """Type in all rooms at once; return which rooms were published together."""
    pairs = await meet_in_all(processes)
    (channel,) = {other.process.channel for _, other in pairs}
    for one, _ in pairs:
        one.type(letters)
    await until(lambda: all(other.text.startswith(letters) for _, other in pairs))
    told = processes.wire.changes()
    assert {target for target, _ in told} == {channel}
    assert sorted(room for _, rooms in told for room in rooms) == ROOMS
    return [rooms for _, rooms in told]


@in_virtual_time
async def test_typing_in_many_rooms_in_one_turn_is_one_message() -> None:
    async with cluster() as processes:
        assert len(await all_type(processes, "hello")) == 1


async def test_no_more_messages_go_together_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_MAX_PARTS", 2)
    async with cluster() as processes:
        assert [len(rooms) for rooms in await all_type(processes, "hello")] == [2, 2, 1]


async def test_no_more_bytes_go_together_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_MAX_SIZE", 1000)
    async with cluster() as processes:
        told = await all_type(processes, "letters " * 50)
    assert [len(rooms) for rooms in told] == [2, 2, 1]


async def test_a_large_message_is_sent_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages, "_MAX_SIZE", 100)
    async with cluster() as processes:
        told = await all_type(processes, "letters " * 50)
    assert [len(rooms) for rooms in told] == [1, 1, 1, 1, 1]


def test_presence_counts_among_the_bytes() -> None:
    assert messages._size({"kind": "change", "present": [[1, 1, "{}"], [2, 1, "null"]]}) == 6


async def test_one_room_in_many_processes_is_published_to_its_group() -> None:
    async with cluster() as processes:
        clients = [await processes.start().open() for _ in range(4)]
        await met(processes)
        clients[0].type("hello")
        await until(lambda: all(client.text == "hello" for client in clients))
        assert (relay_group(NOTES), [NOTES]) in processes.wire.changes()


@in_virtual_time
async def test_the_first_message_after_a_pause_waits_for_nothing() -> None:
    async with cluster(timings={"timeout": 0.1}) as processes:
        ann, bob = await two(processes)
        processes.timings.pace = 1000
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        ann.type("oh, ")
        await pause()
        assert len(processes.wire.changes()) == 1


@in_virtual_time
async def test_the_news_of_a_closing_room_come_before_its_goodbye() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.timings.pace = 0.2
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        ann.type("oh, ")
        ann.leave()
        await until(lambda: not ann.process.hub.rooms)
        await until(lambda: "bye" in processes.wire.kinds())
        assert bob.text == "oh, hello"
        assert processes.wire.kinds()[-2:] == ["change", "bye"]
        assert "ask" not in processes.wire.kinds()


@pytest.mark.parametrize("error", [LookupError, type("PanicException", (BaseException,), {})])
async def test_a_room_that_cannot_be_published_does_not_delay_the_others(
    error: type[BaseException], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Message:
        raise error

    async with cluster() as processes:
        pairs = await meet_in_all(processes)
        with monkeypatch.context() as patch:
            patch.setattr(pairs[1][0].process.link(ROOMS[1]), "next_message", fail)
            for ann, _ in pairs:
                ann.type("hello, ")
            await until(lambda: pairs[-1][1].text.startswith("hello, "))
        assert caplog.records[0].__dict__["room"] == ROOMS[1]
        # What it was is still there, and goes with what comes next.
        ann, bob = pairs[1]
        ann.type("oh, ")
        await until(lambda: bob.text.startswith("oh, hello, "))


def test_an_interrupt_is_not_caught() -> None:
    with pytest.raises(KeyboardInterrupt), relay._isolated("A room fails.", NOTES):
        raise KeyboardInterrupt


@in_virtual_time
async def test_a_process_that_is_full_gets_the_news_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.failures = {"send": ChannelFull()}
        ann.type("hello")
        await processes.calm()
        processes.wire.failures.clear()
        await until(lambda: bob.text == "hello")
        assert caplog.records == []


# The layer is cut off.


@in_virtual_time
async def test_a_group_that_the_layer_has_forgotten_is_joined_again() -> None:
    async with cluster(timings={"digest": 0.05, "timeout": 0.1}) as processes:
        ann, bob = await two(processes)
        for group in list(processes.wire.groups):
            await processes.layer.group_discard(group, bob.process.channel)
        # What goes from one process to another does not need the group.
        processes.wire.loses = losing("change", "digest")
        ann.type("hello")
        await processes.calm()
        assert bob.text == ""
        await until(lambda: bob.text == "hello")
        assert any(bob.process.channel in group for group in processes.wire.groups.values())


async def test_a_process_that_was_alone_while_it_was_cut_off_is_asked_afterwards() -> None:
    async with cluster(timings={"digest": 0.05, "timeout": 0.1}) as processes:
        ann, bob = await two(processes)
        for process in (ann.process, bob.process):
            process.storage.failures["append"] = OSError("full")
        processes.wire.loses = lambda channel, message: True
        ann.type("a")
        bob.type("b")
        await until(lambda: len(processes.wire.lost) > 10)
        processes.wire.loses = losing()
        await until(lambda: len(ann.text) == 2 and ann.text == bob.text)


async def test_without_any_message_the_storage_brings_the_updates_of_others() -> None:
    async with cluster(RELAY_STORAGE_INTERVAL=0.02) as processes:
        processes.wire.loses = lambda channel, message: True
        ann, bob = await processes.start().open(), await processes.start().open()
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        bob.type("oh, ")
        await until(lambda: ann.text == "oh, hello")


@in_virtual_time
async def test_a_layer_that_fails_is_logged_once_and_ends_no_editing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster(timings=QUICK, RELAY_STORAGE_INTERVAL=0.05) as processes:
        ann, bob = await two(processes)
        error = ConnectionError("no route")
        processes.wire.failures = {"group_send": error, "send": error, "group_add": error}
        ann.type("hello")
        await processes.wait_stored("hello")
        await until(lambda: ann.saved == 1)
        await until(lambda: bob.text == "hello")
        assert [record.getMessage() for record in caplog.records] == [
            "The channel layer fails (ConnectionError)."
        ]
        processes.wire.failures.clear()
        bob.type("oh, ")
        await until(lambda: ann.text == "oh, hello")


async def test_a_layer_from_which_nothing_can_be_received_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster(timings=QUICK, RELAY_STORAGE_INTERVAL=0.05) as processes:
        ann, bob = await two(processes)
        processes.wire.failures = {"receive": ConnectionError("gone")}
        ann.type("hello")
        await until(lambda: caplog.records)
        await until(lambda: bob.text == "hello")
        processes.wire.failures.clear()
        bob.type("oh, ")
        await until(lambda: ann.text == "oh, hello")


async def test_a_document_opens_although_its_group_cannot_be_joined() -> None:
    async with cluster(timings=QUICK, RELAY_STORAGE_INTERVAL=0.05) as processes:
        processes.wire.failures = {"group_add": ConnectionError("gone")}
        ann, bob = await processes.start().open(), await processes.start().open()
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        processes.wire.failures.clear()
        await until(lambda: bob.process.link().peers)


async def test_a_layer_that_is_away_when_the_first_document_opens_is_used_when_it_is_back() -> None:
    async with cluster(timings=QUICK, RELAY_STORAGE_INTERVAL=0.05) as processes:
        processes.wire.failures = {"new_channel": ConnectionError("gone")}
        ann, bob = await processes.start().open(), await processes.start().open()
        ann.type("hello")
        await until(lambda: ann.saved == 1)
        await until(lambda: bob.text == "hello")
        processes.wire.failures.clear()
        await until(lambda: bob.process.link().peers and ann.process.link().peers)


async def test_all_rooms_of_a_process_have_one_channel() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        before = ann.process.channel
        others = await ann.process.open("plans"), await bob.process.open("plans")
        others[0].type("plan")
        await until(lambda: others[1].text == "plan")
        assert ann.process.channel == before


async def test_a_document_opens_although_the_layer_hangs() -> None:
    async with cluster(timings=QUICK, RELAY_STORAGE_INTERVAL=0.05) as processes:
        for verb in ("group_add", "group_send", "send"):
            processes.wire.gates[verb] = asyncio.Event()
        ann, bob = await processes.start().open(), await processes.start().open()
        ann.type("hello")
        await until(lambda: ann.saved == 1)
        await until(lambda: bob.text == "hello")


async def test_messages_that_wait_for_a_stuck_layer_are_bounded() -> None:
    async with cluster() as processes:
        ann, _ = await two(processes)
        processes.wire.gates["group_send"] = asyncio.Event()
        link, hub = ann.process.link(), ann.process.hub
        assert hub.relay is not None
        for _ in range(relay._MAX_POSTS + 10):
            hub.relay.post(link._message("later version"), channel=ann.process.channel)
        assert len(hub.relay._posts) == relay._MAX_POSTS
        hub.relay._posts.clear()


async def test_a_long_lived_room_joins_its_group_again_before_the_layer_forgets_it() -> None:
    layer = Wire()
    layer.group_expiry = 0.1
    async with cluster(layer=layer) as processes:
        ann, bob = await two(processes)
        for group in list(layer.groups):
            await layer.group_discard(group, bob.process.channel)
        await until(lambda: any(bob.process.channel in group for group in layer.groups.values()))
        ann.type("hello")
        await until(lambda: bob.text == "hello")


async def test_a_room_whose_clock_fails_does_not_stop_those_of_others(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(timings={"timeout": 0.05}) as processes:
        ann, bob = await two(processes)
        plans = await bob.process.open("plans")

        def fail(before: float | None = None) -> list[bytes]:
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(bob.process.link(), "adopt", fail)
            ann.process.storage.hold("append")
            ann.type("hello")
            # Without a room, others may be about a layer that was slow.
            await until(lambda: any("room" in vars(record) for record in caplog.records))
        named = [vars(record)["room"] for record in caplog.records if "room" in vars(record)]
        assert set(named) == {NOTES}
        others = await ann.process.open("plans")
        others.type("plan")
        await until(lambda: plans.text == "plan")
        # The room is looked at again, and the clock went on for both.
        await processes.wait_stored("hello")
        await processes.wait_stored("plan", "plans")


# The end.


async def test_the_relay_ends_with_the_last_room_and_begins_again_with_the_next() -> None:
    async with cluster() as processes:
        before = asyncio.all_tasks()
        ann, bob = await two(processes)
        ann.leave()
        bob.leave()
        await until(lambda: asyncio.all_tasks() <= before)
        ann, bob = await ann.process.open(), await bob.process.open()
        ann.type("hello")
        await until(lambda: bob.text == "hello")


@in_virtual_time
async def test_a_process_whose_layer_hangs_ends_in_bounded_time() -> None:
    async with cluster(timings={"timeout": 0.05}) as processes:
        ann, _ = await two(processes)
        for verb in ("group_discard", "group_send", "send"):
            processes.wire.gates[verb] = asyncio.Event()
        hub = ann.process.hub
        assert hub.relay is not None
        for _ in range(1000):
            hub.relay.post({"kind": "later version"}, channel=ann.process.channel)
        async with asyncio.timeout(2):
            await hub.close()


async def test_failing_work_of_the_relay_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise LookupError

    async with cluster() as processes:
        ann, _ = await two(processes)
        relay_of_ann = ann.process.hub.relay
        assert relay_of_ann is not None
        relay_of_ann.tasks.start(fail(), "reread", NOTES)
        await until(lambda: caplog.records)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


# Messages of another version.


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "later version"},
        {"kind": "change"},
        {"kind": "digest", "number": 1},
        {"kind": "change", "number": "one"},
        {"kind": "answer", "number": 1, "stored": 1},
        {"kind": "change", "number": 10_000_000, "update": b"nonsense"},
        {"kind": "several"},
        {"kind": "several", "parts": [1]},
    ],
    ids=str,
)
async def test_a_message_of_a_later_version_is_logged_and_harms_nothing(
    fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        message = {**ann.process.link()._message("later"), "from": "later", **fields}
        message["channel"] = "later.version"
        await processes.layer.send(bob.process.channel, message)
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        bob.type("oh, ")
        await until(lambda: ann.text == "oh, hello")
        await processes.wait_stored("oh, hello")
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert caplog.records[0].__dict__["room"] == NOTES
        assert "nonsense" not in caplog.text
