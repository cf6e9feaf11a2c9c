"""Changes of members in rows are saved as theirs, or set back and reported."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import User
from django.db import OperationalError, connections
from django.db.models.signals import post_save, pre_delete
from django.test import override_settings
from django.urls import path
from pycrdt import Array, Doc, Map, Text, create_update_message

from collab import documents
from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.engine.rooms.context import Watcher
from collab.mirror import current_user
from collab.mirror import registry as options
from collab.mirror.incoming import client_changes as checking
from collab.mirror.watchers import rows_listener as watching
from collab.mirror.watchers import worker
from collab.mirror.watchers.pending_changes import PendingChanges
from collab.mirror.watchers.room_watcher import RoomWatcher
from collab.testing import CollabClient, connect
from tests.harness.waiting import DEADLINE, until
from tests.mirror.constants import pending
from tests.protocol.yjs import poison
from tests.protocol.yjs.samples import HELLO
from tests.rows.mirrors import TaskMirror, room_name
from tests.rows.models import Board, Label, Note, Task

pytestmark = pytest.mark.django_db(transaction=True)

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])

UNTOUCHED = {"title": "one", "done": False, "body": "text", "estimate": None}


@pytest.fixture
def board(transactional_db: None) -> Board:
    return Board.objects.create(name="b")


@pytest.fixture
def task(board: Board) -> Task:
    return Task.objects.create(board=board, title="one", body="text")


#: The same in each process that collects these tests.
NEW_KEY = str(UUID(int=4, version=4))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(watching, "_MAX_RETRY_DELAY", 0.1)
    with override_settings(COLLAB={"DEFAULT_ACCESS": "write", "ROWS_TEXT_DELAY": 0.1}):
        yield


@asynccontextmanager
async def visit(
    board: Board, user: Any = None, doc: Doc[Any] | None = None
) -> AsyncIterator[CollabClient]:
    url = f"/ws/{room_name(board.pk)}"
    async with connect(application, url, user=user, doc=doc) as client:
        yield client


def rows(client: CollabClient, name: str = "tasks") -> Map[Any]:
    found: Map[Any] = client.doc.get(name, type=Map)
    return found


def row(client: CollabClient, task: Task) -> Any:
    return rows(client)[str(task.pk)]


def watchers(board: Board) -> Sequence[Watcher]:
    return current_hub().rooms[room_name(board.pk), True].watchers


async def refusal(client: CollabClient) -> dict[str, Any]:
    """Return the first frame that says why a row is not saved."""
    return await _frame(client, refused=True)


async def creation(client: CollabClient) -> dict[str, Any]:
    """Return the first frame that says that a row is created."""
    return await _frame(client, refused=False)


async def _frame(client: CollabClient, *, refused: bool) -> dict[str, Any]:
    def found() -> Iterator[dict[str, Any]]:
        for frame in client.messages:
            if frame["action"].startswith("row") and bool(frame["errors"]) == refused:
                yield frame

    await client.wait_until(lambda: any(found()))
    return next(found())


@contextmanager
def listening(listener: Callable[[], object]) -> Iterator[None]:
    """Call ``listener`` whenever a task was saved."""

    def listen(**kwargs: Any) -> None:
        listener()

    post_save.connect(listen, sender=Task)
    try:
        yield
    finally:
        post_save.disconnect(listen, sender=Task)


async def change_unseen(task: Task, **values: Any) -> None:
    """Change a row as raw SQL does, so that no document learns of it."""
    await sync_to_async(Task._base_manager.filter(pk=task.pk).update)(**values)


async def wait_for_row(task: Task, **values: Any) -> None:
    """Wait until the row has these values."""
    await until(Task.objects.filter(pk=task.pk, **values).aexists)


async def stored(board: Board, name: str = "tasks") -> dict[str, Any]:
    doc = await documents.aread(room_name(board.pk))
    values: Any = doc.get(name, type=Map).to_py()
    return dict(values)


# What is saved.


async def test_a_change_is_saved(board: Board, task: Task) -> None:
    async with visit(board) as ann, visit(board) as bob:
        row(ann, task)["title"] = "two"
        await bob.wait_until(lambda: row(bob, task)["title"] == "two")
    await task.arefresh_from_db()
    assert task.title == "two"
    assert (await stored(board))[str(task.pk)]["title"] == "two"


async def test_values_of_all_kinds_are_saved(board: Board, task: Task) -> None:
    label = await Label.objects.acreate(name="red")
    async with visit(board) as ann:
        with ann.doc.transaction():
            values = row(ann, task)
            values["done"] = True
            values["position"] = 7
            values["due"] = "2030-01-31"
            values["estimate"] = "1.50"
            values["extra"] = {"a": [1, None, {"b": 0.5}]}
            values["labels"] = [label.pk]
            values["state"] = "done"
    await task.arefresh_from_db()
    assert (task.done, task.position, task.state) == (True, 7, "done")
    assert (task.due, task.estimate) == (date(2030, 1, 31), Decimal("1.5"))
    assert task.extra == {"a": [1, None, {"b": 0.5}]}
    assert [label async for label in task.labels.all()] == [label]


async def test_a_value_that_the_serializer_normalizes_is_written_to_the_map(
    board: Board, task: Task
) -> None:
    async with visit(board) as ann, visit(board) as bob:
        row(ann, task)["title"] = "  two "
        row(ann, task)["estimate"] = 2
        await bob.wait_until(lambda: row(bob, task)["title"] == "two")
        await bob.wait_until(lambda: row(bob, task)["estimate"] == "2.00")
        await ann.wait_until(lambda: row(ann, task)["title"] == "two")
        assert not ann.errors


async def test_people_who_change_different_fields_of_a_row_at_once_both_succeed(
    board: Board, task: Task
) -> None:
    async with visit(board) as ann, visit(board) as bob:
        row(ann, task)["title"] = "two"
        row(bob, task)["position"] = 5
        await ann.wait_until(lambda: row(ann, task)["position"] == 5)
        await bob.wait_until(lambda: row(bob, task)["title"] == "two")
    await task.arefresh_from_db()
    assert (task.title, task.position) == ("two", 5)


async def test_only_what_was_changed_is_saved_as_who_has_changed_it(
    board: Board, task: Task
) -> None:
    saved = []

    def note(update_fields: Any, **kwargs: Any) -> None:
        saved.append((current_user(), set(update_fields)))

    ann, bob = [await User.objects.acreate(username=name) for name in ("ann", "bob")]
    post_save.connect(note, sender=Task)
    try:
        async with visit(board, ann) as one, visit(board, bob) as other:
            row(one, task)["title"] = "two"
            row(other, task)["done"] = True
    finally:
        post_save.disconnect(note, sender=Task)
    assert sorted(saved, key=repr) == [(ann, {"title"}), (bob, {"done"})]
    assert current_user() is None


async def test_a_row_is_replaced_as_a_whole(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        values = {**row(ann, task).to_py(), "title": "two", "body": Text("text")}
        rows(ann)[str(task.pk)] = Map(values)
        await ann.wait_saved()
    await task.arefresh_from_db()
    assert task.title == "two"


async def test_offline_edits_are_checked_when_they_arrive(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        doc = ann.doc
    row(ann, task)["title"] = "two"
    row(ann, task)["id"] = 0
    async with visit(board, doc=doc) as again:
        assert (await refusal(again))["data"]["fields"].keys() == {"id"}
        await again.wait_until(lambda: row(again, task)["id"] == task.pk)
    await task.arefresh_from_db()
    assert task.title == "two"


# What is not.


@pytest.mark.parametrize(
    ("field", "value", "status", "reason"),
    [
        ("title", "x" * 101, 400, "Ensure this field has no more than 100 characters."),
        ("title", "forbidden", 403, "You may not do this."),
        ("title", None, 400, "This field may not be null."),
        ("state", "nonsense", 400, '"nonsense" is not a valid choice.'),
        ("labels", [0], 400, 'Invalid pk "0" - object does not exist.'),
        ("labels", [0] * 1001, 400, "At most 1000 can be chosen."),
        ("board", 0, 403, "You may not change this."),
        ("colour", "red", 400, "There is no such field."),
        ("position", b"bytes", 400, "This is not a value of JSON."),
        ("position", Map({"a": 1}), 400, "This is not a value of JSON."),
        ("extra", float("nan"), 400, "This is not a value of JSON."),
    ],
)
async def test_a_refused_value_is_set_back_for_all_and_reported_to_its_sender(
    board: Board, task: Task, field: str, value: Any, status: int, reason: str
) -> None:
    async with visit(board) as ann, visit(board) as bob:
        before = row(bob, task).to_py()
        row(ann, task)[field] = value
        told = await refusal(ann)
        await ann.wait_until(lambda: row(ann, task).to_py() == before)
        await bob.wait_until(lambda: row(bob, task).to_py() == before)
        assert told["response_status"] == status
        assert told["errors"] == [reason]
        assert told["data"]["fields"] == {field: [reason]}
        assert told["data"]["key"] == str(task.pk)
        assert not bob.errors
    assert (await stored(board))[str(task.pk)] == before


async def test_the_rest_of_a_change_is_saved(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        with ann.doc.transaction():
            row(ann, task)["title"] = ""
            row(ann, task)["done"] = True
        told = await refusal(ann)
        await ann.wait_until(lambda: row(ann, task)["title"] == "one")
        assert told["data"]["values"] == {"title": ""}
    await task.arefresh_from_db()
    assert task.done


async def test_a_field_that_is_removed_comes_back(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        del row(ann, task)["title"]
        await refusal(ann)
        await ann.wait_until(lambda: row(ann, task).get("title") == "one")
        assert ann.errors == ["A field cannot be removed."]


@pytest.mark.parametrize("value", ["a string", Array([1]), Text("text")])
async def test_a_row_that_is_no_map_comes_back(board: Board, task: Task, value: Any) -> None:
    async with visit(board) as ann:
        before = row(ann, task).to_py()
        rows(ann)[str(task.pk)] = value
        await ann.wait_until(lambda: isinstance(row(ann, task), Map))
        assert row(ann, task).to_py() == before
        assert (await refusal(ann))["data"]["fields"] == {"": ["A row is a Map."]}


async def test_a_removed_row_is_reported(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        # Without a signal, so that the document does not learn of it.
        await sync_to_async(Task._base_manager.filter(pk=task.pk)._raw_delete)("default")
        row(ann, task)["title"] = "two"
        assert (await refusal(ann))["response_status"] == 404
        await ann.wait_until(lambda: str(task.pk) not in rows(ann))


async def test_the_database_wins_over_a_member_who_changes_the_same(
    board: Board, task: Task
) -> None:
    async with visit(board) as ann:
        # Without a signal, so that the document does not learn of it.
        await Task._base_manager.filter(pk=task.pk).aupdate(title="two", position=2)
        row(ann, task)["title"] = "three"
        row(ann, task)["done"] = True
        told = await refusal(ann)
        assert (told["response_status"], told["data"]["fields"].keys()) == (409, {"title"})
        await ann.wait_until(lambda: row(ann, task)["title"] == "two")
        await ann.wait_until(lambda: row(ann, task)["position"] == 2)
    await task.arefresh_from_db()
    assert (task.title, task.done) == ("two", True)


# Rows that come and go.


async def test_a_row_is_added_under_its_primary_key(board: Board) -> None:
    key = str(uuid4())
    async with visit(board) as ann:
        rows(ann, "rows.note")[key] = Map({"text": "hello"})
        await ann.wait_until(lambda: "board" in rows(ann, "rows.note")[key])
        assert rows(ann, "rows.note")[key].to_py() == {
            "id": key,
            "text": "hello",
            "board": board.pk,
        }
        assert not ann.errors
    note = await Note.objects.aget()
    assert (note.pk, note.text) == (UUID(key), "hello")


async def test_a_row_whose_primary_key_is_not_the_clients_gets_another_key(board: Board) -> None:
    key = str(uuid4())
    async with visit(board) as ann:
        rows(ann)[key] = Map({"title": "new", "body": Text("text")})
        told = await creation(ann)
        task = await Task.objects.aget()
        assert told["data"] == {"map": "tasks", "key": key, "new_key": str(task.pk)}
        assert told["response_status"] == 201
        await ann.wait_until(lambda: set(rows(ann).keys()) == {str(task.pk)})
        assert row(ann, task)["title"] == "new"
        assert str(row(ann, task)["body"]) == "text"
        assert isinstance(row(ann, task)["body"], Text)
        assert not ann.errors


@pytest.mark.parametrize(
    ("key", "values", "status", "reason"),
    [
        ("17", Map({"title": "new"}), 400, "The key of a new row is a UUID."),
        ("x" * 300, Map({"title": "new"}), 400, "The key of a new row is a UUID."),
        (NEW_KEY, Map({"title": "x" * 101}), 400, None),
        (NEW_KEY, Map({}), 400, "This field is required."),
        (NEW_KEY, Map({"title": "forbidden"}), 403, "You may not do this."),
        (NEW_KEY, "a string", 400, "A row is a Map."),
    ],
)
async def test_a_row_that_cannot_be_added_is_removed(
    board: Board, key: str, values: Any, status: int, reason: str | None
) -> None:
    async with visit(board) as ann, visit(board) as bob:
        rows(ann)[key] = values
        told = await refusal(ann)
        assert told["response_status"] == status
        assert reason is None or told["errors"] == [reason]
        await ann.wait_until(lambda: not list(rows(ann).keys()))
        await bob.wait_until(lambda: not list(rows(bob).keys()))
    assert not await Task.objects.aexists()
    assert await stored(board) == {}


async def test_all_values_of_a_row_that_cannot_be_added_are_reported(board: Board) -> None:
    written = {"title": "x" * 101, "position": 3, "colour": "red"}
    async with visit(board) as ann:
        rows(ann)[str(uuid4())] = Map({**written, "body": Text("long thought about")})
        told = await refusal(ann)
    assert told["data"]["fields"].keys() == {"title"}
    assert told["data"]["values"] == {**written, "body": "long thought about"}


async def test_a_row_that_would_refer_to_nothing_is_removed(board: Board) -> None:
    nowhere = Board(pk=board.pk + 1)
    async with visit(nowhere) as ann:
        rows(ann)[str(uuid4())] = Map({"title": "new"})
        told = await refusal(ann)
        assert (told["response_status"], [*told["data"]["fields"]]) == (400, ["board"])
        await ann.wait_until(lambda: not list(rows(ann).keys()))
    assert await stored(nowhere) == {}


async def test_a_row_of_another_document_cannot_be_taken(board: Board) -> None:
    other = await Board.objects.acreate(name="other")
    note = await Note.objects.acreate(board=other, text="secret")
    async with visit(board) as ann:
        rows(ann, "rows.note")[str(note.pk)] = Map({"text": "mine"})
        assert (await refusal(ann))["response_status"] == 404
        await ann.wait_until(lambda: str(note.pk) not in rows(ann, "rows.note"))
    await note.arefresh_from_db()
    assert note.text == "secret"


async def test_fields_that_a_new_row_may_not_have_are_reported(board: Board) -> None:
    key = str(uuid4())
    async with visit(board) as ann:
        rows(ann, "rows.note")[key] = Map({"text": "hello", "id": key, "board": 0, "colour": 1})
        told = await refusal(ann)
        assert told["data"]["fields"].keys() == {"board", "colour"}
        await ann.wait_until(lambda: "colour" not in rows(ann, "rows.note")[key])
        assert rows(ann, "rows.note")[key]["board"] == board.pk


async def test_a_row_is_removed(board: Board, task: Task) -> None:
    removed = []
    pre_delete.connect(lambda **kwargs: removed.append(current_user()), Task, False, "note")
    ann = await User.objects.acreate(username="ann")
    try:
        async with visit(board, ann) as client:
            del rows(client)[str(task.pk)]
            await client.wait_saved()
    finally:
        pre_delete.disconnect(sender=Task, dispatch_uid="note")
    assert not await Task.objects.aexists()
    assert removed == [ann]


async def test_a_row_that_may_not_be_removed_comes_back(board: Board) -> None:
    note = await Note.objects.acreate(board=board, text="stay")
    async with visit(board) as ann, visit(board) as bob:
        rows(ann, "rows.note").clear()
        assert (await refusal(ann))["response_status"] == 403
        for client in (ann, bob):
            await client.wait_until(
                lambda client=client: str(note.pk) in rows(client, "rows.note")  # type: ignore[misc]
            )
        assert rows(bob, "rows.note")[str(note.pk)]["text"] == "stay"


async def test_unchecked_changes_are_found_when_the_document_is_opened(
    board: Board, task: Task
) -> None:
    async with visit(board):
        pass
    # As a process leaves it that has been killed.
    async with documents.aedit(room_name(board.pk)) as doc:
        values = doc.get("tasks", type=Map)
        values[str(task.pk)]["title"] = "two"
        values[str(task.pk)]["board"] = 0
        values["17"] = Map({"title": "new"})
    with pending(interval=0.2), override_settings(COLLAB={"DEFAULT_ACCESS": "write"}):
        async with visit(board) as ann:
            await ann.wait_until(lambda: row(ann, task)["board"] == board.pk)
            await ann.wait_until(lambda: "17" not in rows(ann))
            assert row(ann, task)["title"] == "two"
    await task.arefresh_from_db()
    assert task.title == "two"


async def leave_unchecked(board: Board, task: Task, user: Any, **values: Any) -> None:
    """Change a row's map as a member whose process is killed before the check."""
    async with visit(board):
        pass
    async with documents.aedit(room_name(board.pk), user=user) as doc:
        doc.get("tasks", type=Map)[str(task.pk)].update(values)


async def test_unchecked_changes_are_attributed_to_their_author(board: Board, task: Task) -> None:
    saved: list[Any] = []
    ann = await User.objects.acreate(username="ann")
    await leave_unchecked(board, task, ann, title="two", id=0)
    quick = pending(interval=0.1)
    with quick, listening(lambda: saved.append(current_user())):
        async with visit(board) as other, visit(board, ann) as client:
            told = await refusal(client)
            assert not other.errors
    assert told["data"]["values"] == {"id": 0}
    assert saved == [ann]


async def test_unchecked_changes_are_checked_before_the_document_is_closed_again(
    board: Board, task: Task
) -> None:
    saved: list[Any] = []
    await leave_unchecked(board, task, ann := await User.objects.acreate(), title="two")
    with listening(lambda: saved.append(current_user())):
        async with visit(board):
            pass
    assert saved == [ann]
    await task.arefresh_from_db()
    assert task.title == "two"


async def test_unchecked_changes_of_others_stay_theirs_beside_the_typing_of_a_member(
    board: Board, task: Task
) -> None:
    saved: list[Any] = []
    users = [await User.objects.acreate(username=name) for name in ("ann", "bob")]
    settings = {"DEFAULT_ACCESS": "write", "ROWS_TEXT_DELAY": 0.5}
    quick = pending(interval=0.1)
    with quick, override_settings(COLLAB=settings), listening(lambda: saved.append(current_user())):
        async with visit(board, users[0]) as client:
            for position, before, typed in ((1, "a text", "a "), (2, "a text", "not ")):
                async with documents.aedit(room_name(board.pk), user=users[1]) as doc:
                    doc.get("tasks", type=Map)[str(task.pk)]["position"] = position
                row(client, task)["body"].insert(0, typed)
                await wait_for_row(task, position=position, body=before)
            await wait_for_row(task, body="not a text")
    # At first all of the row was, as it was new in the document; then nobody waited for the text.
    assert [user.username for user in saved] == ["ann", "bob", "bob", "ann"]


async def test_many_changes_at_once_are_all_checked(board: Board) -> None:
    tasks = [Task(board=board, title="one") for _ in range(30)]
    await Task.objects.abulk_create(tasks)
    with pending(most=10), override_settings(COLLAB={"DEFAULT_ACCESS": "write"}):
        async with visit(board, await User.objects.acreate(username="ann")) as ann:
            with ann.doc.transaction():
                for number, values in enumerate(rows(ann).values()):
                    values["position"] = number + 1
                for number in range(100):
                    rows(ann)[str(number + 1000)] = Map({"title": "new"})
            await ann.wait_until(lambda: len(rows(ann)) == 30)
            await ann.wait_until(lambda: ann.messages[-1]["action"] == "rows")
    positions = [task.position async for task in Task.objects.order_by("position")]
    assert positions == list(range(1, 31))


# Texts.


async def test_people_type_in_a_text_together_and_the_row_gets_it(board: Board, task: Task) -> None:
    async with visit(board) as ann, visit(board) as bob:
        row(ann, task)["body"].insert(0, "A ")
        row(bob, task)["body"].insert(4, " B")
        await ann.wait_until(lambda: str(row(ann, task)["body"]) == "A text B")
        row(ann, task)["body"].insert(8, " ")
        await ann.wait_saved()
    await task.arefresh_from_db()
    assert task.body == "A text B "


async def test_a_text_is_saved_when_typing_pauses(board: Board, task: Task) -> None:
    saved: list[str] = []
    with override_settings(COLLAB={"DEFAULT_ACCESS": "write", "ROWS_TEXT_DELAY": 0.5}):
        async with visit(board) as ann:
            with listening(lambda: saved.append("")):
                for letter in "abc":
                    row(ann, task)["body"].insert(0, letter)
                    await ann.wait_saved()
                assert not saved
                await wait_for_row(task, body="cbatext")
                assert len(saved) == 1


async def test_a_text_is_saved_at_once_for_all_who_cannot_wait(board: Board, task: Task) -> None:
    with override_settings(COLLAB={"DEFAULT_ACCESS": "write", "ROWS_TEXT_DELAY": 60}):
        async with visit(board) as ann:
            row(ann, task)["body"].insert(0, "more ")
            await until(lambda: any(watcher.is_busy for watcher in watchers(board)))
            async with asyncio.timeout(DEADLINE):
                # As by a room that is unloaded while the process is about to end.
                first = asyncio.gather(*(watcher.settle() for watcher in watchers(board)))
                row(ann, task)["body"].insert(0, "even ")
                await asyncio.gather(first, *(watcher.settle() for watcher in watchers(board)))
    await task.arefresh_from_db()
    assert task.body == "even more text"


async def test_a_text_is_saved_before_its_document_is_unloaded(board: Board, task: Task) -> None:
    late = {
        "DEFAULT_ACCESS": "write",
        "ROWS_TEXT_DELAY": 60,
        "UNLOAD_DELAY": 0.01,
    }
    with override_settings(COLLAB=late):
        # Somebody is elsewhere, so that the server goes on.
        async with connect(application, "/ws/plain"):
            async with visit(board) as ann:
                row(ann, task)["body"].insert(0, "more ")
                await ann.wait_saved()
            await until(lambda: (room_name(board.pk), True) not in current_hub().rooms)
            await task.arefresh_from_db()
    assert task.body == "more text"


async def test_rows_are_followed_in_a_document_that_was_made_anew(board: Board, task: Task) -> None:
    async with visit(board) as eve, visit(board) as ann:
        for update in (HELLO, poison.RAISING):
            eve.send(create_update_message(update))
        assert (await eve.wait_closed()).code == 1008
        row(ann, task)["title"] = "two"
        await wait_for_row(task, title="two")


async def test_a_plain_string_in_the_place_of_a_text_becomes_one(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        row(ann, task)["body"] = "plain"
        await ann.wait_until(lambda: isinstance(row(ann, task)["body"], Text))
        assert str(row(ann, task)["body"]) == "plain"
        row(ann, task)["body"] = 5
        await ann.wait_until(lambda: isinstance(row(ann, task)["body"], Text))
        assert str(row(ann, task)["body"]) == "plain"
    await task.arefresh_from_db()
    assert task.body == "plain"


async def test_a_text_that_is_refused_is_set_back(board: Board, task: Task) -> None:
    async with visit(board) as ann, visit(board) as bob:
        row(ann, task)["body"].insert(4, "\0")
        assert (await refusal(ann))["data"]["fields"].keys() == {"body"}
        for client in (ann, bob):
            await client.wait_until(lambda client=client: str(row(client, task)["body"]) == "text")  # type: ignore[misc]


async def test_a_text_that_the_database_has_changed_keeps_what_was_typed(
    board: Board, task: Task
) -> None:
    async with visit(board) as ann:
        await change_unseen(task, body="A text")
        row(ann, task)["body"].insert(4, " B")
        await ann.wait_until(lambda: str(row(ann, task)["body"]) == "A text B")
    await task.arefresh_from_db()
    assert task.body == "A text B"


# When the database fails.


async def test_an_edit_that_cannot_be_saved_now_is_saved_later(board: Board, task: Task) -> None:
    failures = [OperationalError("locked")] * 3

    def fail() -> None:
        if failures:
            raise failures.pop()

    async with visit(board) as ann:
        with listening(fail):
            row(ann, task)["title"] = "two"
            await until(lambda: not failures)
            await wait_for_row(task, title="two")


async def test_a_change_that_the_projects_code_cannot_check_is_given_up(
    board: Board, task: Task, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> Any:
        raise LookupError("broken")

    async with visit(board) as ann:
        with monkeypatch.context() as patch:
            patch.setattr(TaskMirror, "get_queryset", fail)
            row(ann, task)["title"] = "two"
            await until(lambda: "Rows could not be checked" in caplog.text)
        row(ann, task)["position"] = 3
        await wait_for_row(task, position=3)


async def test_a_document_that_is_deleted_is_not_waited_for(board: Board, task: Task) -> None:
    failing = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail() -> None:
        loop.call_soon_threadsafe(failing.set)
        raise OperationalError("locked")

    with listening(fail):
        async with visit(board) as ann:
            row(ann, task)["title"] = "two"
            await asyncio.wait_for(failing.wait(), DEADLINE)
            await documents.adelete(room_name(board.pk))
            assert (await ann.wait_closed()).code == 4404
        # An attempt that a thread has begun is finished although its room is closed.
        await until(lambda: not worker.current_worker()._threads)
    await task.arefresh_from_db()
    assert task.title == "one"


# When much happens at once.


async def test_a_row_that_the_database_has_changed_is_not_removed(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        await change_unseen(task, title="two")
        del rows(ann)[str(task.pk)]
        assert (await refusal(ann))["response_status"] == 409
        await ann.wait_until(lambda: str(task.pk) in rows(ann))
        assert row(ann, task)["title"] == "two"


async def test_values_that_saving_changes_besides_are_written_to_the_map(
    board: Board, task: Task
) -> None:
    async with visit(board) as ann:
        with listening(lambda: Task._base_manager.update(position=7)):
            row(ann, task)["title"] = "two"
            await ann.wait_until(lambda: row(ann, task)["position"] == 7)
    assert (await stored(board))[str(task.pk)]["position"] == 7


async def test_a_row_that_saving_takes_elsewhere_leaves_the_map(board: Board, task: Task) -> None:
    other = await Board.objects.acreate(name="other")
    async with visit(board) as ann, visit(board) as bob:
        with listening(lambda: Task._base_manager.update(board=other)):
            row(ann, task)["title"] = "two"
            row(bob, task)["position"] = 3
            await ann.wait_until(lambda: str(task.pk) not in rows(ann))
            found = [client for client in (ann, bob) if client.messages[-1]["action"] == "row"]
            assert all(client.messages[-1]["response_status"] == 404 for client in found)


async def test_a_check_that_takes_long_lets_others_have_the_document_meanwhile(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_MAX_LOCKED", 0.0)
    monkeypatch.setattr(checking, "chunks", lambda values: [[value] for value in values])
    tasks = [await Task.objects.acreate(board=board, title="one") for _ in range(3)]
    async with visit(board) as ann:
        ann.doc.get("tasks", type=Map)
        with ann.doc.transaction():
            for task in tasks:
                row(ann, task)["title"] = "two"
        for task in tasks:
            await wait_for_row(task, title="two")


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of changes that are checked at once."""
    numbers: list[int] = []

    def count(name: str, changes: list[Any], **options: Any) -> Any:
        numbers.append(len(changes))
        return checking.check(name, changes, **options)

    monkeypatch.setattr(watching, "check", count)
    return numbers


async def test_changes_that_come_together_are_checked_together(
    board: Board, checked: list[int]
) -> None:
    async with visit(board) as ann:
        with ann.doc.transaction():
            for number in range(500):
                rows(ann)[f"new-{number}"] = Map({"title": ""})
        await ann.wait_until(lambda: not len(rows(ann)))
    assert checked == [500]


async def test_changes_that_a_comparison_of_all_rows_finds_are_checked_together(
    board: Board, checked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    add, now = PendingChanges.add, 0.0

    def add_slowly(changes: PendingChanges, *args: Any, **options: Any) -> Any:
        nonlocal now
        now += 0.001
        return add(changes, *args, **options)

    monkeypatch.setattr(PendingChanges, "add", add_slowly)
    with pending(most=10):
        async with visit(board) as ann:
            loop = asyncio.get_running_loop()
            time = loop.time
            # Each addition takes a millisecond, as on a busy machine.
            monkeypatch.setattr(loop, "time", lambda: time() + now)
            with ann.doc.transaction():
                for number in range(200):
                    rows(ann)[f"new-{number}"] = Map({"title": ""})
            await ann.wait_until(lambda: not len(rows(ann)))
    assert checked == [10, 190]


async def test_two_large_changes_at_once_are_both_checked_in_the_end(
    board: Board, task: Task
) -> None:
    settings = {"DEFAULT_ACCESS": "write", "ROWS_DELAY": 0.2}
    with pending(interval=0.2), override_settings(COLLAB=settings):
        async with visit(board) as ann, visit(board) as bob:
            row(ann, task)["extra"] = {"a": "x" * 70_000}
            row(bob, task)["id"] = "x" * 70_000
            await bob.wait_until(lambda: row(bob, task)["id"] == task.pk)
            await wait_for_row(task, extra={"a": "x" * 70_000})


async def test_a_large_change_is_its_senders(board: Board, task: Task) -> None:
    saved: list[Any] = []
    ann = await User.objects.acreate(username="ann")
    with listening(lambda: saved.append(current_user())):
        async with visit(board, ann) as client:
            row(client, task)["extra"] = {"a": "x" * 70_000}
            await client.wait_saved()
    assert saved == [ann]


async def test_rows_are_compared_a_few_at_a_time_and_again_if_more_comes(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BATCH", 1)
    await Task.objects.abulk_create([Task(board=board, title="one") for _ in range(100)])
    both = [await Task.objects.order_by(order).afirst() for order in ("pk", "-pk")]
    async with visit(board) as ann:
        (watcher,) = watchers(board)
        assert isinstance(watcher, RoomWatcher)
        sweep = watcher._rows._sweep
        for task in both:
            assert task is not None
            with ann.doc.transaction():
                row(ann, task)["extra"] = {"a": "x" * 70_000}
                row(ann, task)["title"] = "two"
            await until(lambda: sweep._left)
        for task in both:
            assert task is not None
            await wait_for_row(task, title="two")


@pytest.mark.parametrize("some", [True, False])
async def test_a_document_without_rows_is_not_followed(
    transactional_db: None, some: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not some:
        monkeypatch.setattr(options, "_mirrors", [])
    async with connect(application, "/ws/plain"):
        (room,) = current_hub().rooms.values()
        assert not room.watchers


async def test_more_is_changed_elsewhere_than_is_recorded(board: Board, task: Task) -> None:
    settings = {"DEFAULT_ACCESS": "write"}
    with pending(interval=0.1, most=1), override_settings(COLLAB=settings):
        async with visit(board) as ann:
            async with documents.aedit(room_name(board.pk)) as doc:
                values = doc.get("tasks", type=Map)
                for number in range(3):
                    values[str(number + 1000)] = Map({"title": "new"})
            await ann.wait_until(lambda: len(rows(ann)) == 4)
            await ann.wait_until(lambda: len(rows(ann)) == 1)


async def test_the_document_is_freed_when_its_room_is_gone(board: Board, task: Task) -> None:
    async with visit(board) as ann:
        row(ann, task)["title"] = "two"
        (room,) = current_hub().rooms.values()
        alive = weakref.ref(room.doc)
        del room
    await until(lambda: not gc.collect() and alive() is None)


async def test_the_thread_gives_its_connections_back_when_it_has_been_idle(
    board: Board, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_IDLE", 0.01)
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    close_all = connections.close_all

    def close() -> None:
        close_all()
        loop.call_soon_threadsafe(closed.set)

    # Taken back before the loop ends: fixtures close connections, too.
    with monkeypatch.context() as patch:
        patch.setattr(connections, "close_all", close)
        async with visit(board) as ann:
            for title in ("two", "three"):
                closed.clear()
                row(ann, task)["title"] = title
                await wait_for_row(task, title=title)
                await asyncio.wait_for(closed.wait(), DEADLINE)


async def test_a_row_without_a_text_has_an_empty_one(
    board: Board, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = TaskMirror.values

    def without_body(mirror: TaskMirror, rows: Any, room_name: str) -> Any:
        return [{**row, "body": None} for row in values(mirror, rows, room_name)]

    monkeypatch.setattr(TaskMirror, "values", without_body)
    async with visit(board) as ann:
        row(ann, task)["id"] = 0
        assert (await refusal(ann))["data"]["fields"].keys() == {"id"}
        await ann.wait_until(lambda: row(ann, task)["id"] == task.pk)
        assert str(row(ann, task)["body"]) == ""


async def test_a_change_after_a_refused_one_is_not_set_back_with_it(
    board: Board, task: Task
) -> None:
    def change() -> None:
        # Before the first change is set back, the client goes on.
        asyncio.run_coroutine_threadsafe(go_on(), loop).result(DEADLINE)

    async def go_on() -> None:
        del rows(ann)[str(task.pk)]
        # It cannot be stored while the rows are saved: SQLite has one writer.
        doc = current_hub().rooms[room_name(board.pk), True].doc
        await until(lambda: str(task.pk) not in doc.get("tasks", type=Map))
        gone_on.set()

    loop, gone_on = asyncio.get_running_loop(), asyncio.Event()
    with override_settings(COLLAB={"DEFAULT_ACCESS": "write", "ROWS_DELAY": 0.2}):
        async with visit(board) as ann:
            with listening(change):
                with ann.doc.transaction():
                    row(ann, task)["title"] = "two"
                    row(ann, task)["id"] = 0
                await asyncio.wait_for(gone_on.wait(), DEADLINE)
            await until_gone(task)
    assert await stored(board) == {}


async def until_gone(task: Task) -> None:
    async def is_gone() -> bool:
        return not await Task.objects.filter(pk=task.pk).aexists()

    await until(is_gone)
