"""Facts about rows from before a document is locked are used only if they still hold."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.db import connections
from django.db.backends.utils import CursorWrapper
from django.test.utils import CaptureQueriesContext
from django.urls import path
from pycrdt import Map

from collab.consumers import YjsConsumer
from collab.mirror import querysets
from collab.mirror.models import MirroredDocument
from collab.mirror.outgoing import lookup as finding
from collab.mirror.outgoing.lookup import find
from collab.mirror.outgoing.writing import write_rows
from collab.testing import CollabClient, connect
from collab_storage import chunks as parts
from tests.mirror.boards import in_maps, name_of, open_board, row_values, tasks
from tests.mirror.databases import kept_in, on_both, served_from
from tests.rows.models import Board, Task

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])


def has_title(row: Map[Any], title: str) -> bool:
    return bool(row["title"] == title)


@on_both
def test_rows_are_found_with_what_was_written_last(using: str) -> None:
    with kept_in(using):
        board, other = open_board(), open_board()
        task = Task.objects.create(board=board, title="one", extra={"ü": [1.5, None]})
        key = str(task.pk)
        with CaptureQueriesContext(connections[using]) as queries:
            found = find({"tasks": [key, "0"], "rows.note": ["x"]}, [name_of(other), "nonsense"])
        assert len(queries) == 1
        assert found.keys() == {name_of(board), name_of(other)}
        assert found[name_of(other)].rows == {}
        record = MirroredDocument.objects.get(name=name_of(board))
        assert list(found[name_of(board)].of("tasks", [key, "0"]) or ()) == [key]
        row = found[name_of(board)].rows["tasks", key]
        assert row is not None
        assert (row, row.values) == (record.rows.get(), tasks(board)[key])
        assert find({}, []) == {}


@on_both
def test_rows_that_were_written_meanwhile_are_read_again(using: str) -> None:
    with kept_in(using):
        board = open_board()
        task = Task.objects.create(board=board, title="one")
        keys = {"tasks": [str(task.pk)]}
        known = find(keys, [])[name_of(board)]
        Task.objects.update(title="two")
        Task.objects.get().delete()
        Task.objects.bulk_create([Task(pk=task.pk, board=board, title="three")])
        write_rows(name_of(board), keys, known)
        assert in_maps(name_of(board)) == row_values(name_of(board))


@on_both
def test_of_many_rows_no_values_are_held(using: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with kept_in(using):
        board = open_board()
        rows = [Task.objects.create(board=board) for _ in range(3)]
        for module in (finding, querysets, parts):
            monkeypatch.setattr(module, "CHUNK", 2)
        keys = {"tasks": [str(row.pk) for row in rows]}
        known = find(keys, [name_of(board)])[name_of(board)]
        assert known.rows == {("tasks", key): None for key in keys["tasks"]}
        Task.objects.update(title="new")
        assert {row["title"] for row in tasks(board).values()} == {"new"}


@on_both
def test_save_costs_six_statements_more(using: str) -> None:
    with kept_in(using):
        # The second writing loads the document.
        note = open_board().notes.create()
        note.save()
        for text in ("one", "two"):
            note.text = text
            with CaptureQueriesContext(connections[using]) as queries:
                note.save()
        statements = [query["sql"].removeprefix("1 times: ").split()[0] for query in queries]
        # PostgreSQL finds and locks the document, and reads its mark, with one statement.
        found = ["BEGIN", "WITH"] if using == "postgres" else ["SELECT", "BEGIN", "UPDATE"]
        mark = [] if using == "postgres" else ["SELECT"]
        written = ["UPDATE", "INSERT", "COMMIT"]
        assert statements == ["UPDATE", *found, "SELECT", *mark, *written]


@on_both
def test_save_that_concerns_no_document_costs_one_statement_more(using: str) -> None:
    with kept_in(using):
        note = Board.objects.create().notes.create()
        with CaptureQueriesContext(connections[using]) as queries:
            note.save()
        assert len(queries) == 2


@on_both
async def test_save_costs_the_same_with_a_thousand_members_as_with_one(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    execute = CursorWrapper.execute

    def note(cursor: CursorWrapper, sql: str, params: Any = None) -> Any:
        statements.append(sql)
        return execute(cursor, sql, params)

    async with served_from(using):
        board = await sync_to_async(open_board)()
        task = await Task.objects.acreate(board=board, title="old")
        counts = []
        async with AsyncExitStack() as stack:
            clients: list[CollabClient] = []
            for number in (1, 1_000):
                while len(clients) < number:
                    member = connect(application, f"/ws/{name_of(board)}")
                    clients.append(await stack.enter_async_context(member))
                await task.asave()
                with monkeypatch.context() as patch:
                    # Of all threads.
                    patch.setattr(CursorWrapper, "execute", note)
                    task.title = str(number)
                    await task.asave()
                    for client in clients:
                        row = client.doc.get("tasks", type=Map)[str(task.pk)]
                        await client.wait_until(partial(has_title, row, task.title))
                counts.append(len(statements))
                statements.clear()
    assert counts[0] == counts[1] <= 9
