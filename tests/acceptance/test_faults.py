"""Faults under several processes: nobody's letter is lost, and all are equal soon after (I2, I3).

Every text is checked letter by letter against what was typed: ``finish`` waits at most DEADLINE
until all has been acknowledged, and again until everybody has the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing

import psycopg
import pytest

from tests.harness.client import wait_until
from tests.harness.fixtures import StartServer
from tests.harness.proxy import Proxy
from tests.harness.server import Server
from tests.harness.services import Postgres, Redis
from tests.harness.waiting import DEADLINE

from .reconnecting_typists import reconnecting_typists
from .typists import finish, read, type_on

#: Intervals that let a test see a repair within a few seconds.
TIMINGS = {"digest": 1, "timeout": 1, "peer": 3}
QUICK = {
    "RELAY": TIMINGS,
    "RELAY_STORAGE_INTERVAL": 2,
    "DRAIN_TIME": 0.5,
}
#: Less than the time after which presence that nobody renews vanishes by itself, in seconds.
GIVEN_UP = 25.0
#: What a server logs while the database or Redis is away.
OUTAGE = "cannot be reached|could not be|cannot be polled|channels_redis|channel layer"


def start_two(
    start_server: StartServer, database: str, redis: Redis, *, layer: str = "core", **collab: object
) -> list[Server]:
    """Start two processes of one site."""
    servers = [
        start_server(
            database,
            redis=redis.url,
            collab={**QUICK, **collab},
            environment={"COLLAB_TEST_LAYER": layer},
        )
        for _ in range(2)
    ]
    for server in servers:
        server.allow_errors(OUTAGE)
    return servers


def urls_of(servers: Sequence[Server], each: int = 2) -> list[str]:
    """Return the address of the room at every server, ``each`` times."""
    return [server.url("room") for server in servers for _ in range(each)]


async def all_stored(servers: Sequence[Server], text: str) -> None:
    """Check that every process, and one that has just started, reads ``text``."""
    assert [await read(server, "room") for server in servers] == [text] * len(servers)
    for server in servers:
        await asyncio.to_thread(server.terminate)
    await asyncio.to_thread(servers[0].start)
    assert await read(servers[0], "room") == text


async def test_postgres_is_killed_again_and_again(
    redis_server: Redis,
    postgres_server: Postgres,
    postgres_database: str,
    start_server: StartServer,
) -> None:
    servers = start_two(start_server, postgres_database, redis_server, COMPACT_AFTER=20)
    async with reconnecting_typists(urls_of(servers)) as people:
        for _ in range(3):
            await type_on(people, 100)
            await asyncio.to_thread(postgres_server.kill)
            await type_on(people, 100)
            await asyncio.to_thread(postgres_server.start)
        text = await finish(people)
        assert all(not person.ends for person in people)
    await all_stored(servers, text)


@asynccontextmanager
async def bad_lines(servers: Sequence[Server]) -> AsyncIterator[list[Proxy]]:
    """Put a proxy before each server."""
    proxies = [Proxy(server.port) for server in servers]
    for proxy in proxies:
        await proxy.start()
    yield proxies
    for proxy in proxies:
        await proxy.close()


async def test_lines_are_cut_and_slow(
    redis_server: Redis, postgres_database: str, start_server: StartServer
) -> None:
    servers = start_two(start_server, postgres_database, redis_server)
    async with bad_lines(servers) as proxies:
        urls = [
            url.replace(str(server.port), str(proxy.port))
            for server, proxy in zip(servers, proxies, strict=True)
            for url in urls_of([server])
        ]
        async with reconnecting_typists(urls) as people:
            for number in range(6):
                proxy = proxies[number % 2]
                proxy.delay = 0.1
                await type_on(people, 50)
                proxy.cut()
                await type_on(people, 50)
                proxy.delay = 0.0
            text = await finish(people)
            assert all(person.ends for person in people)
    await all_stored(servers, text)


async def test_a_process_hangs_until_the_others_give_it_up(
    redis_server: Redis, postgres_database: str, start_server: StartServer
) -> None:
    servers = start_two(start_server, postgres_database, redis_server)
    async with reconnecting_typists(urls_of(servers)) as people:
        hung, other = people[0].client, people[-1].client
        await hung.set_presence({"name": "Ann"})
        await other.wait_until(lambda: hung.doc.client_id in other.presence)
        await type_on(people, 100)
        servers[0].pause()
        # Given up, it takes its members' presence with it, and what it had not stored is
        # stored by the other process.
        await other.wait_until(
            lambda: hung.doc.client_id not in other.presence,
            within=GIVEN_UP,
        )
        await type_on(people, 100)
        servers[0].resume()
        # Clients renew their presence now and then.
        await hung.set_presence({"name": "Ann"})
        await other.wait_until(lambda: hung.doc.client_id in other.presence)
        text = await finish(people)
    await all_stored(servers, text)


async def test_a_process_that_joins_late_receives_unstored_updates(
    redis_server: Redis, postgres_database: str, start_server: StartServer
) -> None:
    first, late = start_two(
        start_server, postgres_database, redis_server, RELAY_STORAGE_INTERVAL=5 * DEADLINE
    )
    async with reconnecting_typists(urls_of([first], 3)) as people:
        await type_on(people, 100)
        with closing(psycopg.connect(postgres_database)) as admin:
            # Until this transaction ends, others read and nobody stores anything.
            admin.execute("LOCK collab_storage_document, collab_storage_update IN SHARE MODE")
            await type_on(people, 200)
            words = {word for person in people for word in person.words}
            async with late.client("room") as reader:
                await reader.wait_until(lambda: all(word in reader.text for word in words))
                stored = {word for person in people for word in person.saved}
                assert stored < words
        text = await finish(people)
    await all_stored([first, late], text)


async def test_the_only_process_that_holds_a_document_is_killed(
    redis_server: Redis, postgres_database: str, start_server: StartServer
) -> None:
    servers = start_two(start_server, postgres_database, redis_server)
    async with reconnecting_typists(urls_of(servers[:1], 3)) as people:
        for number in range(3):
            await type_on(people, 150)
            # They go from one to the other, so that only one holds it at any time.
            for person in people:
                person.client.url = servers[(number + 1) % 2].url("room")
            await asyncio.to_thread(servers[number % 2].kill)
            saved = {word for person in people for word in person.saved}
            text = await read(servers[(number + 1) % 2], "room")
            assert all(word in text for word in saved)
            await asyncio.to_thread(servers[number % 2].start)
        text = await finish(people)
    await all_stored(servers, text)


@pytest.mark.parametrize("layer", ["core", "pubsub"])
async def test_redis_is_killed_again_and_again(
    redis_server: Redis, postgres_database: str, start_server: StartServer, layer: str
) -> None:
    servers = start_two(start_server, postgres_database, redis_server, layer=layer)
    async with reconnecting_typists(urls_of(servers)) as people:
        for _ in range(3):
            await type_on(people, 100)
            await asyncio.to_thread(redis_server.kill)
            await type_on(people, 100)
            await asyncio.to_thread(redis_server.start)
        text = await finish(people)
        assert all(not person.ends for person in people)
    await all_stored(servers, text)


async def test_a_burst_is_more_than_the_layer_holds(
    redis_server: Redis, postgres_database: str, start_server: StartServer
) -> None:
    """RedisChannelLayer drops what is beyond 100 messages in a process's channel."""
    rooms, edits = 40, 100
    sender, receiver = start_two(start_server, postgres_database, redis_server)
    writers = [sender.client(f"room {number}") for number in range(rooms)]
    readers = [receiver.client(f"room {number}") for number in range(rooms)]
    for client in (*writers, *readers):
        await client.connect()
        await client.hello()
    # While it hangs its channel fills up.
    receiver.pause()
    for number in range(edits):
        for writer in writers:
            await writer.insert(f"<{number}>")
    await asyncio.to_thread(sender.wait_for_log, "channels over capacity")
    receiver.resume()
    expected = "".join(f"<{number}>" for number in range(edits))
    await wait_until(lambda: all(reader.text == expected for reader in readers), *readers)
    for writer in writers:
        await writer.wait_saved()
    for client in (*writers, *readers):
        await client.disconnect()


async def test_the_layer_forgets_who_is_in_a_group(
    redis_server: Redis, postgres_database: str, start_server: StartServer
) -> None:
    """Layers do so after ``group_expiry``: a day, or here three seconds."""
    servers = start_two(
        start_server,
        postgres_database,
        redis_server,
        layer="forgetful",
        # Neither the storage nor a look around is to bring what the group does not: who is not
        # in it any more hears nothing for longer than the test waits.
        RELAY_STORAGE_INTERVAL=5 * DEADLINE,
        RELAY={**TIMINGS, "peer": 5 * DEADLINE},
    )
    async with reconnecting_typists(urls_of(servers, 1)) as people:
        for _ in range(2):
            began = asyncio.get_running_loop().time()
            await wait_until(
                lambda began=began: asyncio.get_running_loop().time() > began + 6,  # type: ignore[misc]
                *(person.client for person in people),
            )
            # Each hears what the other types from here on.
            words = [person.words[-1] for person in people]
            await wait_until(
                lambda words=words: all(  # type: ignore[misc]
                    word in person.client.text for person in people for word in words
                ),
                *(person.client for person in people),
            )
        text = await finish(people)
    await all_stored(servers, text)
