"""A server that is asked to end loses nothing and does not take for ever."""

from __future__ import annotations

import asyncio

from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.services import Postgres


async def test_members_are_asked_to_reconnect_and_find_all_they_wrote(server: Server) -> None:
    clients = [server.client("room") for _ in range(5)]
    for client in clients:
        await client.connect()
        await client.wait_until(lambda client=client: client.synced)  # type: ignore[misc]
    for number, client in enumerate(clients):
        await client.insert(f"<{number}>")
    await asyncio.to_thread(server.restart)
    assert [await client.wait_closed() for client in clients] == [1012] * 5
    async with server.client("room") as reader:
        assert all(f"<{number}>" in reader.text for number in range(5))


async def test_updates_that_a_database_that_is_down_cannot_store_are_spooled_until_the_next_start(
    postgres_server: Postgres, postgres_database: str, start_server: StartServer, tmp_path: object
) -> None:
    settings = {"SPOOL_DIRECTORY": f"{tmp_path}/spool", "DRAIN_TIME": 0.2, "CLOSE_TIMEOUT": 2}
    server = start_server(postgres_database, collab=settings)
    server.allow_errors("could not be stored|cannot be reached")
    async with server.client("room") as client:
        await client.hello()
        await client.insert("before")
        await client.wait_saved()
        await asyncio.to_thread(postgres_server.kill)
        await client.insert(" meanwhile")
        # The server has taken it once it answers what was sent after it.
        await client.hello()
        await asyncio.to_thread(server.terminate)
    assert "meanwhile" not in server.log
    await asyncio.to_thread(postgres_server.start)
    await asyncio.to_thread(server.start)
    async with server.client("room") as reader:
        assert reader.text == "before meanwhile"
