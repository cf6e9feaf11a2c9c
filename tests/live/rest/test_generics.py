"""Generic consumers find rows, and let nobody do to them what he may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import QuerySet
from rest_framework import permissions as rest
from rest_framework.filters import OrderingFilter, SearchFilter

from collab.live import action
from collab.live.permissions import BasePermission
from collab.live.rest import mixins
from collab.live.rest.generics import GenericAsyncAPIConsumer
from tests.live.rows import TaskConsumer, TaskSerializer
from tests.live.talking import Refused, talking
from tests.rows.models import Board, Task

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("memory")]

REFUSED = ["You do not have permission to perform this action."]


@pytest.fixture
def board() -> Board:
    return Board.objects.create(name="b")


async def test_method_of_its_own_may_be_an_action(board: Board) -> None:
    class Tasks(TaskConsumer):
        @action
        def titles(self) -> list[str]:
            return [task.title for task in self.get_queryset()]

    await Task.objects.acreate(board=board, title="one")
    async with talking(Tasks) as ann:
        assert (await ann.call("titles"))["data"] == ["one"]


async def test_rows_are_read_anew_each_time(board: Board) -> None:
    async with talking(TaskConsumer) as ann:
        for count in range(3):
            assert len((await ann.call("list"))["data"]) == count
            await Task.objects.acreate(board=board)


@pytest.mark.parametrize(
    ("arguments", "status", "errors"),
    [
        ({}, 400, [{"pk": ["This argument is required."]}]),
        ({"pk": 0}, 404, ["Not found"]),
        ({"pk": "no number"}, 404, ["Not found"]),
        ({"pk": {"gt": 0}}, 404, ["Not found"]),
        ({"pk": 0, "self": 2}, 400, [{"self": ["Unknown argument."]}]),
    ],
)
async def test_wrong_request_is_answered_and_harms_nothing(
    arguments: dict[str, Any], status: int, errors: list[Any]
) -> None:
    async with talking(TaskConsumer) as ann:
        answer = await ann.call("retrieve", **arguments)
        assert (answer["response_status"], answer["errors"]) == (status, errors)
        assert (await ann.call("list"))["data"] == []


async def test_an_infinite_number_is_of_no_row() -> None:
    async with talking(TaskConsumer) as ann:
        await ann.send_text('{"action": "retrieve", "request_id": 1, "pk": 1e400}')
        answer = await ann.next(request_id=1)
        assert (answer["response_status"], answer["errors"]) == (404, ["Not found"])


async def test_requests_that_are_none_are_answered(board: Board) -> None:
    async with talking(TaskConsumer) as ann:
        for text in ("no json", "[]", "[" * 100_000):
            await ann.communicator.send_to(text_data=text)
            assert (await ann.next(request_id=None, action=None))["response_status"] == 400
        assert (await ann.call("no_action"))["response_status"] == 405
        assert (await ann.call("create"))["errors"] == [{"data": ["This argument is required."]}]
        await ann.send(action="list")
        assert (await ann.next(action="list"))["data"] == []


async def test_rows_may_be_looked_up_by_another_field(board: Board) -> None:
    class Tasks(TaskConsumer):
        lookup_field = "title"
        lookup_url_kwarg = "called"

    task = await Task.objects.acreate(board=board, title="one")
    async with talking(Tasks) as ann:
        assert (await ann.call("retrieve", called="one"))["data"]["id"] == task.pk
        assert (await ann.call("retrieve", pk=task.pk))["response_status"] == 400


async def test_queryset_and_serializer_may_depend_on_the_call(board: Board) -> None:
    class Brief(TaskSerializer):
        class Meta:
            model = Task
            fields = ("title",)

    class Tasks(mixins.ListModelMixin, GenericAsyncAPIConsumer):
        def get_queryset(self, **kwargs: Any) -> QuerySet[Task]:
            return Task.objects.filter(title=kwargs["called"])

        def get_serializer_class(self, **kwargs: Any) -> Any:
            return Brief if kwargs["action"] == "list" else None

    for title in "ab":
        await Task.objects.acreate(board=board, title=title)
    async with talking(Tasks) as ann:
        assert (await ann.call("list", called="b"))["data"] == [{"title": "b"}]


@pytest.mark.parametrize("given", ["queryset", "serializer_class"])
async def test_a_missing_attribute_is_an_error_of_the_server(
    given: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = {given: getattr(TaskConsumer, given)}
    consumer: Any = type("Tasks", (mixins.ListModelMixin, GenericAsyncAPIConsumer), body)
    async with talking(consumer) as ann:
        assert (await ann.call("list"))["response_status"] == 500
    assert "Tasks has no " in caplog.text


async def test_serializers_know_the_user_that_asks(board: Board) -> None:
    seen: list[Any] = []

    class Knowing(TaskSerializer):
        def to_representation(self, instance: Task) -> Any:
            request = self.context["request"]
            seen.append((request.user.username, request.query_params.get("of")))
            assert self.context["scope"]["user"] is self.context["consumer"].user
            return super().to_representation(instance)

    class Tasks(TaskConsumer):
        serializer_class = Knowing

    await Task.objects.acreate(board=board)
    async with talking(Tasks, user=User(pk=1, username="ann")) as ann:
        await ann.call("list", of="them")
    assert seen == [("ann", "them")]


# Filters.


async def test_filter_backends_are_honoured(board: Board) -> None:
    class Tasks(TaskConsumer):
        filter_backends: ClassVar[Sequence[Any]] = (SearchFilter, OrderingFilter)
        search_fields = ("title",)
        ordering_fields = ("title",)

    tasks = [await Task.objects.acreate(board=board, title=title) for title in ("b", "a", "ab")]
    async with talking(Tasks) as ann:

        async def titles(**arguments: Any) -> list[str]:
            return [task["title"] for task in (await ann.call("list", **arguments))["data"]]

        assert await titles(search="a", ordering="-title") == ["ab", "a"]
        assert await titles(query={"search": "b", "ordering": "title"}) == ["ab", "b"]
        assert (await ann.call("list", query=1))["response_status"] == 400
        found = await ann.call("retrieve", pk=tasks[0].pk, search="a")
        assert found["response_status"] == 404


# Permissions.


class OwnersOnly(BasePermission):
    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        return bool(instance.owner_id == scope["user"].pk)


class RestOwnersOnly(rest.BasePermission):
    def has_object_permission(self, request: Any, view: Any, obj: Task) -> bool:
        return bool(request.method == "GET" or obj.owner_id == request.user.pk)


async def _answers(consumer: Any, user: User, task: Task) -> dict[str, int]:
    data = {"title": "changed", "board": task.board_id}
    async with talking(consumer, user=user) as client:
        return {
            name: (await client.call(name, pk=task.pk, data=data))["response_status"]
            for name in ("retrieve", "update", "patch", "delete")
        }


async def test_permissions_for_rows_are_asked_by_every_action(board: Board) -> None:
    class Tasks(TaskConsumer):
        permission_classes = (OwnersOnly,)

    ann, bob = [await User.objects.acreate(username=name) for name in ("ann", "bob")]
    task = await Task.objects.acreate(board=board, owner=ann)
    refused = dict.fromkeys(("retrieve", "update", "patch", "delete"), 403)
    assert await _answers(Tasks, bob, task) == refused
    assert await _answers(Tasks, ann, task) == {
        "retrieve": 200,
        "update": 200,
        "patch": 200,
        "delete": 204,
    }


async def test_permissions_of_rest_framework_are_asked_for_rows(board: Board) -> None:
    class Tasks(TaskConsumer):
        permission_classes = (RestOwnersOnly,)

    ann, bob = [await User.objects.acreate(username=name) for name in ("ann", "bob")]
    task = await Task.objects.acreate(board=board, owner=ann)
    answers = await _answers(Tasks, bob, task)
    assert answers == {"retrieve": 200, "update": 403, "patch": 403, "delete": 403}


async def test_model_permissions_of_rest_framework_are_honoured(board: Board) -> None:
    class Tasks(TaskConsumer):
        permission_classes = (rest.DjangoModelPermissions,)

        @action
        async def archive(self) -> str:
            return "archived"

    ann = await User.objects.acreate(username="ann")
    # Not 405: nobody knows what an action does, so who may add rows may call it.
    async with talking(Tasks, user=ann) as client:
        answer = await client.call("archive")
        assert (answer["response_status"], answer["errors"]) == (403, REFUSED)
        assert (await client.call("list"))["response_status"] == 200
    may_add = Permission.objects.filter(codename="add_task", content_type__app_label="rows")
    await ann.user_permissions.aadd(await may_add.aget())
    ann = await User.objects.aget()
    async with talking(Tasks, user=ann) as client:
        assert (await client.call("archive"))["data"] == "archived"
        answer = await client.call("create", data={"board": board.pk, "title": "new"})
        assert answer["response_status"] == 201
        assert (await client.call("delete", pk=answer["data"]["id"]))["response_status"] == 403
    with pytest.raises(Refused):
        async with talking(Tasks):
            pass
