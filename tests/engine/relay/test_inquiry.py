"""A question to the processes that hold a room, over a layer that all of them share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from collab.engine.relay import inquiry
from collab.engine.relay.inquiry import ask
from collab.engine.relay.layer_channel import LayerChannel, Message
from collab.engine.relay.layer_key import layer_token
from collab.engine.relay.messages import SEVERAL, order
from tests.harness.virtual_time import in_virtual_time

GROUP = "group"


class Processes:
    """Processes that hold a room, and answer as a test has it."""

    def __init__(self, layer: InMemoryChannelLayer) -> None:
        self._layer = layer
        self._channels: list[LayerChannel] = []

    async def add(self, name: str, peers: Sequence[str], *, answers: bool = True) -> None:
        """Add a process that knows of ``peers``."""

        async def handle(message: Message) -> None:
            if answers:
                answer = {"kind": "found", "from": name, "peers": [*peers]}
                parts = {"kind": SEVERAL, "parts": [answer]}
                await channel.send(parts if peers else answer, channel=message["channel"])

        channel = LayerChannel(self._layer, handle, token=layer_token())
        self._channels.append(channel)
        await channel.start()
        await channel.join(GROUP)

    async def aclose(self) -> None:
        for channel in self._channels:
            await channel.close()


@pytest.fixture
async def layer() -> InMemoryChannelLayer:
    return InMemoryChannelLayer()


@pytest.fixture
async def processes(layer: InMemoryChannelLayer) -> AsyncIterator[Processes]:
    async with aclosing(Processes(layer)) as processes:
        yield processes


async def answers(layer: Any, known: set[str] | None) -> set[str]:
    found = await ask(layer, GROUP, order("room", "present"), known)
    return {message["from"] for message in found}


async def test_the_first_answer_says_how_many_more_will_come(
    layer: InMemoryChannelLayer, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "FIRST_TIMEOUT", 1000)
    monkeypatch.setattr(inquiry, "ANSWER_TIMEOUT", 1000)
    await processes.add("a", ["b"])
    await processes.add("b", ["a", "c"])
    await processes.add("c", [])
    assert await answers(layer, None) == {"a", "b", "c"}
    assert await answers(layer, {"a"}) == {"a", "b", "c"}


@in_virtual_time
async def test_nothing_is_asked_of_a_room_that_no_other_process_holds() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await answers(InMemoryChannelLayer(), set()) == set()
    assert loop.time() == began


@in_virtual_time
async def test_without_an_answer_no_process_holds_the_room() -> None:
    assert await answers(InMemoryChannelLayer(), None) == set()


@in_virtual_time
async def test_a_process_that_does_not_answer_is_left_out() -> None:
    layer = InMemoryChannelLayer()
    async with aclosing(Processes(layer)) as processes:
        await processes.add("a", ["dead"])
        await processes.add("dead", [], answers=False)
        assert await answers(layer, {"a"}) == {"a"}
