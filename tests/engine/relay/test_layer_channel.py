"""A channel that stays in its groups whatever the layer does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from typing import Any

import pytest
from channels.exceptions import ChannelFull

from collab.engine.relay.layer_channel import ChannelLayer, LayerChannel, Message
from collab.engine.runtime.counters import counters
from tests.engine.processes import Wire
from tests.harness.waiting import DEADLINE, until

ERROR = ConnectionError("gone")


@asynccontextmanager
async def channel_of(
    layer: ChannelLayer, **options: Any
) -> AsyncIterator[tuple[LayerChannel, list[Message]]]:
    """A started channel, and the messages that it receives; no task is left afterwards."""
    before, received = asyncio.all_tasks(), list[Message]()
    options = {"handle": received.append, "pause": 0.001, **options}
    channel = LayerChannel(layer, **options)
    await channel.start()
    try:
        yield channel, received
    finally:
        await channel.close()
    await until(lambda: asyncio.all_tasks() <= before)


async def is_in(layer: Wire, group: str, channel: LayerChannel) -> None:
    await until(lambda: channel.name in layer.groups.get(group, {}))


async def test_messages_of_its_groups_and_its_own_are_received() -> None:
    layer = Wire()
    async with channel_of(layer) as (channel, received):
        await channel.join("news")
        assert await channel.send({"type": "a", "kind": "a"}, group="news")
        assert await channel.send({"type": "b", "kind": "b"}, channel=channel.name)
        await until(lambda: [message["kind"] for message in received] == ["a", "b"])
        await channel.leave("news")
        await channel.send({"type": "c", "kind": "c"}, group="news")
        await channel.send({"type": "d", "kind": "d"}, channel=channel.name)
        await until(lambda: received[-1]["kind"] == "d")
        assert len(received) == 3


async def test_it_leaves_its_groups_when_it_is_closed() -> None:
    layer = Wire()
    async with channel_of(layer) as (channel, _):
        await channel.join("news")
    assert not layer.groups.get("news")


async def test_the_next_message_waits_for_the_handler_of_the_last() -> None:
    layer, done = Wire(), asyncio.Event()
    began: list[Message] = []

    async def handle(message: Message) -> None:
        began.append(message)
        await done.wait()

    async with channel_of(layer, handle=handle) as (channel, _):
        for kind in "ab":
            await channel.send({"type": "x", "kind": kind}, channel=channel.name)
        await until(lambda: began)
        await asyncio.sleep(0)
        assert len(began) == 1
        done.set()
        await until(lambda: len(began) == 2)


async def test_a_handler_that_fails_ends_receiving_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(message: Message) -> None:
        raise LookupError

    layer = Wire()
    async with channel_of(layer, handle=fail) as (channel, _):
        await channel.send({"type": "x", "kind": "x"}, channel=channel.name)
        await until(lambda: caplog.records)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_the_failure_of_a_handler_is_its_owners_where_it_has_one() -> None:
    def fail(message: Message) -> None:
        raise LookupError

    layer, failures = Wire(), list[BaseException]()
    async with channel_of(layer, handle=fail, on_failed=failures.append) as (channel, _):
        await channel.send({"type": "x", "kind": "x"}, channel=channel.name)
        await until(lambda: failures)
    assert isinstance(failures[0], LookupError)


@pytest.mark.parametrize("verb", ["new_channel", "group_add"])
async def test_a_layer_that_is_away_is_not_waited_for_and_joined_when_it_is_back(
    verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    layer = Wire()
    layer.failures = {verb: ERROR}
    async with channel_of(layer) as (channel, received):
        await channel.join("news")
        layer.gates["group_add"] = asyncio.Event()
        await channel.join("sports")
        layer.gates.pop("group_add").set()
        layer.failures.clear()
        await is_in(layer, "news", channel)
        await is_in(layer, "sports", channel)
        await channel.send({"type": "x", "kind": "x"}, group="sports")
        await until(lambda: received)
    assert caplog.messages == ["The channel layer fails (ConnectionError)."]


async def test_a_group_that_is_left_while_the_layer_is_away_is_not_joined_again() -> None:
    layer = Wire()
    async with channel_of(layer) as (channel, _):
        await channel.join("news")
        layer.failures = {"receive": ERROR, "group_add": ERROR}
        await channel.send({"type": "x", "kind": "x"}, channel=channel.name)
        await channel.join("sports")
        await channel.leave("sports")
        layer.failures.clear()
        layer.groups.clear()
        await is_in(layer, "news", channel)
        assert "sports" not in layer.groups


async def test_groups_are_joined_again_before_the_layer_forgets_them() -> None:
    layer = Wire()
    layer.group_expiry = 0.02
    async with channel_of(layer) as (channel, _):
        await channel.join("news")
        layer.groups.clear()
        await is_in(layer, "news", channel)


async def test_a_layer_that_hangs_costs_a_bounded_time() -> None:
    layer = Wire()
    async with channel_of(layer, timeout=0.01) as (channel, _):
        await channel.join("news")
        for verb in ("group_add", "group_discard", "group_send", "send"):
            layer.gates[verb] = asyncio.Event()
        async with asyncio.timeout(DEADLINE):
            await channel.join("sports")
            assert not await channel.send({"type": "x"}, group="news")
            assert not await channel.send({"type": "x"}, channel=channel.name)
            await channel.leave("news")


async def test_a_failure_is_logged_once_by_all_channels_of_a_layer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    layer = Wire()
    async with channel_of(layer) as (one, _), channel_of(layer) as (other, _):
        layer.failures = {"group_send": ERROR}
        for channel in (one, other, one):
            assert not await channel.send({"type": "x"}, group="news")
        layer.failures.clear()
    assert len(caplog.records) == 1


async def test_a_receiver_that_is_full_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    layer = Wire()
    async with channel_of(layer) as (channel, _):
        layer.failures = {"send": ChannelFull()}
        assert not await channel.send({"type": "x"}, channel=channel.name)
    assert caplog.records == []


class StubbornLayer(Wire):
    """Swallows a cancellation now and then, as the Redis layer does."""

    def __init__(self) -> None:
        super().__init__()
        self.swallowed = 0

    async def receive(self, channel: str) -> Message:
        try:
            return await super().receive(channel)
        except asyncio.CancelledError:
            if self.swallowed == 2:
                raise
            self.swallowed += 1
            return {"type": "x", "kind": "x", "channel": channel}


async def test_a_channel_ends_although_the_layer_swallows_cancellations() -> None:
    layer = StubbornLayer()
    async with channel_of(layer):
        await asyncio.sleep(0)
    assert layer.swallowed == 2


async def test_a_closed_channel_can_be_started_again() -> None:
    layer = Wire()
    async with channel_of(layer) as (channel, received):
        await channel.join("news")
        await channel.close()
        await channel.start()
        await channel.join("news")
        await channel.send({"type": "x", "kind": "x"}, group="news")
        await until(lambda: received)


async def test_messages_of_another_project_are_dropped_and_counted() -> None:
    layer = Wire()
    before = counters.relay_foreign_messages
    async with channel_of(layer, token="ours") as (channel, received):
        await layer.send(channel.name, {"type": "x", "kind": "foreign", "token": "theirs"})
        await channel.send({"type": "x", "kind": "own"}, channel=channel.name)
        await until(lambda: received)
        assert [message["kind"] for message in received] == ["own"]
    assert counters.relay_foreign_messages == before + 1


async def test_a_layer_that_forgets_nothing_needs_no_rejoining() -> None:
    layer = Wire()
    layer.group_expiry = inf
    async with channel_of(layer) as (channel, received):
        await channel.join("news")
        await channel.send({"type": "x", "kind": "x"}, group="news")
        await until(lambda: received)
        assert channel._rejoin_handle is None
