"""A transaction's changes of rows are in their documents when it is committed."""

from __future__ import annotations

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from collab import documents
from collab.mirror.outgoing.signals import connect
from collab.mirror.registry import mirrors_in
from tests.mirror.boards import name_of, open_board, tasks, updates
from tests.rows.models import Board, Label, Task

pytestmark = pytest.mark.django_db(transaction=True)


def test_row_that_is_saved_is_in_the_document_at_once() -> None:
    board = open_board()
    task = Task.objects.create(board=board, title="one")
    assert tasks(board)[str(task.pk)]["title"] == "one"
    task.title = "two"
    task.save(update_fields=["title"])
    assert tasks(board)[str(task.pk)]["title"] == "two"
    task.delete()
    assert tasks(board) == {}


def test_row_that_moves_leaves_one_document_and_enters_the_other() -> None:
    one, two = open_board(), open_board()
    task = Task.objects.create(board=one)
    task.board = two
    task.save()
    assert (tasks(one), list(tasks(two))) == ({}, [str(task.pk)])


def test_nothing_is_written_before_the_commit() -> None:
    board = open_board()
    with transaction.atomic():
        Task.objects.create(board=board)
        assert tasks(board) == {}
    assert len(tasks(board)) == 1


def test_rollback_leaves_no_trace() -> None:
    board = open_board()
    task = Task.objects.create(board=board, title="one")
    stored = updates(name_of(board))
    with transaction.atomic():
        task.title = "two"
        task.save()
        task.delete()
        transaction.set_rollback(True)
    assert tasks(board)[str(Task.objects.get().pk)]["title"] == "one"
    assert updates(name_of(board)) == stored


def test_savepoint_that_is_rolled_back_leaves_no_trace() -> None:
    board = open_board()
    with transaction.atomic():
        Task.objects.create(board=board, title="one")
        with transaction.atomic():
            Task.objects.create(board=board, title="two")
            transaction.set_rollback(True)
        with transaction.atomic():
            Task.objects.create(board=board, title="three")
    assert sorted(task["title"] for task in tasks(board).values()) == ["one", "three"]
    assert updates(name_of(board)) == 1


def test_row_that_others_refer_to_is_changed_with_them() -> None:
    board, label = open_board(), Label.objects.create(name="l")
    task = Task.objects.create(board=board)
    task.labels.add(label)
    assert tasks(board)[str(task.pk)]["labels"] == [label.pk]
    label.task_set.clear()
    assert tasks(board)[str(task.pk)]["labels"] == []


def test_save_costs_one_query_if_there_is_no_document(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    task = Task.objects.create(board=Board.objects.create())
    with django_assert_num_queries(2):
        task.save()
    assert not documents.exists(name_of(task.board))


def test_mirror_that_is_connected_again_is_followed_once(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    task = Task.objects.create(board=Board.objects.create())
    for mirror in mirrors_in(name_of(task.board)):
        connect(mirror)
    with django_assert_num_queries(2):
        task.save()
