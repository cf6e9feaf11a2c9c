"""Changes of a document are checked under its lock, on every database."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import connections
from django.test.utils import CaptureQueriesContext
from pycrdt import Map, Text

from collab import documents
from collab.mirror.incoming.client_changes import check
from collab.mirror.incoming.row_edits import Author, RowEdit, TextPart
from collab.mirror.incoming.unchecked import unchecked
from collab.mirror.outgoing.writing import reconcile
from collab.mirror.rows.values import Odd, take_field
from tests.mirror.databases import kept_in, on_both
from tests.rows.mirrors import TaskMirror, room_name
from tests.rows.models import Board, Note, Task

ANN = Author(User(username="ann"))


def shown_task(**values: Any) -> tuple[Task, str]:
    """Return a task that is in a document, and the document's name."""
    board = Board.objects.create(name="b")
    task = Task.objects.create(board=board, title="one", **values)
    name = room_name(board.pk)
    reconcile(name)
    return task, name


def changed(task: Task, **values: Any) -> RowEdit:
    """Return a change of a row, that is made in its document, too."""
    name = room_name(task.board_id)
    with documents.edit(name) as doc:
        row = doc.get("tasks", type=Map)[str(task.pk)]
        for field, value in values.items():
            row[field] = value
    (shown,) = TaskMirror(Task).values([task], name)
    return RowEdit("tasks", str(task.pk), {**shown, **values}, dict.fromkeys(values, ANN))


@on_both
def test_a_change_is_saved_or_set_back_and_found_no_more(using: str) -> None:
    with kept_in(using):
        board = Board.objects.create(name="b")
        task = Task.objects.create(board=board, title="one")
        name = room_name(board.pk)
        assert reconcile(name)
        change = changed(task, title="two", id=0)
        assert unchecked(name, [TaskMirror(Task)]) == {("tasks", str(task.pk)): {"title", "id"}}
        with CaptureQueriesContext(connections[using]) as queries:
            outcome = check(name, [change])
        assert [refusal.problems.keys() for refusal in outcome.refusals] == [{"id"}]
        task.refresh_from_db()
        row = documents.read(name).get("tasks", type=Map)[str(task.pk)]
        assert (task.title, row["title"], row["id"]) == ("two", "two", task.pk)
        assert unchecked(name, [TaskMirror(Task)]) == {}
    has_locks = connections[using].features.has_select_for_update
    locked = [query["sql"] for query in queries if "FOR UPDATE" in query["sql"]]
    assert any('"rows_task"' in sql for sql in locked) == has_locks


@on_both
def test_nothing_is_done_to_a_document_that_has_no_rows(using: str) -> None:
    with kept_in(using):
        outcome = check("room", [RowEdit("tasks", "1", {}, {"title": ANN})])
        assert not outcome.refusals


@on_both
def test_a_row_removed_meanwhile_is_not_set_back(using: str) -> None:
    with kept_in(using):
        task, name = shown_task()
        change = changed(task, id=0)
        with documents.edit(name) as doc:
            doc.get("tasks", type=Map).pop(str(task.pk))
        assert check(name, [change]).refusals
        assert str(task.pk) not in documents.read(name).get("tasks", type=Map)


@on_both
def test_the_author_of_a_change_has_not_removed_the_row(using: str) -> None:
    with kept_in(using):
        task, name = shown_task()
        check(name, [RowEdit("tasks", str(task.pk), Odd.MISSING, {"title": ANN})])
        assert Task.objects.filter(pk=task.pk).exists()


@on_both
def test_a_row_that_is_gone_again_needs_no_check(using: str) -> None:
    with kept_in(using):
        board = Board.objects.create(name="b")
        reconcile(room_name(board.pk))
        assert not check(
            room_name(board.pk), [RowEdit("tasks", "17", Odd.MISSING, {"": ANN})]
        ).refusals


@on_both
def test_a_new_row_is_created_once(using: str) -> None:
    with kept_in(using):
        task, name = shown_task()
        key = "11111111-1111-4111-8111-111111111111"
        with documents.edit(name) as doc:
            doc.get("tasks", type=Map)[key] = Map({"title": "new"})
        change = RowEdit("tasks", key, {"title": "new"}, {"": ANN})
        assert check(name, [change]).renamed
        # As by another process, which does not know of it yet.
        again = check(name, [change])
        assert (again.renamed, again.overtaken) == ([], [change])
        assert Task.objects.exclude(pk=task.pk).count() == 1


@on_both
def test_a_row_that_is_created_is_there_whatever_has_become_of_its_map(using: str) -> None:
    with kept_in(using):
        task, name = shown_task()
        key = "11111111-1111-4111-8111-111111111111"
        with documents.edit(name) as doc:
            doc.get("tasks", type=Map)[key] = "a string"
        outcome = check(name, [RowEdit("tasks", key, {"title": "new"}, {"": ANN})])
        made = Task.objects.exclude(pk=task.pk).get()
        assert outcome.renamed == [(ANN, "tasks", key, str(made.pk))]
        tasks = documents.read(name).get("tasks", type=Map)
        assert tasks[str(made.pk)]["title"] == "new"
        assert key not in tasks


@on_both
def test_changes_newer_than_a_new_row_go_along_to_its_key(using: str) -> None:
    with kept_in(using):
        task, name = shown_task()
        key = "11111111-1111-4111-8111-111111111111"
        with documents.edit(name) as doc:
            newer = {"title": "newer", "body": Text("text and more"), "colour": "red"}
            doc.get("tasks", type=Map)[key] = Map({**newer, "estimate": b"?"})
        values = {"title": "new", "body": "text", "estimate": "1.00"}
        assert not check(name, [RowEdit("tasks", key, values, {"": ANN})]).refusals
        made = Task.objects.exclude(pk=task.pk).get()
        row = documents.read(name).get("tasks", type=Map)[str(made.pk)]
        assert (made.title, made.body) == ("new", "text")
        assert (row["title"], str(row["body"]), row["colour"]) == (
            "newer",
            "text and more",
            "red",
        )
        assert row["estimate"] == "1.00"
        found = unchecked(name, [TaskMirror(Task)])
        assert found == {("tasks", str(made.pk)): {"title", "body", "colour"}}


@on_both
def test_a_row_that_is_gone_everywhere_is_not_reported(using: str) -> None:
    with kept_in(using):
        task, name = shown_task()
        # As raw SQL does, so that the document does not learn of it.
        Task._base_manager.filter(pk=task.pk)._raw_delete(using)
        change = RowEdit("tasks", str(task.pk), Odd.MISSING, {"": ANN})
        assert not check(name, [change]).refusals
        assert str(task.pk) not in documents.read(name).get("tasks", type=Map)


@on_both
def test_a_check_does_not_bring_a_deleted_document_back(using: str) -> None:
    with kept_in(using):
        task, name = shown_task()
        change = changed(task, title="two")
        documents.delete(name)
        Task._base_manager.filter(pk=task.pk).update(done=True)
        check(name, [change])
        assert not documents.exists(name)


@on_both
def test_changes_newer_than_a_refused_one_stay(using: str) -> None:
    with kept_in(using):
        task, name = shown_task(body="text")
        change = changed(task, title="forbidden")
        assert isinstance(change.values, dict)
        change.values["body"] = [1]
        change.authors["body"] = ANN
        with documents.edit(name) as doc:
            row = doc.get("tasks", type=Map)[str(task.pk)]
            row["title"] = "newer"
            row["body"].insert(4, " and more")
        assert check(name, [change]).refusals
        row = documents.read(name).get("tasks", type=Map)[str(task.pk)]
        assert (row["title"], str(row["body"])) == ("newer", "text and more")


@on_both
def test_a_row_that_is_there_again_is_not_put_back(using: str) -> None:
    with kept_in(using):
        board = Board.objects.create(name="b")
        note = Note.objects.create(board=board, text="one")
        name = room_name(board.pk)
        reconcile(name)
        with documents.edit(name) as doc:
            doc.get("rows.note", type=Map)[str(note.pk)]["text"] = "newer"
        removal = RowEdit("rows.note", str(note.pk), Odd.MISSING, {"": ANN})
        assert check(name, [removal]).refusals
        row = documents.read(name).get("rows.note", type=Map)[str(note.pk)]
        assert row["text"] == "newer"


def test_values_that_are_too_deep_are_none_of_json() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    class Row(dict[str, Any]):
        """Of a Map, what is used here."""

    row: Any = Row(title=deep)
    assert take_field(row, "title", ()) is Odd.NOT_JSON


@on_both
def test_fields_are_saved_with_a_text_that_others_have_typed_in(using: str) -> None:
    with kept_in(using):
        task, name = shown_task(body="text")
        edit = changed(task, title="two")
        with documents.edit(name) as doc:
            body = doc.get("tasks", type=Map)[str(task.pk)]["body"]
            body += " bob ann"
        bob = Author(User(username="bob"))
        assert isinstance(edit.values, dict)
        edit.values["body"] = "text bob ann"
        edit.authors["body"] = ANN
        edit.parts["body"] = [
            TextPart(bob, "text", "text bob"),
            TextPart(ANN, "text bob", "text bob ann"),
        ]
        assert not check(name, [edit]).refusals
        task.refresh_from_db()
    assert (task.title, task.body) == ("two", "text bob ann")
