"""``manage.py collab_reconcile`` makes documents equal to their rows."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pycrdt import Text

from collab import documents
from tests.rows.mirrors import TaskMirror
from tests.rows.models import Board, Task

from .boards import in_maps, name_of, open_board, row_values

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def boards() -> list[Board]:
    """Boards whose documents are not as their rows."""
    boards = [open_board() for _ in range(2)]
    for board in boards:
        Task.objects.create(board=board, title="one")
    with documents.edit("notes") as doc:
        doc.get("text", type=Text).insert(0, "no rows")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE rows_task SET title = 'two'")
    return boards


def run(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("collab_reconcile", *arguments, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def are_equal(boards: list[Board]) -> list[bool]:
    return [in_maps(name_of(board)) == row_values(name_of(board)) for board in boards]


def test_all_documents_are_reconciled(boards: list[Board]) -> None:
    assert are_equal(boards) == [False, False]
    assert run() == "2 documents are equal to their rows.\n"
    assert are_equal(boards) == [True, True]


def test_only_those_that_are_named_are_reconciled(boards: list[Board]) -> None:
    run(name_of(boards[0]))
    assert are_equal(boards) == [True, False]


def test_only_those_with_a_prefix_are_reconciled(boards: list[Board]) -> None:
    run("--prefix", name_of(boards[1]), verbosity=0)
    assert are_equal(boards) == [False, True]


def test_it_can_be_silent(boards: list[Board]) -> None:
    assert run(verbosity=0) == ""


def test_wrong_names_are_reported(boards: list[Board]) -> None:
    with pytest.raises(CommandError, match="There is no document 'nonsense'"):
        run("nonsense")
    with pytest.raises(CommandError, match="Either names or --prefix"):
        run("a", "--prefix", "b")


def test_error_in_one_document_leaves_the_others_alone(
    boards: list[Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    queryset = TaskMirror.get_queryset

    def fail(self: TaskMirror, room_name: str) -> Any:
        if room_name == name_of(boards[0]):
            raise ZeroDivisionError("oh")
        return queryset(self, room_name)

    with monkeypatch.context() as patch:
        patch.setattr(TaskMirror, "get_queryset", fail)
        with pytest.raises(CommandError, match="ZeroDivisionError: oh"):
            run()
    assert are_equal(boards) == [False, True]
