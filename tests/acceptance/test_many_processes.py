"""Rooms of one document in several server processes stay equal, whatever the layer does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.services import Redis

#: Relay intervals that let a test see a repair within a few seconds.
QUICK = {"RELAY": {"digest": 2, "timeout": 1}, "RELAY_STORAGE_INTERVAL": 2}


@asynccontextmanager
async def clients_of(servers: Sequence[Server], each: int = 1) -> AsyncIterator[list[YjsClient]]:
    """Connect ``each`` clients to the same room of every server."""
    clients = [server.client("room") for server in servers for _ in range(each)]
    for client in clients:
        await client.connect()
        await client.hello()
        await client.wait_until(lambda client=client: client.synced)  # type: ignore[misc]
    yield clients
    for client in clients:
        if client.connected:
            await client.disconnect()


async def equal(clients: Sequence[YjsClient], holding: Sequence[str] = ()) -> None:
    """Wait until all have the same text, with all of ``holding`` in it."""
    await wait_until(
        lambda: (
            len({client.text for client in clients}) == 1
            and all(word in clients[0].text for word in holding)
        ),
        *clients,
    )


async def type_words(clients: Sequence[YjsClient], count: int, seed: int) -> list[str]:
    """Append words with the clients in turn; return the words."""
    chance = random.Random(seed)
    words = [f"<{seed}.{number}>" for number in range(count)]
    for word in words:
        await chance.choice(clients).insert(word)
        await asyncio.sleep(0)
    return words


@pytest.mark.parametrize("layer", ["core", "pubsub"])
async def test_text_typed_at_one_process_arrives_at_the_others(
    redis_server: Redis, start_server: StartServer, layer: str
) -> None:
    environment = {"COLLAB_TEST_LAYER": layer}
    servers = [
        start_server(redis=redis_server.url, collab=QUICK, environment=environment)
        for _ in range(3)
    ]
    async with clients_of(servers) as clients:
        words = await type_words(clients, 300, seed=1)
        await equal(clients, words)
        await asyncio.gather(*(client.wait_saved() for client in clients))


async def test_presence_crosses_processes_and_goes_with_its_member(
    redis_server: Redis, start_server: StartServer
) -> None:
    servers = [start_server(redis=redis_server.url, collab=QUICK) for _ in range(2)]
    async with clients_of(servers) as (alice, bob):
        await alice.set_presence({"name": "alice"})
        await bob.wait_until(lambda: alice.doc.client_id in bob.presence)
        late = servers[1].client("room")
        await late.connect()
        await late.wait_until(lambda: alice.doc.client_id in late.presence)
        await late.disconnect()
        await alice.disconnect()
        await bob.wait_until(lambda: alice.doc.client_id not in bob.presence)


async def test_a_layer_that_drops_repeats_delays_and_reorders_is_repaired(
    redis_server: Redis, start_server: StartServer
) -> None:
    environment = {"COLLAB_TEST_LAYER": "lossy"}
    servers = [
        start_server(redis=redis_server.url, collab=QUICK, environment=environment)
        for _ in range(3)
    ]
    async with clients_of(servers, each=2) as clients:
        words = await type_words(clients, 500, seed=2)
        await equal(clients, words)


async def test_a_restart_of_redis_under_load_is_repaired(
    redis_server: Redis, start_server: StartServer
) -> None:
    servers = [start_server(redis=redis_server.url, collab=QUICK) for _ in range(2)]
    for server in servers:
        server.allow_errors("channels_redis|channel layer")
    async with clients_of(servers) as clients:
        words = await type_words(clients, 100, seed=3)
        await asyncio.to_thread(redis_server.kill)
        words += await type_words(clients, 100, seed=4)
        await asyncio.to_thread(redis_server.start)
        words += await type_words(clients, 100, seed=5)
        await equal(clients, words)


async def test_a_process_that_hung_catches_up(
    redis_server: Redis, start_server: StartServer
) -> None:
    servers = [start_server(redis=redis_server.url, collab=QUICK) for _ in range(2)]
    async with clients_of(servers) as clients:
        words = await type_words(clients, 50, seed=6)
        servers[0].pause()
        words += await type_words(clients, 300, seed=7)
        # Time itself passes: longer than the others wait for an answer, or for a digest.
        await asyncio.sleep(3)
        servers[0].resume()
        await equal(clients, words)


async def test_a_killed_process_takes_nothing_along_that_another_had_heard(
    redis_server: Redis, start_server: StartServer
) -> None:
    servers = [start_server(redis=redis_server.url, collab=QUICK) for _ in range(2)]
    async with clients_of(servers) as (alice, bob):
        words = await type_words([alice], 100, seed=8)
        await bob.wait_until(lambda: all(word in bob.text for word in words))
        await asyncio.to_thread(servers[0].kill)
        await alice.wait_closed()
        alice.url = bob.url
        await alice.connect()
        await alice.hello()
        await alice.wait_until(lambda: alice.synced)
        await alice.wait_saved()
        await asyncio.to_thread(servers[1].kill)
        await asyncio.to_thread(servers[1].start)
        reader = servers[1].client("room")
        async with reader:
            assert all(word in reader.text for word in words)


@pytest.mark.parametrize("layer", ["core", "pubsub"])
async def test_a_document_opens_without_redis_and_is_equal_once_it_is_back(
    redis_server: Redis, start_server: StartServer, layer: str
) -> None:
    environment = {"COLLAB_TEST_LAYER": layer}
    servers = [
        start_server(redis=redis_server.url, collab=QUICK, environment=environment)
        for _ in range(2)
    ]
    for server in servers:
        server.allow_errors("channels_redis|channel layer")
    await asyncio.to_thread(redis_server.kill)
    async with clients_of(servers) as clients:
        words = await type_words(clients, 50, seed=9)
        await asyncio.to_thread(redis_server.start)
        words += await type_words(clients, 50, seed=10)
        await equal(clients, words)
