"""A text that several members edit at the same time is saved as what each of them may write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from pycrdt import Map

from collab import documents
from collab.mirror.watchers import pending_changes
from collab.testing import CollabClient, close_rooms
from tests.mirror.databases import on_both, served_from
from tests.mirror.watchers.test_rows_listener import refusal, row, rows, stored, visit, wait_for_row
from tests.rows.mirrors import TaskMirror, room_name
from tests.rows.models import Board, Task

pytestmark = on_both


@pytest.fixture(autouse=True)
async def everything(
    using: str, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    def may(self: TaskMirror, user: Any, instance: Task, changes: Mapping[str, Any]) -> bool:
        return bool(user.username != "mallory")

    monkeypatch.setattr(TaskMirror, "has_write_permission", may)
    with override_settings(COLLAB={**settings.COLLAB, "ROWS_TEXT_DELAY": 0.3}):
        async with served_from(using):
            yield


@pytest.fixture
def board(everything: None) -> Board:
    return Board.objects.create(name="b")


@pytest.fixture
def task(board: Board) -> Task:
    return Task.objects.create(board=board, title="one", body="text")


@pytest.fixture
def users(everything: None, django_user_model: Any) -> dict[str, Any]:
    names = ("ann", "bob", "mallory")
    return {name: django_user_model.objects.create(username=name) for name in names}


async def types(client: CollabClient, task: Task, text: str, *others: CollabClient) -> None:
    """Type at the end, and wait until the others have it."""
    body = row(client, task)["body"]
    body += text
    for other in others:
        await has(other, task, str(body))


async def has(client: CollabClient, task: Task, text: str) -> None:
    await client.wait_until(lambda: str(row(client, task)["body"]) == text)


async def test_forbidden_typing_is_set_back_alone(
    board: Board, task: Task, users: dict[str, Any]
) -> None:
    async with visit(board, users["ann"]) as ann, visit(board, users["mallory"]) as mallory:
        await types(mallory, task, " MALLORY", ann)
        await types(ann, task, " ann", mallory)
        frame = await refusal(mallory)
        await wait_for_row(task, body="text ann")
        for client in (ann, mallory):
            await client.wait_until(lambda: str(row(ann, task)["body"]) == "text ann")
        assert not ann.errors
    assert (frame["response_status"], frame["data"]["key"]) == (403, str(task.pk))
    assert (await stored(board))[str(task.pk)]["body"] == "text ann"


async def test_permitted_typing_is_saved_although_a_forbidden_member_types_last(
    board: Board, task: Task, users: dict[str, Any]
) -> None:
    async with visit(board, users["ann"]) as ann, visit(board, users["mallory"]) as mallory:
        await types(ann, task, " ann wrote a paragraph", mallory)
        await types(mallory, task, "!", ann)
        await types(ann, task, " and more", mallory)
        await types(mallory, task, "?", ann)
        await refusal(mallory)
        await wait_for_row(task, body="text ann wrote a paragraph and more")
        await ann.wait_until(
            lambda: str(row(ann, task)["body"]) == "text ann wrote a paragraph and more"
        )
        assert not ann.errors


async def test_typing_permitted_to_all_is_saved_as_it_is_in_the_document(
    board: Board, task: Task, users: dict[str, Any]
) -> None:
    async with visit(board, users["ann"]) as ann, visit(board, users["bob"]) as bob:
        await types(ann, task, " ann", bob)
        del row(bob, task)["body"][0:5]
        await ann.wait_until(lambda: str(row(ann, task)["body"]) == "ann")
        row(ann, task)["title"] = "two"
        await types(ann, task, "!", bob)
        await wait_for_row(task, body="ann!", title="two")
        assert (ann.errors, bob.errors) == ([], [])
        assert str(row(bob, task)["body"]) == "ann!"


async def test_a_row_that_leaves_while_it_is_checked_is_gone_for_all(
    board: Board, task: Task, users: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await Board.objects.acreate(name="other")
    save = Task.save

    def move(self: Task, *args: Any, **kwargs: Any) -> None:
        self.board = other
        save(self, *args, **{**kwargs, "update_fields": None})

    monkeypatch.setattr(Task, "save", move)
    async with visit(board, users["ann"]) as ann, visit(board, users["bob"]) as bob:
        await types(ann, task, " ann", bob)
        await types(bob, task, " bob", ann)
        await ann.wait_until(lambda: str(task.pk) not in rows(ann))
    await task.arefresh_from_db()
    assert task.board_id == other.pk


async def test_a_text_that_another_removes_while_it_is_typed_is_put_back(
    board: Board, task: Task, users: dict[str, Any]
) -> None:
    async with visit(board, users["ann"]) as ann, visit(board, users["mallory"]) as mallory:
        await types(ann, task, " ann", mallory)
        row(mallory, task).pop("body")
        await ann.wait_until(lambda: "body" not in row(ann, task))
        row(ann, task)["title"] = "two"
        await refusal(mallory)
        await wait_for_row(task, title="two")
        await ann.wait_until(lambda: str(row(ann, task).get("body")).startswith("text"))


async def test_text_of_another_process_is_left_to_it(
    board: Board, task: Task, users: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with visit(board, users["ann"]) as ann:
        await types(ann, task, " ann")
        await ann.wait_saved()
        async with documents.aedit(room_name(board.pk)) as doc:
            body = doc.get("tasks", type=Map)[str(task.pk)]["body"]
            body += " other"
        await ann.wait_until(lambda: str(row(ann, task)["body"]) == "text ann other")
        await types(ann, task, "!")
        await wait_for_row(task, body="text ann!")
        assert str(row(ann, task)["body"]) == "text ann other!"
        assert not ann.errors
    await close_rooms()
    # The other process has ended, as it seems.
    monkeypatch.setattr(pending_changes, "CHECK_INTERVAL", 0.1)
    async with visit(board, users["ann"]) as ann:
        await wait_for_row(task, body="text ann other!")
        assert not ann.errors


async def test_forbidden_typing_is_set_back_beside_typing_of_another_process(
    board: Board, task: Task, users: dict[str, Any]
) -> None:
    async with visit(board, users["mallory"]) as mallory:
        async with documents.aedit(room_name(board.pk)) as doc:
            body = doc.get("tasks", type=Map)[str(task.pk)]["body"]
            body += " other"
        await has(mallory, task, "text other")
        await types(mallory, task, " MALLORY")
        await refusal(mallory)
        await has(mallory, task, "text other")


async def test_a_turn_that_begins_with_a_deletion_is_saved_with_the_others(
    board: Board, task: Task, users: dict[str, Any]
) -> None:
    async with visit(board, users["ann"]) as ann, visit(board, users["bob"]) as bob:
        del row(ann, task)["body"][0:2]
        await has(bob, task, "xt")
        await types(bob, task, " bob", ann)
        await wait_for_row(task, body="xt bob")
