"""A document that is written into again is not loaded again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pycrdt import Doc, Map, Text

from collab import documents
from collab.conf import get_storage
from collab.engine.hub import working_copies as copies
from collab.mirror.models import MirroredDocument
from collab.mirror.outgoing import copy_cache as cache
from collab.mirror.outgoing.writing import writing
from collab.protocol.yjs.updates import merge, recording_updates
from collab_storage.compaction import compact
from collab_storage.models import Document, Update
from collab_storage.orm import ORMStorage
from tests.mirror.boards import in_maps, name_of, open_board, row_values
from tests.rows.models import Board, Task
from tests.storage.yjs import PAIR, SPLIT

pytestmark = pytest.mark.django_db(transaction=True)

LOADS = 'FROM "collab_storage_update"'


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    cache._copies.clear()
    yield
    cache._copies.clear()


@pytest.fixture
def board() -> Board:
    board = open_board()
    Task.objects.create(board=board, title="one")
    # The first writing makes the document, the second one loads it.
    change("two")
    return board


def change(title: str) -> bool:
    """Change the only task; tell whether the document was loaded for that."""
    task = Task.objects.get()
    task.title = title
    with CaptureQueriesContext(connection) as queries:
        task.save()
    name = name_of(task.board)
    assert in_maps(name) == row_values(name)
    return any(LOADS in query["sql"] and '"data"' in query["sql"] for query in queries)


def kept(board: Board) -> Doc[Any]:
    return cache._copies[name_of(board)].doc


def test_document_is_loaded_once(board: Board) -> None:
    doc = kept(board)
    assert [change(title) for title in "abc"] == [False] * 3
    assert kept(board) is doc


def test_a_copy_in_which_others_edit_inside_a_surrogate_pair_is_what_yjs_makes_of_it(
    board: Board,
) -> None:
    for update in (PAIR, SPLIT):
        documents.send_doc_update(name_of(board), update)
        assert change(update.hex()[:6])
    assert str(kept(board).get("text", type=Text)) == "a\ufffdX\ufffdb"
    assert not change("c")


def test_updates_that_others_have_stored_are_added(board: Board) -> None:
    doc = kept(board)
    change("a")
    with documents.edit(name_of(board)) as edited:
        edited.get("text", type=Text).insert(0, "typed")
    assert change("b")
    assert kept(board) is doc
    assert str(doc.get("text", type=Text)) == "typed"
    assert not change("c")


def test_compacted_document_is_loaded_anew(board: Board) -> None:
    doc = kept(board)
    async_to_sync(compact)(get_storage(), name_of(board))
    assert change("a")
    assert kept(board) is not doc


def test_another_document_of_that_name_is_loaded_anew(board: Board) -> None:
    documents.delete(name_of(board))
    with documents.edit(name_of(board)) as edited:
        edited.get("text", type=Text).insert(0, "another")
    assert change("a")
    assert str(documents.read(name_of(board)).get("text", type=Text)) == "another"


def test_copy_of_a_deleted_document_is_not_used(board: Board) -> None:
    documents.delete(name_of(board))
    Task.objects.update(title="a")
    assert not documents.exists(name_of(board))
    assert not MirroredDocument.objects.exists()


def test_copy_is_lost_with_the_transaction_that_used_it(board: Board) -> None:
    Task.objects.update(title="a")
    with transaction.atomic():
        with writing(name_of(board)) as document:
            assert document is not None and document.doc is not None
            with document.changing():
                document.doc.get("tasks", type=Map)["x"] = 1
        transaction.set_rollback(True)
    assert name_of(board) not in cache._copies
    assert change("b")


def test_update_that_builds_upon_what_is_missing_waits(board: Board) -> None:
    doc = kept(board)
    other = Doc[Any]()
    text = other.get("text", type=Text)
    updates: list[bytes] = []
    subscription = other.observe(lambda event: updates.append(event.update))
    text.insert(0, "a")
    text.insert(1, "b")
    other.unobserve(subscription)
    documents.send_doc_update(name_of(board), updates[1])
    assert change("a")
    assert name_of(board) not in cache._copies
    documents.send_doc_update(name_of(board), updates[0])
    change("b")
    assert kept(board) is not doc
    assert str(kept(board).get("text", type=Text)) == "ab"


def test_text_that_members_have_just_typed_is_in_it(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = documents.read(name_of(board))
    with recording_updates(other) as updates:
        other.get("text", type=Text).insert(0, "typed")
        other.get("text", type=Text).insert(5, "!")
    doc = kept(board)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "unsaved_updates", lambda name: updates)
        assert not change("a")
        assert str(doc.get("text", type=Text)) == "typed!"
        # It is stored with what was written upon it, which would be lost without it in a crash.
        assert str(documents.read(name_of(board)).get("text", type=Text)) == "typed!"
        cache._copies.clear()
        assert change("b")
        assert str(kept(board).get("text", type=Text)) == "typed!"
        # The first of these is another process's, which has not stored it yet.
        with recording_updates(other) as late:
            other.get("text", type=Text).insert(6, "?")
            other.get("text", type=Text).insert(7, "?")
        cache._copies.clear()
        patch.setattr(cache, "unsaved_updates", lambda name: late[1:])
        change("c")
        assert name_of(board) not in cache._copies


def test_updates_stored_upon_text_that_members_have_just_typed_are_in_it(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = documents.read(name_of(board))
    with recording_updates(other) as updates:
        other.get("text", type=Text).insert(0, "typed")
        other.get("text", type=Text).insert(5, "!")
    documents.send_doc_update(name_of(board), updates[1])
    cache._copies.clear()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "unsaved_updates", lambda name: updates[:1])
        patch.setattr(copies, "unsaved_updates", lambda name: updates[:1])
        assert str(documents.read(name_of(board)).get("text", type=Text)) == "typed!"
        change("a")
    assert str(documents.read(name_of(board)).get("text", type=Text)) == "typed!"


def test_document_that_is_compacted_while_it_is_looked_at_is_loaded_anew(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    doc, marks = kept(board), ORMStorage.marks

    async def compact_after(self: ORMStorage, names: Any) -> Any:
        found = await marks(self, names)
        stored = await self.load(name_of(board))
        assert stored is not None
        await self.replace(name_of(board), stored, merge(stored.updates))
        return {name: mark._replace(log_length=99) for name, mark in found.items()}

    with monkeypatch.context() as patch:
        patch.setattr(ORMStorage, "marks", compact_after)
        Task.objects.update(title="a")
    assert kept(board) is not doc


def test_row_of_the_log_that_cannot_be_read_is_left_out(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    Update.objects.create(document=Document.objects.get(), data=b"nonsense", at=timezone.now())
    change("a")
    assert "cannot read" in caplog.text


def test_at_most_a_limited_number_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_COPIES", 2)
    for name in "abc":
        cache.keep(name, cache.DocumentCopy(Doc(), size=1))
    assert list(cache._copies) == ["b", "c"]
    monkeypatch.setattr(cache, "MAX_SIZE", 10)
    cache.keep("b", cache.DocumentCopy(Doc(), size=11))
    assert list(cache._copies) == []
