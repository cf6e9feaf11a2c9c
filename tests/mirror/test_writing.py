"""Rows are written into documents, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Map

from collab import documents
from collab.mirror.writing import reconcile, write_rows
from tests.rows.models import Board, Task

pytestmark = pytest.mark.django_db(transaction=True)


def tasks(room_name: str) -> Any:
    return documents.read(room_name).get("tasks", type=Map).to_py()


def test_rows_are_in_the_document() -> None:
    board = Board.objects.create(name="b")
    task = Task.objects.create(board=board, title="one", body="text")
    assert reconcile(f"board-{board.pk}")
    assert tasks(f"board-{board.pk}")[str(task.pk)]["title"] == "one"
    assert tasks(f"board-{board.pk}")[str(task.pk)]["body"] == "text"


def test_row_that_was_saved_is_written() -> None:
    board = Board.objects.create(name="b")
    task = Task.objects.create(board=board, title="one", body="text")
    name = f"board-{board.pk}"
    reconcile(name)
    task.title = "two"
    task.save()
    write_rows(name, {"tasks": [str(task.pk)]})
    assert tasks(name)[str(task.pk)]["title"] == "two"
    key = str(task.pk)
    task.delete()
    write_rows(name, {"tasks": [key]})
    assert tasks(name) == {}
