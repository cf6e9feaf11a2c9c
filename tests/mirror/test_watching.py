"""What members change in rows is saved as theirs, or set back and told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.routing import URLRouter
from django.urls import path
from pycrdt import Map

from collab.consumers import YjsConsumer
from collab.testing import CollabClient, connect
from tests.rows.mirrors import room_name
from tests.rows.models import Board, Task

pytestmark = pytest.mark.django_db(transaction=True)

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])


@pytest.fixture
def board(transactional_db: None) -> Board:
    return Board.objects.create(name="b")


@pytest.fixture
def task(board: Board) -> Task:
    return Task.objects.create(board=board, title="one", body="text")


@asynccontextmanager
async def visit(board: Board, user: Any = None) -> AsyncIterator[CollabClient]:
    async with connect(application, f"/ws/{room_name(board.pk)}", user=user) as client:
        yield client


def tasks(client: CollabClient) -> Map[Any]:
    rows: Map[Any] = client.doc.get("tasks", type=Map)
    return rows


async def test_a_change_is_saved(board: Board, task: Task) -> None:
    async with visit(board) as ann, visit(board) as bob:
        tasks(ann)[str(task.pk)]["title"] = "two"
        await bob.wait_until(lambda: tasks(bob)[str(task.pk)]["title"] == "two")
    await task.arefresh_from_db()
    assert task.title == "two"


async def test_a_refused_change_is_set_back_for_all_and_told_to_its_sender(
    board: Board, task: Task
) -> None:
    async with visit(board) as ann, visit(board) as bob:
        row = tasks(ann)[str(task.pk)]
        row["title"] = "x" * 101
        row["done"] = True
        await ann.wait_until(lambda: ann.errors)
        await ann.wait_until(lambda: row["title"] == "one")
        await bob.wait_until(lambda: tasks(bob)[str(task.pk)]["done"])
        await bob.wait_until(lambda: tasks(bob)[str(task.pk)]["title"] == "one")
        assert ann.errors == ["Ensure this field has no more than 100 characters."]
        assert not bob.errors
    await task.arefresh_from_db()
    assert task.title == "one"
    assert task.done
