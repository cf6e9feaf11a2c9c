"""An edit that a client knows as saved is there again, however the server ends (I2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from tests.harness.fixtures import StartServer
from tests.harness.server import Server

from .typists import Typist, finish, passed_on, read, type_on, typing, words_of

KILLS = 15


async def wait_disconnected(typists: Sequence[Typist]) -> None:
    await asyncio.gather(*(typist.client.wait_closed() for typist in typists))


async def reconnect(typists: Sequence[Typist]) -> None:
    await asyncio.gather(*(typist.connect() for typist in typists))


async def assert_kept(server: Server, typists: Sequence[Typist]) -> None:
    promised = {word for typist in typists for word in typist.saved}
    assert promised <= set(words_of(await read(server, "room")))


async def test_an_edit_confirmed_as_saved_survives_sigkill_at_any_moment(
    database: str, start_server: StartServer
) -> None:
    random = Random(database.partition(":")[0])
    server = start_server(database, collab={"COMPACT_AFTER": 20})
    async with typing(server, "room") as typists:
        for _ in range(KILLS):
            await type_on(typists, random.randrange(1, 150))
            await asyncio.to_thread(server.kill)
            await wait_disconnected(typists)
            await asyncio.to_thread(server.start)
            await assert_kept(server, typists)
            await reconnect(typists)
        text = await finish(typists)
    assert await read(server, "room") == text


async def test_updates_that_the_server_has_received_are_stored_when_it_shuts_down(
    database: str, start_server: StartServer
) -> None:
    server = start_server(database)
    async with typing(server, "room") as typists:
        for _ in range(3):
            await type_on(typists, 200)
            await asyncio.to_thread(server.restart)
            await wait_disconnected(typists)
            assert passed_on(typists) <= set(words_of(await read(server, "room")))
            await reconnect(typists)
        text = await finish(typists)
    assert await read(server, "room") == text
