"""Document types learn of every stored change, whatever happens to the process that calls them."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random

from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.services import Postgres
from tests.harness.waiting import until

from .typists import finish, read, type_on, typing

#: What servers log while processes are killed and the database is away.
TROUBLE = (
    "cannot be delivered now|cannot be looked up|lease|its change"
    # The database goes away while a receiver runs.
    "|receiver of a changed document failed"
)
#: How often a process is killed, for how many seconds the database is away, and how many seconds a
#: receiver takes; more in `make fuzz-changes`.
KILLS = int(os.environ.get("COLLAB_TEST_KILLS", "6"))
OUTAGE = float(os.environ.get("COLLAB_TEST_OUTAGE", "3"))
SLOW = float(os.environ.get("COLLAB_TEST_SLOW", "6"))
#: Documents that are changed while processes are killed. A killed process keeps those whose
#: receivers it ran for the time of a lease.
DOCUMENTS = 6


def environment(directory: Path, lease: float) -> dict[str, str]:
    return {
        "COLLAB_TEST_KEPT": str(directory),
        "COLLAB_TEST_LEASE": str(lease),
        "COLLAB_TEST_SLOW": str(SLOW),
    }


async def kept_is(directory: Path, server: Server, key: str) -> None:
    """Wait until the last call of ``changed`` has seen all that is stored."""
    text = await read(server, f"kept/{key}")
    await until(lambda: (directory / key).exists() and (directory / key).read_text() == text)


def calls_in(directory: Path) -> list[int]:
    """Return the processes that have begun to run ``changed``, one for each call."""
    file = directory / "processes"
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def assert_one_at_a_time(directory: Path) -> None:
    assert not [*directory.glob("*.twice")], "two calls for a document ran at the same time"


async def caller_of_next(directory: Path) -> int:
    """Return the process that begins a call of ``changed`` from now on."""
    number = len(calls_in(directory))
    await until(lambda: len(calls_in(directory)) > number)
    return calls_in(directory)[number]


async def test_each_change_is_delivered_in_the_end_although_processes_are_killed(
    database: str, start_server: StartServer, tmp_path: Path
) -> None:
    random = Random(database.partition(":")[0])
    servers = [start_server(database, environment=environment(tmp_path, 10)) for _ in range(2)]
    for server in servers:
        server.allow_errors(TROUBLE)
    async with AsyncExitStack() as stack:
        pairs = [
            await stack.enter_async_context(
                typing(servers[number % 2], f"kept/{number}", names="a")
            )
            for number, server in enumerate(servers * (DOCUMENTS // 2))
        ]
        typists = [typist for pair in pairs for typist in pair]
        for _ in range(KILLS):
            await type_on(typists, random.randrange(1, 60))
            caller = await caller_of_next(tmp_path)
            # Half of them die at the beginning of a call, the others some words later.
            await type_on(typists, random.choice([0, random.randrange(1, 20)]))
            (victim,) = [server for server in servers if server.process.pid == caller]
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
            for typist in typists:
                if not typist.client.connected:
                    await typist.connect()
        for pair in pairs:
            await finish(pair)
    for number in range(DOCUMENTS):
        await kept_is(tmp_path, servers[number % 2], str(number))
    assert_one_at_a_time(tmp_path)
    print(f"{KILLS} processes were killed; {len(calls_in(tmp_path))} calls had begun.")


async def test_each_change_is_delivered_after_the_database_was_away(
    postgres_server: Postgres, postgres_database: str, start_server: StartServer, tmp_path: Path
) -> None:
    servers = [
        start_server(postgres_database, environment=environment(tmp_path, 10)) for _ in range(2)
    ]
    for server in servers:
        server.allow_errors(f"{TROUBLE}|storage cannot be reached|could not be stored")
    async with (
        typing(servers[0], "kept/0", names="a") as one,
        typing(servers[1], "kept/1", names="b") as other,
    ):
        typists = [*one, *other]
        await caller_of_next(tmp_path)
        await asyncio.to_thread(postgres_server.stop, "immediate")
        await type_on(typists, 20)
        with suppress(TimeoutError):
            async with asyncio.timeout(OUTAGE):
                await asyncio.Future()
        await type_on(typists, 20)
        await asyncio.to_thread(postgres_server.start)
        # No client was disconnected: typists do not connect again by themselves.
        await finish(one)
        await finish(other)
    await kept_is(tmp_path, servers[0], "0")
    await kept_is(tmp_path, servers[1], "1")
    assert_one_at_a_time(tmp_path)


async def test_receivers_that_raise_hang_or_take_long_hold_up_neither_editing_nor_others(
    database: str, start_server: StartServer, tmp_path: Path
) -> None:
    # It ends although some receivers never do.
    server = start_server(
        database, collab={"CLOSE_TIMEOUT": 1}, environment=environment(tmp_path, 10)
    )
    server.allow_errors(f"{TROUBLE}|receiver of a changed document")
    # More than the receivers that run at once.
    troubled = [f"hangs/{number}" for number in range(6)] + ["raises/0", "slow/0"]
    files = [tmp_path / name.replace("/", "") for name in troubled]
    async with typing(server, "kept/doc", names="ab") as typists:
        await asyncio.to_thread(server.run_code, TROUBLED.format(names=troubled))
        await until(lambda: all(file.exists() for file in files))
        await type_on(typists, 100)
        caller = await caller_of_next(tmp_path)
        assert caller == server.process.pid
        await finish(typists)
        await kept_is(tmp_path, server, "doc")
        # The one that takes long ends once, though its lease has run out, the one that raises is
        # called again, and none of those that hang is called twice.
        await until((tmp_path / "slow0.done").exists)
        await until(lambda: len((tmp_path / "raises0").read_text().splitlines()) > 1)
        for file in files[:-2]:
            assert file.read_text() == "called\n"
        assert (tmp_path / "slow0").read_text() == "called\n"
    assert_one_at_a_time(tmp_path)


TROUBLED = """
from pycrdt import Text
from collab import documents

for name in {names}:
    with documents.edit(f"troubled/{{name}}") as doc:
        doc.get("text", type=Text).insert(0, "a")
"""


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
