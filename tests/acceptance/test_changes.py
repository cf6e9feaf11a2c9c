"""Document types learn of every stored change, whatever happens to the process that calls them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import Random

from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.waiting import until

from .typists import finish, read, type_on, typing

#: How often a process is killed; more with the environment variable.
KILLS = int(os.environ.get("COLLAB_TEST_KILLS", "8"))


def environment(directory: Path, lease: float) -> dict[str, str]:
    return {"COLLAB_TEST_KEPT": str(directory), "COLLAB_TEST_LEASE": str(lease)}


async def kept_is(directory: Path, server: Server, key: str) -> None:
    """Wait until the last call of ``changed`` has seen all that is stored."""
    text = await read(server, f"kept/{key}")
    await until(lambda: (directory / key).exists() and (directory / key).read_text() == text)


async def test_each_change_is_delivered_in_the_end_although_processes_are_killed(
    database: str, start_server: StartServer, tmp_path: Path
) -> None:
    random = Random(database.partition(":")[0])
    servers = [start_server(database, environment=environment(tmp_path, 3)) for _ in range(2)]
    for server in servers:
        server.allow_errors("cannot be delivered now|cannot be looked up|lease|its change")
    async with typing(servers[0], "kept/doc") as typists:
        for _ in range(KILLS):
            await type_on(typists, random.randrange(1, 60))
            victim = random.choice(servers)
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
            for typist in typists:
                if not typist.client.connected:
                    await typist.connect()
        await finish(typists)
    await kept_is(tmp_path, servers[1], "doc")
    assert not (tmp_path / "doc.twice").exists(), "two calls ran at the same time"


EDIT = """
from pycrdt import Text
from collab import documents

with documents.edit("kept/doc") as doc:
    doc.get("text", type=Text).insert(0, "from a worker")
"""


async def test_a_server_delivers_what_a_worker_has_changed(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server(environment=environment(tmp_path, 60))
    async with server.client("kept/other"):
        await asyncio.to_thread(server.run_code, EDIT)
        await kept_is(tmp_path, server, "doc")
    assert (tmp_path / "doc").read_text() == "from a worker"


async def test_a_command_delivers_where_no_server_runs(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server(environment=environment(tmp_path, 60))
    await asyncio.to_thread(server.terminate)
    await asyncio.to_thread(server.run_code, EDIT)
    dispatch = """
    from django.core.management import call_command
    call_command("collab_dispatch", "--now")
    """
    out = await asyncio.to_thread(server.run_code, dispatch)
    assert out == "Changes of 1 documents delivered.\n"
    assert (tmp_path / "doc").read_text() == "from a worker"
