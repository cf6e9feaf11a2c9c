"""The usual save locks its document, and reads what it needs, with one statement (PostgreSQL)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from collab import documents
from collab.conf import get_storage
from collab.mirror.outgoing import backlog
from collab.mirror.outgoing.locks import Locked, can_lock_alone, lock, lock_alone
from collab_storage.models import Document
from tests.harness.waiting import DEADLINE, poll_until, until
from tests.mirror.boards import assert_equal, name_of, open_board, tasks
from tests.mirror.databases import Elsewhere, kept_in, served_from
from tests.mirror.test_retry import locked_elsewhere
from tests.rows.mirrors import TaskMirror
from tests.rows.models import Board, Task
from tests.storage.database import in_executor

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

USING = "postgres"
#: Of a lock of PostgreSQL that a statement is made to wait for.
NUMBER = 16


@pytest.fixture
def postgres() -> Iterator[None]:
    with kept_in(USING):
        yield


@pytest.fixture
def board(postgres: None) -> Board:
    """A board with a task, whose document this process has written."""
    board = open_board()
    # The first writing makes the document, the second one loads it.
    Task.objects.create(board=board, title="one").save()
    save("two")
    return board


def save(title: str) -> list[str]:
    """Save the only task; return what the statements after that begin with."""
    task = Task.objects.get()
    task.title = title
    with CaptureQueriesContext(connections[USING]) as queries:
        task.save()
    return [query["sql"].split()[0] for query in queries][1:]


def locked(board: Board, key: str) -> Locked | None:
    with transaction.atomic(USING):
        return lock_alone(name_of(board), "tasks", key, USING, is_brief=False)


def test_document_of_a_row_is_found_and_locked_with_one_statement(board: Board) -> None:
    # The row and its labels are read, its values and the update are written.
    statements = ["WITH", "SELECT", "SELECT", "UPDATE", "INSERT"]
    assert save("three") == ["BEGIN", *statements, "COMMIT"]
    assert_equal([board])


def test_statement_finds_the_row_and_the_mark_of_the_document(board: Board) -> None:
    key, name = str(Task.objects.get().pk), name_of(board)
    found = locked(board, key)
    assert found is not None and found.known is not None
    rows = found.known.of("tasks", [key])
    assert rows is not None and rows[key].values == tasks(board)[key]
    assert found.mark == async_to_sync(get_storage().marks)([name])[name]
    with transaction.atomic(USING):
        assert lock(name, USING) == found.record


def test_row_that_is_new_to_the_document_has_no_values(board: Board) -> None:
    found = locked(board, "0")
    assert found is not None and found.known is not None and found.known.rows == {}
    Task.objects.create(board=board, title="new")
    assert_equal([board])


def test_document_that_is_not_stored_has_no_mark(board: Board) -> None:
    documents.delete(name_of(board))
    found = locked(board, "0")
    assert found is not None and found.mark is None


def test_document_that_is_stored_elsewhere_has_no_mark() -> None:
    storage = {"BACKEND": "collab_storage.orm.ORMStorage", "OPTIONS": {"using": "default"}}
    collab = {"DEFAULT_ACCESS": "write", "STORAGE": storage}
    with override_settings(DATABASE_ROUTERS=[Elsewhere()], COLLAB=collab):
        board = open_board()
        Task.objects.create(board=board, title="one").save()
        found = locked(board, "0")
        assert found is not None and found.known is not None and found.mark is None
        save("two")
        assert_equal([board])


def test_row_that_another_document_has_is_looked_up(board: Board) -> None:
    other, task = open_board(), Task.objects.get()
    Task.objects.create(board=other, title="first").save()
    assert locked(other, str(task.pk)) is None
    task.board = other
    task.save()
    assert_equal([board, other])
    assert locked(other, str(task.pk)) is not None
    assert locked(Board.objects.create(), str(task.pk)) is None


def test_locked_document_is_not_waited_for(board: Board) -> None:
    key = str(Task.objects.get().pk)
    with locked_elsewhere(board, USING):
        assert locked(board, key) is None
    assert locked(board, key) is not None


def test_no_other_database_is_asked_for_it() -> None:
    assert can_lock_alone(USING) and not can_lock_alone("default")


@contextmanager
def meanwhile(function: Callable[[], object]) -> Iterator[None]:
    """Call a function elsewhere between the beginning of the statement and its locking."""

    def execute(run: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        before, begin, after = sql.partition(" FROM ")
        if not sql.startswith("WITH alone"):
            return run(sql, *arguments)
        waiting = f"(SELECT pg_advisory_xact_lock({NUMBER})) waiting, "
        with in_executor() as holder, in_executor() as executor:
            holder.submit(_run, f"SELECT pg_advisory_lock({NUMBER})").result(DEADLINE)
            ending = executor.submit(_end, function, holder)
            result = run(before + begin + waiting + after, *arguments)
            ending.result(DEADLINE)
        return result

    with connections[USING].execute_wrapper(execute):
        yield


def _end(function: Callable[[], object], holder: Any) -> None:
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    poll_until(lambda: _run(waits))
    try:
        function()
    finally:
        holder.submit(_run, f"SELECT pg_advisory_unlock({NUMBER})").result(DEADLINE)


def _run(sql: str) -> object:
    with connections[USING].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def test_document_that_is_written_while_the_statement_begins_is_read_again(board: Board) -> None:
    task = Task.objects.get()
    key = str(task.pk)
    with meanwhile(lambda: Task.objects.update(title="meanwhile")):
        found = locked(board, key)
    assert found is not None and (found.known, found.mark) == (None, None)
    task.title = "mine"
    with meanwhile(lambda: Task.objects.update(title="theirs", position=7)):
        task.save(update_fields=["title"])
    assert_equal([board])
    assert (tasks(board)[key]["title"], tasks(board)[key]["position"]) == ("theirs", 7)


def test_row_that_enters_another_document_meanwhile_leaves_the_first(board: Board) -> None:
    task, other = Task.objects.get(), open_board()
    with meanwhile(lambda: Task.objects.update(board=other)):
        task.save(update_fields=["title"])
    assert_equal([board, other])


@contextmanager
def stored_document_locked(board: Board) -> Iterator[None]:
    """Hold the stored document of a board, which nothing can be appended to meanwhile."""

    def hold() -> None:
        connections[USING].set_autocommit(False)
        Document.objects.using(USING).select_for_update().get(name=name_of(board))

    with in_executor() as executor:
        executor.submit(hold).result(DEADLINE)
        try:
            yield
        finally:
            executor.submit(_roll_back).result(DEADLINE)


def _roll_back() -> None:
    connections[USING].rollback()
    connections[USING].set_autocommit(True)


async def test_save_in_the_shared_thread_does_not_wait_for_the_stored_document() -> None:
    async with served_from(USING):
        board = await sync_to_async(open_board)()
        task = await sync_to_async(Task.objects.create)(board=board, title="one")
        await sync_to_async(save)("two")
        task.title = "three"
        holding = stored_document_locked(board)
        await sync_to_async(holding.__enter__, thread_sensitive=False)()
        await sync_to_async(task.save)()
        assert (await sync_to_async(tasks)(board))[str(task.pk)]["title"] == "two"
        await sync_to_async(holding.__exit__, thread_sensitive=False)(None, None, None)
        await until(lambda: not backlog._backlog._waiting)
        await sync_to_async(assert_equal)([board])


def test_error_is_logged_and_made_up_for_by_the_next_save(
    board: Board, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: TaskMirror, rows: Any, name: str) -> Any:
        raise ValueError("no values")

    with monkeypatch.context() as patch:
        patch.setattr(TaskMirror, "values", fail)
        save("three")
    assert [r.message for r in caplog.records] == ["Rows could not be written."]
    caplog.clear()
    save("four")
    assert_equal([board])
