"""Work that the database could not do at the moment is done later, in another transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import IsolationLevel

from collab.mirror import reconcile, retry
from collab.mirror.models import MirroredDocument
from collab_storage.exceptions import StorageNotMigrated
from collab_storage.models import Document
from tests.harness.waiting import DEADLINE
from tests.mirror.boards import assert_equal, name_of, open_board, tasks
from tests.mirror.changes import change_at_random
from tests.mirror.databases import kept_in, on_both, together
from tests.rows.models import Board, Task
from tests.storage.database import in_executor

on_postgres = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

#: Short waits of this thread's connection.
IMPATIENCE = {
    "sqlite": "PRAGMA busy_timeout = 20",
    "postgresql": "SET lock_timeout = '20ms'",
}


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The errors that the mirror has logged."""

    def found() -> list[str]:
        records = [r for r in caplog.records if r.name.startswith("collab.mirror")]
        return [record.message for record in records if record.levelno >= logging.ERROR]

    return found


@contextmanager
def counting_failures(using: str, then: Callable[[], object] = lambda: None) -> Iterator[list[str]]:
    """Note what this thread's statements fail with, and call ``then`` after each."""
    failures: list[str] = []

    def execute(run: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        try:
            return run(sql, *arguments)
        except OperationalError as error:
            failures.append(str(error))
            then()
            raise

    with connections[using].execute_wrapper(execute):
        yield failures


def run(connection: BaseDatabaseWrapper, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@contextmanager
def locked_elsewhere(board: Board, using: str) -> Iterator[Callable[[], None]]:
    """Hold a board's lock in another connection until the yielded function is called."""
    is_locked, may_end = Event(), Event()

    def hold() -> None:
        with transaction.atomic(using):
            MirroredDocument.objects.filter(name=name_of(board)).update(opened_at=None)
            is_locked.set()
            assert may_end.wait(DEADLINE)

    with in_executor() as executor:
        holding = executor.submit(hold)
        assert is_locked.wait(DEADLINE)

        def end() -> None:
            may_end.set()
            holding.result(DEADLINE)

        try:
            yield end
        finally:
            end()


@on_both
def test_rows_are_written_when_the_lock_is_free(
    using: str, errors: Callable[[], list[str]]
) -> None:
    with kept_in(using):
        board = open_board()
        Task.objects.create(board=board)
        Task.objects.all()._raw_delete(using)
        run(connections[using], IMPATIENCE[connections[using].vendor])
        with (
            locked_elsewhere(board, using) as end,
            counting_failures(using, end) as failures,
        ):
            assert reconcile(name_of(board))
        assert len(failures) == 1
        assert tasks(board) == {} and errors() == []
        connections[using].close()


@on_both
def test_a_lock_held_for_too_long_is_not_waited_for(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kept_in(using):
        board = open_board()
        run(connections[using], IMPATIENCE[connections[using].vendor])
        # Closing it would forget that.
        monkeypatch.setattr(retry, "_drop_broken_connections", lambda: None)
        with locked_elsewhere(board, using), counting_failures(using) as failures:
            with pytest.raises(OperationalError):
                reconcile(name_of(board))
            assert len(failures) == retry._ATTEMPTS
            monkeypatch.setattr(retry, "_LONGEST", 0.0)
            with pytest.raises(OperationalError):
                reconcile(name_of(board))
            assert len(failures) == retry._ATTEMPTS + 1
        connections[using].close()


@pytest.mark.parametrize("using", ["postgres"])
@on_postgres
def test_victim_of_a_deadlock_writes_again(using: str, errors: Callable[[], list[str]]) -> None:
    with kept_in(using):
        board = open_board()
        task = Task.objects.create(board=board, title="one")
        record = MirroredDocument.objects.filter(name=name_of(board))
        is_locked = Event()

        def cross() -> None:
            """Lock the document, and then what rows are mirrored with: the other way round."""
            run(connections[using], "SET deadlock_timeout = '1min'")
            with transaction.atomic(using):
                Document.objects.select_for_update().get()
                is_locked.set()
                record.update(opened_at=None)

        with in_executor() as executor:
            task.title = "two"
            crossing = None

            def cross_once(run: Callable[..., Any], sql: str, *arguments: Any) -> Any:
                nonlocal crossing
                if crossing is None and "INSERT" in sql:
                    crossing = executor.submit(cross)
                    assert is_locked.wait(DEADLINE)
                return run(sql, *arguments)

            run(connections[using], "SET deadlock_timeout = '50ms'")
            with counting_failures(using) as failures:
                with connections[using].execute_wrapper(cross_once):
                    task.save()
                assert crossing is not None
                crossing.result(DEADLINE)
        assert "deadlock" in failures[0]
        assert tasks(board)[str(task.pk)]["title"] == "two"
        assert errors() == []


@pytest.mark.parametrize("using", ["postgres"])
@on_postgres
def test_connection_that_is_lost_is_made_anew(using: str, errors: Callable[[], list[str]]) -> None:
    with kept_in(using):
        board = open_board()
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        sql = f"SELECT pg_terminate_backend({pid}, 10000)"
        together(lambda: run(connections[using], sql))
        assert reconcile(name_of(board))
        assert errors() == []


@on_both
def test_in_a_transaction_of_the_caller_it_is_tried_once(using: str) -> None:
    calls = []

    @retry.patiently
    def fail() -> None:
        calls.append(1)
        raise OperationalError

    with kept_in(using):
        with pytest.raises(OperationalError), transaction.atomic(using):
            fail()
        assert len(calls) == 1


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
@pytest.mark.parametrize("using", ["postgres"])
@on_postgres
def test_documents_are_as_the_rows_with_more_isolation(
    using: str,
    level: IsolationLevel,
    monkeypatch: pytest.MonkeyPatch,
    errors: Callable[[], list[str]],
) -> None:
    options = connections.settings[using].setdefault("OPTIONS", {})
    monkeypatch.setitem(options, "isolation_level", level)
    connections[using].close()
    with kept_in(using):
        boards = [open_board() for _ in range(2)]
        keys = [board.pk for board in boards]

        def change(seed: int) -> Callable[[], object]:
            return lambda: change_at_random(seed, 25, keys)

        with counting_failures(using):
            together(*(change(seed) for seed in range(4)))
        assert errors() == []
        assert Task.objects.exists()
        assert_equal(boards)
    connections[using].close()


@contextmanager
def without_tables(using: str) -> Iterator[None]:
    """The migrations of ``collab.mirror`` have not run."""
    table = MirroredDocument._meta.db_table
    run(connections[using], f"ALTER TABLE {table} RENAME TO away")
    try:
        yield
    finally:
        run(connections[using], f"ALTER TABLE away RENAME TO {table}")


@on_both
def test_missing_tables_are_one_sentence_at_once(
    using: str, errors: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    with kept_in(using):
        board = open_board()
        with without_tables(using):
            with counting_failures(using) as failures:
                with pytest.raises(StorageNotMigrated, match=r"\): run manage\.py migrate\.$"):
                    reconcile(name_of(board))
                assert len(failures) <= 1
            Task.objects.create(board=board, title="two")
        assert [text.partition(" (")[0] for text in errors()] == [
            "Rows could not be written into documents: Tables of rows in documents are missing"
            " or old"
        ]
        assert all(record.exc_info is None for record in caplog.records)
        # The next change makes up for it.
        Task.objects.create(board=board, title="three")
        assert_equal([board])
