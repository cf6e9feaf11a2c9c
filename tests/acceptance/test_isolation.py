"""One document, one project or one file that is locked or broken harms no other (I15)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from pycrdt import Map

from tests.harness.client import YjsClient
from tests.harness.fixtures import StartServer
from tests.harness.services import Redis
from tests.harness.waiting import until


async def synced(client: YjsClient) -> YjsClient:
    await client.hello()
    await client.wait_until(lambda: client.synced)
    return client


async def all_saved(client: YjsClient) -> None:
    await client.wait_until(lambda: client.saved >= client.sent)


LOCKED = {
    "locked": "SELECT * FROM collab_storage_document WHERE name = 'one' FOR UPDATE",
    "deleted": "DELETE FROM collab_storage_update WHERE document_id IN"
    " (SELECT id FROM collab_storage_document WHERE name = 'one')",
}


@pytest.mark.parametrize("how", LOCKED)
async def test_a_document_in_a_long_transaction_delays_no_other(
    postgres_database: str, start_server: StartServer, how: str
) -> None:
    server = start_server(postgres_database)
    server.allow_errors("document is locked")
    async with server.client("one") as one, server.client("other") as other:
        for client in (one, other):
            await synced(client)
            await client.insert("before ")
            await all_saved(client)
        with closing(psycopg.connect(postgres_database)) as admin:
            admin.execute(LOCKED["locked"])
            admin.execute(LOCKED[how])
            await one.insert("locked ")
            for _ in range(10):
                await other.insert("free ")
                await all_saved(other)
            assert one.saved < one.sent
            # Opening, too, is not delayed.
            async with server.client("third") as third:
                await synced(third)
            admin.rollback()
        await all_saved(one)


BOARDS = """
from tests.rows.models import Board, Task
for key in (1, 2, 3):
    Task.objects.create(pk=key, board=Board.objects.create(pk=key), title="old")
"""


async def rename(client: YjsClient, key: str, title: str) -> None:
    async with client.edit() as doc:
        doc.get("tasks", type=Map)[key]["title"] = title


def title(client: YjsClient, key: str) -> object:
    return client.doc.get("tasks", type=Map)[key]["title"]


async def test_a_row_in_a_long_transaction_delays_the_rows_of_no_other_document(
    postgres_database: str, start_server: StartServer
) -> None:
    server = start_server(postgres_database)
    server.run_code(BOARDS)
    async with server.client("board-1") as one, server.client("board-2") as two:
        for client in (one, two):
            await synced(client)
        with closing(psycopg.connect(postgres_database)) as admin:
            admin.execute("SELECT * FROM rows_task WHERE id = 1 FOR UPDATE")
            await rename(one, "1", "locked")
            await rename(two, "2", "free")
            await until(lambda: "free" in server.run_code(READ.format(2)))
            # A document with rows opens meanwhile.
            async with server.client("board-3") as three:
                await synced(three)
                assert title(three, "3") == "old"
            assert "old" in server.run_code(READ.format(1))
            admin.rollback()
        await until(lambda: "locked" in server.run_code(READ.format(1)))


READ = "from tests.rows.models import Task; print(Task.objects.get(pk={}).title)"


async def test_a_database_that_was_read_only_for_a_while_is_written_to_again(
    postgres_database: str, start_server: StartServer
) -> None:
    server = start_server(postgres_database)
    server.allow_errors("cannot be reached")
    async with server.client("room") as client:
        await synced(client)
        with closing(psycopg.connect(postgres_database, autocommit=True)) as admin:
            (name,) = admin.execute("SELECT current_database()").fetchone() or ("",)
            admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await client.insert("written ")
            await until(lambda: "read-only" in server.log)
            assert client.saved < client.sent
            admin.execute("SET default_transaction_read_only = off")
            admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        await all_saved(client)


async def test_two_projects_on_one_redis_do_not_read_each_others_documents(
    sqlite_database: str, postgres_database: str, redis_server: Redis, start_server: StartServer
) -> None:
    servers = [
        start_server(
            database, redis=redis_server.url, environment={"COLLAB_TEST_SECRET_KEY": secret}
        )
        for database, secret in ((sqlite_database, "one"), (postgres_database, "two"))
    ]
    async with servers[0].client("board") as one, servers[1].client("board") as two:
        for client in (one, two):
            await synced(client)
        await one.insert("of project one")
        await two.insert("of project two")
        await all_saved(one)
        await all_saved(two)
    for server, text in zip(servers, ("of project one", "of project two"), strict=True):
        async with server.client("board") as client:
            await synced(client)
            assert client.text == text


async def test_a_spool_file_that_is_not_valid_keeps_no_document_from_opening(
    sqlite_database: str, start_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "0.collab-spool").write_text("not valid\n")
    server = start_server(sqlite_database, collab={"SPOOL_DIRECTORY": str(tmp_path)})
    server.allow_errors("invalid lines|is kept as")
    async with server.client("room") as client:
        await synced(client)
        await client.insert("typed ")
        await all_saved(client)
    assert (tmp_path / "0.collab-spool.not-stored").exists()
