"""While the database is away members go on, and nobody is told saved what is not (I2)."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.harness.client import wait_until
from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.services import Postgres

from .typists import Typist, finish, passed_on, read, type_on, typing, words_of

#: What the server's log says of an outage.
EXPECTED = (
    "storage cannot be reached|document cannot be stored|document could not be opened"
    "|updates could not be stored"
)


async def heard(typists: Sequence[Typist]) -> None:
    """Wait until everybody has what everybody has typed by now."""
    words = [word for typist in typists for word in typist.words]
    clients = [typist.client for typist in typists]
    await wait_until(
        lambda: all(word in client.text for client in clients for word in words), *clients
    )


@asynccontextmanager
async def nothing_told_saved(typists: Sequence[Typist]) -> AsyncIterator[None]:
    """Check that during the block members see each other's words, but none is told saved."""
    # What was told before has arrived when later words have.
    await heard(typists)
    saved = [len(typist.saved) for typist in typists]
    yield
    await type_on(typists, 100)
    await heard(typists)
    assert [len(typist.saved) for typist in typists] == saved


async def refused(server: Server, room: str) -> int:
    """Return the code with which the server closes a connection to a room."""
    client = server.client(room)
    await client.connect()
    return await client.wait_closed()


@contextmanager
def largest_file(server: Server, path: Path) -> Iterator[None]:
    """Limit the server's files to the size of this one; its database reports a full disk."""
    pid, kind = server.process.pid, resource.RLIMIT_FSIZE
    limits = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (path.stat().st_size, limits[1]))
    yield
    resource.prlimit(pid, kind, limits)


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_members_go_on_without_the_database(
    postgres_server: Postgres, postgres_database: str, start_server: StartServer, kill: bool
) -> None:
    server = start_server(postgres_database)
    server.allow_errors(EXPECTED)
    async with typing(server, "room") as typists:
        for other in ("other", "another"):
            await type_on(typists, 50)
            if kill:
                await asyncio.to_thread(postgres_server.kill)
            else:
                await asyncio.to_thread(postgres_server.stop, "immediate")
            async with nothing_told_saved(typists):
                assert await refused(server, other) == 1011
            await asyncio.to_thread(postgres_server.start)
            assert await read(server, other) == ""
        text = await finish(typists)
    await asyncio.to_thread(server.restart)
    assert await read(server, "room") == text


async def test_members_go_on_while_the_database_hangs(
    postgres_database: str, start_server: StartServer
) -> None:
    server = start_server(
        postgres_database, collab={"CONSTANTS": {"collab.engine.hub.loader.LOAD_TIMEOUT": 5}}
    )
    server.allow_errors(EXPECTED)
    async with typing(server, "room") as typists:
        await type_on(typists, 50)
        with closing(psycopg.connect(postgres_database)) as admin:
            # Until this transaction ends, whoever wants to read or write waits.
            admin.execute("LOCK collab_storage_document, collab_storage_update")
            async with nothing_told_saved(typists):
                assert await refused(server, "other") == 1011
        assert await read(server, "other") == ""
        text = await finish(typists)
    assert await read(server, "room") == text


async def test_members_notice_nothing_of_lost_database_connections(
    postgres_server: Postgres, postgres_database: str, start_server: StartServer
) -> None:
    server = start_server(postgres_database)
    server.allow_errors(EXPECTED)
    async with typing(server, "room") as typists:
        with closing(psycopg.connect(postgres_database, autocommit=True)) as admin:
            for _ in range(5):
                await type_on(typists, 50)
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid != pg_backend_pid() AND backend_type = 'client backend'"
                )
        text = await finish(typists)
    assert await read(server, "room") == text


async def test_a_full_disk_loses_nothing(sqlite_database: str, start_server: StartServer) -> None:
    server = start_server(sqlite_database)
    server.allow_errors(EXPECTED)
    journal = Path(sqlite_database.removeprefix("sqlite://") + "-wal")
    async with typing(server, "room") as typists:
        # The log, which the limit holds for, too, is smaller than the journal once that is used.
        await wait_until(
            lambda: any(typist.saved for typist in typists),
            *(typist.client for typist in typists),
        )
        with largest_file(server, journal):
            await asyncio.to_thread(server.wait_for_log, "The storage cannot be reached")
            # Reports of what was stored before have arrived when later words have.
            await type_on(typists, 50)
            async with nothing_told_saved(typists):
                pass
        text = await finish(typists)
    await asyncio.to_thread(server.restart)
    assert await read(server, "room") == text


async def test_an_edit_beyond_the_limit_of_unsaved_edits_is_refused(
    postgres_server: Postgres, postgres_database: str, start_server: StartServer
) -> None:
    server = start_server(postgres_database, collab={"MAX_UNSAVED": 10_000})
    server.allow_errors(EXPECTED)
    async with server.client("room") as ann, server.client("room") as bob:
        await bob.hello()
        await asyncio.to_thread(postgres_server.stop, "immediate")
        await bob.insert("b" * 10_000)
        await ann.wait_until(lambda: len(ann.text) == 10_000)
        await ann.insert("a")
        assert await ann.wait_closed() == 1013
        assert bob.connected
        await asyncio.to_thread(postgres_server.start)
        await bob.wait_saved()
        await ann.connect()
        await bob.wait_until(lambda: bob.text.endswith("a"))
    await asyncio.to_thread(server.restart)
    assert await read(server, "room") == "b" * 10_000 + "a"


async def test_the_server_ends_in_time_without_the_database_and_loses_nothing(
    postgres_server: Postgres, postgres_database: str, start_server: StartServer
) -> None:
    server = start_server(postgres_database, collab={"CLOSE_TIMEOUT": 1})
    server.allow_errors(EXPECTED)
    async with typing(server, "room") as typists:
        await type_on(typists, 50)
        await asyncio.to_thread(postgres_server.kill)
        await type_on(typists, 50)
        await asyncio.to_thread(server.terminate)
        await asyncio.gather(*(typist.client.wait_closed() for typist in typists))
        await asyncio.to_thread(postgres_server.start)
        await asyncio.to_thread(server.start)
        assert passed_on(typists) <= set(words_of(await read(server, "room")))
        await asyncio.gather(*(typist.connect() for typist in typists))
        text = await finish(typists)
    assert await read(server, "room") == text
