"""Changes of members in rows that are removed, or get another key, at that moment are reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import OperationalError
from django.db.models.signals import post_save
from django.test import override_settings
from pycrdt import Doc, Map, Text

from collab import documents
from collab.conf import get_storage
from collab.mirror import current_user
from collab.mirror.history.lost_edits import has_garbage, trace_removed, trace_stale
from collab.mirror.history.past import Pasts
from collab.mirror.incoming import client_changes as checking
from collab.mirror.incoming.row_edits import Author, RowEdit
from collab.mirror.models import MirroredDocument
from collab.mirror.outgoing.writing import reconcile
from collab.mirror.rows.values import Odd
from collab.protocol.yjs.validation import check_structure
from collab.testing import CollabClient
from collab_storage.compaction import compact
from collab_storage.updates import merge
from tests.harness.waiting import DEADLINE
from tests.mirror.constants import pending
from tests.mirror.databases import kept_in, on_both
from tests.mirror.watchers.test_rows_listener import (
    board,
    refusal,
    row,
    rows,
    task,
    visit,
    wait_for_row,
    watchers,
)
from tests.rows.mirrors import room_name
from tests.rows.models import Board, Note, Task

__all__ = ["board", "task"]

pytestmark = pytest.mark.django_db(transaction=True)

SLOW = {"DEFAULT_ACCESS": "write", "ROWS_DELAY": 0.3, "ROWS_TEXT_DELAY": 0.3}


@pytest.fixture(autouse=True)
def slow() -> Iterator[None]:
    """Leave time for others to change something before it is checked."""
    with override_settings(COLLAB=SLOW):
        yield


def told(client: CollabClient) -> list[dict[str, Any]]:
    return [frame for frame in client.messages if frame["action"] in ("row", "rows")]


async def remove(task: Task) -> None:
    """Delete a row; the instance keeps its key."""
    await Task.objects.filter(pk=task.pk).adelete()


# In a row that is removed.


async def test_changes_in_a_row_that_server_code_removes_are_reported(
    board: Board, task: Task
) -> None:
    key = str(task.pk)
    async with visit(board) as ann, visit(board) as bob:
        with ann.doc.transaction():
            row(ann, task)["title"] = "two"
            row(ann, task)["body"].insert(0, "long ")
        await bob.wait_until(lambda: row(bob, task)["title"] == "two")
        await remove(task)
        frame = await refusal(ann)
        await ann.wait_until(lambda: key not in rows(ann))
        assert not told(bob)
    assert frame["response_status"] == 404
    assert frame["data"]["key"] == key
    assert frame["data"]["values"] == {"title": "two", "body": "long text"}
    assert frame["errors"] == ["There is no such row here any more."]


async def test_changes_in_a_row_that_another_member_removes_are_reported(
    board: Board, task: Task
) -> None:
    async with visit(board) as ann, visit(board) as bob:
        row(ann, task)["title"] = "two"
        await bob.wait_until(lambda: row(bob, task)["title"] == "two")
        with bob.doc.transaction():
            row(bob, task)["done"] = True
            del rows(bob)[str(task.pk)]
        frame = await refusal(ann)
    assert not told(bob)
    assert frame["data"]["values"] == {"title": "two"}
    assert not await Task.objects.aexists()


async def test_changes_in_a_row_whose_removal_is_refused_are_reported(board: Board) -> None:
    note = await Note.objects.acreate(board=board, text="one")
    key = str(note.pk)
    async with visit(board) as ann, visit(board) as bob:
        rows(ann, "rows.note")[key]["text"] = "two"
        await bob.wait_until(lambda: rows(bob, "rows.note")[key]["text"] == "two")
        del rows(bob, "rows.note")[key]
        frame = await refusal(ann)
        assert frame["data"]["values"] == {"text": "two"}
        await ann.wait_until(lambda: key in rows(ann, "rows.note"))
        assert (await refusal(bob))["data"]["fields"].keys() == {""}


async def test_changes_in_a_row_that_another_member_replaces_are_reported(
    board: Board, task: Task
) -> None:
    async with visit(board) as ann, visit(board) as bob:
        with ann.doc.transaction():
            row(ann, task)["title"] = "two"
            row(ann, task)["position"] = 5
        await bob.wait_until(lambda: row(bob, task)["title"] == "two")
        values = {**row(bob, task).to_py(), "title": "three", "body": Text("text")}
        rows(bob)[str(task.pk)] = Map(values)
        frame = await refusal(ann)
        await wait_for_row(task, title="three", position=5)
    assert (frame["response_status"], frame["data"]["values"]) == (409, {"title": "two"})
    assert frame["errors"] == ["Another member has replaced this row at the same time."]
    assert not told(bob)


# After it was removed.


async def test_late_changes_in_a_removed_row_are_reported(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        old = ann.doc
    await remove(task)
    with old.transaction():
        row(ann, task)["title"] = "two"
        row(ann, task)["body"].insert(0, "long ")
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
        assert str(task.pk) not in rows(ann)
    assert frame["response_status"] == 404
    assert frame["data"]["values"] == {"title": "two", "body": "long text"}


async def test_text_typed_on_in_a_removed_row_is_reported_together(
    board: Board, task: Task
) -> None:
    async with visit(board) as ann, visit(board) as bob:
        body = row(ann, task)["body"]
        body.insert(0, "A ")
        await bob.wait_until(lambda: str(row(bob, task)["body"]) == "A text")
        await remove(task)
        # The client does not know it yet.
        for letter in "cba":
            body.insert(0, letter)
        await ann.wait_until(lambda: len(told(ann)) == 2)
        frames = told(ann)
    assert sorted(frame["data"]["values"]["body"] for frame in frames) == ["A text", "abcA text"]


async def test_large_changes_in_a_removed_row_are_reported(board: Board, task: Task) -> None:
    large = "x" * 70_000
    async with visit(board) as ann:
        await ann.wait_saved()
        old = ann.doc
    await remove(task)
    row(ann, task)["body"].insert(0, large)
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
    assert frame["data"]["values"]["body"] == f"{large}text"


async def test_other_large_changes_are_no_losses(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        row(ann, task)["extra"] = {"a": "x" * 70_000}
        await wait_for_row(task, extra={"a": "x" * 70_000})
        await asyncio.gather(*(watcher.settle() for watcher in watchers(board)))
        assert not told(ann)


async def test_a_loss_of_unknown_content_is_reported_when_the_log_is_compacted(
    board: Board, task: Task
) -> None:
    async with visit(board) as ann:
        old = ann.doc
    await remove(task)
    await compact(get_storage(), room_name(board.pk))
    row(ann, task)["title"] = "two"
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
    assert (frame["action"], frame["data"]) == ("rows", {"refused": None})


async def test_text_typed_in_other_removed_parts_is_not_reported(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        notes = ann.doc.get("notes", type=Map)
        notes["a"] = Text("text")
        old = ann.doc
        await ann.wait_saved()
    async with documents.aedit(room_name(board.pk)) as doc:
        doc.get("notes", type=Map).pop("a")
    old.get("notes", type=Map)["a"].insert(0, "more ")
    async with visit(board, doc=old) as ann:
        await asyncio.gather(*(watcher.settle() for watcher in watchers(board)))
        assert not told(ann)


async def test_a_value_written_again_unchanged_is_no_loss(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        old = ann.doc
    await remove(task)
    row(ann, task)["title"] = "one"
    async with visit(board, doc=old) as ann:
        await asyncio.gather(*(watcher.settle() for watcher in watchers(board)))
        assert not told(ann)


async def test_an_error_while_losses_are_traced_is_logged_and_reported(
    board: Board, task: Task, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(room_name: str) -> Any:
        raise LookupError

    async with visit(board) as ann:
        old = ann.doc
    await remove(task)
    row(ann, task)["title"] = "two"
    monkeypatch.setattr("collab.mirror.history.lost_edits.mirrors_in", fail)
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
    assert frame["data"] == {"refused": None}
    assert "Lost edits of rows could not be determined" in caplog.text


@pytest.mark.parametrize("error", [LookupError("broken"), OperationalError("locked")])
async def test_it_is_found_out_again_if_the_database_was_away(
    board: Board,
    task: Task,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    errors = [error]

    def fail_once(name: str, changes: Any) -> Any:
        if errors:
            raise errors.pop()
        return trace_removed(name, changes)

    monkeypatch.setattr("collab.mirror.watchers.rows_listener.trace_removed", fail_once)
    async with visit(board) as ann, visit(board) as bob:
        row(ann, task)["title"] = "two"
        await bob.wait_until(lambda: row(bob, task)["title"] == "two")
        await remove(task)
        frame = await refusal(ann)
    is_broken = isinstance(error, LookupError)
    assert frame["data"].get("values") == (None if is_broken else {"title": "two"})
    assert ("Lost edits of rows could not be determined" in caplog.text) == is_broken


# In a new row.


def make(loop: asyncio.AbstractEventLoop, change: Callable[[], object]) -> None:
    """Make ``change`` in the event loop, and receive what it brings."""

    async def run() -> None:
        change()
        for _ in range(50):
            await asyncio.sleep(0)

    asyncio.run_coroutine_threadsafe(run(), loop).result(DEADLINE)


@contextmanager
def saving(change: Callable[[], object]) -> Iterator[None]:
    """Make ``change`` while a task is being saved."""
    loop = asyncio.get_running_loop()

    def wait(**kwargs: Any) -> None:
        context = copy_context()
        make(loop, lambda: context.run(change))

    post_save.connect(wait, sender=Task)
    try:
        yield
    finally:
        post_save.disconnect(wait, sender=Task)


async def test_changes_of_others_while_a_row_gets_its_key_are_theirs(board: Board) -> None:
    key, saved = str(uuid4()), list[Any]()
    users = [await User.objects.acreate(username=name) for name in ("ann", "bob")]

    def change() -> None:
        saved.append(current_user())
        if len(saved) == 1:
            with bob.doc.transaction():
                rows(bob)[key]["position"] = 5
                rows(bob)[key]["title"] = "x" * 101
                rows(bob)[key]["body"].insert(0, "more ")

    async with visit(board, users[0]) as ann, visit(board, users[1]) as bob:
        rows(ann)[key] = Map({"title": "new", "body": Text("text")})
        await bob.wait_until(lambda: key in rows(bob))
        with saving(change):
            frame = await refusal(bob)
            made = await Task.objects.aget()
            await wait_for_row(made, position=5, body="more text", title="new")
        await bob.wait_until(lambda: row(bob, made)["title"] == "new")
    assert frame["data"]["key"] == str(made.pk)
    assert frame["data"]["values"] == {"title": "x" * 101}
    assert frame["response_status"] == 400
    assert saved[:2] == users
    assert not told(ann)


async def test_changes_of_others_after_a_row_got_its_key_are_reported_with_the_key(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, repair = str(uuid4()), checking._Check._repair

    def repair_and_go_on(self: Any) -> None:
        repair(self)
        if rows(bob)[key]["title"] == "new":
            make(loop, lambda: rows(bob)[key].update({"title": "newer", "position": 5}))

    loop = asyncio.get_running_loop()
    async with visit(board) as ann, visit(board) as bob:
        rows(ann)[key] = Map({"title": "new", "position": 5})
        await bob.wait_until(lambda: key in rows(bob))
        with monkeypatch.context() as patch:
            patch.setattr(checking._Check, "_repair", repair_and_go_on)
            frame = await refusal(bob)
        made = await Task.objects.aget()
        await bob.wait_until(lambda: row(bob, made)["title"] == "new")
    assert frame["response_status"] == 409
    assert frame["errors"] == ["This row has another key now."]
    assert frame["data"]["key"] == str(made.pk)
    assert frame["data"]["values"] == {"title": "newer"}
    assert not told(ann)


async def test_offline_changes_in_a_row_that_gets_its_key_are_reported_with_the_key(
    board: Board,
) -> None:
    key = str(uuid4())
    async with visit(board) as ann:
        async with visit(board) as bob:
            rows(ann)[key] = Map({"title": "new", "body": Text("text")})
            await bob.wait_until(lambda: key in rows(bob))
        rows(bob)[key]["body"].insert(4, " and more")
        await ann.wait_until(lambda: key not in rows(ann))
        async with visit(board, doc=bob.doc) as bob:
            frame = await refusal(bob)
    assert frame["data"]["key"] == str((await Task.objects.aget()).pk)
    assert frame["data"]["values"] == {"body": "text and more"}
    assert frame["response_status"] == 409


async def test_all_authors_of_a_row_that_cannot_be_added_are_informed(board: Board) -> None:
    key = str(uuid4())
    async with visit(board) as ann, visit(board) as bob:
        rows(ann)[key] = Map({"title": "new", "position": 5})
        await bob.wait_until(lambda: key in rows(bob))
        rows(bob)[key]["title"] = "forbidden"
        await ann.wait_until(lambda: key not in rows(ann))
        frames = [await refusal(client) for client in (ann, bob)]
    assert frames[0]["data"]["values"] == {"title": "forbidden", "position": 5}
    assert frames[1]["data"]["values"] == {"title": "forbidden"}
    assert not await Task.objects.aexists()


async def add_elsewhere(board: Board, user: Any) -> str:
    """Add a row as a member of another process does."""
    key = str(uuid4())
    async with documents.aedit(room_name(board.pk), user=user) as doc:
        doc.get("tasks", type=Map)[key] = Map({"title": "new"})
    return key


async def test_a_new_row_is_whose_who_has_added_it_elsewhere(board: Board) -> None:
    saved = list[Any]()
    ann, bob = [await User.objects.acreate(username=name) for name in ("ann", "bob")]
    with saving(lambda: saved.append(current_user())):
        async with visit(board, bob) as client:
            key = await add_elsewhere(board, ann)
            await client.wait_until(lambda: key in rows(client))
            rows(client)[key]["position"] = 5
            await client.wait_until(lambda: key not in rows(client))
    assert saved == [ann]
    assert (await Task.objects.aget()).position == 5


@pytest.mark.parametrize("interval", [0.1, 60])
async def test_a_new_row_has_no_author_after_a_while_or_when_its_document_is_closed(
    board: Board, interval: float
) -> None:
    saved = list[Any]()
    bob = await User.objects.acreate(username="bob")
    settings = {**SLOW, "ROWS_DELAY": 0.01}
    late = pending(interval=interval)
    with late, override_settings(COLLAB=settings), saving(lambda: saved.append(current_user())):
        async with visit(board, bob) as client:
            key = await add_elsewhere(board, None)
            await client.wait_until(lambda: key in rows(client))
            rows(client)[key]["position"] = 5
            await client.wait_saved()
            if interval < 1:
                await client.wait_until(lambda: key not in rows(client))
    assert [user.is_anonymous for user in saved] == [True]
    assert (await Task.objects.aget()).position == 5


# On every database.


@on_both
def test_late_changes_are_traced(using: str) -> None:
    with kept_in(using):
        task = Task.objects.create(board=Board.objects.create(), title="one", body="text")
        name, key = room_name(task.board_id), str(task.pk)
        reconcile(name)
        doc = documents.read(name)
        state = doc.get_state()
        values = doc.get("tasks", type=Map)[key]
        values["title"] = "two"
        del values["body"][1:3]
        task.delete()
        late = doc.get_update(state)
        documents.send_doc_update(name, late)
        traces = trace_stale(name, Author(User()), [late], Pasts(name, []))
    (refusal,) = traces.refusals
    assert (refusal.key, refusal.values) == (key, {"title": "two", "body": "tt"})
    assert not traces.is_unknown


@on_both
def test_changes_of_unknown_members_are_not_reported(using: str) -> None:
    with kept_in(using):
        task = Task.objects.create(board=Board.objects.create(), title="one")
        name = room_name(task.board_id)
        reconcile(name)
        change = RowEdit("tasks", str(task.pk), Odd.MISSING, {"title": Author(User())})
        assert trace_removed(name, [change]).refusals == []
        documents.delete(name)
        assert trace_removed(name, [change]).refusals == []


@on_both
def test_changes_are_reported_without_values_that_are_not_known(using: str) -> None:
    with kept_in(using):
        task = Task.objects.create(board=Board.objects.create(), title="one")
        name, key = room_name(task.board_id), str(task.pk)
        reconcile(name)
        task.delete()
        async_to_sync(compact)(get_storage(), name)
        somebody: Any = object()
        ann = Author(User(), member=somebody)
        (refusal,) = trace_removed(
            name, [RowEdit("tasks", key, Odd.MISSING, {"title": ann})]
        ).refusals
    assert (refusal.key, list(refusal.problems), refusal.values) == (key, ["title"], {})


@on_both
def test_changes_are_reported_in_a_row_that_one_stored_update_makes_and_removes(using: str) -> None:
    with kept_in(using):
        task = Task.objects.create(board=Board.objects.create(), title="one")
        name = room_name(task.board_id)
        reconcile(name)
        doc = documents.read(name)
        state = doc.get_state()
        doc.get("tasks", type=Map)["made"] = Map({"title": "new"})
        made = doc.get_update(state)
        record = MirroredDocument.objects.get(name=name)
        server = Doc[Any](client_id=record.client_id)
        server.apply_update(doc.get_update())
        state, rows = server.get_state(), server.get("tasks", type=Map)
        with server.transaction():
            del rows["made"]
            rows["2"] = Map({"title": "other"})
        documents.send_doc_update(name, merge([made, server.get_update(state)]))
        somebody: Any = object()
        edit = RowEdit("tasks", "made", Odd.MISSING, {"title": Author(User(), member=somebody)})
        (refusal,) = trace_removed(name, [edit]).refusals
    assert (refusal.key, refusal.values) == ("made", {"title": "new"})


def test_structs_that_the_update_collects_itself_are_no_garbage() -> None:
    doc = Doc[Any]()
    doc["rows"] = rows = Map({"a": Map({"b": 1})})
    del rows["a"]
    update = doc.get_update()
    other = Doc[Any](client_id=7)
    other["text"] = Text("text")
    assert not has_garbage(update, check_structure(update))
    assert not has_garbage(merge([update, other.get_update()]), check_structure(update))
