"""Exactly what is committed is in the documents, however it was committed (I10)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models import F
from django.test import TestCase as DjangoTestCase
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from collab.mirror import reconcile
from collab.mirror.models import MirroredDocument
from collab_storage.chunks import CHUNK
from tests.harness.waiting import poll_until
from tests.rows.mirrors import TaskMirror
from tests.rows.models import Board, Label, Note, Task
from tests.storage.database import after_statements

from .boards import in_maps, name_of, notes, open_board, row_values, tasks, updates
from .databases import RowsElsewhere, kept_in, on_both


def titles(board: Board) -> list[str]:
    return sorted(task["title"] for task in tasks(board).values())


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    using = getattr(request.node, "callspec", None)
    with kept_in(using.params["using"] if using else "default"):
        yield


@on_both
def test_many_saves_of_a_row_are_one_update(using: str) -> None:
    board = open_board()
    with transaction.atomic(using):
        task = Task.objects.create(board=board)
        for number in range(5):
            task.title = str(number)
            task.save()
    assert (titles(board), updates(name_of(board))) == (["4"], 1)


@on_both
def test_many_rows_are_one_update_and_few_queries(using: str) -> None:
    board, other = open_board(), open_board("other")
    rows = Task.objects.bulk_create(Task(board=board) for _ in range(10_000))
    with after_statements(using, {}) as statements, transaction.atomic(using):
        for row in rows:
            row.title = "new"
            row.save()
        saved = len(statements)
    assert updates(name_of(board)) == 2
    assert len(statements) - saved < 10_000 / CHUNK * 10
    assert titles(board) == ["new"] * 10_000
    assert updates(name_of(other)) == 0


@on_both
def test_nested_transactions_count_if_all_are_committed(using: str) -> None:
    board = open_board()
    with transaction.atomic(using):
        for outer in (True, False):
            with transaction.atomic(using):
                for inner in (True, False):
                    with transaction.atomic(using):
                        Task.objects.create(board=board, title=f"{outer} {inner}")
                        transaction.set_rollback(not inner, using)
                transaction.set_rollback(not outer, using)
    assert titles(board) == ["True True"]
    assert updates(name_of(board)) == 1


@on_both
def test_row_that_was_deleted_and_is_back_stays(using: str) -> None:
    board = open_board()
    task = Task.objects.create(board=board, title="one")
    with transaction.atomic(using):
        with transaction.atomic(using):
            Task.objects.get().delete()
            transaction.set_rollback(True, using)
        task.title = "two"
        task.save()
    assert titles(board) == ["two"]
    assert updates(name_of(board)) == 2


@on_both
def test_last_of_two_instances_wins(using: str) -> None:
    board = open_board()
    one = Task.objects.create(board=board, title="one")
    two = Task.objects.get()
    two.title = "two"
    two.save()
    one.done = True
    one.save(update_fields=["done"])
    assert in_maps(name_of(board)) == row_values(name_of(board))
    one.save()
    assert titles(board) == ["one"]


@on_both
def test_instance_may_change_after_it_was_saved(using: str) -> None:
    one, two = open_board(), open_board()
    with transaction.atomic(using):
        task = Task.objects.create(board=one, title="one")
        task.board = two
    assert (titles(one), titles(two)) == (["one"], [])


@on_both
def test_values_that_only_the_database_knows_are_read(using: str) -> None:
    one, two = open_board(), open_board()
    task = Task.objects.create(board=one)
    task.board_id = F("board_id") + 1
    task.save()
    assert (len(tasks(one)), len(tasks(two))) == (0, 1)


@on_both
def test_keys_that_code_has_assigned_as_text_are_found(using: str) -> None:
    board = open_board()
    task = Task.objects.create(board=board)
    Task(pk=str(task.pk), board_id=str(board.pk), title="text").save()
    note = Note.objects.create(board=board)
    note.pk, note.text = note.pk.hex, "text"
    note.save()
    assert titles(board) == ["text"]
    assert notes(board) == row_values(name_of(board))["rows.note"]


@on_both
def test_cascade_takes_rows_out(using: str) -> None:
    board = open_board()
    Task.objects.create(board=board)
    Note.objects.create(board=board)
    board_name = name_of(board)
    board.delete()
    assert in_maps(board_name) == {"tasks": {}, "rows.note": {}}


@on_both
def test_saving_what_has_not_changed_makes_no_update(using: str) -> None:
    board = open_board()
    task = Task.objects.create(board=board, extra={"a": [1, 1.5]}, body="text")
    stored = updates(name_of(board))
    with CaptureQueriesContext(connections[using]) as queries:
        task.save()
        task.labels.set([])
    assert updates(name_of(board)) == stored
    assert not any("collab_storage" in query["sql"] for query in queries)


@on_both
def test_labels_change_in_both_directions(using: str) -> None:
    board = open_board()
    one, two = Task.objects.create(board=board), Task.objects.create(board=board)
    labels = [Label.objects.create(name=name) for name in "abc"]

    def check() -> None:
        assert in_maps(name_of(board)) == row_values(name_of(board))

    one.labels.add(*labels)
    check()
    labels[0].task_set.add(two)
    check()
    one.labels.remove(labels[1])
    check()
    labels[2].task_set.remove(one)
    check()
    labels[0].task_set.set([one])
    check()
    labels[0].task_set.clear()
    check()
    two.labels.set(labels)
    check()
    two.labels.clear()
    check()
    assert {key: row["labels"] for key, row in tasks(board).items()} == {
        str(one.pk): [],
        str(two.pk): [],
    }


@on_both
def test_document_opened_in_a_transaction_has_what_others_saved_meanwhile(using: str) -> None:
    board = Board.objects.create(name="b")
    with transaction.atomic(using):
        reconcile(name_of(board))
        # As another connection, which does not see that the document is open.
        record = MirroredDocument.objects.filter(name=name_of(board))
        record.update(name="hidden")
        Task.objects.create(board=board, title="one")
        record = MirroredDocument.objects.filter(name="hidden")
        record.update(name=name_of(board))
    assert titles(board) == ["one"]


# Hooks.


@pytest.mark.django_db(transaction=True)
def test_error_of_another_function_that_waits_for_the_commit_harms_nothing() -> None:
    board = open_board()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        transaction.on_commit(fail)
        Task.objects.create(board=board, title="one")
    assert titles(board) == ["one"]
    Task.objects.create(board=board, title="two")
    assert titles(board) == ["one", "two"]


@pytest.mark.django_db(transaction=True)
def test_function_that_waits_for_the_commit_may_save_rows() -> None:
    board = open_board()

    def save() -> None:
        with transaction.atomic():
            Task.objects.create(board=board, title="two")
        Task.objects.create(board=board, title="three")

    with transaction.atomic():
        transaction.on_commit(save)
        Task.objects.create(board=board, title="one")
    assert titles(board) == ["one", "three", "two"]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_left_of_a_transaction_that_is_rolled_back() -> None:
    board = open_board()
    with pytest.raises(ZeroDivisionError) as kept, transaction.atomic():
        Task.objects.create(board=board, title="one")
        raise ZeroDivisionError
    with CaptureQueriesContext(connection) as queries:
        Label.objects.create(name="l")
        board.save()
    assert len(queries) == 2
    Task.objects.create(board=board, title="two")
    assert titles(board) == ["two"]
    assert kept.value.__traceback__ is not None


@pytest.mark.django_db(transaction=True)
def test_transactions_that_are_managed_by_hand_count() -> None:
    board = open_board()
    transaction.set_autocommit(False)
    try:
        Task.objects.create(board=board, title="one")
        transaction.rollback()
        Task.objects.create(board=board, title="two")
        Task.objects.create(board=board, title="three")
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert titles(board) == ["three", "two"]


@pytest.mark.django_db
class TestInATestCase(DjangoTestCase):
    """Tests of a project see what is written if they let Django call what waits for commits."""

    board: Board

    @classmethod
    def setUpTestData(cls) -> None:
        cls.board = Board.objects.create(name="b")
        Task.objects.create(board=cls.board, title="old")

    def test_rows_are_written(self) -> None:
        reconcile(name_of(self.board))
        with self.captureOnCommitCallbacks(execute=True):
            Task.objects.create(board=self.board, title="one")
        with self.captureOnCommitCallbacks(execute=True):
            Task.objects.create(board=self.board, title="two")
        self.assertEqual(titles(self.board), ["old", "one", "two"])


# Errors.


@pytest.mark.django_db(transaction=True)
def test_error_in_one_document_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    boards = [open_board(name) for name in "abc"]
    bad = name_of(boards[1])
    queryset = TaskMirror.get_queryset

    def fail(self: TaskMirror, room_name: str) -> Any:
        if room_name == bad:
            raise ZeroDivisionError
        return queryset(self, room_name)

    with monkeypatch.context() as patch:
        patch.setattr(TaskMirror, "get_queryset", fail)
        with transaction.atomic():
            for board in boards:
                Task.objects.create(board=board, title="one")
    assert [titles(board) for board in boards] == [["one"], [], ["one"]]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (record.name, vars(record)["room"]) == ("collab.mirror", bad)
    # As after a crash between the commit and the writing.
    reconcile(bad)
    assert titles(boards[1]) == ["one"]


# Ways to save.


@pytest.mark.django_db(transaction=True)
async def test_rows_saved_in_async_code_are_written() -> None:
    board = await sync_to_async(open_board)()
    task = await Task.objects.acreate(board=board, title="one")
    task.title = "two"
    await task.asave()
    assert await sync_to_async(titles)(board) == ["two"]
    await task.labels.aadd(await Label.objects.acreate(name="l"))
    await task.arefresh_from_db()
    assert (
        await sync_to_async(tasks)(board)
        == (await sync_to_async(row_values)(name_of(board)))["tasks"]
    )
    await task.adelete()
    assert await sync_to_async(tasks)(board) == {}


@pytest.mark.django_db(transaction=True)
def test_fixtures_are_written(tmp_path: Path) -> None:
    board = open_board()
    Task.objects.create(board=board, title="one")
    file = tmp_path / "rows.json"
    call_command("dumpdata", "rows", output=str(file), verbosity=0)
    Board.objects.get().delete()
    assert titles(board) == []
    call_command("loaddata", str(file), verbosity=0)
    assert titles(board) == ["one"]


# Several databases.


@pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
def test_documents_may_be_in_another_database_than_rows() -> None:
    with override_settings(DATABASE_ROUTERS=[RowsElsewhere()]):
        board = open_board()
        with transaction.atomic("postgres"):
            Task.objects.create(board=board, title="one")
            assert titles(board) == []
        assert titles(board) == ["one"]


@pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
def test_rows_stay_written_if_another_transaction_around_them_is_rolled_back() -> None:
    with override_settings(DATABASE_ROUTERS=[RowsElsewhere()]):
        board = open_board()
        with transaction.atomic("default"):
            MirroredDocument.objects.create(name="another")
            Task.objects.create(board=board, title="one")
            transaction.set_rollback(True, "default")
        poll_until(lambda: titles(board) == ["one"])
        for thread in threading.enumerate():
            if thread.name == "collab-mirror":
                thread.join()
