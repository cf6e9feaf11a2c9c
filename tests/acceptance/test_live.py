"""Events reach connections of all processes, through a real channel layer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.harness.fixtures import StartServer
from tests.harness.services import Redis
from tests.harness.talker import Talker, talking


async def told(client: Talker, number: int) -> list[Any]:
    """Return what the next ``number`` events say."""
    return [(await client.next(action="told"))["data"] for _ in range(number)]


PUBLISH = """
from django.db import transaction
from collab.live import publish
for number in range(300):
    publish("news", "told", number)
with transaction.atomic():
    publish("news", "told", "committed")
    try:
        with transaction.atomic():
            publish("news", "told", "rolled back")
            raise LookupError
    except LookupError:
        pass
"""


@pytest.mark.redis
@pytest.mark.parametrize("layer", ["core", "pubsub"])
async def test_events_of_any_process_reach_connections_of_all(
    redis_server: Redis, start_server: StartServer, layer: str
) -> None:
    environment = {"COLLAB_TEST_LAYER": layer}
    servers = [start_server(redis=redis_server.url, environment=environment) for _ in range(2)]
    async with (
        talking(servers[0].url("", "live")) as ann,
        talking(servers[1].url("", "live")) as bob,
    ):
        for client in (ann, bob):
            await client.call("listen", group="news")
        await ann.call("tell", group="news", payload="from one process")
        for client in (ann, bob):
            assert await told(client, 1) == ["from one process"]
        # More at once than the layer keeps for a process, by one that has no event loop.
        await asyncio.to_thread(servers[0].run_code, PUBLISH)
        for client in (ann, bob):
            assert await told(client, 301) == [*range(300), "committed"]


@pytest.mark.redis
async def test_who_comes_back_after_a_process_was_killed_is_told_what_was_kept(
    redis_server: Redis, start_server: StartServer
) -> None:
    servers = [start_server(redis=redis_server.url) for _ in range(2)]
    async with talking(servers[0].url("", "live")) as ann:
        await ann.call("listen", group="news")
        for number in range(1, 4):
            await ann.call("tell", group="news", payload=number, replay=10)
        servers[0].kill()
    async with talking(servers[1].url("", "live")) as bob:
        await bob.call("tell", group="news", payload=4, replay=10)
        await bob.call("listen", group="news")
        assert await told(bob, 4) == [1, 2, 3, 4]
    servers[0].start()
    async with talking(servers[0].url("", "live")) as ann:
        await ann.call("hello", since={"news": 3})
        await ann.call("listen", group="news")
        assert await told(ann, 1) == [4]
