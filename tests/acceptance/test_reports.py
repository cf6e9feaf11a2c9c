"""Reports of users of other servers, none of which happens here.

Each test names the report; ``docs`` and other tests hold the promises in general.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import StartServer
from tests.harness.proxy import Proxy
from tests.harness.server import Server
from tests.harness.services import Redis

from .typists import read

FORGET_ALL = "import os, redis; redis.from_url(os.environ['COLLAB_TEST_REDIS']).flushall()"


@asynccontextmanager
async def over_a_line(server: Server, room: str) -> AsyncIterator[tuple[YjsClient, Proxy]]:
    """Yield a client whose network a test may hold or cut, and the network."""
    line = Proxy(server.port)
    await line.start()
    url = server.url(room).replace(f":{server.port}/", f":{line.port}/")
    client = YjsClient(url)
    await come(client)
    try:
        yield client, line
    finally:
        await line.close()
        # With the network, the client's connection ends.
        await client.wait_closed()


async def come(client: YjsClient) -> None:
    await client.connect()
    await client.hello()
    await client.wait_until(lambda: client.synced)


async def test_text_typed_into_a_silent_network_is_unsaved_and_arrives_later(
    server: Server,
) -> None:
    """hedgedoc#6803, hedgedoc#6608, outline#13726: typed for minutes, all of it lost."""
    async with server.client("room") as other, over_a_line(server, "room") as (client, line):
        await client.insert("before ")
        await client.wait_saved()
        line.there.clear()
        words = [f"word{number} " for number in range(50)]
        for word in words:
            await client.insert(word)
        # The page sees what is not stored, although the connection looks healthy.
        assert client.connected and client.sent - client.saved >= len(words)
        await other.insert("others' ")
        assert not any(word in other.text for word in words)
        # The client gives the connection up.
        line.cut()
        await client.wait_closed()
        line.there.set()
        await come(client)
        await client.wait_saved()
        await wait_until(lambda: client.text == other.text, client, other)
        assert all(other.text.count(word) == 1 for word in words)
        assert other.text.count("others' ") == 1


async def test_a_document_is_not_doubled_by_clients_that_come_back_to_a_room_made_anew(
    start_server: StartServer,
) -> None:
    """jupyter-collaboration#621, hocuspocus#344: content twice after a reconnect."""
    server = start_server(collab={"UNLOAD_DELAY": 0})
    client = server.client("room", "seeded")
    await come(client)
    await client.insert(" and mine")
    await client.wait_saved()
    for number in range(5):
        await client.abort()
        # Typed while the network is away, and the room is made anew.
        await client.insert(f" {number}")
        if number % 2:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        assert (await read(server, "room", "seeded")).count("seed") == 1
        await come(client)
        await client.wait_saved()
    expected = "seed and mine 0 1 2 3 4"
    assert client.text == expected
    await client.disconnect()
    assert await read(server, "room", "seeded") == expected


async def test_a_stale_client_takes_nothing_back_after_redis_has_forgotten_all(
    redis_server: Redis, start_server: StartServer
) -> None:
    """posthog#59677: an old tab overwrites newer work once Redis was emptied."""
    quick = {"RELAY": {"digest": 2, "timeout": 1}, "RELAY_STORAGE_INTERVAL": 2}
    one, two = (start_server(collab=quick, redis=redis_server.url) for _ in range(2))
    async with over_a_line(one, "room") as (stale, line), two.client("room") as other:
        await stale.insert("first ")
        await other.wait_until(lambda: other.text == "first ")
        line.cut()
        await stale.wait_closed()
        await stale.insert("stale ")
        await asyncio.to_thread(one.run_code, FORGET_ALL)
        await other.insert("newer ")
        await come(stale)
        await wait_until(lambda: stale.text == other.text, stale, other)
        await stale.insert("last ")
        await wait_until(lambda: "last " in other.text, stale, other)
        for word in ("first ", "stale ", "newer ", "last "):
            assert other.text.count(word) == 1


async def test_a_client_that_lost_its_access_while_offline_harms_no_other(
    server: Server,
) -> None:
    """hedgedoc#3894: one refused client, and nobody's text is saved any more."""
    code = "from django.contrib.auth.models import User\n"
    await asyncio.to_thread(
        server.run_code, code + "User.objects.create(pk=7, username='ann', last_name='write')"
    )
    other = server.client("room", "guarded", access="write")
    client = YjsClient(server.url("room", "account", user="7"), subprotocols=["collab"])
    for each in (other, client):
        await come(each)
    await client.insert("allowed ")
    await other.wait_until(lambda: other.text == "allowed ")
    await client.abort()
    await client.insert("not allowed ")
    await asyncio.to_thread(server.run_code, code + "User.objects.update(last_name='none')")
    await client.connect()
    assert await client.wait_closed() == 4403
    await other.insert("others'")
    await other.wait_saved()
    await other.disconnect()
    assert await read(server, "room") == "allowed others'"


async def test_a_server_that_lost_its_database_gets_the_document_from_the_client(
    start_server: StartServer,
) -> None:
    """nextcloud/text#3921: after a reset of the server, a client's text vanishes or is doubled."""
    server = start_server(collab={"UNLOAD_DELAY": 0})
    client = server.client("room", "seeded")
    await come(client)
    await client.insert(" and mine")
    await client.wait_saved()
    await client.abort()
    await asyncio.to_thread(server.terminate)
    # An older backup is restored, in which there is no such document.
    await asyncio.to_thread(
        server.run_code,
        "from collab_storage.models import Document\nDocument.objects.all().delete()",
    )
    await asyncio.to_thread(server.start)
    client.url = server.url("room")
    await come(client)
    await client.wait_saved()
    assert await read(server, "room") == client.text == "seed and mine"
    await client.disconnect()
