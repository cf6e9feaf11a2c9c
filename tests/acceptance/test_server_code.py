"""Server code of any process reaches members that are connected to any other."""

from __future__ import annotations

import asyncio

from redis import Redis as RedisClient

from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import StartServer
from tests.harness.services import Redis

QUICK = {"RELAY": {"digest": 2, "timeout": 1}, "RELAY_STORAGE_INTERVAL": 2}

EDIT = """
    from pycrdt import Text
    from collab import documents

    for number in range({count}):
        with documents.edit("room") as doc:
            text = doc.get("text", type=Text)
            text.insert(len(text), f"<{{number}}>")
"""


async def synced(client: YjsClient) -> YjsClient:
    await client.connect()
    await client.wait_until(lambda: client.synced)
    return client


async def test_edits_of_a_worker_reach_members_of_every_process(
    redis_server: Redis, start_server: StartServer
) -> None:
    servers = [start_server(redis=redis_server.url, collab=QUICK) for _ in range(2)]
    clients = [await synced(server.client("room")) for server in servers]
    await asyncio.to_thread(servers[0].run_code, EDIT.format(count=20))
    expected = "".join(f"<{number}>" for number in range(20))
    await wait_until(lambda: all(client.text == expected for client in clients), *clients)
    for client in clients:
        await client.disconnect()


async def test_a_worker_opens_no_connection_to_redis_for_each_edit(
    redis_server: Redis, start_server: StartServer
) -> None:
    server = start_server(redis=redis_server.url, collab=QUICK)
    client = await synced(server.client("room"))
    with RedisClient.from_url(redis_server.url) as redis:
        before = redis.info("stats")["total_connections_received"]
        await asyncio.to_thread(server.run_code, EDIT.format(count=30))
        opened = redis.info("stats")["total_connections_received"] - before
    assert opened <= 3
    await client.wait_until(lambda: "<29>" in client.text)
    await client.disconnect()


async def test_edits_reach_members_although_the_layer_loses_messages(
    redis_server: Redis, start_server: StartServer
) -> None:
    environment = {"COLLAB_TEST_LAYER": "lossy"}
    servers = [
        start_server(redis=redis_server.url, collab=QUICK, environment=environment)
        for _ in range(2)
    ]
    clients = [await synced(server.client("room")) for server in servers]
    await asyncio.to_thread(servers[0].run_code, EDIT.format(count=20))
    await wait_until(lambda: all(client.text.count("<") == 20 for client in clients), *clients)
    for client in clients:
        await client.disconnect()


async def test_an_edit_of_a_document_that_is_not_open_is_stored(
    redis_server: Redis, start_server: StartServer
) -> None:
    server = start_server(redis=redis_server.url)
    await asyncio.to_thread(server.run_code, EDIT.format(count=1))
    async with server.client("room") as client:
        assert client.text == "<0>"


async def test_a_deleted_document_is_closed_in_every_process(
    redis_server: Redis, start_server: StartServer
) -> None:
    servers = [start_server(redis=redis_server.url, collab=QUICK) for _ in range(2)]
    clients = [await synced(server.client("room")) for server in servers]
    await clients[0].insert("soon gone")
    await clients[1].wait_until(lambda: clients[1].text == "soon gone")
    await asyncio.to_thread(
        servers[0].run_code, "from collab import documents; documents.delete('room')"
    )
    assert [await client.wait_closed() for client in clients] == [4404, 4404]
