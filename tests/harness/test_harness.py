"""The harness itself: services that end and come back, servers that are killed."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from .client import YjsClient, wait_until
from .fixtures import StartServer
from .proxy import Proxy
from .server import Server
from .services import Postgres, Redis
from .waiting import until


async def test_clients_edit_together(server: Server) -> None:
    async with server.client("room") as ann, server.client("room") as bob:
        await ann.insert("Hello")
        await bob.wait_until(lambda: bob.text == "Hello")
        await bob.set_presence({"name": "Bob"})
        await wait_until(lambda: {"name": "Bob"} in ann.presence.values(), ann, bob)


async def test_killed_server_comes_back_on_its_port(server: Server) -> None:
    async with server.client("room") as ann:
        assert await ann.hello()
        await ann.insert("kept")
        await ann.wait_saved()
        server.kill()
        assert await ann.wait_closed() == 1006
        server.start()
    async with server.client("room") as bob:
        assert bob.text == "kept"


async def test_document_outlives_the_server(database: str, start_server: StartServer) -> None:
    server = start_server(database)
    async with server.client("room") as ann:
        await ann.insert("kept")
    server.restart()
    async with server.client("room") as bob:
        assert bob.text == "kept"


async def test_paused_client_takes_nothing(server: Server) -> None:
    slow = YjsClient(server.url("room"), receive_buffer=4096)
    async with server.client("room") as ann, slow:
        slow.pause()
        await ann.insert("a" * 100_000)
        await ann.insert("b")
        await ann.hello()
        await ann.wait_saved()
        assert not slow.text.endswith("b")
        slow.resume()
        await slow.wait_until(lambda: slow.text.endswith("b"))


def test_postgres_comes_back(postgres_server: Postgres) -> None:
    postgres_server.kill()
    assert not postgres_server.running
    postgres_server.start()
    postgres_server.create_database("made_later")
    postgres_server.stop("immediate")


def test_redis_comes_back(redis_server: Redis) -> None:
    redis_server.stop()
    assert not redis_server.running
    redis_server.start()


async def test_a_proxy_that_is_closed_has_ended_what_it_held(server: Server) -> None:
    proxy = Proxy(server.port)
    await proxy.start()
    proxy.there.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    await until(lambda: len(proxy._writers) == 2)
    await proxy.close()
    with suppress(ConnectionError):
        assert await reader.read() == b""
    assert asyncio.all_tasks() == {asyncio.current_task()}
    writer.close()
