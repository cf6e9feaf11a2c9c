"""Rows that are in a document only together with others enter it, and leave it, with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from collab.mirror.incoming.client_changes import check
from collab.mirror.incoming.row_edits import Author, RowEdit
from collab.mirror.incoming.saving import ROW
from collab.mirror.rows.values import Odd
from tests.rows.mirrors import NoteMirror, TaskMirror, board_id
from tests.rows.models import Board, Note, Task

from .boards import name_of, notes, open_board

pytestmark = pytest.mark.django_db(transaction=True)

SOMEBODY = Author(AnonymousUser())


@pytest.fixture(autouse=True)
def notes_of_finished_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show notes in a board's document only while one of its tasks is done."""

    def get_queryset(self: NoteMirror, room_name: str) -> QuerySet[Note]:
        is_done = Task.objects.filter(board=board_id(room_name), done=True).exists()
        rows = Note.objects.filter(board=board_id(room_name))
        return rows if is_done else rows.none()

    def get_companions(
        self: TaskMirror, room_name: str, key: str, before: Any, now: Any
    ) -> Mapping[str, Any]:
        was_done, is_done = (bool(values and values["done"]) for values in (before, now))
        keys = Note.objects.filter(board=board_id(room_name)).values_list("pk", flat=True)
        return {} if was_done == is_done else {"rows.note": keys}

    monkeypatch.setattr(NoteMirror, "get_queryset", get_queryset)
    monkeypatch.setattr(TaskMirror, "get_companions", get_companions)


def a_board(*, done: bool) -> tuple[Board, Task, Note]:
    board = open_board()
    task = Task.objects.create(board=board, title="Paint", done=done)
    return board, task, Note.objects.create(board=board, text="Blue")


def change(board: Board, key: str, values: Any, field: str) -> None:
    check(name_of(board), [RowEdit("tasks", key, values, {field: SOMEBODY})])


def test_a_row_enters_and_leaves_with_a_change_of_another() -> None:
    board, task, note = a_board(done=False)
    assert not notes(board)
    task.done = True
    task.save()
    assert list(notes(board)) == [str(note.pk)]
    task.delete()
    assert not notes(board)


def test_a_row_enters_with_what_a_client_changes() -> None:
    board, task, note = a_board(done=False)
    values = TaskMirror(Task).values([task], name_of(board))[0]
    change(board, str(task.pk), values | {"done": True}, "done")
    assert list(notes(board)) == [str(note.pk)]


def test_a_row_enters_with_what_a_client_adds() -> None:
    board, _, note = a_board(done=False)
    change(board, str(uuid4()), {"title": "Sweep", "done": True}, ROW)
    assert list(notes(board)) == [str(note.pk)]


def test_a_row_leaves_with_what_a_client_removes() -> None:
    board, task, note = a_board(done=True)
    assert list(notes(board)) == [str(note.pk)]
    change(board, str(task.pk), Odd.MISSING, ROW)
    assert not notes(board)
