"""Generic consumers create, list, change and delete rows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User

from collab.engine.hub.current import current_hub
from collab.live.rest import mixins
from collab.live.rest.pagination import WebsocketLimitOffsetPagination
from tests.harness.waiting import DEADLINE, until
from tests.live.rows import TaskConsumer
from tests.live.talking import talking
from tests.rows.models import Board, Task

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("memory")]


@pytest.fixture
def board() -> Board:
    return Board.objects.create(name="b")


async def test_rows_are_created_read_changed_and_deleted(board: Board) -> None:
    data = {"board": board.pk, "title": "one", "due": "2024-02-29"}
    async with talking(TaskConsumer) as ann:
        answer = await ann.call("create", data=data)
        pk = answer["data"]["id"]
        assert (answer["response_status"], answer["errors"]) == (201, [])
        row = {"id": pk, "labels": [], **data}
        assert answer["data"] == row
        assert (await ann.call("list"))["data"] == [row]
        assert (await ann.call("retrieve", pk=pk))["data"] == row
        changed = {**row, "title": "two", "due": None}
        answer = await ann.call("update", pk=pk, data={**data, "title": "two", "due": None})
        assert (answer["data"], answer["response_status"]) == (changed, 200)
        answer = await ann.call("patch", pk=pk, data={"title": "three"})
        assert (answer["data"], answer["response_status"]) == ({**changed, "title": "three"}, 200)
        answer = await ann.call("delete", pk=pk)
        assert (answer["data"], answer["response_status"]) == (None, 204)
        assert (await ann.call("retrieve", pk=pk))["response_status"] == 404


async def test_values_that_are_not_valid_are_refused_by_field_and_not_saved(board: Board) -> None:
    task = await Task.objects.acreate(board=board, title="one")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("create", {"data": {"title": "x"}}),
        ("update", {"pk": task.pk, "data": {"title": "x"}}),
        ("patch", {"pk": task.pk, "data": {"board": None}}),
    ]
    async with talking(TaskConsumer) as ann:
        for name, arguments in calls:
            answer = await ann.call(name, **arguments)
            assert answer["response_status"] == 400
            assert [*answer["errors"][0]] == ["board"]
            answer = await ann.call(name, **{**arguments, "data": "text"})
            assert [*answer["errors"][0]] == ["data"]
    assert [task.title async for task in Task.objects.all()] == ["one"]


async def test_hooks_save_what_the_client_does_not_send(board: Board) -> None:
    class Tasks(TaskConsumer):
        def perform_create(self, serializer: Any, **kwargs: Any) -> None:
            serializer.save(owner=self.user, position=kwargs["at"])

        def perform_update(self, serializer: Any, **kwargs: Any) -> None:
            serializer.save(position=2)

        def perform_patch(self, serializer: Any, **kwargs: Any) -> None:
            serializer.save(position=3)

        def perform_delete(self, instance: Task, **kwargs: Any) -> None:
            Task.objects.filter(pk=instance.pk).update(done=True)

    data = {"board": board.pk, "title": "one"}
    user = await User.objects.acreate(username="ann")
    async with talking(Tasks, user=user) as ann:
        pk = (await ann.call("create", data=data, at=1))["data"]["id"]
        task = await Task.objects.aget()
        assert (task.owner_id, task.position) == (user.pk, 1)
        for name, position in (("update", 2), ("patch", 3)):
            await ann.call(name, pk=pk, data=data)
            await task.arefresh_from_db()
            assert task.position == position
        await ann.call("delete", pk=pk)
        await task.arefresh_from_db()
        assert task.done


# Pages.


class Pages(mixins.PaginatedModelListMixin, TaskConsumer):
    class pagination_class(WebsocketLimitOffsetPagination):
        default_limit = 2
        max_limit = 4


class Streams(mixins.StreamedPaginatedListMixin, TaskConsumer):  # type: ignore[misc]
    class pagination_class(WebsocketLimitOffsetPagination):
        default_limit = 2


@pytest.fixture
def titles(board: Board) -> list[str]:
    titles = [str(number) for number in range(5)]
    Task.objects.bulk_create([Task(board=board, title=title) for title in titles])
    return titles


@pytest.mark.parametrize(
    ("asked", "limit", "offset"),
    [
        ({}, 2, 0),
        ({"limit": 3}, 3, 0),
        ({"limit": 3, "offset": 3}, 3, 3),
        ({"limit": 1000}, 4, 0),
        ({"offset": 5}, 2, 5),
        ({"offset": 1000}, 2, 1000),
        ({"offset": 10**30}, 2, 10**30),
    ],
)
async def test_list_is_cut_into_pages(
    titles: list[str], asked: dict[str, int], limit: int, offset: int
) -> None:
    async with talking(Pages) as ann:
        page = (await ann.call("list", **asked))["data"]
        assert [row["title"] for row in page.pop("results")] == titles[offset : offset + limit]
        assert page == {"count": 5, "limit": limit, "offset": offset}


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": "many"}, {"offset": -1}])
async def test_pages_that_cannot_be_are_refused(titles: list[str], asked: Any) -> None:
    async with talking(Pages) as ann:
        answer = await ann.call("list", **asked)
        assert (answer["response_status"], [*answer["errors"][0]]) == (400, [*asked])


async def test_pages_of_rows_in_no_order_are_of_each_row_once(titles: list[str]) -> None:
    class InNoOrder(Pages):
        queryset = Task.objects.order_by()

    async with talking(InNoOrder) as ann:
        found = [
            row["title"]
            for offset in (0, 2, 4)
            for row in (await ann.call("list", offset=offset))["data"]["results"]
        ]
    assert found == titles


async def test_pages_are_streamed_with_the_id_of_the_request(titles: list[str]) -> None:
    async with talking(Streams) as ann:
        await ann.send(action="list", request_id="mine", limit=2)
        pages = [(await ann.next(request_id="mine"))["data"] for _ in range(3)]
        assert [[row["title"] for row in page["results"]] for page in pages] == [
            ["0", "1"],
            ["2", "3"],
            ["4"],
        ]
        assert [page["offset"] for page in pages] == [0, 2, 4]
        assert await ann.quiet()


async def test_stream_of_nothing_is_a_page(board: Board) -> None:
    async with talking(Streams) as ann:
        page = (await ann.call("list"))["data"]
        assert page == {"count": 0, "results": [], "limit": 2, "offset": 0}
        assert await ann.quiet()


class Slow(Streams):
    #: The second page never comes.
    sleep_time_between_pages = 3600


async def test_streams_can_be_ended(titles: list[str]) -> None:
    async with talking(Slow) as ann:
        ids = [(await ann.call("list"))["request_id"] for _ in range(3)]
        streams = await _streams_of(ann)
        tasks = {request_id: task for task, request_id in streams.items()}
        answer = await ann.call("list_cancel", list_id=ids[1])
        assert answer["response_status"] == 200
        assert [tasks[request_id].done() for request_id in ids] == [False, True, False]
        await ann.call("list_cancel")
        assert all(task.done() for task in tasks.values())
        assert await ann.quiet()


async def test_nothing_stays_of_streams_that_have_ended(titles: list[str]) -> None:
    async with talking(Streams) as ann:
        streams = await _streams_of(ann)
        for name in ("a" * 1000, "b" * 1000):
            await ann.send(action="list", request_id=name)
            pages = [(await ann.next(request_id=name))["data"] for _ in range(3)]
            assert pages[-1]["offset"] == 4
        await until(lambda: not streams)


async def test_streams_end_when_the_user_changes(titles: list[str]) -> None:
    async with talking(Slow, user=User(pk=1)) as ann:
        await ann.call("list")
        streams = await _streams_of(ann)
        [task] = streams
        [member] = current_hub().lobby
        connection: Any = member.connection
        connection.scope["user"] = User(pk=2)
        await connection.recheck_access()
        assert await asyncio.wait({task}, timeout=DEADLINE)
        assert task.cancelled()


async def test_streams_end_with_the_connection(titles: list[str]) -> None:
    async with talking(Slow) as ann:
        await ann.call("list")
        [task] = await _streams_of(ann)
    assert task.done()


async def _streams_of(talker: Any) -> dict[Any, Any]:
    """Return the tasks at the other end that send lists, with the ids of their requests."""
    await talker.call("hello")
    [member] = current_hub().lobby
    connection: Any = member.connection
    tasks: dict[Any, Any] = connection.part(mixins.StreamedLists).tasks
    return tasks
