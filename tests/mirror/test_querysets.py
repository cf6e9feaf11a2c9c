"""Rows that are changed many at once are in their documents as well."""

from __future__ import annotations

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import connection, transaction
from django.db.models import F
from pytest_django import DjangoAssertNumQueries

from collab.mirror import MirroredQuerySet, touch
from tests.rows.models import Board, Note, Task

from .boards import name_of, notes, open_board, row_values, tasks, updates

pytestmark = pytest.mark.django_db(transaction=True)


def titles(board: Board) -> list[str]:
    return sorted(task["title"] for task in tasks(board).values())


def make_tasks(board: Board, count: int = 3) -> list[Task]:
    return Task.objects.bulk_create(Task(board=board, title=str(n)) for n in range(count))


def test_inserted_rows_enter_with_one_update() -> None:
    board = open_board()
    make_tasks(board, 1_200)
    assert len(tasks(board)) == 1_200
    assert updates(name_of(board)) == 1


def test_updated_rows_change_with_one_update() -> None:
    board = open_board()
    make_tasks(board, 1_200)
    assert Task.objects.update(title="new") == 1_200
    assert titles(board) == ["new"] * 1_200
    assert updates(name_of(board)) == 2


def test_rows_that_no_longer_match_are_written() -> None:
    one, two = open_board(), open_board()
    make_tasks(one)
    assert (
        Task.objects.filter(board=one, title="1").update(board=two, position=F("position") + 2) == 1
    )
    assert (titles(one), titles(two)) == (["0", "2"], ["1"])
    assert tasks(two) == row_values(name_of(two))["tasks"]


def test_update_of_nothing_still_looks_at_the_fields() -> None:
    assert Task.objects.update(title="new") == 0
    with pytest.raises(FieldDoesNotExist):
        Task.objects.update(**{"nonsense": 1})


def test_rows_of_other_models_are_updated_as_ever(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    Task.objects.create(board=open_board())
    with django_assert_num_queries(1):
        assert MirroredQuerySet(Board).update(name="x") == 1


def test_rows_updated_together_with_values_of_their_own_are_written() -> None:
    board = open_board()
    rows = make_tasks(board)
    for row in rows:
        row.title += "!"
    Task.objects.bulk_update(rows, ["title"])
    assert titles(board) == ["0!", "1!", "2!"]


def test_rows_deleted_together_are_gone() -> None:
    board = open_board()
    make_tasks(board)
    Task.objects.filter(title__in=["0", "2"]).delete()
    assert titles(board) == ["1"]
    board.delete()
    assert tasks(board) == {}


def test_rows_that_are_made_or_updated_are_written() -> None:
    board = open_board()
    Task.objects.update_or_create(board=board, defaults={"title": "one"})
    Task.objects.update_or_create(board=board, defaults={"title": "two"})
    Task.objects.get_or_create(board=board, title="three")
    assert titles(board) == ["three", "two"]


async def test_asynchronous_twins_count() -> None:
    from asgiref.sync import sync_to_async

    board = await sync_to_async(open_board)()
    await Task.objects.abulk_create([Task(board=board, title="one"), Task(board=board)])
    await Task.objects.filter(title="").aupdate(title="two")
    assert await sync_to_async(titles)(board) == ["one", "two"]
    await Task.objects.filter(title="one").adelete()
    await (await Task.objects.aget()).asave()
    assert await sync_to_async(titles)(board) == ["two"]


def test_inserted_rows_replace_others() -> None:
    one, two = open_board(), open_board()
    note = Note.objects.create(board=one, text="old")
    Note.objects.bulk_create(
        [Note(pk=note.pk, board=two, text="new"), Note(board=two)],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["text"],
    )
    assert [row["text"] for row in notes(one).values()] == ["new"]
    assert len(notes(two)) == 1


def test_inserted_rows_with_unknown_keys_enter() -> None:
    board = open_board()
    created = Task.objects.bulk_create([Task(board=board, title="one")], ignore_conflicts=True)
    assert created[0].pk is None
    assert titles(board) == ["one"]


def test_rows_changed_by_sql_are_written_when_they_are_touched() -> None:
    board = open_board()
    make_tasks(board)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE rows_task SET title = 'sql'")
    assert titles(board) == ["0", "1", "2"]
    touch(Task.objects.filter(board=board))
    assert titles(board) == ["sql"] * 3


def test_rollback_leaves_no_trace() -> None:
    board = open_board()
    make_tasks(board)
    with transaction.atomic():
        Task.objects.update(title="new")
        make_tasks(board)
        transaction.set_rollback(True)
    assert titles(board) == ["0", "1", "2"]
    assert updates(name_of(board)) == 1
