"""Two writers change a row at once, and the row ends as the documentation's table says (I17)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.conf import settings
from django.http import QueryDict
from django.test import override_settings
from django.urls import path
from pycrdt import Doc, Map
from rest_framework.generics import UpdateAPIView
from rest_framework.test import APIRequestFactory

from collab import documents
from collab.consumers import YjsConsumer
from collab.mirror.rows.values import plain
from collab.mirror.writers.forms import MirroredModelForm
from collab.mirror.writers.rest import MirroredSerializerMixin
from collab.testing import CollabClient, connect
from tests.harness.waiting import DEADLINE
from tests.mirror.boards import row_values
from tests.mirror.databases import on_both, served_from
from tests.mirror.writers.pages import form_data
from tests.rows.mirrors import room_name
from tests.rows.models import Board, Label, Task, TrackedTask
from tests.samples import DOCS

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])

QUICK = {"ROWS_DELAY": 0.01, "ROWS_TEXT_DELAY": 0.03}

Values = dict[str, Any]
#: Writes values to a row, as it knows the row.
Write = Callable[[Values], Awaitable[None]]


class TaskForm(MirroredModelForm):
    class Meta:
        model = Task
        fields: ClassVar = ["title", "position", "body", "labels"]


class TaskSerializer(MirroredSerializerMixin):
    class Meta:
        model = Task
        fields: ClassVar = ["title", "position", "body", "labels"]


class TaskView(UpdateAPIView[Task]):
    authentication_classes = ()
    queryset = Task.objects.all()
    serializer_class = TaskSerializer


# The writers. Each reads the row when it is called, and writes what it read with some changes.


def an_instance(model: type[Task], pk: int) -> Callable[[Values], None]:
    instance = model.objects.get(pk=pk)

    def write(values: Values) -> None:
        for name, value in values.items():
            if name == "labels":
                instance.labels.add(*value)
            else:
                setattr(instance, name, value)
        instance.save()

    return write


def a_plain_instance(pk: int) -> Callable[[Values], None]:
    return an_instance(Task, pk)


def an_instance_of_a_mirrored_model(pk: int) -> Callable[[Values], None]:
    return an_instance(TrackedTask, pk)


def a_form(pk: int) -> Callable[[Values], None]:
    page = str(TaskForm(instance=Task.objects.get(pk=pk)))

    def write(values: Values) -> None:
        sent = QueryDict(mutable=True)
        changes = {
            name: [str(each) for each in value] if isinstance(value, list) else str(value)
            for name, value in values.items()
        }
        for name, value in form_data(page, **changes).items():
            sent.setlist(name, value)
        TaskForm(sent, instance=Task.objects.get(pk=pk)).save()

    return write


def a_request(pk: int) -> Callable[[Values], None]:
    def write(values: Values) -> None:
        request = APIRequestFactory().patch("/", values, format="json")
        assert TaskView.as_view()(request, pk=pk).status_code == 200

    return write


def a_query(pk: int) -> Callable[[Values], None]:
    def write(values: Values) -> None:
        if "labels" in values:
            Task.objects.get(pk=pk).labels.set(values["labels"])
        else:
            Task.objects.filter(pk=pk).update(**values)

    return write


#: The writers by their names in the table; the one without a function is a client.
WRITERS: dict[str, Callable[[int], Callable[[Values], None]] | None] = {
    "a client that was offline": None,
    "`save()` of an instance": a_plain_instance,
    "`save()` of a `MirroredModel`": an_instance_of_a_mirrored_model,
    "a `MirroredModelForm`": a_form,
    "`PATCH` with `MirroredSerializerMixin`": a_request,
    "`update()`, `set()`": a_query,
}
KINDS = ["another field", "the same value", "the same text", "the same many-to-many field"]


class Site:
    """A board with a task; a client has its document open, and another had."""

    def __init__(self, task: Task, labels: Sequence[int]) -> None:
        self.pk, self.name = task.pk, room_name(task.board_id)
        self.url = f"/ws/{self.name}"
        self.docs: list[Doc[Any]] = [Doc(), Doc()]
        self.clients: list[CollabClient] = []
        first, second = labels
        #: The values before, and those that the two write, by the kind of field.
        self.values: Mapping[str, tuple[Values, Values]] = {
            "another field": ({"title": "first"}, {"position": 2}),
            "the same value": ({"title": "first"}, {"title": "second"}),
            "the same text": ({"body": "first text"}, {"body": "text second"}),
            "the same many-to-many field": ({"labels": [first]}, {"labels": [second]}),
        }
        self.before: Values = {"title": "old", "position": 0, "body": "text", "labels": []}
        self.both: Values = {
            "title": "first",
            "position": 2,
            "body": "first text second",
            "labels": [first, second],
        }

    def rows(self, doc: Doc[Any]) -> Map[Any]:
        rows: Map[Any] = doc.get("tasks", type=Map)
        return rows

    async def open(self, doc: Doc[Any], stack: AsyncExitStack) -> None:
        """Connect a client, and wait until it has the row."""
        client = await stack.enter_async_context(connect(application, self.url, doc=doc))
        await client.wait_until(lambda: str(self.pk) in self.rows(doc))
        self.clients.append(client)
        stack.callback(self.clients.remove, client)

    def edit(self, doc: Doc[Any], values: Values) -> None:
        """Change the row in a document as people do: a text by letters."""
        row = self.rows(doc)[str(self.pk)]
        for name, value in values.items():
            if name != "body":
                row[name] = value
            elif value.startswith("first"):
                row["body"].insert(0, "first ")
            else:
                row["body"].insert(len(row["body"]), " second")

    async def writer(self, name: str, doc: Doc[Any]) -> Write:
        """Read the row for a writer, and return what it writes with."""
        kind = WRITERS[name]
        if kind is not None:
            return sync_to_async(await sync_to_async(kind)(self.pk))

        async def edit(values: Values) -> None:
            self.edit(doc, values)

        return edit

    async def settled(self, **values: Any) -> Values:
        """Wait until all documents are as the row, which has ``values``; return the row."""
        async with asyncio.timeout(DEADLINE):
            while True:
                rows = (await sync_to_async(row_values)(self.name))["tasks"]
                row: Values = rows[str(self.pk)]
                docs = [await documents.aread(self.name), *(each.doc for each in self.clients)]
                equal = all(plain(self.rows(doc).to_py()) == rows for doc in docs)
                if equal and values.items() <= row.items():
                    return row
                for client in self.clients:
                    with suppress(TimeoutError):
                        await client.wait_until(lambda: False, within=0.02)

    def outcome(self, row: Values, kind: str) -> str:
        """Return the changes that a row has, in the words of the table."""
        first, second = self.values[kind]
        outcomes = {"the first": first, "the second": second}
        if kind != "the same value":
            outcomes["both"] = self.both
        names = first | second
        found = {name: row[name] for name in names}
        return next(
            word
            for word, values in outcomes.items()
            if found == {name: values.get(name, self.before[name]) for name in names}
        )


async def write_both(first: str, second: str, kind: str) -> str:
    """Read the row with two writers, and write with both; return which changes stay."""
    board = await Board.objects.acreate()
    labels = [(await Label.objects.acreate(name=name)).pk for name in "ab"]
    task = await Task.objects.acreate(board=board, title="old", body="text")
    site = Site(task, labels)
    ann, bob = site.docs
    async with AsyncExitStack() as stack:
        for doc in (bob, ann):
            await stack.aclose()
            await site.open(doc, stack)
        write_first, write_second = await site.writer(first, ann), await site.writer(second, bob)
        values = site.values[kind]
        await write_first(values[0])
        await site.settled(**values[0])
        await write_second(values[1])
        await site.open(bob, stack)
        return site.outcome(await site.settled(), kind)


def table() -> dict[tuple[str, str], str]:
    """Return the outcomes that the documentation has, by the second writer and the kind."""
    page = (DOCS / "rows.md").read_text()
    lines = page.partition("### Two writers\n")[2].partition("\n#")[0].splitlines()
    head, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    )
    return {
        (row[0], kind): outcome
        for row in rows
        for kind, outcome in zip(head[1:], row[1:], strict=True)
    }


def test_the_table_has_all_writers_and_kinds() -> None:
    assert set(table()) == {(writer, kind) for writer in WRITERS for kind in KINDS}


@on_both
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("second", WRITERS)
async def test_a_row_ends_as_the_table_says(second: str, kind: str, using: str) -> None:
    expected = table()[second, kind]
    async with served_from(using):
        with override_settings(COLLAB={**settings.COLLAB, **QUICK}):
            by_code = await write_both("`save()` of an instance", second, kind)
            by_client = await write_both("a client that was offline", second, kind)
    assert by_code == expected
    # Of two clients that set a value without knowing of each other Yjs chooses.
    if second == "a client that was offline" and expected == "the second":
        assert by_client in ("the first", "the second")
    else:
        assert by_client == expected
