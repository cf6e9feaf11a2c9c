"""Connections: of whom, how long, and what happens when the database goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError, connections, transaction

from collab_storage import orm
from collab_storage.exceptions import StorageUnavailable
from collab_storage.orm import ORMStorage
from collab_storage.testing.material import appended, entry, rows
from tests.harness.services import Postgres
from tests.harness.waiting import poll_until

from .database import in_executor

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


class Observer:
    """Looks at the connections of others, and may break them, on one of its own."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def pids(self) -> set[int]:
        """Return what tells the others' connections apart."""
        return await self._run(f"SELECT pid {OTHERS}")

    async def break_all(self) -> None:
        """Break the others' connections, as a restart of the database does."""
        await self._run(f"SELECT pg_terminate_backend(pid) {OTHERS}")
        await self.wait_until_gone(await self.pids())

    async def wait_until_gone(self, pids: set[int]) -> None:
        """Return once none of those connections is left."""
        await asyncio.to_thread(
            poll_until,
            lambda: not pids & self._executor.submit(self._ask, f"SELECT pid {OTHERS}").result(),
        )

    async def _run(self, sql: str) -> set[int]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._ask, sql)

    @staticmethod
    def _ask(sql: str) -> set[int]:
        with connections["postgres"].cursor() as cursor:
            cursor.execute(sql)
            return {number for (number,) in cursor.fetchall()}


@pytest.fixture
def observer(transactional_db: None) -> Iterator[Observer]:
    with in_executor() as executor:
        yield Observer(executor)
    # Those of this thread may be broken.
    connections["postgres"].close()


@pytest.fixture
def storage() -> ORMStorage:
    return ORMStorage("postgres")


async def test_a_serving_task_has_one_connection_and_gives_it_back(
    storage: ORMStorage, observer: Observer
) -> None:
    before = await observer.pids()
    async with storage.serving():
        await appended(storage, b"one")
        await appended(storage, b"two")
        own = await observer.pids() - before
        assert len(own) == 1
    await observer.wait_until_gone(own)


async def test_a_cancelled_serving_task_gives_its_connection_back(
    storage: ORMStorage, observer: Observer
) -> None:
    before = await observer.pids()
    serving = asyncio.Event()

    async def serve() -> None:
        async with storage.serving():
            await appended(storage, b"one")
            serving.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(serve())
    await serving.wait()
    own = await observer.pids() - before
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await observer.wait_until_gone(own)


Verb = Callable[[ORMStorage], Awaitable[Any]]

#: One that opens a transaction, which drops broken connections itself, and one that does not.
verbs = pytest.mark.parametrize(
    "verb", [lambda storage: storage.append([entry()]), lambda storage: storage.exists("doc")]
)


@verbs
async def test_a_broken_connection_is_replaced_after_one_failure(
    storage: ORMStorage, observer: Observer, verb: Verb
) -> None:
    async with storage.serving():
        await appended(storage, b"one")
        await observer.break_all()
        with pytest.raises(StorageUnavailable):
            await verb(storage)
        assert rows(await appended(storage, b"two")) == [b"one", b"two"]


@verbs
async def test_the_shared_thread_gets_a_new_connection_too(
    storage: ORMStorage, observer: Observer, verb: Verb
) -> None:
    await appended(storage, b"one")
    await observer.break_all()
    with pytest.raises(StorageUnavailable):
        await verb(storage)
    assert rows(await appended(storage, b"two")) == [b"one", b"two"]
    await storage.close()


async def test_a_connection_that_was_quiet_for_long_is_not_trusted(
    storage: ORMStorage, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orm, "MAX_IDLE", -1.0)
    async with storage.serving():
        await appended(storage, b"one")
        await observer.break_all()
        assert rows(await appended(storage, b"two")) == [b"one", b"two"]


async def test_a_database_that_goes_away_and_comes_back(
    storage: ORMStorage, observer: Observer, postgres_server: Postgres
) -> None:
    async with storage.serving():
        await appended(storage, b"one")
        await asyncio.to_thread(postgres_server.stop, "immediate")
        for _ in range(2):
            with pytest.raises(StorageUnavailable, match="'postgres'"):
                await storage.append([entry()])
        await asyncio.to_thread(postgres_server.start)
        assert rows(await appended(storage, b"two")) == [b"one", b"two"]


def test_inside_a_transaction_a_broken_connection_stays_broken(
    storage: ORMStorage, observer: Observer
) -> None:
    # On a new connection the second append would be kept, although the first one is lost.
    append = async_to_sync(storage.append)
    with pytest.raises(DatabaseError), transaction.atomic("postgres"):
        append([entry(data=b"one")])
        async_to_sync(observer.break_all)()
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                append([entry(data=b"two")])
        connections["postgres"].cursor()
    connections["postgres"].close()
    assert not async_to_sync(storage.exists)("doc")


def test_a_failure_inside_a_savepoint_does_not_cost_the_connection(
    storage: ORMStorage, observer: Observer
) -> None:
    def time_out(execute: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        execute("SET LOCAL statement_timeout = 10", None, *rest)
        return execute("SELECT pg_sleep(20)", None, *rest)

    too_slow = connections["postgres"].execute_wrapper(time_out)
    with transaction.atomic("postgres"):
        async_to_sync(storage.append)([entry(data=b"one")])
        with pytest.raises(StorageUnavailable), transaction.atomic("postgres"), too_slow:
            async_to_sync(storage.exists)("doc")
    assert async_to_sync(storage.exists)("doc")
