"""Events that server code tells, and those that are kept for who comes later."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.core.exceptions import SynchronousOnlyOperation
from django.core.management import call_command
from django.db import transaction

from collab.live import (
    LiveConsumer,
    abroadcast_notification,
    action,
    apublish,
    broadcast_notification,
    consumer,
    publish,
)
from collab.live.actions import call_queue
from collab.live.connections.heard_groups import HeardGroups
from collab.live.events import events
from collab.live.events.groups import Event, local_members, send
from collab.live.models import EventGroup, KeptEvent
from tests.harness.waiting import DEADLINE
from tests.live.talking import Talker, talking

pytestmark = [pytest.mark.usefixtures("memory"), pytest.mark.django_db(transaction=True)]


class Chart(LiveConsumer):
    """Hears of a group from the beginning."""

    async def on_connected(self) -> None:
        await self.add_group("chart")

    @action
    async def listen(self, group: str) -> None:
        await self.add_group(group)


async def numbers(client: Talker, count: int) -> list[int]:
    return [(await client.next(action="point"))["data"] for _ in range(count)]


async def in_thread(work: Callable[[], object]) -> None:
    await sync_to_async(work)()


async def test_an_event_is_sent_after_the_commit() -> None:
    def work() -> None:
        publish("chart", "point", 1)
        with transaction.atomic():
            publish("chart", "point", 2)
            with pytest.raises(LookupError), transaction.atomic():
                publish("chart", "point", 3)
                raise LookupError
            publish("chart", "point", 4)
        with pytest.raises(LookupError), transaction.atomic():
            publish("chart", "point", 5)
            raise LookupError

    async with talking(Chart) as ann:
        await in_thread(work)
        assert await numbers(ann, 3) == [1, 2, 4]
        assert await ann.quiet()


async def test_an_event_keeps_the_payload_of_its_publication() -> None:
    def work() -> None:
        payload = {"x": 1}
        with transaction.atomic():
            publish("chart", "point", payload)
            payload["x"] = 2

    async with talking(Chart) as ann:
        await in_thread(work)
        assert (await ann.next(action="point"))["data"] == {"x": 1}


async def test_a_late_client_gets_the_kept_events_in_order() -> None:
    for number in range(1, 6):
        await apublish("chart", "point", number, replay=3)
    async with talking(Chart) as ann:
        assert await numbers(ann, 3) == [3, 4, 5]
        await apublish("chart", "point", 6, replay=3)
        frame = await ann.next(action="point")
        assert (frame["data"], frame["number"], frame["group"]) == (6, 6, "chart")
        assert await ann.quiet()
    assert await KeptEvent.objects.acount() == 3
    assert str(await EventGroup.objects.aget()) == "chart"
    kept = await KeptEvent.objects.afirst()
    assert str(kept).endswith(" 4")


async def test_a_reconnected_client_gets_missed_events_and_none_twice() -> None:
    for number in range(1, 4):
        await apublish("chart", "point", number, replay=10)
    async with talking(Chart, "ws/room") as ann:
        await ann.call("hello", since={"chart": 2, "other": "x"})
        assert await numbers(ann, 1) == [3]
        await ann.call("hello", since={"chart": 2})
        assert await ann.quiet()


async def test_an_event_during_a_replay_is_sent_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await apublish("late", "point", 1, replay=10)

    def slow(group: str, after: int = 0) -> list[Event]:
        found = events.kept_events(group, after)
        if group == "late":
            publish("late", "point", 2, replay=10)
            publish("late", "point", 3)
        return found

    monkeypatch.setattr("collab.live.connections.heard_groups.kept_events", slow)
    async with talking(Chart) as ann:
        await ann.send(action="listen", group="late")
        told = await numbers(ann, 3)
        assert [number for number in told if number != 3] == [1, 2]
        await ann.next(action="listen")
        assert await ann.quiet(), ann.frames


async def test_events_that_cannot_be_looked_up_hold_up_no_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(group: str, after: int = 0) -> list[Event]:
        raise ConnectionError("away")

    monkeypatch.setattr("collab.live.connections.heard_groups.kept_events", fail)
    async with talking(Chart, "ws/room") as ann:
        await ann.call("hello")
        await apublish("chart", "point", 1, replay=10)
        assert await numbers(ann, 1) == [1]
    assert caplog.messages == ["Stored events could not be read; the client misses them."]


async def test_an_event_that_is_kept_and_cannot_be_read_holds_up_no_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Handling(Chart):
        @consumer("point")
        async def on_point(self, event: dict[str, Any]) -> None:
            await self.reply("point", event["payload"])

    await kept_only(1, 2, 3)
    await KeptEvent.objects.filter(number=2).aupdate(json="{")
    async with talking(Handling, "ws/room") as ann:
        await ann.call("hello")
        assert await numbers(ann, 2) == [1, 3]
    assert caplog.messages == ["Stored events could not be read; the client misses them."]


async def test_a_group_that_was_left_meanwhile_sends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Leaving(Chart):
        @consumer("last")
        async def on_last(self, event: dict[str, Any]) -> None:
            await self.remove_group("chart")

        @action
        async def leave(self) -> None:
            await self.remove_group("chart")

    await apublish("chart", "point", 1, replay=10)
    async with talking(Leaving, "ws/room") as ann:
        # The first frame lets older events be looked up, behind the call.
        await ann.send(action="leave", request_id="leave")
        await ann.next(request_id="leave")
        assert await ann.quiet()


async def test_a_group_left_while_kept_events_are_read_sends_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Leaving(Chart):
        @action(detached=True)
        async def leave(self) -> None:
            await self.remove_group("late")

    gate, asked = threading.Event(), threading.Event()

    def slow(group: str, after: int = 0) -> list[Event]:
        if group == "late":
            asked.set()
            gate.wait(DEADLINE)
        return events.kept_events(group, after)

    monkeypatch.setattr("collab.live.connections.heard_groups.kept_events", slow)
    await apublish("late", "point", 1, replay=10)
    async with talking(Leaving) as ann:
        await ann.send(action="listen", group="late", request_id="listen")
        await asyncio.to_thread(asked.wait, DEADLINE)
        await ann.call("leave")
        gate.set()
        await ann.next(request_id="listen")
        assert await ann.quiet()


async def test_an_event_that_is_replayed_and_delivered_is_sent_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow(group: str, after: int = 0) -> list[Event]:
        publish(group, "point", 1, replay=10)
        return events.kept_events(group, after)

    monkeypatch.setattr("collab.live.connections.heard_groups.kept_events", slow)
    async with talking(Chart) as ann:
        assert await numbers(ann, 1) == [1]
        assert await ann.quiet()


async def test_an_event_loop_cannot_wait_for_the_database() -> None:
    with pytest.raises(SynchronousOnlyOperation, match="await apublish"):
        publish("chart", "point", 1, replay=3)
    async with talking(Chart) as ann:
        publish("chart", "point", 1)
        assert await numbers(ann, 1) == [1]


async def test_a_payload_that_is_not_json_is_an_error_of_the_publisher() -> None:
    with pytest.raises(TypeError):
        await apublish("chart", "point", object())
    with pytest.raises(ValueError, match="JSON"):
        await apublish("chart", "point", float("nan"))


async def test_handlers_get_messages_of_the_channel_layer_too() -> None:
    class Raw(Chart):
        @consumer("chart.raw")
        async def handle(self, event: dict[str, Any]) -> None:
            await self.send_json({"raw": event["value"]})

        async def chart_plain(self, event: dict[str, Any]) -> None:
            await self.send_json({"plain": event["value"]})

    from channels.layers import get_channel_layer

    async with talking(Raw) as ann, talking(Raw, "ws/room") as bob:
        await bob.call("hello")
        for client in (ann, bob):
            await client.quiet()
        await get_channel_layer().group_send("chart", {"type": "chart.raw", "value": 1})
        await get_channel_layer().group_send("chart", {"type": "chart.plain", "value": 2})
        for client in (ann, bob):
            await client.next(raw=1)
            await client.next(plain=2)


async def test_a_connection_that_cannot_keep_up_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_queue, "MAX_EVENTS", 3)

    class Slow(Chart):
        @consumer("slow")
        async def handle(self, event: dict[str, Any]) -> None:
            await self.reply("slow")

    async with talking(Slow) as ann:
        for _ in range(10):
            publish("chart", "slow")
        assert await ann.closed() == 1013


async def test_events_of_one_commit_may_be_more_than_the_calls_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_queue, "MAX_WAITING", 3)

    class Noting(Chart):
        @consumer("noted")
        async def handle(self, event: dict[str, Any]) -> None:
            await self.reply("noted", event["payload"])

    async with talking(Noting) as ann:
        for number in range(1_000):
            publish("chart", "noted", number)
        told = [(await ann.next(action="noted"))["data"] for _ in range(1_000)]
        assert told == list(range(1_000))


async def kept_only(*numbers: int) -> None:
    """Keep events that no connection hears: the channel layer has lost them."""
    for number in numbers:
        await sync_to_async(events._keep)(Event("point", "chart", str(number)), 10)


async def test_lost_kept_events_are_sent_before_the_next_one() -> None:
    async with talking(Chart) as ann:
        await apublish("chart", "point", 1, replay=10)
        await kept_only(2, 3)
        await apublish("chart", "point", 4, replay=10)
        assert await numbers(ann, 4) == [1, 2, 3, 4]
        await apublish("chart", "point", 5, replay=10)
        assert await numbers(ann, 1) == [5]
        assert await ann.quiet()


async def test_kept_events_that_overtake_each_other_are_sent_in_order_and_once() -> None:
    await kept_only(1, 2, 3, 4)
    async with talking(Chart) as ann:
        assert await numbers(ann, 4) == [1, 2, 3, 4]
        await kept_only(5, 6, 7)
        for number in (7, 6, 5, 7):
            send(Event("point", "chart", str(number), number))
        assert await numbers(ann, 3) == [5, 6, 7]
        send(Event("point", "chart", "6", 6))
        assert await ann.quiet()


async def test_events_that_wait_for_older_ones_are_bounded(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_queue, "MAX_EVENTS", 3)
    let = threading.Event()

    def slow(group: str, after: int = 0) -> list[Event]:
        assert let.wait(DEADLINE)
        return []

    async with talking(Chart) as ann:
        await ann.quiet()
        monkeypatch.setattr("collab.live.connections.heard_groups.kept_events", slow)
        for number in range(2, 8):
            send(Event("point", "chart", "1", number))
        assert await ann.closed() == 1013
        let.set()


async def test_numbers_of_events_that_a_client_sends_are_bounded() -> None:
    await kept_only(1, 2)
    async with talking(Chart, "ws/room") as ann:
        many = {str(number): number for number in range(5_000)}
        for _ in range(2):
            await ann.call("hello", since={"chart": 1, "other": 10**30, "none": -1, **many})
        [chart] = local_members("chart")
        assert isinstance(chart, HeardGroups)
        assert len(chart._since) < 1_000
        assert chart._since.keys().isdisjoint({"other", "none"})
        assert await numbers(ann, 1) == [2]
        assert await ann.quiet()


async def test_a_group_whose_kept_events_cannot_be_read_can_be_joined_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await apublish("late", "point", 1, replay=10)

    def fail(group: str, after: int = 0) -> list[Event]:
        raise ConnectionError("away")

    async with talking(Chart) as ann:
        monkeypatch.setattr("collab.live.connections.heard_groups.kept_events", fail)
        assert (await ann.call("listen", group="late"))["response_status"] == 500
        assert not local_members("late")
        monkeypatch.undo()
        await ann.call("listen", group="late")
        assert await numbers(ann, 1) == [1]
        # And again, it has heard them.
        await ann.call("listen", group="late")
        assert await ann.quiet()


async def test_groups_of_the_server_itself_are_out_of_reach() -> None:
    async with talking(Chart) as ann:
        for group in ("collab.user.7", "collab.everybody", ""):
            assert (await ann.call("listen", group=group))["response_status"] == 500
        await abroadcast_notification("for somebody else", user=7)
        assert await ann.quiet()
    for group, event_type in [("collab.everybody", "a"), ("a", "collab.rows"), ("a", "")]:
        with pytest.raises(ValueError, match=r"is reserved|1 to 255"):
            await apublish(group, event_type)
        with pytest.raises(ValueError, match=r"is reserved|1 to 255"):
            await in_thread(lambda: publish(group, event_type, replay=1))  # noqa: B023
    with pytest.raises(ValueError, match="is reserved"):
        await abroadcast_notification("a", group="collab.user.7")
    with pytest.raises(ValueError, match="1 to 255"):
        # Not everybody.
        await abroadcast_notification("a", group="")


async def test_replay_in_an_event_loop_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(event: Event, replay: int) -> int:
        raise ConnectionError("away")

    monkeypatch.setattr(events, "_keep", fail)
    with pytest.raises(ConnectionError):
        await in_thread(lambda: publish("chart", "point", 1, replay=1))
    with pytest.raises(ConnectionError):
        await apublish("chart", "point", 1, replay=1)


def test_events_kept_by_async_code_are_part_of_the_callers_transaction() -> None:
    with pytest.raises(LookupError), transaction.atomic():
        async_to_sync(apublish)("chart", "point", 1, replay=10)
        raise LookupError
    assert events.kept_events("chart") == []
    with transaction.atomic():
        async_to_sync(apublish)("chart", "point", 2, replay=10)
        assert events.kept_events("chart") == []
    assert [event.payload for event in events.kept_events("chart")] == [2]


def test_handlers_of_events_are_async() -> None:
    with pytest.raises(TypeError, match="write async def"):

        @consumer("told")
        def on_told(self: Any, event: dict[str, Any]) -> None: ...


# Notifications.


async def test_notifications_reach_a_user_a_group_or_all_users() -> None:
    user = User(pk=7)
    async with talking(Chart, user=user) as ann, talking(LiveConsumer) as bob:
        await abroadcast_notification("to ann", user=user)
        await abroadcast_notification("to ann", user=7)
        await in_thread(lambda: broadcast_notification("to the chart", group="chart"))
        await abroadcast_notification("to all")
        told = [(await ann.next(action="notification"))["data"] for _ in range(4)]
        assert told == ["to ann", "to ann", "to the chart", "to all"]
        assert (await bob.next(action="notification"))["data"] == "to all"
        assert await ann.quiet()
        assert await bob.quiet()


@pytest.mark.parametrize(("options", "level"), [([], "system"), (["--maintenance"], "maintenance")])
async def test_a_command_shows_a_message_to_all_users(options: list[str], level: str) -> None:
    async with talking(LiveConsumer) as ann:
        await in_thread(lambda: call_command("collab_broadcast", "Operations", "Bye", *options))
        frame = await ann.next(action="system")
        assert frame["data"] == {"level": level, "source": "Operations", "message": "Bye"}
