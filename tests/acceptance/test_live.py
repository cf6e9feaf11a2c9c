"""Events reach connections of all processes, through a real channel layer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.harness.fixtures import StartServer
from tests.harness.services import Redis
from tests.harness.talker import Talker, talking
from tests.harness.waiting import DEADLINE


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
async def test_a_client_that_returns_after_a_process_was_killed_receives_the_kept_messages(
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


PUBLISH_IN_THREADS = """
from threading import Barrier, Thread
from django.db import connection, transaction
from collab.live import publish

THREADS, EACH = 6, 30
ready = Barrier(THREADS)

def work(thread):
    ready.wait()
    for number in range(EACH):
        with transaction.atomic():
            publish("news", "told", [{process}, thread, number], replay=10_000)
            try:
                with transaction.atomic():
                    publish("news", "told", "rolled back", replay=10_000)
                    raise LookupError
            except LookupError:
                pass
    connection.close()

threads = [Thread(target=work, args=[thread]) for thread in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.postgres
@pytest.mark.redis
async def test_kept_events_of_concurrent_publishers_have_numbers_without_gaps(
    redis_server: Redis, postgres_database: str, start_server: StartServer
) -> None:
    servers = [start_server(postgres_database, redis=redis_server.url) for _ in range(2)]
    async with (
        talking(servers[0].url("", "live")) as ann,
        talking(servers[1].url("", "live")) as bob,
    ):
        for client in (ann, bob):
            await client.call("listen", group="news")
        code = [PUBLISH_IN_THREADS.replace("{process}", str(number)) for number in range(2)]
        await asyncio.gather(
            *(asyncio.to_thread(servers[0].run_code, each) for each in code),
        )
        for client in (ann, bob):
            told = [await client.next(action="told") for _ in range(360)]
            assert [frame["number"] for frame in told] == [*range(1, 361)]
            by_thread: dict[Any, list[int]] = {}
            for frame in told:
                process, thread, number = frame["data"]
                by_thread.setdefault((process, thread), []).append(number)
            assert [*by_thread.values()] == [[*range(30)]] * 12
            assert await client.quiet()


@pytest.mark.redis
async def test_events_that_are_kept_outlive_a_layer_that_is_killed(
    redis_server: Redis, start_server: StartServer
) -> None:
    servers = [start_server(redis=redis_server.url) for _ in range(2)]
    for server in servers:
        server.allow_errors("channels_redis|channel layer")
    async with (
        talking(servers[0].url("", "live")) as ann,
        talking(servers[1].url("", "live")) as bob,
    ):
        await ann.call("listen", group="news")
        await ann.call("tell", group="news", payload=1, replay=100)
        await bob.call("tell", group="news", payload=2, replay=100)
        assert await told(ann, 2) == [1, 2]
        redis_server.kill()
        for number in range(3, 6):
            await bob.call("tell", group="news", payload=number, replay=100)
        # Nobody is kept from connecting, or from what this process tells.
        async with talking(servers[0].url("", "live")) as eve:
            await eve.call("listen", group="news")
            assert await told(eve, 5) == [1, 2, 3, 4, 5]
        redis_server.start()
        # What was lost comes with the next, once the processes are back in the group.
        async with asyncio.timeout(DEADLINE):
            number = 6
            while not any(frame["action"] == "told" for frame in ann.frames):
                await bob.call("tell", group="news", payload=number, replay=100)
                await ann.call("hello")
                number += 1
        assert await told(ann, 3) == [3, 4, 5]


SLOW = """
from collab.live import publish
for number in range(300):
    publish("news", "told", [number, 40_000 * "x"], replay=300)
"""


async def test_a_slow_reader_receives_everything_that_is_kept(
    start_server: StartServer, sqlite_database: str
) -> None:
    server = start_server(sqlite_database)
    await asyncio.to_thread(server.run_code, SLOW)
    async with connect(server.url("", "live"), max_queue=1) as connection:
        call = {"action": "listen", "request_id": 1, "group": "news"}
        await connection.send(json.dumps(call))
        # Meanwhile the server's buffers are full: others are served.
        async with talking(server.url("", "live")) as ann:
            await ann.call("hello")
        numbers = [json.loads(await connection.recv())["data"][0] for _ in range(300)]
        assert numbers == [*range(300)]


async def test_people_edit_a_document_of_a_live_consumer_while_they_call_actions(
    start_server: StartServer,
) -> None:
    server = start_server()
    clients = [server.client("room", "live") for _ in range(2)]
    ann, bob = clients
    for client in clients:
        await client.connect()
        await client.hello()
    for number in range(20):
        await ann.insert(f"<{number}>")
        assert (await bob.request("no such action"))["response_status"] == 405
    await bob.wait_until(lambda: bob.text == ann.text)
    await ann.wait_saved()
    for client in clients:
        await client.disconnect()
