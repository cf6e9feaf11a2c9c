"""Differences of PostgreSQL from a database with one writer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction

from collab_storage.orm import ORMStorage
from collab_storage.testing.material import entry, rows
from tests.harness.waiting import DEADLINE, poll_until

from .database import after_statements, elsewhere, in_executor

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

storage = ORMStorage("postgres")


@pytest.fixture
def other() -> Iterator[Executor]:
    """Another thread, with a connection of its own."""
    with in_executor() as executor:
        yield executor


def append(data: bytes, name: str = "doc") -> None:
    async_to_sync(storage.append)([entry(name, data)])


def create(data: bytes) -> bool:
    return async_to_sync(storage.create)(entry(data=data)) is not None


def delete() -> bool:
    return async_to_sync(storage.delete)("doc")


def log(name: str = "doc") -> list[bytes]:
    return rows(async_to_sync(storage.load)(name))


def wait_until_somebody_waits() -> None:
    """Return as soon as another connection waits for a lock of this one."""

    def waiting() -> int:
        with connections["postgres"].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            [count] = cursor.fetchone()
        return int(count)

    poll_until(waiting)


def test_a_row_that_commits_late_survives_a_compaction() -> None:
    append(b"first")

    def append_and_compact() -> None:
        append(b"early commit")
        stored = async_to_sync(storage.load)("doc")
        assert stored is not None and rows(stored) == [b"early commit", b"first"]
        assert async_to_sync(storage.replace)("doc", stored, b"snapshot")

    with transaction.atomic("postgres"):
        append(b"late commit, lower id")
        elsewhere(append_and_compact)
    assert log() == [b"late commit, lower id"]


def test_appending_does_not_wait_for_others_that_append_or_compact() -> None:
    append(b"first")
    with transaction.atomic("postgres"):
        append(b"here")
        elsewhere(lambda: append(b"there"))
    stored = async_to_sync(storage.load)("doc")
    assert stored is not None
    with transaction.atomic("postgres"):
        assert async_to_sync(storage.replace)("doc", stored, b"snapshot")
        elsewhere(lambda: append(b"last"))
    assert log() == [b"last"]


def test_a_deletion_waits_for_who_appends_and_takes_that_too(other: Executor) -> None:
    append(b"first")
    with transaction.atomic("postgres"):
        append(b"here")
        deleted = other.submit(delete)
        wait_until_somebody_waits()
        append(b"again")
    assert deleted.result(DEADLINE)
    assert not async_to_sync(storage.exists)("doc")


def test_appending_waits_for_a_deletion_and_starts_anew(other: Executor) -> None:
    append(b"first")
    with transaction.atomic("postgres"):
        delete()
        appended = other.submit(append, b"new")
        wait_until_somebody_waits()
    appended.result(DEADLINE)
    assert log() == [b"new"]


def test_a_creation_waits_for_another_one_that_is_committed(other: Executor) -> None:
    with transaction.atomic("postgres"):
        assert create(b"here")
        created = other.submit(create, b"there")
        wait_until_somebody_waits()
    assert not created.result(DEADLINE)
    assert log() == [b"here"]


def test_a_creation_waits_for_another_one_that_is_rolled_back(other: Executor) -> None:
    with transaction.atomic("postgres"):
        assert create(b"here")
        created = other.submit(create, b"there")
        wait_until_somebody_waits()
        transaction.set_rollback(True, "postgres")
    assert created.result(DEADLINE)
    assert log() == [b"there"]


def test_appending_waits_for_another_that_creates_the_document(other: Executor) -> None:
    with transaction.atomic("postgres"):
        append(b"here")
        appended = other.submit(append, b"there")
        wait_until_somebody_waits()
    appended.result(DEADLINE)
    assert log() == [b"here", b"there"]


def test_a_document_that_others_make_and_delete_meanwhile_is_made_again() -> None:
    # The first statement has not found the document, nor does the second; the third makes it
    # unless it is there by now.
    actions = {2: lambda: append(b"gone"), 3: delete}
    with after_statements("postgres", actions) as statements:
        append(b"one")
    assert log() == [b"one"]
    assert [sql.split()[0] for sql in statements] == ["INSERT", *["SELECT", "INSERT"] * 3]
