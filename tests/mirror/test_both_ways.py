"""Whatever people and server code change at once: in the end all documents are as the rows are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.db import transaction
from django.test import override_settings
from django.urls import path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from collab import documents
from collab.consumers import YjsConsumer
from collab.mirror import ModelMirror
from collab.mirror.rows.values import plain
from collab.testing import CollabClient, connect
from tests.harness.waiting import DEADLINE
from tests.mirror.constants import pending
from tests.rows.mirrors import NoteMirror, TaskMirror, room_name
from tests.rows.models import Board, Note, Task

pytestmark = pytest.mark.django_db(transaction=True)

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])

QUICK = {
    "DEFAULT_ACCESS": "write",
    "ROWS_DELAY": 0.01,
    "ROWS_TEXT_DELAY": 0.03,
}
MIRRORS: dict[str, ModelMirror[Any]] = {"tasks": TaskMirror(Task), "rows.note": NoteMirror(Note)}

Values = dict[str, dict[str, Any]]

#: What may be written into a field: some of it is refused, some is made another value.
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    ["a", " b ", "forbidden", "x" * 200, "", 1, 2.5, True, None, [], b"?"]
)
FIELDS = st.sampled_from(["title", "position", "done", "body", "id", "colour", "text"])
CLIENTS = st.integers(0, 2)
ROWS = st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.just("set"), CLIENTS, ROWS, FIELDS, VALUES),
    st.tuples(st.just("unset"), CLIENTS, ROWS, FIELDS),
    st.tuples(st.just("type"), CLIENTS, ROWS, st.sampled_from(["hello ", "\0", "x"])),
    st.tuples(st.just("add"), CLIENTS, st.sampled_from(sorted(MIRRORS)), st.uuids(), VALUES),
    st.tuples(st.just("remove"), CLIENTS, ROWS),
    st.tuples(st.just("replace"), CLIENTS, ROWS, VALUES),
    st.tuples(st.just("toggle"), CLIENTS),
    st.tuples(st.just("look"), CLIENTS),
    st.tuples(st.just("save"), ROWS, st.sampled_from(["one", "two", "three"])),
    st.tuples(st.just("bulk"), st.integers(0, 9)),
    st.tuples(st.just("undo"), ROWS),
    st.tuples(st.just("delete"), ROWS),
    st.tuples(st.just("create"),),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.01, 0.05])),
)  # fmt: skip


class Site:
    """A board that several people have open, or have had."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.docs: list[Doc[Any]] = [Doc() for _ in range(3)]
        self.stacks: list[AsyncExitStack | None] = [None] * 3
        self.clients: list[CollabClient | None] = [None] * 3

    # What people do.

    async def toggle(self, who: int) -> None:
        """Connect or disconnect; who is not connected goes on offline."""
        if (stack := self.stacks[who]) is not None:
            self.stacks[who] = self.clients[who] = None
            await stack.aclose()
            return
        stack = self.stacks[who] = AsyncExitStack()
        url = f"/ws/{room_name(self.board.pk)}"
        self.clients[who] = await stack.enter_async_context(
            connect(application, url, doc=self.docs[who])
        )

    async def look(self, who: int) -> None:
        """Receive what others have changed."""
        if client := self.clients[who]:
            with suppress(TimeoutError):
                await client.wait_until(lambda: False, within=0.02)

    def rows(self, who: int, name: str) -> Map[Any]:
        found: Map[Any] = self.docs[who].get(name, type=Map)
        return found

    def pick(self, who: int, number: int) -> tuple[Map[Any], str] | None:
        """Return a row in somebody's document: its map of rows, and its key."""
        found = [
            (rows, key)
            for rows in (self.rows(who, name) for name in sorted(MIRRORS))
            for key in sorted(rows.keys())
        ]
        return found[number % len(found)] if found else None

    async def set(self, who: int, number: int, field: str, value: Any) -> None:
        if (row := self.row(who, number)) is not None:
            row[field] = value

    async def unset(self, who: int, number: int, field: str) -> None:
        if (row := self.row(who, number)) is not None:
            row.pop(field, None)

    async def type(self, who: int, number: int, text: str) -> None:
        row = self.row(who, number)
        if row is not None and isinstance(body := row.get("body"), Text):
            body.insert(0, text)

    def row(self, who: int, number: int) -> Map[Any] | None:
        picked = self.pick(who, number)
        row = picked and picked[0][picked[1]]
        return row if isinstance(row, Map) else None

    async def add(self, who: int, name: str, key: UUID, value: Any) -> None:
        field = "title" if name == "tasks" else "text"
        self.rows(who, name)[str(key)] = Map({field: value})

    async def remove(self, who: int, number: int) -> None:
        if picked := self.pick(who, number):
            picked[0].pop(picked[1])

    async def replace(self, who: int, number: int, value: Any) -> None:
        if picked := self.pick(who, number):
            picked[0][picked[1]] = Map({"title": value, "body": Text("new"), "text": value})

    # What server code does.

    async def save(self, number: int, title: str) -> None:
        await self.on_task(number, lambda task: self._save(task, title))

    @staticmethod
    def _save(task: Task, title: str) -> None:
        task.title, task.body = title, task.body + title
        task.save(update_fields=["title", "body"])

    async def undo(self, number: int) -> None:
        def save_and_undo(task: Task) -> None:
            with transaction.atomic():
                self._save(task, "never")
                transaction.set_rollback(True)

        await self.on_task(number, save_and_undo)

    async def delete(self, number: int) -> None:
        await self.on_task(number, lambda task: task.delete())

    async def on_task(self, number: int, change: Callable[[Task], object]) -> None:
        def run() -> None:
            with transaction.atomic():
                tasks = list(Task.objects.filter(board=self.board).select_for_update())
                if tasks:
                    change(tasks[number % len(tasks)])

        await sync_to_async(run)()

    async def bulk(self, position: int) -> None:
        await Task.objects.filter(board=self.board).aupdate(position=position)

    async def create(self) -> None:
        await Task.objects.acreate(board=self.board, title="new", body="text")
        await Note.objects.acreate(board=self.board, text="new")

    async def wait(self, seconds: float) -> None:
        # A drawn pause: any length is a case of this test.
        await asyncio.sleep(seconds)

    # What becomes of it.

    async def converge(self) -> None:
        """Wait until all documents, and what is stored, are as the rows are."""
        for who, stack in enumerate(self.stacks):
            if stack is None:
                await self.toggle(who)
        try:
            async with asyncio.timeout(DEADLINE):
                while not await self.is_equal():
                    await asyncio.gather(*map(self.look, range(3)))
        except TimeoutError:
            raise AssertionError(await self.differences()) from None

    async def is_equal(self) -> bool:
        wanted, *found = await self.differences()
        return all(values == wanted for values in found)

    async def differences(self) -> list[dict[str, Values]]:
        stored = await documents.aread(room_name(self.board.pk))
        return [
            await sync_to_async(self.values)(),
            *({name: _read(doc, name) for name in MIRRORS} for doc in (stored, *self.docs)),
        ]

    def values(self) -> dict[str, Values]:
        found = {}
        for name, mirror in MIRRORS.items():
            rows = mirror.rows(room_name(self.board.pk))
            assert rows is not None
            values = mirror.values(rows, room_name(self.board.pk))
            found[name] = {str(row.pk): value for row, value in zip(rows, values, strict=True)}
        return found


def _read(doc: Doc[Any], name: str) -> Values:
    values: Values = plain(doc.get(name, type=Map).to_py())
    return values


@given(steps=st.lists(STEPS, max_size=30))
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_all_documents_end_as_the_rows_are(steps: Sequence[tuple[Any, ...]]) -> None:
    board = await Board.objects.acreate(name="b")
    for number in range(2):
        await Task.objects.acreate(board=board, title=f"task {number}", body="text")
    await Note.objects.acreate(board=board, text="note")
    site = Site(board)
    with pending(interval=0.3), override_settings(COLLAB=QUICK):
        try:
            for name, *arguments in [("toggle", 0), ("toggle", 1), *steps]:
                await getattr(site, name)(*arguments)
            await site.converge()
        finally:
            for stack in site.stacks:
                if stack is not None:
                    await stack.aclose()
