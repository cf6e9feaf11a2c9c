"""Facts about a document's rows go along when it gets another name."""

from __future__ import annotations

import pytest
from django.db import transaction
from pycrdt import Map

from collab import documents
from collab.mirror import reconcile
from collab.mirror.history.refresh import arrive, refresh
from collab.mirror.incoming.unchecked import unchecked
from collab.mirror.models import MirroredDocument
from collab.mirror.registry import mirrors_in
from tests.mirror.history.test_refresh import worn_board
from tests.rows.models import Board, Note, Task

from .boards import in_maps, name_of, open_board, row_values
from .databases import kept_in, on_both


@on_both
def test_rows_that_stay_behind_are_not_taken_for_new_ones(using: str) -> None:
    with kept_in(using):
        board, other = open_board(), Board.objects.create(name="other")
        Note.objects.create(board=board, text="stays")
        moved = Note.objects.create(board=board, text="moves")
        documents.rename(name_of(board), name_of(other))
        assert unchecked(name_of(other), mirrors_in(name_of(other))) == {}
        moved.board = other
        moved.save()
        reconcile(name_of(other))
        assert in_maps(name_of(other)) == row_values(name_of(other))
        assert list(in_maps(name_of(other))["rows.note"]) == [str(moved.pk)]
        assert Note.objects.count() == 2


@on_both
def test_changes_that_are_not_checked_yet_stay_known(using: str) -> None:
    with kept_in(using):
        board, other = open_board(), Board.objects.create(name="other")
        key = str(Task.objects.create(board=board, title="one").pk)
        with documents.edit(name_of(board)) as doc:
            doc.get("tasks", type=Map)[key]["title"] = "typed"
        documents.rename(name_of(board), name_of(other))
        found = unchecked(name_of(other), mirrors_in(name_of(other)))
        assert found == {("tasks", key): {"title"}}


@on_both
def test_losses_are_still_reported_to_members_that_return_after_a_rename(using: str) -> None:
    with kept_in(using):
        board, other = worn_board(), Board.objects.create(name="other")
        assert refresh(name_of(board))
        documents.rename(name_of(board), name_of(other))
        assert len(arrive(name_of(other))) == 1


@on_both
def test_rename_that_is_rolled_back_leaves_everything_as_it_was(using: str) -> None:
    with kept_in(using):
        board, other = open_board(), open_board("other")
        Task.objects.create(board=board)
        before = list(MirroredDocument.objects.order_by("pk").values_list("pk", "name"))
        with transaction.atomic(using):
            documents.rename(name_of(board), name_of(other))
            transaction.set_rollback(True, using)
        assert list(MirroredDocument.objects.order_by("pk").values_list("pk", "name")) == before
        assert in_maps(name_of(board)) == row_values(name_of(board))


@on_both
def test_record_of_a_document_that_was_deleted_gives_way(using: str) -> None:
    with kept_in(using):
        board, other = open_board(), open_board("other")
        for each in (board, other):
            Task.objects.create(board=each)
        documents.delete(name_of(other))
        documents.rename(name_of(board), name_of(other))
        documents.rename(name_of(other), name_of(other))
        reconcile(name_of(other))
        assert in_maps(name_of(other)) == row_values(name_of(other))
        assert MirroredDocument.objects.get().name == name_of(other)


@on_both
def test_document_that_no_rows_were_written_into_yet_is_renamed(using: str) -> None:
    with kept_in(using):
        board, other = Board.objects.create(name="b"), Board.objects.create(name="other")
        documents.send_doc_update(name_of(board), b"\0\0")
        documents.rename(name_of(board), name_of(other))
        Task.objects.create(board=other)
        reconcile(name_of(other))
        assert in_maps(name_of(other)) == row_values(name_of(other))


@on_both
def test_document_may_have_a_name_without_rows_in_between(using: str) -> None:
    with kept_in(using):
        board = open_board()
        Task.objects.create(board=board)
        known = MirroredDocument.objects.get()
        documents.rename(name_of(board), "archived")
        documents.rename("archived", name_of(board))
        assert MirroredDocument.objects.get(name=name_of(board)) == known


@pytest.mark.django_db(transaction=True)
async def test_async_code_renames_as_well() -> None:
    await MirroredDocument.objects.acreate(name="board-1")
    await documents.asend_doc_update("board-1", b"\0\0")
    await documents.arename("board-1", "board-2")
    assert [record.name async for record in MirroredDocument.objects.all()] == ["board-2"]
