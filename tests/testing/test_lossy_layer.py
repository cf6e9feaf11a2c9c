"""The layer that loses messages, over the one in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from collab.testing import LossyChannelLayer
from tests.harness.waiting import DEADLINE


async def arrived(layer: LossyChannelLayer, channel: str, last: int) -> list[int]:
    """Return the numbers that arrive before the message of the number ``last``, sent to end."""
    numbers: list[int] = []
    async with asyncio.timeout(DEADLINE):
        while True:
            message = await layer.receive(channel)
            if message.get("end"):
                return numbers
            numbers.append(message["number"])


async def sent(count: int = 80, **chances: Any) -> list[int]:
    """Send numbered messages through a layer; return the numbers in the order of arrival."""
    layer = LossyChannelLayer(**{"longest": 0.01, **chances})
    channel = await layer.new_channel()
    for number in range(count):
        await layer.send(channel, {"type": "test", "number": number})
    receiving = asyncio.create_task(arrived(layer, channel, count))
    await asyncio.sleep(0)
    while layer._tasks:
        await asyncio.wait(set(layer._tasks))
    # What was late is in the queue now; the end is marked as late, so that it is not lost.
    await layer.send(channel, {"type": "test", "end": True, "collab.late": True})
    return await receiving


async def test_without_chances_it_is_the_layer_that_it_wraps() -> None:
    assert await sent(drop=0, repeat=0, delay=0) == list(range(80))


async def test_messages_are_dropped() -> None:
    numbers = await sent(drop=0.5, repeat=0, delay=0)
    assert 0 < len(numbers) < 80
    assert numbers == sorted(set(numbers))


async def test_messages_are_repeated() -> None:
    numbers = await sent(drop=0, repeat=0.5, delay=0)
    assert set(numbers) == set(range(80))
    assert len(numbers) > 80


async def test_messages_are_delayed_and_so_reordered() -> None:
    numbers = await sent(drop=0, repeat=0, delay=0.5)
    assert sorted(numbers) == list(range(80))
    assert numbers != sorted(numbers)


async def test_the_same_seed_has_the_same_luck() -> None:
    luck = [await sent(drop=0.5, repeat=0, delay=0, seed=seed) for seed in (1, 1, 2)]
    assert luck[0] == luck[1] != luck[2]


async def test_it_wraps_any_layer_and_lets_all_else_through() -> None:
    wrapped = {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 7}}
    layer = LossyChannelLayer(wrapped)
    assert layer.capacity == 7
    await layer.group_add("group", "channel")
    assert "group" in layer.groups
    await layer.flush()


async def test_a_layer_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(ImportError, match="nowhere"):
        LossyChannelLayer({"BACKEND": "nowhere.Layer"})
