"""Uses the samples of docs/rows.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from mysite.asgi import application  # type: ignore[import-not-found]
from notes import history  # type: ignore[import-not-found]
from notes.models import Board, Task  # type: ignore[import-not-found]
from notes.tidying import finish_all, finish_all_in_sql  # type: ignore[import-not-found]
from pycrdt import Map, Text

from collab.testing import CollabClient, ConnectionClosed, connect

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]


async def a_board() -> tuple[User, Any, str]:
    """Return a user, and a board with its address."""
    user = await User.objects.acreate(username="ann")
    board = await Board.objects.acreate(name="Kitchen")
    return user, board, f"/ws/boards/{board.pk}"


def rows(client: CollabClient, name: str = "tasks") -> Any:
    return client.doc.get(name, type=Map)


async def test_a_row_that_is_added_gets_its_key_from_the_database() -> None:
    user, _, address = await a_board()
    async with connect(application, address, user=user) as ann:
        rows(ann)["a6b5c2ff-2b0f-4f6b-8a55-0d34cf4f3f55"] = Map({"title": "Paint"})
        await ann.wait_until(lambda: ann.messages[-1]["action"] == "row_created")
        key = ann.messages[-1]["data"]["new_key"]
        await ann.wait_until(lambda: list(rows(ann).keys()) == [key])
        task = await Task.objects.aget()
        assert (str(task.pk), task.title, task.owner_id) == (key, "Paint", user.pk)
        assert rows(ann)[key].to_py() == {
            "id": task.pk,
            "title": "Paint",
            "done": False,
            "body": "",
            "owner": user.pk,
        }


async def test_a_change_is_saved_as_its_author() -> None:
    user, board, address = await a_board()
    task = await Task.objects.acreate(board=board, title="Paint")
    assert history.changes[-1] == ("Paint", None)
    async with connect(application, address, user=user) as ann:
        row = rows(ann)[str(task.pk)]
        row["title"] = "Paint it blue"
        row["body"].insert(0, "or green")
    assert history.changes[-1] == ("Paint it blue", user)
    await task.arefresh_from_db()
    assert task.body == "or green"


async def test_a_refused_change_is_reported_as_the_page_says() -> None:
    user, board, address = await a_board()
    task = await Task.objects.acreate(board=board, title="Paint")
    async with connect(application, address, user=user) as ann:
        rows(ann)[str(task.pk)]["title"] = "x" * 101
        await ann.wait_until(lambda: ann.messages[-1]["action"] == "row")
        reason = "Ensure this field has no more than 100 characters."
        assert ann.messages[-1] == {
            "action": "row",
            "request_id": None,
            "data": {
                "map": "tasks",
                "key": str(task.pk),
                "fields": {"title": [reason]},
                "values": {"title": "x" * 101},
            },
            "errors": [reason],
            "response_status": 400,
        }
        await ann.wait_until(lambda: rows(ann)[str(task.pk)]["title"] == "Paint")


async def test_only_staff_renames_boards_and_no_title_shouts() -> None:
    user, board, address = await a_board()
    async with connect(application, address, user=user) as ann:
        rows(ann, "boards")[str(board.pk)]["name"] = "Bath"
        await ann.wait_until(lambda: ann.messages[-1]["response_status"] == 403)
    user.is_staff = True
    async with connect(application, address, user=user) as ann:
        rows(ann, "boards")[str(board.pk)]["name"] = "BATH"
        await ann.wait_until(lambda: ann.errors == ["Do not shout."])
        rows(ann, "boards")[str(board.pk)]["name"] = "Bath"
    await board.arefresh_from_db()
    assert board.name == "Bath"


@pytest.mark.parametrize("finish", [finish_all, finish_all_in_sql])
async def test_many_rows_that_change_at_once(finish: Callable[[Any], None]) -> None:
    user, board, address = await a_board()
    task = await Task.objects.acreate(board=board, title="Paint")
    async with connect(application, address, user=user) as ann:
        assert rows(ann, "boards")[str(board.pk)]["open_tasks"] == 1
        await sync_to_async(finish)(board)
        await ann.wait_until(lambda: rows(ann)[str(task.pk)]["done"])
        await ann.wait_until(lambda: rows(ann, "boards")[str(board.pk)]["open_tasks"] == 0)


async def test_a_text_that_code_changes_keeps_what_is_typed() -> None:
    user, board, address = await a_board()
    task = await Task.objects.acreate(board=board, title="Paint", body="Buy paint.")
    async with connect(application, address, user=user) as ann:
        body = rows(ann)[str(task.pk)]["body"]
        assert isinstance(body, Text)
        task.body = "Buy blue paint."
        await task.asave()
        await ann.wait_until(lambda: str(body) == "Buy blue paint.")


async def test_owners_see_their_tasks_in_full_and_others_in_part() -> None:
    user, board, _ = await a_board()
    bob = await User.objects.acreate(username="bob")
    shared, own = f"/ws/team/{board.pk}", f"/ws/team/{board.pk}~{user.pk}"
    with pytest.raises(ConnectionClosed):
        await CollabClient(application, own, user=bob).connect()
    async with (
        connect(application, own, user=user) as ann,
        connect(application, shared, user=bob) as others,
    ):
        tasks, key = rows(ann, "team_tasks"), "a6b5c2ff-2b0f-4f6b-8a55-0d34cf4f3f55"
        tasks[key] = Map({"title": "Paint", "body": Text("Blue")})
        await others.wait_until(lambda: len(rows(others, "team_tasks")))
        [row] = rows(others, "team_tasks").values()
        assert set(row) == {"id", "title", "done"}
        row["title"] = "Sweep"
        await others.wait_until(lambda: others.errors)
        assert others.messages[-1]["response_status"] == 403
        row["done"] = True
        await ann.wait_until(lambda: [task.get("done") for task in tasks.values()] == [True])
        assert b"Blue" in ann.doc.get_update()
        assert b"Blue" not in others.doc.get_update()
        task = await Task.objects.aget()
        assert (task.owner_id, task.title, task.body) == (user.pk, "Paint", "Blue")
        task.owner = bob
        await task.asave()
        await ann.wait_until(lambda: not len(tasks))
        assert len(rows(others, "team_tasks")) == 1
