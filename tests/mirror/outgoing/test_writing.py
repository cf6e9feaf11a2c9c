"""Rows are written into documents, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from pycrdt import Map, Text

from collab import documents
from collab.mirror import reconcile
from collab.mirror.models import MirroredDocument, MirroredRow, new_client_id
from collab.mirror.outgoing.row_maps import write_row
from collab.mirror.outgoing.writing import write_rows
from collab_storage.chunks import CHUNK
from collab_storage.updates import state_vector
from tests.mirror.boards import in_maps, name_of, open_board, row_values, tasks, updates
from tests.rows.mirrors import NoteMirror, TaskMirror
from tests.rows.models import Board, Note, Task

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def board() -> Board:
    return open_board()


def clients(board: Board) -> set[int]:
    """Return the client ids of who has changed a board's document."""
    return set(state_vector(documents.read(name_of(board)).get_state()))


def test_document_without_mirrors_is_left_alone() -> None:
    assert not reconcile("notes")
    write_rows("notes", {"tasks": ["1"]})
    assert not documents.exists("notes")


def test_rows_of_a_new_document_are_written_with_one_update() -> None:
    board = Board.objects.create(name="b")
    Task.objects.bulk_create(Task(board=board) for _ in range(CHUNK + 1))
    Note.objects.create(board=board)
    assert reconcile(name_of(board))
    assert in_maps(name_of(board)) == row_values(name_of(board))
    assert updates(name_of(board)) == 1


def test_document_that_is_as_the_rows_is_not_written(board: Board) -> None:
    Task.objects.create(board=board)
    stored = updates(name_of(board))
    assert reconcile(name_of(board))
    assert updates(name_of(board)) == stored


def test_number_of_queries_grows_with_chunks_only(board: Board) -> None:
    counts = []
    for chunks in (2, 4, 6):
        Task.objects.bulk_create(Task(board=board) for _ in range(2 * CHUNK))
        with CaptureQueriesContext(connection) as queries:
            reconcile(name_of(board))
        counts.append(len(queries) - chunks)
    # One for the labels of each; the rows come from one cursor.
    assert counts[1] == counts[2]


def test_all_changes_of_the_server_are_by_one_client(board: Board) -> None:
    for _ in range(3):
        Task.objects.create(board=board)
    record = MirroredDocument.objects.get()
    assert clients(board) == {record.client_id}
    assert len({new_client_id() for _ in range(100)}) > 90
    assert str(record) == name_of(board)
    assert str(MirroredRow.objects.first()).startswith("tasks ")


def test_empty_document_that_is_open_gets_the_first_row(board: Board) -> None:
    assert not documents.exists(name_of(board))
    Task.objects.create(board=board, title="one")
    assert len(tasks(board)) == 1


def test_deleted_document_stays_deleted_until_it_is_opened(board: Board) -> None:
    task = Task.objects.create(board=board)
    documents.delete(name_of(board))
    task.title = "two"
    task.save()
    assert not documents.exists(name_of(board))
    reconcile(name_of(board))
    assert in_maps(name_of(board)) == row_values(name_of(board))


def test_another_document_of_that_name_gets_all_rows(board: Board) -> None:
    Task.objects.create(board=board, body="text")
    task = Task.objects.create(board=board)
    Note.objects.create(board=board)
    before = clients(board)
    documents.delete(name_of(board))
    with documents.edit(name_of(board)) as doc:
        doc.get("text", type=Text).insert(0, "another")
    task.title = "two"
    task.save()
    assert in_maps(name_of(board)) == row_values(name_of(board))
    assert not clients(board) & before


def test_document_without_rows_may_belong_to_others(board: Board) -> None:
    with documents.edit(name_of(board)) as doc:
        doc.get("text", type=Text).insert(0, "typed")
    reconcile(name_of(board))
    assert MirroredDocument.objects.get().client_id is None
    Task.objects.create(board=board)
    assert len(tasks(board)) == 1


def test_rows_of_a_renamed_document_are_taken_over(board: Board) -> None:
    task = Task.objects.create(board=board, body="text")
    documents.rename(name_of(board), "elsewhere")
    documents.rename("elsewhere", name_of(other := Board.objects.create(name="other")))
    task.board = other
    task.save()
    reconcile(name_of(other))
    assert in_maps(name_of(other)) == row_values(name_of(other))
    task.body = "new text"
    task.save()
    assert tasks(other)[str(task.pk)]["body"] == "new text"


def test_record_that_is_deleted_meanwhile_is_made_again(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    Task.objects.create(board=board)
    get_or_create = QuerySet.get_or_create
    made: list[Any] = []

    def then_delete(self: QuerySet[MirroredDocument], **kwargs: Any) -> Any:
        made.append(get_or_create(self, **kwargs))
        if len(made) == 1:
            MirroredDocument.objects.all().delete()
        return made[-1]

    monkeypatch.setattr(QuerySet, "get_or_create", then_delete)
    assert reconcile(name_of(board))
    assert len(made) == 2
    assert MirroredDocument.objects.exists()


def test_changes_of_a_client_that_are_not_checked_yet_stay(board: Board) -> None:
    task = Task.objects.create(board=board, title="one", body="text")
    with documents.edit(name_of(board)) as doc:
        row = doc.get("tasks", type=Map)[str(task.pk)]
        row["title"] = "a client's"
        row["body"].insert(0, "a client's ")
        doc.get("tasks", type=Map)["new"] = Map({"title": "new"})
    task.position = 5
    task.save()
    reconcile(name_of(board))
    values = tasks(board)
    assert values["new"] == {"title": "new"}
    assert values[str(task.pk)]["title"] == "a client's"
    assert values[str(task.pk)]["position"] == 5
    task.title, task.body = "two", "next"
    task.save()
    assert tasks(board)[str(task.pk)]["title"] == "two"
    assert tasks(board)[str(task.pk)]["body"] == "a client's next"


def test_wrong_content_is_written_over_when_the_row_changes(board: Board) -> None:
    one = Task.objects.create(board=board, title="one")
    two = Task.objects.create(board=board, title="two", body="text")
    with documents.edit(name_of(board)) as doc:
        rows = doc.get("tasks", type=Map)
        rows[str(one.pk)] = "no map"
        rows[str(two.pk)]["body"] = "no text"
    for task in (one, two):
        task.title, task.body = "new", "new text"
        task.save()
    assert in_maps(name_of(board)) == row_values(name_of(board))


def test_row_that_was_taken_out_by_a_client_and_is_deleted_is_gone(board: Board) -> None:
    task = Task.objects.create(board=board)
    with documents.edit(name_of(board)) as doc:
        del doc.get("tasks", type=Map)[str(task.pk)]
    task.delete()
    assert tasks(board) == {}


def test_fields_come_and_go_with_the_declaration(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = Note.objects.create(board=board, text="one")
    monkeypatch.setattr(NoteMirror, "fields", ("id", "board"))
    reconcile(name_of(board))
    assert in_maps(name_of(board))["rows.note"][str(note.pk)].keys() == {"id", "board"}
    monkeypatch.setattr(NoteMirror, "fields", ("id", "text"))
    monkeypatch.setattr(NoteMirror, "text_fields", ("text",))
    reconcile(name_of(board))
    with documents.edit(name_of(board)) as doc:
        row = doc.get("rows.note", type=Map)[str(note.pk)]
        assert isinstance(row["text"], Text)
        assert set(row.keys()) == {"id", "text"}


def test_value_that_is_there_already_is_not_written_again(board: Board) -> None:
    task = Task.objects.create(board=board, title="one")
    with documents.edit(name_of(board)) as doc:
        doc.get("tasks", type=Map)[str(task.pk)]["title"] = "two"
    with documents.edit(name_of(board)) as doc:
        before = doc.get_state()
        now = {**TaskMirror(Task).values([task], name_of(board))[0], "title": "two"}
        write_row(doc.get("tasks", type=Map), str(task.pk), {"title": "one"}, now, ("body",))
        assert doc.get_state() == before


def test_rows_leave_a_document_that_has_no_more_of_them(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task.objects.create(board=board)
    monkeypatch.setattr(TaskMirror, "get_queryset", lambda self, name: None)
    task.save()
    assert tasks(board) == {}
