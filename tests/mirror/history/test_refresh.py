"""Rows whose tombstones outweigh them are written anew, and nobody's change is lost untold."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import modify_settings
from django.utils import timezone
from pycrdt import Doc, Map, Text

from collab import documents
from collab.mirror import reconcile
from collab.mirror.history import refresh as refreshing
from collab.mirror.history.refresh import arrive, refresh, stay
from collab.mirror.models import MirroredDocument, MirroredRefresh
from collab.protocol.yjs.ranges import joined
from tests.mirror.boards import in_maps, name_of, open_board, row_values, tasks
from tests.mirror.databases import kept_in, on_both
from tests.rows.models import Board, Note, Task


def wear(board: Board, times: int = 1_000) -> None:
    """Change the board's tasks so often, by somebody else, and leave them as they were."""
    with documents.edit(name_of(board)) as doc:
        rows: Map[Any] = doc.get("tasks", type=Map)
        titles = {key: rows[key]["title"] for key in list(rows.keys())}
        with doc.transaction():
            for turn in range(times):
                for key in titles:
                    rows[key]["title"] = str(turn)
            for key, title in titles.items():
                rows[key]["title"] = title


def body(doc: Doc[Any]) -> Text:
    """Return the text of the first task."""
    found: Text = doc.get("tasks", type=Map)[str(Task.objects.earliest("pk").pk)]["body"]
    return found


def worn_board(times: int = 1_000) -> Board:
    """Make a board of tasks of which one has a text that people have formatted."""
    board = open_board()
    for number in range(8):
        Task.objects.create(board=board, title=f"task {number}", body="text ünd more")
    Note.objects.create(board=board, text="note")
    with documents.edit(name_of(board)) as doc:
        body(doc).format(5, 9, {"bold": True})
        doc.get("text", type=Text).insert(0, "beside")
    wear(board, times)
    return board


def size(board: Board) -> int:
    return next(documents.list_documents(name_of(board))).size


def fresh_size(board: Board) -> int:
    """Return what the document takes up when it is made anew."""
    with documents.edit("fresh") as doc:
        for name, rows in row_values(name_of(board)).items():
            doc[name] = Map({key: Map(values) for key, values in rows.items()})
    return next(documents.list_documents("fresh")).size


def age(board: Board, **age: float) -> None:
    """Make it so long ago that a process has opened the board's document."""
    record = MirroredDocument.objects.filter(name=name_of(board))
    record.update(opened_at=timezone.now() - timedelta(**age))


def compact(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("collab_compact", *arguments, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


@on_both
def test_worn_document_is_hardly_larger_than_a_fresh_one_afterwards(using: str) -> None:
    with kept_in(using):
        board = worn_board()
        before = in_maps(name_of(board))
        assert size(board) > 16 * 1024
        assert refresh(name_of(board))
        assert size(board) < 2 * fresh_size(board)
        assert in_maps(name_of(board)) == before == row_values(name_of(board))
        doc = documents.read(name_of(board))
        assert str(doc.get("text", type=Text)) == "beside"
        assert body(doc).diff() == [("text ", None), ("ünd", {"bold": True}), (" more", None)]
        task = Task.objects.latest("pk")
        task.title, task.body = "changed", "text and more"
        task.save()
        reconcile(name_of(board))
        assert in_maps(name_of(board)) == row_values(name_of(board))


@pytest.mark.django_db(transaction=True)
class TestRefreshing:
    def test_document_is_left_alone_while_a_member_may_have_it_open(self) -> None:
        board = worn_board()
        stay(name_of(board))
        assert not refresh(name_of(board))
        age(board, minutes=59)
        assert not refresh(name_of(board))
        age(board, hours=25)
        assert refresh(name_of(board))

    def test_the_more_is_gained_the_shorter_the_time(self) -> None:
        board = worn_board(400)
        age(board, minutes=61)
        assert not refresh(name_of(board))
        found = MirroredDocument.objects.get(name=name_of(board)).fresh_size
        assert found is not None
        gain = len(documents.read(name_of(board)).get_update()) / found
        assert 4 < gain < 40
        age(board, hours=0.95 * 48 / gain)
        assert not refresh(name_of(board))
        age(board, hours=1.05 * 48 / gain)
        assert refresh(name_of(board))

    def test_document_that_is_open_each_day_stays_within_bounds(self) -> None:
        board = worn_board()
        sizes = []
        for _ in range(6):
            arrive(name_of(board))
            wear(board, 500)
            sizes.append(size(board))
            age(board, hours=12)
        assert max(sizes) < 1.1 * sizes[0]
        assert MirroredRefresh.objects.count() == 6

    def test_a_refresh_that_gains_nothing_is_computed_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        board = worn_board()
        with documents.edit(name_of(board)) as doc:
            doc.get("text", type=Text).insert(0, "text" * 10_000)
        age(board, hours=12)
        assert not refresh(name_of(board))
        with monkeypatch.context() as patch:
            patch.setattr(refreshing, "_replace", None)
            assert not refresh(name_of(board))
        with documents.edit(name_of(board)) as doc:
            del doc.get("text", type=Text)[:]
        age(board, hours=25)
        assert refresh(name_of(board))

    def test_nothing_is_done_where_little_would_be_gained(self) -> None:
        board = open_board()
        Task.objects.create(board=board)
        assert not refresh(name_of(board))
        wear(board, 10)
        assert not refresh(name_of(board))
        with documents.edit(name_of(board)) as doc:
            doc.get("text", type=Text).insert(0, "text" * 10_000)
        assert not refresh(name_of(board))
        wear(board)
        assert not refresh(name_of(board))
        assert not MirroredRefresh.objects.exists()

    def test_documents_without_rows_are_left_alone(self) -> None:
        board = open_board()
        assert not refresh(name_of(board))
        assert not refresh("nonsense")
        assert arrive("nonsense") == []

    def test_deleted_document_is_not_made_again(self) -> None:
        board = worn_board()
        documents.delete(name_of(board))
        assert not refresh(name_of(board))
        assert not documents.exists(name_of(board))

    def test_rows_with_unchecked_changes_or_embedded_objects_are_left_as_they_are(self) -> None:
        board = worn_board()
        keys = [str(pk) for pk in Task.objects.order_by("pk").values_list("pk", flat=True)]
        with documents.edit(name_of(board)) as doc:
            rows: Map[Any] = doc.get("tasks", type=Map)
            rows[keys[0]]["title"] = "not checked"
            body = rows[keys[1]]["body"]
            body.insert_embed(0, {"image": "x"})
        assert refresh(name_of(board))
        left = MirroredRefresh.objects.get().left
        assert sorted(left) == sorted([["tasks", keys[0]], ["tasks", keys[1]]])
        assert tasks(board)[keys[0]]["title"] == "not checked"

    def test_a_second_refresh_is_possible(self) -> None:
        board = worn_board()
        assert refresh(name_of(board))
        assert not refresh(name_of(board))
        wear(board, 2_000)
        assert refresh(name_of(board))
        assert in_maps(name_of(board)) == row_values(name_of(board))
        one, two = MirroredRefresh.objects.order_by("pk")
        assert one.witness != two.witness
        assert str(two.document_id) in str(two)

    def test_another_document_of_that_name_was_not_refreshed(self) -> None:
        board = worn_board()
        assert refresh(name_of(board))
        documents.delete(name_of(board))
        with documents.edit(name_of(board)) as doc:
            doc.get("text", type=Text).insert(0, "another")
        reconcile(name_of(board))
        assert not MirroredRefresh.objects.exists()

    def test_the_content_before_a_refresh_is_not_kept_for_ever(self) -> None:
        board = worn_board()
        assert refresh(name_of(board))
        arrive(name_of(board))
        assert MirroredRefresh.objects.get().content
        MirroredRefresh.objects.update(at=timezone.now() - timedelta(days=91))
        arrive(name_of(board))
        assert MirroredRefresh.objects.get().content is None

    def test_the_first_member_refreshes_a_document_that_was_not_open(self) -> None:
        board = worn_board()
        age(board, hours=25)
        (found,) = arrive(name_of(board))
        assert found == MirroredRefresh.objects.get()
        assert size(board) < 2 * fresh_size(board)
        wear(board, 2_000)
        assert arrive(name_of(board)) == [found]
        assert not refresh(name_of(board))
        documents.delete(name_of(board))
        assert arrive(name_of(board)) == [found]

    def test_ranges_are_joined(self) -> None:
        ranges = [(2, 0, 1), (1, 5, 9), (1, 0, 2), (1, 2, 4), (1, 6, 7)]
        assert joined(ranges) == [(1, 0, 4), (1, 5, 9), (2, 0, 1)]


@pytest.mark.django_db(transaction=True)
class TestCommand:
    def test_command_refreshes(self) -> None:
        board = worn_board()
        out = compact("--refresh", "--all")
        assert "The rows of 1 documents were rewritten." in out
        assert size(board) < 2 * fresh_size(board)

    def test_documents_without_a_log_are_refreshed_as_well(self) -> None:
        board = worn_board()
        assert "written anew" not in compact(name_of(board))
        assert "of 1 documents" in compact("--refresh", "--prefix", name_of(board))

    def test_it_can_be_silent(self) -> None:
        board = worn_board()
        assert compact("--refresh", name_of(board), verbosity=0) == ""

    def test_only_rows_can_be_refreshed(self) -> None:
        with (
            modify_settings(INSTALLED_APPS={"remove": "collab.mirror"}),
            pytest.raises(CommandError, match=r"collab\.mirror is not in INSTALLED_APPS"),
        ):
            compact("--refresh", "--all")
