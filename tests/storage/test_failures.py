"""Failures of the database, and what becomes of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import DataError, OperationalError, connections, transaction

from collab_storage._failures import drop_if_broken, translate
from collab_storage.exceptions import DocumentLocked, StorageNotMigrated, StorageUnavailable
from collab_storage.models import Update
from collab_storage.orm import ORMStorage
from collab_storage.testing.material import appended, entry, rows

from .database import in_executor

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


@pytest.fixture
async def storage() -> AsyncIterator[ORMStorage]:
    storage = ORMStorage("postgres")
    yield storage
    # The connection of the thread that all async code shares.
    await storage.close()


@asynccontextmanager
async def transaction_elsewhere(sql: str, *params: Any) -> AsyncIterator[None]:
    """Keep a transaction open during the block in which that was executed."""
    begun, end = asyncio.Event(), asyncio.Event()

    with in_executor() as executor:
        loop = asyncio.get_running_loop()

        def hold() -> None:
            with transaction.atomic("postgres"):
                with connections["postgres"].cursor() as cursor:
                    cursor.execute(sql, params)
                loop.call_soon_threadsafe(begun.set)
                asyncio.run_coroutine_threadsafe(end.wait(), loop).result()
                transaction.set_rollback(True, "postgres")

        holding = loop.run_in_executor(executor, hold)
        await begun.wait()
        try:
            yield
        finally:
            end.set()
            await holding


LOCK = "SELECT * FROM collab_storage_document WHERE name = %s FOR UPDATE"
DELETE = "DELETE FROM collab_storage_document WHERE name = %s"


@pytest.mark.parametrize("count", [1, 2])
async def test_the_server_does_not_wait_long_for_a_document_that_another_has_locked(
    storage: ORMStorage, count: int
) -> None:
    async with storage.serving():
        await appended(storage, b"one")
        async with transaction_elsewhere(LOCK, "doc"):
            with pytest.raises(DocumentLocked):
                await storage.append([entry(data=b"two")] * count)
            loaded = await storage.load("doc")
            assert loaded is not None
            with pytest.raises(DocumentLocked):
                await storage.replace("doc", loaded, b"snapshot")
            # Others are not concerned.
            await storage.append([entry("other")] * count)
        await storage.append([entry(data=b"two")])
        assert len(rows(await appended(storage, b"three"))) == 3


async def test_a_document_whose_name_another_transaction_has_not_given_up_yet_is_locked(
    storage: ORMStorage,
) -> None:
    async with storage.serving():
        assert await storage.create(entry("new"))
        await sync_to_async(Update.objects.using("postgres").all().delete)()
        async with transaction_elsewhere(DELETE, "new"):
            with pytest.raises(DocumentLocked):
                await storage.create(entry("new"))


async def test_the_projects_own_transactions_wait_as_the_database_has_it(
    storage: ORMStorage,
) -> None:
    await appended(storage, b"one")
    async with transaction_elsewhere(LOCK, "doc"):
        appending = asyncio.create_task(storage.append([entry(data=b"two")]))
        done, _ = await asyncio.wait([appending], timeout=0.6)
        assert not done
    await appending


@contextmanager
def read_only() -> Iterator[None]:
    """Make new connections, and those of the block, write nothing."""
    name = connections["postgres"].settings_dict["NAME"]
    with in_executor() as executor:

        def execute(sql: str) -> None:
            with connections["postgres"].cursor() as cursor:
                cursor.execute("SET default_transaction_read_only = off")
                cursor.execute(sql)

        executor.submit(
            execute, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'
        ).result()
        try:
            yield
        finally:
            executor.submit(
                execute, f'ALTER DATABASE "{name}" RESET default_transaction_read_only'
            ).result()


async def test_after_a_failover_the_next_verb_gets_a_new_connection(
    storage: ORMStorage,
) -> None:
    async with storage.serving():
        with read_only(), pytest.raises(StorageUnavailable, match="read-only"):
            await storage.append([entry()])
        assert rows(await appended(storage, b"one")) == [b"one"]


@pytest.mark.parametrize("using", ["default", "postgres"])
def test_missing_tables_are_one_sentence(using: str) -> None:
    storage = ORMStorage(using)
    table = Update._meta.db_table
    with transaction.atomic(using):
        with connections[using].cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RENAME TO away")
        sentence = pytest.raises(StorageNotMigrated, match=r"manage\.py migrate\.$")
        with sentence, transaction.atomic(using):
            async_to_sync(storage.load)("doc")
        transaction.set_rollback(True, using)


async def test_an_error_of_a_value_is_not_an_outage_but_costs_the_connection_if_it_repeats(
    storage: ORMStorage,
) -> None:
    def fail() -> None:
        with connections["postgres"].cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    def pid() -> int:
        with connections["postgres"].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    async with storage.serving():
        first = await storage._run(pid)
        with pytest.raises(DataError):
            await storage._run(fail)
        assert await storage._run(pid) == first
        for _ in range(2):
            with pytest.raises(DataError):
                await storage._run(fail)
        assert await storage._run(pid) != first


def test_a_value_that_is_too_large_is_of_the_document() -> None:
    class TooLarge(Exception):
        sqlstate = "54000"

    error = OperationalError("too large")
    error.__cause__ = TooLarge()
    assert translate(error, "default") is error


def test_inside_a_transaction_the_connection_stays() -> None:
    with transaction.atomic("postgres"):
        connection = connections["postgres"]
        connection.ensure_connection()
        drop_if_broken(connection, DataError(), repeated=True)
        assert connection.connection is not None
