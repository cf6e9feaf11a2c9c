"""Clients of Hocuspocus against real servers: several processes, kills, and attacks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from pycrdt import Doc, Text
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.services import Redis
from tests.hocuspocus.client import Client, encoded

from .attacks import UNLIMITED, mutated
from .honest_pair import memory, unharmed

APPLICATION = "tests.client.app:application"
DOCUMENT = "shared/room"

Application = Callable[[Any, Any, Any], Awaitable[None]]


def remote(server: Server) -> Application:
    """Return the server as an application, which passes events on over the network."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        url = f"ws://127.0.0.1:{server.port}/hocuspocus"
        async with connect(url, compression=None, max_size=None, proxy=None) as connection:

            async def pass_on() -> None:
                while (event := await receive())["type"] != "websocket.disconnect":
                    if event["type"] == "websocket.receive":
                        await connection.send(event.get("bytes") or event.get("text") or b"")
                await connection.close()

            sending = asyncio.create_task(pass_on())
            try:
                async for frame in connection:
                    await send({"type": "websocket.send", "bytes": frame})
            except ConnectionClosed:
                pass
            finally:
                sending.cancel()
            await send({"type": "websocket.close", "code": connection.close_code or 1006})

    return application


# Several processes.


async def test_members_of_two_processes_are_one_room(
    redis_server: Redis, start_server: StartServer
) -> None:
    servers = [start_server(redis=redis_server.url, application=APPLICATION) for _ in range(2)]
    first, second = map(remote, servers)
    async with Client(first) as ann, Client(second) as bob:
        mine, theirs = ann.document(DOCUMENT), bob.document(DOCUMENT)
        for document in (mine, theirs):
            document.attach()
            await document.until(lambda document=document: document.statuses == [1])  # type: ignore[misc]
        mine.write("from the first, ")
        await bob.until(lambda: theirs.text == "from the first, ")
        theirs.write("from the second")
        await ann.until(lambda: mine.text.endswith("from the second"))
        mine.set_presence({"name": "ann"})
        await bob.until(lambda: theirs.presence.get(mine.doc.client_id) == {"name": "ann"})
        code = f"""
            from collab import documents
            documents.send_stateless({DOCUMENT!r}, "refetch")
        """
        await asyncio.to_thread(servers[0].run_code, code)
        await ann.until(lambda: mine.stateless == ["refetch"])
        await bob.until(lambda: theirs.stateless == ["refetch"])
        await asyncio.to_thread(
            servers[0].run_code, code.replace("send_stateless", "close_members")
        )
        await ann.until(lambda: mine.closes == ["refetch"])
        await bob.until(lambda: theirs.closes == ["refetch"])


# Kills.


@pytest.mark.parametrize("seed", range(3))
async def test_every_update_that_was_reported_as_stored_survives_a_kill(
    start_server: StartServer, seed: int
) -> None:
    server = start_server(application=APPLICATION)
    chance = Random(seed)
    async with Client(remote(server)) as ann:
        document = ann.document(DOCUMENT)
        document.attach()
        await ann.until(lambda: document.statuses == [1])
        for number in range(200):
            document.write(f"<{number}>")
            if chance.random() < 0.1:
                # A person pauses, and the server stores what there is.
                await asyncio.sleep(0.01)
        await ann.until(lambda: len(document.statuses) > 20)
        await asyncio.to_thread(server.kill)
        await ann.until(lambda: ann.close_code is not None)
        reported = len(document.statuses) - 1
    await asyncio.to_thread(server.start)
    async with Client(remote(server)) as bob:
        document = bob.document(DOCUMENT)
        document.attach()
        await bob.until(lambda: document.synced)
        words = document.text.removesuffix(">").split("><")
        assert len(words) >= reported
        assert document.text.startswith("<0>")


# Attacks.

#: By how much the memory of the server may grow, whatever clients do.
GROWTH = 150 * 1024 * 1024


async def test_thousands_of_documents_on_one_connection_cost_bounded_memory(
    start_server: StartServer,
) -> None:
    server = start_server(application=APPLICATION, collab=UNLIMITED)
    before = memory(server)
    async with unharmed(server, DOCUMENT):
        clients = [Client(remote(server)) for _ in range(5)]
        for client in clients:
            async with client:
                opened = [client.document(f"shared/{number}\0s") for number in range(900)]
                for document in opened:
                    document.attach()
                await client.until(lambda opened=opened: all(d.scopes for d in opened))  # type: ignore[misc]
                for number in range(200):
                    client.document(f"shared/more {number}").attach()
                assert await client.closed() in (4205, 1013)
    assert memory(server) - before < GROWTH


async def test_garbage_harms_its_sender_only(start_server: StartServer) -> None:
    server = start_server(application=APPLICATION, collab=UNLIMITED)
    chance = Random(1)
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, "attack")
    good = [
        encoded(DOCUMENT, 2, 0, "attacker"),
        encoded(DOCUMENT, 0, 0, b"\x01\x00"),
        encoded(DOCUMENT, 0, 2, len(doc.get_update()), doc.get_update()),
        encoded(DOCUMENT, 1, b"\x05\x01\x07\x01\x02{}"),
        encoded(DOCUMENT, 3),
        encoded(DOCUMENT, 5, "hello"),
        encoded(DOCUMENT, 7),
        b"\x09",
    ]
    async with unharmed(server, DOCUMENT):
        for _ in range(100):
            async with Client(remote(server)) as attacker:
                attacker.document(DOCUMENT)
                attacker.send(good[0])
                for _ in range(30):
                    attacker.send(mutated(chance, chance.choice(good)))
                attacker.send(b"\x09")
                await attacker.until(lambda: attacker.close_code or b"\x0a" in attacker.frames)


# Moving.


def test_documents_of_a_table_of_postgresql_are_imported(
    postgres_database: str, start_server: StartServer
) -> None:
    server = start_server(postgres_database)
    server.run_code("""
        from base64 import b64encode
        from django.core.management import call_command
        from django.db import connection
        from pycrdt import Doc, Text
        from collab import documents

        doc = Doc()
        doc.get("text", type=Text).insert(0, "old")
        state = doc.get_update()
        with connection.cursor() as cursor:
            cursor.execute('CREATE TABLE "documents" ("name" text PRIMARY KEY, "data" bytea)')
            cursor.execute("INSERT INTO documents VALUES ('one', %s)", [state])
            cursor.execute("CREATE TABLE encoded (title text PRIMARY KEY, state text)")
            cursor.execute("INSERT INTO encoded VALUES ('two', %s)", [b64encode(state).decode()])
        call_command("collab_import_hocuspocus", database="default")
        call_command(
            "collab_import_hocuspocus",
            database="default",
            table="encoded",
            name_column="title",
            data_column="state",
        )
        for name in ("one", "two"):
            assert str(documents.read(name).get("text", type=Text)) == "old"
    """)
