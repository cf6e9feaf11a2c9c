"""The link that keeps one room equal to those of other processes."""

from __future__ import annotations

import asyncio

import pytest

from collab.engine.relay import room_link as link
from collab.engine.relay.layer_channel import Message
from collab.engine.relay.messages import relay_group
from collab.engine.runtime.counters import counters
from tests.engine.processes import (
    NOTES,
    Client,
    Cluster,
    Opener,
    cluster,
    hold_no_updates,
    last,
    losing,
    met,
    pause,
    present,
    two,
)
from tests.harness.virtual_time import in_virtual_time
from tests.harness.waiting import until

# What is lost is asked for.


@in_virtual_time
async def test_a_lost_message_is_asked_for_when_the_next_one_shows_the_gap() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change", "digest")
        before = counters.relay_repaired_gaps
        ann.type("a")
        await until(lambda: processes.wire.lost)
        processes.wire.loses = losing("digest")
        ann.type("b", 1)
        await until(lambda: bob.text == "ab")
        assert processes.wire.kinds(bob.process, ann.process) == ["ask"]
        assert processes.wire.kinds(ann.process, bob.process) == ["change", "answer"]
        assert counters.relay_repaired_gaps == before + 1


@in_virtual_time
async def test_messages_that_overtake_each_other_raise_no_question() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change", "digest", to=bob.process)
        for at, letter in enumerate("abc"):
            ann.type(letter, at)
            await processes.calm()
        late = [message for _, message in processes.wire.lost if message["kind"] == "change"]
        assert len(late) == 3
        processes.wire.loses = losing("digest")
        for message in reversed(late):
            await processes.layer.send(bob.process.channel, message)
        await until(lambda: bob.text == "abc")
        await pause()
        assert "ask" not in processes.wire.kinds()


@in_virtual_time
async def test_a_message_that_comes_again_changes_nothing_and_raises_no_question() -> None:
    async with cluster(timings={"timeout": 0.1}) as processes:
        ann, bob = await two(processes)
        for at, letter in enumerate("abc"):
            ann.type(letter, at)
            await processes.calm()
        await until(lambda: bob.text == "abc")
        await processes.wait_stored("abc")
        again = [
            message for channel, message in processes.wire.carried if channel == bob.process.channel
        ]
        rows = await processes.rows()
        await hold_no_updates(bob.process)
        for message in again:
            await processes.layer.send(bob.process.channel, message)
        # Twice as long as a process waits for an answer, on the virtual clock.
        await asyncio.sleep(0.2)
        assert bob.text == "abc"
        assert await processes.rows() == rows
        assert "ask" not in processes.wire.kinds()


async def test_a_process_is_asked_at_its_first_message() -> None:
    async with cluster() as processes:
        processes.wire.loses = losing("ask", "answer", "digest")
        ann = await processes.start().open()
        bob = await processes.start().open()
        ann.process.storage.hold("append")
        processes.wire.loses = losing("change", "digest")
        ann.type("a")
        await until(lambda: processes.wire.lost)
        processes.wire.loses = losing("digest")
        ann.type("b", 1)
        await until(lambda: bob.text == "ab")


@in_virtual_time
async def test_a_digest_shows_that_the_last_message_was_lost() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change")
        ann.type("hello")
        await until(lambda: processes.wire.lost)
        await until(lambda: bob.text == "hello")
        assert processes.wire.kinds(ann.process, bob.process)[:2] == ["digest", "answer"]


@in_virtual_time
async def test_states_that_differ_in_two_digests_are_a_difference() -> None:
    async with cluster(timings={"digest": 0.05}) as processes:
        ann, bob = await two(processes)
        # Nothing announces it: as if a message had been taken for one that had come.
        processes.wire.loses = losing("change")
        ann.type("hello")
        await until(lambda: ann.process.link()._number == 2 or processes.wire.lost)
        number = ann.process.link()._number
        for peer in bob.process.link().peers.values():
            peer.receive(number)
        await until(lambda: bob.text == "hello")
        assert processes.wire.kinds(ann.process, bob.process).count("digest") >= 2


def digest_after_typing(client: Client) -> Message:
    """Return the digest that is sent just after somebody has typed."""
    client.type("x")
    client.process.room().flush()
    return client.process.link()._digest()


@in_virtual_time
async def test_while_people_type_their_states_are_compared_now_and_then_only() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.timings.patience = 0.2
        assert digest_after_typing(ann)["state"] is None
        await until(lambda: bob.text == "x")
        # The quiet brings a state, which does not wait for the interval.
        await until(lambda: any(message.get("state") for _, message in processes.wire.carried))
        assert last(processes.wire.carried, "digest")["state"] is not None
        assert "ask" not in processes.wire.kinds()


async def test_however_long_people_type_states_are_compared_each_interval() -> None:
    async with cluster(timings={"digest": 1e-6}) as processes:
        ann, _ = await two(processes)
        for _ in range(3):
            await pause()
            assert digest_after_typing(ann)["state"] is not None


async def test_a_process_that_asks_and_has_more_is_asked_in_turn() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change", "digest")
        ann.type("hello")
        await until(lambda: processes.wire.lost)
        ann.process.link()._ask_all()
        await until(lambda: bob.text == "hello")


@in_virtual_time
async def test_a_process_that_asks_for_updates_on_their_way_is_not_asked_in_turn() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.timings.patience = 0.1
        processes.wire.loses = losing("change", "digest")
        ann.type("hello")
        await until(lambda: any(m["kind"] == "change" for _, m in processes.wire.lost))
        ann.process.link()._ask_all()
        late = last(processes.wire.lost, "change")
        await until(lambda: "ask" in processes.wire.kinds(to=bob.process))
        processes.wire.loses = losing("digest")
        await processes.layer.send(bob.process.channel, late)
        await until(lambda: bob.text == "hello")
        await until(lambda: not any(p.has_question for p in bob.process.link().peers.values()))
        assert "ask" not in processes.wire.kinds(sender=bob.process)


@in_virtual_time
async def test_a_process_that_does_not_answer_is_asked_again() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change", "answer")
        ann.type("hello")
        await until(lambda: [m["kind"] for _, m in processes.wire.lost].count("answer") == 2)
        processes.wire.loses = losing()
        await until(lambda: bob.text == "hello")


async def test_without_an_answer_the_storage_is_read() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change", "answer")
        before = counters.storage_rereads
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        assert counters.storage_rereads > before
        asked = processes.wire.kinds(bob.process, ann.process)
        assert asked.count("ask") == link._MAX_ASKS


async def test_messages_that_overtake_the_answer_to_a_gap_are_not_forgotten() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        (peer,) = bob.process.link().peers.values()
        seen = peer.seen
        peer.receive(seen + 2)
        peer.receive(seen + 4)
        peer.catch_up(seen + 2)
        assert (peer.seen, peer.ahead) == (seen + 2, {seen + 4})
        assert peer.has_gap
        peer.receive(seen + 3)
        assert (peer.seen, peer.ahead) == (seen + 4, set())
        assert not peer.has_gap
        assert ann.text == bob.text


async def test_updates_waiting_for_a_stuck_layer_are_bounded_and_their_loss_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "_MAX_UNSENT", 1000)
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.gates["group_send"] = asyncio.Event()
        ann_link = ann.process.link()
        for _ in range(100):
            ann.type("letters " * 10)
            ann.process.room().flush()
            assert sum(map(len, ann_link._updates)) == ann_link._updates_size <= 1000
        processes.wire.gates.pop("group_send").set()
        await until(lambda: bob.text == ann.text)
        assert "ask" in processes.wire.kinds(bob.process, ann.process)


# Nobody else is there.


def said(processes: Cluster) -> int:
    """Return how many changes a room has told its group."""
    return [target for target, _ in processes.wire.changes()].count(relay_group(NOTES))


async def test_a_room_in_one_process_publishes_at_once_only_after_a_pause() -> None:
    async with cluster(timings={"patience": 1000}) as processes:
        ann = await processes.start().open()
        for letter in "cba":
            ann.type(letter)
            ann.show()
            await processes.calm()
        await pause()
        assert said(processes) == 1
        # Who comes then misses nothing of it, nor of what follows.
        bob = await processes.start().open()
        await until(lambda: bob.text == "abc" and bob.sees == present(ann))
        ann.type("d", 3)
        await until(lambda: bob.text == "abcd")


async def test_delayed_news_of_a_room_are_published_soon() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        ann.type("a")
        await until(lambda: said(processes) == 1)
        ann.type("b")
        await until(lambda: said(processes) == 2)


async def test_delayed_news_of_a_room_are_published_when_it_is_closed() -> None:
    async with cluster(timings={"patience": 1000}) as processes:
        ann = await processes.start().open()
        for letter in "ba":
            ann.type(letter)
            await processes.calm()
        assert said(processes) == 1
        ann.leave()
        await until(lambda: said(processes) == 2)


# Processes that come and go.


async def test_a_process_that_falls_silent_has_its_updates_stored_by_the_others() -> None:
    async with cluster(timings={"peer": 0.2}) as processes:
        ann, bob = await two(processes)
        ann.process.storage.hold("append")
        ann.show()
        ann.type("hello")
        await until(lambda: bob.text == "hello" and bob.sees == present(ann))
        assert await processes.rows() == []
        processes.kill(ann.process)
        await processes.wait_stored("hello")
        await until(lambda: bob.sees == set())
        assert bob.process.link().peers == {}


@in_virtual_time
async def test_updates_that_are_not_confirmed_in_time_are_stored_by_the_others() -> None:
    async with cluster(timings={"timeout": 0.1}) as processes:
        ann, bob = await two(processes)
        ann.process.storage.hold("append")
        ann.type("hello")
        await processes.wait_stored("hello")
        assert bob.process.storage.calls["append"] == 1


async def test_updates_that_their_process_may_still_collect_are_not_stored_by_the_others() -> None:
    async with cluster(timings={"timeout": 100, "digest": 10_000, "peer": 10_000}) as processes:
        ann, bob = await two(processes)
        gate = ann.process.storage.hold("append")
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        now = asyncio.get_running_loop().time()
        bob.process.link().tick(now + 101)
        assert not bob.process.hub.writer.has("notes")
        bob.process.link().tick(now + 1000)
        assert bob.process.hub.writer.has("notes")
        gate.set()


async def test_a_process_that_leaves_says_so() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        ann.show()
        await until(lambda: bob.sees == present(ann))
        ann.leave()
        await until(lambda: not ann.process.hub.rooms and not bob.process.link().peers)
        assert bob.sees == set()
        assert last(processes.wire.carried, "bye")["from"]


@in_virtual_time
async def test_a_leaving_process_does_not_make_others_store_the_updates_of_a_third() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        carl = await processes.start().open()
        await met(processes)
        gate = ann.process.storage.hold("append")
        processes.wire.loses = losing("change", "digest", to=carl.process)
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        carl.leave()
        await until(lambda: len(bob.process.link().peers) == 1)
        gate.set()
        await processes.wait_stored("hello")
        await processes.calm()
        assert len(await processes.rows()) == 1


@in_virtual_time
async def test_a_goodbye_of_an_unknown_process_is_ignored() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        bye = {**ann.process.link()._message("bye", stored=0), "from": "stranger"}
        await processes.layer.send(ann.process.channel, bye)
        await pause()
        assert ann.process.link().peers == {}
        assert "ask" not in processes.wire.kinds()


async def test_a_process_that_joins_late_gets_unsaved_updates() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        ann.process.storage.hold("append")
        ann.type("hello")
        ann.show()
        await pause()
        bob = await processes.start().open()
        await until(lambda: bob.text == "hello" and bob.sees == present(ann))


async def test_messages_during_the_load_are_not_missed() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        other = processes.start()
        gate = other.storage.hold("load")
        opening = asyncio.create_task(other.open())
        await until(lambda: other.storage.calls["load"] and other.channel)
        processes.wire.loses = losing("ask", "answer", "digest")
        ann.process.storage.hold("append")
        ann.type("hello")
        await until(lambda: "change" in processes.wire.kinds(to=other))
        gate.set()
        bob = await opening
        await until(lambda: bob.text == "hello")


async def test_messages_during_the_load_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "_MAX_EARLY", 3)
    async with cluster() as processes:
        ann = await processes.start().open()
        other = processes.start()
        gate = other.storage.hold("load")
        opening = asyncio.create_task(other.open())
        await until(lambda: other.storage.calls["load"] and other.channel)
        for at in range(8):
            ann.type("a", at)
            ann.process.room().flush()
            await until(lambda at=at: processes.wire.kinds(to=other).count("change") > at)  # type: ignore[misc]
        assert other.hub.relay is not None
        await pause()
        assert len(other.hub.relay._links[NOTES]._early) == 3
        gate.set()
        bob = await opening
        await until(lambda: bob.text == "a" * 8)


async def test_two_processes_that_open_a_new_document_at_once_seed_it_once() -> None:
    async with cluster() as processes:
        openers = [Opener("Title") for _ in range(3)]
        members = [processes.start().open(opener=opener) for opener in openers]
        clients = await asyncio.gather(*members)
        await until(lambda: all(client.text == "Title" for client in clients))
        assert len(await processes.rows()) == 1


# Presence.


async def test_presence_is_known_in_all_processes_and_goes_with_its_member() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        carl = await bob.process.open()
        ann.show()
        carl.show()
        await until(lambda: ann.sees == bob.sees == carl.sees == present(ann, carl))
        carl.leave()
        await until(lambda: ann.sees == bob.sees == present(ann))


async def test_a_newcomer_in_another_process_sees_every_member() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        ann.show()
        bob = await processes.start().open()
        await until(lambda: bob.sees == present(ann))


# I2: told saved only when it is stored.


async def test_an_update_sent_again_elsewhere_is_reported_saved_only_once_stored() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        ann.process.storage.hold("append")
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        processes.kill(ann.process)
        gate = bob.process.storage.hold("append")
        again = Client(bob.process, doc=ann.doc)
        await again.enter()
        await until(lambda: bob.process.storage.calls["append"])
        await pause()
        assert again.saved == 0
        gate.set()
        await until(lambda: again.saved == 1)
        assert await processes.stored_text() == "hello"


async def test_a_room_is_not_unloaded_while_it_has_unsaved_updates() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        ann.process.storage.hold("append")
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        processes.kill(ann.process)
        gate = bob.process.storage.hold("append")
        bob.leave()
        await until(lambda: bob.process.storage.calls["append"])
        await pause()
        assert bob.process.hub.rooms
        gate.set()
        await until(lambda: not bob.process.hub.rooms)
        assert await processes.stored_text() == "hello"


async def test_updates_passed_on_for_another_process_are_stored_when_both_die() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        for process in processes.processes:
            process.storage.hold("append")
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        carl = await processes.start().open()
        await until(lambda: carl.text == "hello")
        processes.kill(ann.process)
        processes.kill(bob.process)
        again = Client(carl.process, doc=ann.doc)
        await again.enter()
        await until(lambda: again.saved == 1)
        assert await processes.stored_text() == "hello"


@in_virtual_time
async def test_repaired_updates_that_are_stored_are_not_stored_again() -> None:
    async with cluster(timings={"timeout": 0.1}) as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change", "digest")
        ann.type("hello")
        await processes.wait_stored("hello")
        await processes.calm()
        await until(lambda: processes.wire.lost)
        processes.wire.loses = losing("digest")
        ann.process.link()._number += 1
        ann.show()
        await until(lambda: bob.text == "hello")
        # Twice as long as a process waits for an answer, on the virtual clock.
        await asyncio.sleep(0.2)
        assert len(await processes.rows()) == 1
