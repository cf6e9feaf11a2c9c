"""A user who watches a row receives it after each change, as long as the user may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from rest_framework import permissions as rest
from rest_framework.filters import SearchFilter

from collab.live.consumers import LiveConsumer
from collab.live.events.groups import local_members
from collab.live.permissions import BasePermission
from collab.live.rest.generics import GenericAsyncAPIConsumer
from collab.live.rest.instance_observers import ObserverModelInstanceMixin
from tests.live.rows import TaskConsumer, TaskSerializer
from tests.live.talking import Talker, talking
from tests.live.watching.observing import observers_end
from tests.rows.models import Board, Label, Note, Task

__all__ = ["observers_end"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("memory", "observers_end"),
]


@pytest.fixture
def task() -> Task:
    return Task.objects.create(board=Board.objects.create(name="b"), title="one")


@sync_to_async
def saved(task: Task, **values: Any) -> None:
    for name, value in values.items():
        setattr(task, name, value)
    task.save()


async def watch(client: Talker, **arguments: Any) -> str:
    """Watch a row; return the id of the subscription."""
    answer = await client.call("subscribe_instance", **arguments)
    assert (answer["response_status"], answer["data"]) == (201, None)
    return str(answer["request_id"])


_numbers = count()


def watching(**body: Any) -> Any:
    """Return a consumer class that observes for the time of the test."""
    bases = (ObserverModelInstanceMixin, TaskConsumer)
    # What tells observers apart is the name of the class.
    return type(f"Watching{next(_numbers)}", bases, {"__module__": __name__, **body})


async def test_row_is_sent_when_it_has_changed(task: Task) -> None:
    async with talking(watching()) as ann:
        request_id = await watch(ann, pk=task.pk)
        await Task.objects.acreate(board=task.board)
        await saved(task, title="two")
        frame = await ann.next(action="update")
        assert (frame["request_id"], frame["response_status"]) == (request_id, 200)
        pk, board = task.pk, task.board_id
        row = {"id": pk, "board": board, "title": "two", "due": None, "labels": []}
        assert frame["data"] == row
        await task.adelete()
        frame = await ann.next(action="delete")
        assert (frame["request_id"], frame["response_status"]) == (request_id, 204)
        assert frame["data"] == {"pk": pk}
        assert await ann.quiet()


async def test_a_transaction_is_sent_once(task: Task) -> None:
    @sync_to_async
    def work() -> None:
        with transaction.atomic():
            for title in "abc":
                task.title = title
                task.save()

    async with talking(watching()) as ann:
        await watch(ann, pk=task.pk)
        await work()
        assert (await ann.next(action="update"))["data"]["title"] == "c"
        assert await ann.quiet()


async def test_relations_are_sent_if_asked_for(task: Task) -> None:
    label = await Label.objects.acreate(name="l")
    plain, relating = watching(), watching(observer_many_to_many_relationships=True)
    async with talking(plain) as ann, talking(relating) as bob:
        await watch(ann, pk=task.pk)
        await watch(bob, pk=task.pk)
        await task.labels.aadd(label)
        assert (await bob.next(action="update"))["data"]["labels"] == [label.pk]
        assert await ann.quiet()


async def test_consumers_of_the_same_model_do_not_disturb_each_other(task: Task) -> None:
    class Brief(TaskSerializer):
        class Meta:
            model = Task
            fields = ("title",)

    class Other(ObserverModelInstanceMixin, TaskConsumer):
        serializer_class = Brief

    async with talking(watching()) as ann, talking(Other) as bob:
        await watch(ann, pk=task.pk)
        await watch(bob, pk=task.pk)
        await saved(task, title="two")
        assert (await ann.next(action="update"))["data"]["id"] == task.pk
        assert (await bob.next(action="update"))["data"] == {"title": "two"}
        assert await ann.quiet() and await bob.quiet()


# Subscriptions.


async def test_end_of_a_subscription_is_that_of_no_other(task: Task) -> None:
    consumer = watching()
    other = await Task.objects.acreate(board=task.board, title="other")
    async with talking(consumer) as ann:
        for request_id, pk in (("a", task.pk), ("a", other.pk), ("b", task.pk)):
            await ann.send(action="subscribe_instance", request_id=request_id, pk=pk)
            await ann.next(action="subscribe_instance", response_status=201)
        await ann.send(action="unsubscribe_instance", request_id="a", pk=task.pk)
        answer = await ann.next(action="unsubscribe_instance")
        assert (answer["response_status"], answer["data"]) == (204, None)
        await saved(task, done=True)
        assert (await ann.next(action="update"))["request_id"] == "b"
        await saved(other, done=True)
        assert (await ann.next(action="update"))["request_id"] == "a"
        assert await ann.quiet()
        await ann.send(action="unsubscribe_instance", request_id="b", pk=task.pk)
        await ann.next(action="unsubscribe_instance")
        await saved(task, done=False)
        assert await ann.quiet()
        observer = vars(consumer)["handle_instance_change"]
        assert not local_members(observer._group_name(task.pk))
        assert local_members(observer._group_name(other.pk))


async def test_all_subscriptions_of_a_row_end_without_a_request_id(task: Task) -> None:
    async with talking(watching()) as ann:
        for _ in "ab":
            await watch(ann, pk=task.pk)
        await ann.send(action="unsubscribe_instance", pk=str(task.pk))
        await ann.next(action="unsubscribe_instance")
        await saved(task, done=True)
        assert await ann.quiet()


async def test_row_that_is_gone_can_be_unsubscribed_from(task: Task) -> None:
    async with talking(watching()) as ann:
        request_id, pk = await watch(ann, pk=task.pk), task.pk
        await task.adelete()
        await ann.next(action="delete")
        await ann.send(action="unsubscribe_instance", request_id=request_id, pk=pk)
        assert (await ann.next(action="unsubscribe_instance"))["response_status"] == 204


async def test_wrong_subscriptions_are_refused(task: Task) -> None:
    async with talking(watching()) as ann:
        await ann.send(action="subscribe_instance", pk=task.pk)
        answer = await ann.next(action="subscribe_instance")
        assert (answer["response_status"], [*answer["errors"][0]]) == (400, ["request_id"])
        for name in ("subscribe_instance", "unsubscribe_instance"):
            answer = await ann.call(name)
            assert (answer["response_status"], [*answer["errors"][0]]) == (400, ["pk"])
        assert (await ann.call("subscribe_instance", pk=0))["response_status"] == 404
        await saved(task, done=True)
        assert await ann.quiet()


# Lookups and querysets.


async def test_rows_may_be_looked_up_by_what_changes(task: Task) -> None:
    for filtered in ((), (SearchFilter,)):
        await saved(task, title="one")
        consumer = watching(lookup_field="title", filter_backends=filtered)
        async with talking(consumer) as ann:
            request_id = await watch(ann, title="one")
            await saved(task, title="two")
            assert (await ann.next(action="update"))["data"]["title"] == "two"
            await ann.send(action="unsubscribe_instance", request_id=request_id, title="one")
            await ann.next(action="unsubscribe_instance", response_status=204)
            await saved(task, done=not task.done)
            assert await ann.quiet()


async def test_rows_may_be_looked_up_by_a_related_field(task: Task) -> None:
    consumer = watching(lookup_field="board__name", lookup_url_kwarg="board")
    async with talking(consumer) as ann:
        await watch(ann, board="b")
        await saved(task, title="two")
        assert (await ann.next(action="update"))["data"]["title"] == "two"


class OwnTasks(GenericAsyncAPIConsumer):
    """Shows users their own tasks."""

    serializer_class = TaskSerializer

    def get_queryset(self, **kwargs: Any) -> QuerySet[Task]:
        return Task.objects.filter(owner=self.user.pk)


async def test_rows_of_a_queryset_of_the_user_are_sent(task: Task) -> None:
    class Own(ObserverModelInstanceMixin, OwnTasks):
        pass

    user = await User.objects.acreate(username="ann")
    await saved(task, owner=user)
    async with talking(Own, user=user) as ann:
        await watch(ann, pk=task.pk)
        await saved(task, title="two")
        assert (await ann.next(action="update"))["data"]["title"] == "two"
        await saved(task, owner=None, title="not his any more")
        answer = await ann.next(action="update")
        assert (answer["response_status"], answer["data"]) == (404, None)


async def test_row_that_left_the_queryset_is_not_shown(task: Task) -> None:
    async with talking(watching(queryset=Task.objects.filter(done=False))) as ann:
        await watch(ann, pk=task.pk)
        await saved(task, done=True)
        answer = await ann.next(action="update")
        assert (answer["response_status"], answer["data"]) == (404, None)


async def test_a_consumer_needs_a_model(task: Task, caplog: pytest.LogCaptureFixture) -> None:
    class Silent(ObserverModelInstanceMixin, GenericAsyncAPIConsumer):
        def get_queryset(self, **kwargs: Any) -> QuerySet[Task]:
            return Task.objects.all()

        def get_serializer_class(self, **kwargs: Any) -> Any:
            return TaskSerializer

    class Telling(Silent):
        model = Task

    async with talking(Silent) as ann:
        answer = await ann.call("subscribe_instance", pk=task.pk)
        assert answer["response_status"] == 500
    assert "Silent has no model" in caplog.text
    async with talking(Telling) as ann:
        await watch(ann, pk=task.pk)
        await saved(task, title="two")
        assert (await ann.next(action="update"))["data"]["title"] == "two"


async def test_keys_may_be_of_any_kind(task: Task) -> None:
    class NoteSerializer(TaskSerializer):
        class Meta:
            model = Note
            fields = ("id", "text")

    class Notes(ObserverModelInstanceMixin, GenericAsyncAPIConsumer):
        queryset = Note.objects.all()
        serializer_class = NoteSerializer

    note = await Note.objects.acreate(board=task.board, text="one")
    async with talking(Notes) as ann:
        await watch(ann, pk=str(note.pk))
        await note.asave()
        assert (await ann.next(action="update"))["data"] == {"id": str(note.pk), "text": "one"}


# Permissions.


class UntilToldOtherwise(BasePermission):
    """Lets everybody watch, and then nobody see."""

    is_over = False

    async def has_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, **kwargs: Any
    ) -> bool:
        return not (type(self).is_over and action in ("update", "delete"))


class OwnersOnly(BasePermission):
    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        return bool(instance.owner_id == scope["user"].pk)


async def test_a_refused_subscriber_gets_no_data(task: Task) -> None:
    class Refusing(UntilToldOtherwise):
        pass

    async with talking(watching(permission_classes=(Refusing,))) as ann:
        await watch(ann, pk=task.pk)
        Refusing.is_over = True
        await saved(task, title="secret")
        await task.adelete()
        for action in ("update", "delete"):
            answer = await ann.next(action=action)
            assert (answer["response_status"], answer["data"]) == (403, None)
        assert await ann.quiet()


async def test_permission_for_the_row_is_asked_each_time(task: Task) -> None:
    ann = await User.objects.acreate(username="ann")
    await saved(task, owner=ann)
    consumer = watching(permission_classes=(OwnersOnly,))
    async with talking(consumer, user=ann) as hers, talking(consumer) as nobodys:
        answer = await nobodys.call("subscribe_instance", pk=task.pk)
        assert answer["response_status"] == 403
        await watch(hers, pk=task.pk)
        await saved(task, owner=None, title="not hers any more")
        answer = await hers.next(action="update")
        assert (answer["response_status"], answer["data"]) == (403, None)
        assert await nobodys.quiet()


class ReadOnly(BasePermission):
    async def has_object_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, instance: Any
    ) -> bool:
        return action in ("retrieve", "subscribe_instance")


@pytest.mark.parametrize("backends", [(), (SearchFilter,)])
async def test_users_may_subscribe_to_rows_that_they_may_retrieve(
    task: Task, backends: Any
) -> None:
    async with talking(watching(permission_classes=(ReadOnly,), filter_backends=backends)) as ann:
        await watch(ann, pk=task.pk)
        await saved(task, title="two")
        assert (await ann.next(action="update"))["data"]["title"] == "two"


async def test_read_only_users_may_subscribe(task: Task) -> None:
    reading: Sequence[Any] = (rest.DjangoModelPermissionsOrAnonReadOnly,)
    async with talking(watching(permission_classes=reading)) as ann:
        await watch(ann, pk=task.pk)
        await saved(task, title="two")
        assert (await ann.next(action="update"))["data"]["title"] == "two"
        # What happens to a row is told from what somebody calls by nothing that he sends.
        assert (await ann.call("update", pk=task.pk, data={}))["response_status"] == 403


class ScopeHas(BasePermission):
    """Lets those with a token that is valid, or in the tenant of the row."""

    valid: ClassVar[set[str]] = set()

    async def has_permission(
        self, scope: dict[str, Any], consumer: Any, action: str, **kwargs: Any
    ) -> bool:
        return scope["token"] in self.valid


async def test_connections_that_differ_in_their_scope_are_answered_each(task: Task) -> None:
    ScopeHas.valid = {"first", "revoked"}
    consumer = watching(permission_classes=(ScopeHas,))
    async with talking(consumer, token="first") as one, talking(consumer, token="revoked") as two:
        for client in (one, two):
            await watch(client, pk=task.pk)
        ScopeHas.valid = {"first"}
        await saved(task, title="secret")
        assert (await one.next(action="update"))["response_status"] == 200
        answer = await two.next(action="update")
        assert (answer["response_status"], answer["data"]) == (403, None)


class TenantSerializer(TaskSerializer):
    """Shows what the connection's tenant may see."""

    def to_representation(self, instance: Task) -> Any:
        return {"title": self.context["scope"]["tenant"]}


@pytest.mark.parametrize("make", [str, lambda name: [name]], ids=["hashable", "not hashable"])
async def test_values_that_a_project_adds_to_the_scope_are_not_shared(
    task: Task, make: Any
) -> None:
    consumer = watching(serializer_class=TenantSerializer)
    tenants = [make("one"), make("two")]
    async with (
        talking(consumer, tenant=tenants[0]) as one,
        talking(consumer, tenant=tenants[1]) as two,
    ):
        for client in (one, two):
            await watch(client, pk=task.pk)
        await saved(task, title="new")
        for client, tenant in zip((one, two), tenants, strict=True):
            assert (await client.next(action="update"))["data"] == {"title": tenant}


# Cost.


@asynccontextmanager
async def several(consumer: type[LiveConsumer], users: int, task: Task) -> AsyncIterator[list[Any]]:
    """Watch a row as this many users, over two connections each."""
    async with AsyncExitStack() as stack:
        clients = []
        for pk in [*range(1, users + 1)] * 2:
            user = User(pk=pk, username=f"user {pk}")
            client = await stack.enter_async_context(talking(consumer, user=user))
            await watch(client, pk=task.pk)
            clients.append(client)
        yield clients


async def queries_of_a_save(consumer: Any, users: int, task: Task) -> int:
    async with several(consumer, users, task) as clients:
        queries = CaptureQueriesContext(await sync_to_async(connections.__getitem__)("default"))
        await sync_to_async(queries.__enter__)()
        await saved(task, done=True)
        for client in clients:
            await client.next(action="update")
        await sync_to_async(queries.__exit__)(None, None, None)
        return len(queries)


class Flat(TaskSerializer):
    made: ClassVar[list[Any]] = []

    class Meta:
        model = Task
        fields = ("id", "title", "board")

    def to_representation(self, instance: Task) -> Any:
        self.made.append(self.context["consumer"].user.pk)
        return super().to_representation(instance)


async def test_subscribers_cost_no_queries(task: Task) -> None:
    consumer = watching(serializer_class=Flat)
    Flat.made.clear()
    counts = [await queries_of_a_save(consumer, users, task) for users in (1, 10)]
    assert counts[0] == counts[1]
    assert sorted(Flat.made) == [1, *range(1, 11)]


async def test_queryset_of_the_projects_own_costs_a_query_for_each_connection(task: Task) -> None:
    class Own(ObserverModelInstanceMixin, OwnTasks):
        serializer_class = Flat

        def get_queryset(self, **kwargs: Any) -> QuerySet[Task]:
            return Task.objects.filter(title="one")

    counts = [await queries_of_a_save(Own, users, task) for users in (1, 5)]
    assert counts[1] - counts[0] == 8
