from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from collab import relay
from collab.counts import counts
from collab.relay import Message

from .live import until
from .processes import NOTES, Client, Cluster, Opener, Process, Wire, cluster, last, present

#: Of a Settings the intervals with which what is lost is noticed at once.
QUICK: dict[str, Any] = {
    "RELAY_DIGEST_INTERVAL": 0.05,
    "RELAY_TIMEOUT": 0.1,
    "RELAY_STORAGE_INTERVAL": 0.05,
    "RELAY_PEER_TIMEOUT": 0.3,
}


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_TICK", 0.002)
    monkeypatch.setattr(relay, "_PATIENCE", 0.01)
    monkeypatch.setattr(relay, "_ALL", 0.01)


async def two(processes: Cluster) -> tuple[Client, Client]:
    """Return a client in each of two processes, which have met."""
    ann = await processes.start().open()
    bob = await processes.start().open()
    await met(processes)
    return ann, bob


async def hold_no_updates(process: Process) -> None:
    """Wait until all has been confirmed that others have brought to a process."""
    await until(lambda: not any(p.unconfirmed for p in process.link().peers.values()))


async def met(processes: Cluster) -> None:
    """Wait until all processes know each other and nobody has a question."""
    links = [process.link() for process in processes.processes]
    await until(
        lambda: all(
            len(link.peers) == len(links) - 1
            and all(peer.ask_at is None for peer in link.peers.values())
            for link in links
        )
    )
    await processes.calm()
    await pause()
    if isinstance(processes.layer, Wire):
        processes.wire.forget()


async def pause() -> None:
    """Let many ticks pass: what is due is done, and what was lost has been asked for."""
    await asyncio.sleep(30 * relay._TICK)


def losing(*kinds: str, to: Process | None = None) -> Callable[[str, Message], bool]:
    """Return a rule after which messages of these kinds are lost."""

    def loses(channel: str, message: Message) -> bool:
        return message["kind"] in kinds and (to is None or channel == to.channel)

    return loses


# All is well.


async def test_what_is_typed_in_one_process_is_read_in_the_other() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        bob.type("oh, ")
        await until(lambda: ann.text == "oh, hello")
        assert ann.process.text() == bob.process.text()


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


async def test_an_update_is_stored_by_the_process_it_came_to_and_by_no_other() -> None:
    async with cluster(RELAY_TIMEOUT=0.1) as processes:
        ann, bob = await two(processes)
        ann.type("hello")
        await processes.wait_stored("hello")
        await until(lambda: bob.text == "hello")
        await hold_no_updates(bob.process)
        await asyncio.sleep(0.15)
        assert len(await processes.rows()) == 1
        assert bob.process.storage.calls["append"] == 0


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


# What is lost is asked for.


async def test_a_lost_message_is_asked_for_when_the_next_one_shows_the_gap() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change", "digest")
        before = counts.relay_repaired_gaps
        ann.type("a")
        await until(lambda: processes.wire.lost)
        processes.wire.loses = losing("digest")
        ann.type("b", 1)
        await until(lambda: bob.text == "ab")
        assert processes.wire.kinds(bob.process, ann.process) == ["ask"]
        assert processes.wire.kinds(ann.process, bob.process) == ["change", "answer"]
        assert counts.relay_repaired_gaps == before + 1


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


async def test_a_message_that_comes_again_changes_nothing_and_raises_no_question() -> None:
    async with cluster(RELAY_TIMEOUT=0.1) as processes:
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
        await asyncio.sleep(0.2)
        assert bob.text == "abc"
        assert await processes.rows() == rows
        assert "ask" not in processes.wire.kinds()


async def test_who_is_heard_for_the_first_time_is_asked() -> None:
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


async def test_a_digest_shows_that_the_last_message_was_lost() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change")
        ann.type("hello")
        await until(lambda: processes.wire.lost)
        await until(lambda: bob.text == "hello")
        assert processes.wire.kinds(ann.process, bob.process)[:2] == ["digest", "answer"]


async def test_states_that_differ_in_two_digests_are_a_difference() -> None:
    async with cluster(RELAY_DIGEST_INTERVAL=0.05) as processes:
        ann, bob = await two(processes)
        # Nothing announces it: as if a message had been taken for one that had come.
        processes.wire.loses = losing("change")
        ann.type("hello")
        await until(lambda: ann.process.link()._number == 2 or processes.wire.lost)
        number = ann.process.link()._number
        for peer in bob.process.link().peers.values():
            peer.count(number)
        await until(lambda: bob.text == "hello")
        assert processes.wire.kinds(ann.process, bob.process).count("digest") >= 2


def digest_after_typing(processes: Cluster, client: Client) -> Message:
    """Return the digest that is sent just after somebody has typed."""
    link = client.process.link()
    client.type("x")
    client.process.room().flush()
    link._relay._posts.clear()
    link._send_digest()
    (_, _, digest) = link._relay._posts[-1]
    return digest


async def test_while_people_type_their_states_are_compared_now_and_then_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        monkeypatch.setattr(relay, "_PATIENCE", 0.2)
        assert digest_after_typing(processes, ann)["state"] is None
        await until(lambda: bob.text == "x")
        # The quiet brings a state, which does not wait for the interval.
        await until(lambda: last(processes.wire.carried, "digest")["state"] is not None)
        assert "ask" not in processes.wire.kinds()


async def test_however_long_people_type_states_are_compared_each_interval() -> None:
    async with cluster(RELAY_DIGEST_INTERVAL=1e-6) as processes:
        ann, _ = await two(processes)
        for _ in range(3):
            await pause()
            assert digest_after_typing(processes, ann)["state"] is not None


async def test_what_the_relay_does_is_logged_if_it_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise LookupError

    async with cluster() as processes:
        ann, _ = await two(processes)
        relay_of_ann = ann.process.hub.relay
        assert relay_of_ann is not None
        relay_of_ann.start(fail())
        await until(lambda: caplog.records)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_who_asks_and_knows_more_is_asked_in_turn() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change", "digest")
        ann.type("hello")
        await until(lambda: processes.wire.lost)
        ann.process.link()._ask_all()
        await until(lambda: bob.text == "hello")


async def test_who_asks_for_what_is_on_its_way_is_not_asked_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        monkeypatch.setattr(relay, "_PATIENCE", 0.1)
        processes.wire.loses = losing("change", "digest")
        ann.type("hello")
        await until(lambda: any(m["kind"] == "change" for _, m in processes.wire.lost))
        ann.process.link()._ask_all()
        late = last(processes.wire.lost, "change")
        await until(lambda: "ask" in processes.wire.kinds(to=bob.process))
        processes.wire.loses = losing("digest")
        await processes.layer.send(bob.process.channel, late)
        await until(lambda: bob.text == "hello")
        await until(lambda: not any(p.is_waited_for for p in bob.process.link().peers.values()))
        assert "ask" not in processes.wire.kinds(sender=bob.process)


async def test_a_process_that_does_not_answer_is_asked_again() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change", "answer")
        ann.type("hello")
        await until(lambda: [m["kind"] for _, m in processes.wire.lost].count("answer") == 2)
        processes.wire.loses = losing()
        await until(lambda: bob.text == "hello")


async def test_when_nobody_answers_the_storage_is_read() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.loses = losing("change", "answer")
        before = counts.storage_rereads
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        assert counts.storage_rereads > before
        asked = processes.wire.kinds(bob.process, ann.process)
        assert asked.count("ask") == relay._MAX_ASKS


async def test_what_overtook_the_answer_to_a_gap_is_not_forgotten() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        (peer,) = bob.process.link().peers.values()
        seen = peer.seen
        peer.count(seen + 2)
        peer.count(seen + 4)
        peer.catch_up(seen + 2)
        assert (peer.seen, peer.ahead) == (seen + 2, {seen + 4})
        assert peer.lacks
        peer.count(seen + 3)
        assert (peer.seen, peer.ahead) == (seen + 4, set())
        assert not peer.lacks
        assert ann.text == bob.text


# The layer is cut off.


async def test_a_group_that_the_layer_has_forgotten_is_joined_again() -> None:
    async with cluster(RELAY_DIGEST_INTERVAL=0.05, RELAY_TIMEOUT=0.1) as processes:
        ann, bob = await two(processes)
        for group in list(processes.wire.groups):
            await processes.layer.group_discard(group, bob.process.channel)
        ann.type("hello")
        await processes.calm()
        assert bob.text == ""
        await until(lambda: bob.text == "hello")
        bob.type("oh, ")
        await until(lambda: ann.text == "oh, hello")


async def test_a_process_that_was_alone_while_it_was_cut_off_is_asked_afterwards() -> None:
    async with cluster(RELAY_DIGEST_INTERVAL=0.05, RELAY_TIMEOUT=0.1) as processes:
        ann, bob = await two(processes)
        for process in (ann.process, bob.process):
            process.storage.failures["append"] = OSError("full")
        processes.wire.loses = lambda channel, message: True
        ann.type("a")
        bob.type("b")
        await until(lambda: len(processes.wire.lost) > 10)
        processes.wire.loses = losing()
        await until(lambda: len(ann.text) == 2 and ann.text == bob.text)


async def test_without_any_message_the_storage_brings_what_others_have_written() -> None:
    async with cluster(RELAY_STORAGE_INTERVAL=0.02) as processes:
        processes.wire.loses = lambda channel, message: True
        ann, bob = await processes.start().open(), await processes.start().open()
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        bob.type("oh, ")
        await until(lambda: ann.text == "oh, hello")


async def test_a_layer_that_fails_is_logged_once_and_ends_no_editing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cluster(**QUICK) as processes:
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
    async with cluster(**QUICK) as processes:
        ann, bob = await two(processes)
        processes.wire.failures = {"receive": ConnectionError("gone")}
        ann.type("hello")
        await until(lambda: caplog.records)
        await until(lambda: bob.text == "hello")
        processes.wire.failures.clear()
        bob.type("oh, ")
        await until(lambda: ann.text == "oh, hello")


async def test_a_document_opens_although_its_group_cannot_be_joined() -> None:
    async with cluster(**QUICK) as processes:
        processes.wire.failures = {"group_add": ConnectionError("gone")}
        ann, bob = await processes.start().open(), await processes.start().open()
        ann.type("hello")
        await until(lambda: bob.text == "hello")
        processes.wire.failures.clear()
        await until(lambda: bob.process.link().peers)


async def test_a_layer_that_is_away_when_the_first_document_opens_is_used_when_it_is_back() -> None:
    async with cluster(**QUICK) as processes:
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
    async with cluster(**QUICK) as processes:
        for verb in ("group_add", "group_send", "send"):
            processes.wire.gates[verb] = asyncio.Event()
        ann, bob = await processes.start().open(), await processes.start().open()
        ann.type("hello")
        await until(lambda: ann.saved == 1)
        await until(lambda: bob.text == "hello")


async def test_what_waits_for_a_stuck_layer_is_bounded_and_its_loss_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "_MAX_UNSENT", 1000)
    async with cluster() as processes:
        ann, bob = await two(processes)
        processes.wire.gates["group_send"] = asyncio.Event()
        link = ann.process.link()
        for _ in range(100):
            ann.type("letters " * 10)
            ann.process.room().flush()
            assert sum(map(len, link._updates)) == link._updates_size <= 1000
        processes.wire.gates.pop("group_send").set()
        await until(lambda: bob.text == ann.text)
        assert "ask" in processes.wire.kinds(bob.process, ann.process)


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
    async with cluster(RELAY_TIMEOUT=0.05) as processes:
        ann, bob = await two(processes)
        plans = await bob.process.open("plans")

        def fail(before: float | None = None) -> list[bytes]:
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(bob.process.link(), "adopt", fail)
            ann.process.storage.hold("append")
            ann.type("hello")
            await until(lambda: caplog.records)
        assert caplog.records[0].__dict__["room"] == NOTES
        others = await ann.process.open("plans")
        others.type("plan")
        await until(lambda: plans.text == "plan")
        # The room is looked at again, and the clock went on for both.
        await processes.wait_stored("hello")
        await processes.wait_stored("plan", "plans")


# Processes that come and go.


async def test_a_process_that_falls_silent_has_its_updates_stored_by_the_others() -> None:
    async with cluster(RELAY_PEER_TIMEOUT=0.2) as processes:
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


async def test_what_is_not_confirmed_in_time_is_stored_by_the_others() -> None:
    async with cluster(RELAY_TIMEOUT=0.1) as processes:
        ann, bob = await two(processes)
        ann.process.storage.hold("append")
        ann.type("hello")
        await processes.wait_stored("hello")
        assert bob.process.storage.calls["append"] == 1


async def test_a_process_that_leaves_says_so() -> None:
    async with cluster() as processes:
        ann, bob = await two(processes)
        ann.show()
        await until(lambda: bob.sees == present(ann))
        ann.leave()
        await until(lambda: not ann.process.hub.rooms and not bob.process.link().peers)
        assert bob.sees == set()
        assert last(processes.wire.carried, "bye")["from"]


async def test_who_leaves_does_not_make_others_store_what_is_somebody_elses() -> None:
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


async def test_a_goodbye_of_a_process_that_was_never_heard_of_is_nothing() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        bye = {**ann.process.link()._message("bye", stored=0), "from": "stranger"}
        await processes.layer.send(ann.process.channel, bye)
        await pause()
        assert ann.process.link().peers == {}
        assert "ask" not in processes.wire.kinds()


async def test_a_process_that_comes_late_gets_what_is_stored_nowhere() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        ann.process.storage.hold("append")
        ann.type("hello")
        ann.show()
        await pause()
        bob = await processes.start().open()
        await until(lambda: bob.text == "hello" and bob.sees == present(ann))


async def test_what_comes_while_the_document_is_loaded_is_not_missed() -> None:
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


async def test_what_comes_while_the_document_is_loaded_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "_MAX_EARLY", 3)
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


async def test_a_process_whose_layer_hangs_ends_in_bounded_time() -> None:
    async with cluster(RELAY_TIMEOUT=0.05) as processes:
        ann, _ = await two(processes)
        for verb in ("group_discard", "group_send", "send"):
            processes.wire.gates[verb] = asyncio.Event()
        hub = ann.process.hub
        assert hub.relay is not None
        for _ in range(1000):
            hub.relay.post({"kind": "later version"}, channel=ann.process.channel)
        async with asyncio.timeout(2):
            await hub.close()


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


async def test_a_newcomer_in_another_process_sees_everybody() -> None:
    async with cluster() as processes:
        ann = await processes.start().open()
        ann.show()
        bob = await processes.start().open()
        await until(lambda: bob.sees == present(ann))


# I2: told saved only when it is stored.


async def test_what_is_sent_again_elsewhere_is_told_saved_only_when_it_is_stored() -> None:
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


async def test_a_room_is_not_unloaded_while_it_has_what_nobody_has_stored() -> None:
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


async def test_what_a_process_passes_on_for_another_is_stored_when_both_die() -> None:
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


async def test_what_was_repaired_and_is_stored_is_not_stored_again() -> None:
    async with cluster(RELAY_TIMEOUT=0.1) as processes:
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
        await asyncio.sleep(0.2)
        assert len(await processes.rows()) == 1


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
