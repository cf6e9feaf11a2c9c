"""Observers are told of signals, and of rows as they are after the commit."""

# An observer is decorated several times, under one name.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.db.models.signals import post_init
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from collab.live import action
from collab.live.consumers import LiveConsumer
from collab.live.events.groups import local_members
from collab.live.watching.event_rows import dump_row, load_row
from collab.live.watching.observers import model_observer
from collab.live.watching.observers import observer as signal_observer
from collab.live.watching.row_changes import Kind
from tests.live.talking import talking
from tests.live.watching.observing import observers_end
from tests.rows.models import Board, Label, Note, Task

__all__ = ["observers_end"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("memory", "observers_end"),
]


class TaskSerializer(serializers.ModelSerializer[Task]):
    class Meta:
        model = Task
        fields = ("id", "title", "due", "labels")


@sync_to_async
def saved(task: Task, **values: Any) -> None:
    for name, value in values.items():
        setattr(task, name, value)
    task.save()


@sync_to_async
def in_transaction(work: Callable[[], object]) -> None:
    with transaction.atomic():
        work()


@pytest.fixture
def board() -> Board:
    return Board.objects.create(name="b")


class Following(LiveConsumer):
    """The common part of the consumers of these tests: an observer ``changed``."""

    changed: Any

    async def tell(self, message: Any, action: Any, request_ids: list[Any]) -> None:
        for request_id in request_ids or [None]:
            await self.reply(action, message, request_id=request_id)

    @action
    async def follow(self, request_id: str, name: str = "", as_nobody: bool = False) -> int:
        kwargs = {"name": name} if name else {}
        own = None if as_nobody else request_id
        return len(await self.changed.subscribe(request_id=own, **kwargs))

    @action
    async def leave(self, name: str = "", of: str | None = None) -> int:
        kwargs = {"name": name} if name else {}
        return len(await self.changed.unsubscribe(request_id=of, **kwargs))


# Rows.


async def test_an_observer_gets_rows_with_the_request_id_of_the_subscription(board: Board) -> None:
    class Tasks(Following):
        @model_observer(Task)
        async def changed(  # type: ignore[no-untyped-def]
            self, message, action, subscribing_request_ids=(), **kwargs
        ):
            await self.tell(message, action, subscribing_request_ids)

    async with talking(Tasks) as ann:
        await Task.objects.acreate(board=board)
        request_id = (await ann.call("follow"))["request_id"]
        task = await Task.objects.acreate(board=board, title="one")
        pk = task.pk
        await saved(task, title="two")
        await task.adelete()
        for kind in ("create", "update", "delete"):
            frame = await ann.next(action=kind)
            assert (frame["data"], frame["request_id"]) == ({"pk": pk}, request_id)
            assert (frame["errors"], frame["response_status"]) == ([], 200)
        assert await ann.quiet()


async def test_handler_gets_what_it_names(board: Board) -> None:
    heard: list[dict[str, Any]] = []

    class Tasks(Following):
        @model_observer(Task)
        async def changed(self, message: Any, group: str, observer: Any, message_type: str) -> None:
            heard.append({"observer": observer, "group": group, "type": message_type})
            await self.reply("told")

    async with talking(Tasks) as ann:
        await ann.call("follow")
        await Task.objects.acreate(board=board)
        await ann.next(action="told")
    (told,) = heard
    assert told["observer"] is vars(Tasks)["changed"]
    assert told["type"] == "changed"
    assert told["group"].startswith("collab.observed:")


async def test_the_message_is_the_serializers_result(board: Board) -> None:
    class Tasks(Following):
        @model_observer(Task, serializer_class=TaskSerializer)
        async def changed(self, message: Any, **kwargs: Any) -> None:
            await self.reply("by class", message)

        @model_observer(Task)
        async def changed_too(self, message: Any, **kwargs: Any) -> None:
            await self.reply("by method", message)

        @changed_too.serializer
        def changed_too(self, instance: Task, action: Kind, **kwargs: Any) -> Any:
            return {"title": instance.title, "due": instance.due, "action": action.value}

        @action
        async def follow_both(self) -> None:
            await self.changed.subscribe()
            await self.changed_too.subscribe()

    async with talking(Tasks) as ann:
        await ann.call("follow_both")
        task = await Task.objects.acreate(board=board, title="one", due="2024-02-29")
        by_class = await ann.next(action="by class")
        due = "2024-02-29"
        data = {"id": task.pk, "title": "one", "due": due, "labels": []}
        assert by_class["data"] == data
        by_method = await ann.next(action="by method")
        assert by_method["data"] == {"title": "one", "due": due, "action": "create"}


async def test_keys_that_json_has_nothing_for_are_texts(board: Board) -> None:
    class Notes(Following):
        @model_observer(Note)
        async def changed(self, message: Any, action: str) -> None:
            await self.reply(action, message)

    async with talking(Notes) as ann:
        await ann.call("follow")
        note = await Note.objects.acreate(board=board)
        assert (await ann.next(action="create"))["data"] == {"pk": str(note.pk)}


async def test_a_transaction_is_published_once_with_the_committed_values(board: Board) -> None:
    class Tasks(Following):
        @model_observer(Task, serializer_class=TaskSerializer)
        async def changed(self, message: Any, action: str) -> None:
            await self.reply(action, message)

    task = await Task.objects.acreate(board=board, title="one")

    def work() -> None:
        task.title = "two"
        task.save()
        with transaction.atomic():
            task.title = "rolled back"
            task.save()
            transaction.set_rollback(True)
        Task.objects.get().save()

    async with talking(Tasks) as ann:
        await ann.call("follow")
        await in_transaction(work)
        assert (await ann.next(action="update"))["data"]["title"] == "two"
        assert await ann.quiet()


async def test_relations_are_sent_if_asked_for(board: Board) -> None:
    class Tasks(Following):
        @model_observer(Task, serializer_class=TaskSerializer, many_to_many=True)
        async def changed(self, message: Any, action: str) -> None:
            await self.reply(action, message)

    task, label = await Task.objects.acreate(board=board), await Label.objects.acreate(name="l")
    async with talking(Tasks) as ann:
        await ann.call("follow")
        await task.labels.aadd(label)
        assert (await ann.next(action="update"))["data"]["labels"] == [label.pk]
        await label.adelete()
        assert (await ann.next(action="update"))["data"]["labels"] == []


# Groups.


def by_title() -> type[Following]:
    class Tasks(Following):
        @model_observer(Task, serializer_class=TaskSerializer)
        async def changed(
            self, message: Any, action: str, subscribing_request_ids: list[str]
        ) -> None:
            await self.tell(message, action, subscribing_request_ids)

        @changed.groups_for_signal
        def changed(self, instance: Task, **kwargs: Any) -> Iterator[str]:
            yield f"task: {instance.title}"

        @changed.groups_for_consumer
        def changed(self, name: str, consumer: Any, **kwargs: Any) -> Iterator[str]:
            yield f"task: {name}"

    return Tasks


def by_title_at_once() -> type[Following]:
    class Tasks(Following):
        @model_observer(Task, serializer_class=TaskSerializer)
        async def changed(
            self, message: Any, action: str, subscribing_request_ids: list[str]
        ) -> None:
            await self.tell(message, action, subscribing_request_ids)

        @changed.groups
        def changed(
            self, instance: Task | None = None, name: str = "", **kwargs: Any
        ) -> Iterator[str]:
            yield f"task: {instance.title if instance else name}"

    return Tasks


@pytest.mark.parametrize("make", [by_title, by_title_at_once])
async def test_rows_move_between_groups(board: Board, make: Any) -> None:
    tasks = make()
    async with talking(tasks) as ann, talking(tasks) as bob:
        await ann.call("follow", name="ann")
        await bob.call("follow", name="bob")
        task = await Task.objects.acreate(board=board, title="ann")
        assert (await ann.next(action="create"))["data"]["title"] == "ann"
        await saved(task, title="bob")
        # Who may not see it any more is not told what has become of it.
        assert (await ann.next(action="delete"))["data"]["title"] == "ann"
        assert (await bob.next(action="create"))["data"]["title"] == "bob"
        await saved(task, done=True)
        await bob.next(action="update")
        await saved(task, title="nobody")
        await bob.next(action="delete")
        await task.adelete()
        assert await ann.quiet() and await bob.quiet()


async def test_a_deleted_row_is_published_to_its_groups(board: Board) -> None:
    tasks = by_title()
    task = await Task.objects.acreate(board=board, title="ann")
    async with talking(tasks) as ann:
        await ann.call("follow", name="ann")
        task.title = "bob"
        await task.adelete()
        assert (await ann.next(action="delete"))["data"]["title"] == "ann"


async def test_observers_with_and_without_groups_work_side_by_side(board: Board) -> None:
    tasks = by_title()

    class All(Following):
        @model_observer(Task)
        async def changed(self, message: Any, action: str) -> None:
            await self.reply(action, message)

    task = await Task.objects.acreate(board=board, title="ann")
    async with talking(tasks) as ann, talking(All) as bob:
        await ann.call("follow", name="ann")
        await bob.call("follow")
        await saved(task, title="bob")
        await ann.next(action="delete")
        await bob.next(action="update")
        await task.adelete()
        await bob.next(action="delete")
        assert await ann.quiet() and await bob.quiet()


async def test_groups_may_have_any_name_and_never_meet(board: Board) -> None:
    name = "Ümlaut \N{SNOWMAN} " + "x" * 500
    tasks, others = by_title(), by_title_at_once()
    observers = [vars(consumer)["changed"] for consumer in (tasks, others)]
    groups = [(), ("a",), ("b",), ("ab",)]
    assert len({each._group_name(*group) for each in observers for group in groups}) == 8
    async with talking(tasks) as ann:
        await ann.call("follow", name=name)
        await Task.objects.abulk_create([Task(board=board, title=name)])
        await ann.next(action="create")


# Subscriptions.


async def test_each_request_is_a_subscription_of_its_own(board: Board) -> None:
    tasks = by_title()
    async with talking(tasks) as ann:
        one = (await ann.call("follow", name="a"))["request_id"]
        two = (await ann.call("follow", name="a"))["request_id"]
        task = await Task.objects.acreate(board=board, title="a")
        assert {(await ann.next(action="create"))["request_id"] for _ in "ab"} == {one, two}
        await ann.call("leave", name="a", of=one)
        await saved(task, done=True)
        assert (await ann.next(action="update"))["request_id"] == two
        await ann.call("leave", name="a", of="another")
        await ann.call("leave", name="b")
        await ann.call("leave", name="a", of=two)
        await saved(task, done=False)
        assert await ann.quiet()
        assert not local_members(vars(tasks)["changed"]._group_name("task: a"))


async def test_subscription_without_a_request_id_ends_as_well(board: Board) -> None:
    tasks = by_title()
    async with talking(tasks) as ann:
        await ann.call("follow", name="a", as_nobody=True)
        await ann.call("follow", name="a")
        await Task.objects.acreate(board=board, title="a")
        assert (await ann.next(action="create"))["request_id"] is not None
        await ann.call("leave", name="a")
        await Task.objects.acreate(board=board, title="a")
        assert await ann.quiet()


async def test_the_number_of_subscriptions_is_limited(settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "LIVE_MAX_SUBSCRIPTIONS": 2}
    tasks = by_title()
    async with talking(tasks) as ann:
        answers = [await ann.call("follow", name=name) for name in "aab"]
        assert [answer["response_status"] for answer in answers] == [200, 200, 429]
        await ann.call("leave", name="a")
        assert (await ann.call("follow", name="b"))["response_status"] == 200


async def test_messages_of_connections_are_their_own(board: Board) -> None:
    class Tasks(Following):
        @model_observer(Task)
        async def changed(self, message: Any, action: str) -> None:
            message["seen"].append(self.scope["name"])
            await self.reply(action, message)

        @changed.serializer
        def changed(self, instance: Task, action: Kind) -> Any:
            return {"seen": []}

    async with talking(Tasks, name="ann") as ann, talking(Tasks, name="bob") as bob:
        await ann.call("follow")
        await bob.call("follow")
        await Task.objects.acreate(board=board)
        assert (await ann.next(action="create"))["data"] == {"seen": ["ann"]}
        assert (await bob.next(action="create"))["data"] == {"seen": ["bob"]}


# Cost.


async def test_subscribers_cost_no_queries(board: Board) -> None:
    class Tasks(Following):
        @model_observer(Task, serializer_class=TaskSerializer)
        async def changed(self, message: Any, action: str) -> None:
            await self.reply(action, message)

    assert not post_init.has_listeners(Task)
    task = await Task.objects.acreate(board=board)
    counts = [await _queries_of_a_save(Tasks, number, task) for number in (1, 20)]
    assert counts[0] == counts[1]


async def _queries_of_a_save(consumer: type[LiveConsumer], subscribers: int, task: Task) -> int:
    async with _several(consumer, subscribers) as clients:
        # Of the thread that the server has its queries run in.
        queries = CaptureQueriesContext(await sync_to_async(connections.__getitem__)("default"))
        await sync_to_async(queries.__enter__)()
        await saved(task, done=True)
        for client in clients:
            await client.next(action="update")
        await sync_to_async(queries.__exit__)(None, None, None)
        return len(queries)


class _several:
    """Clients of a consumer who follow it, each a user of his own."""

    def __init__(self, consumer: type[LiveConsumer], count: int) -> None:
        users = [User(pk=pk, username=f"user {pk}") for pk in range(1, count + 1)]
        self._contexts = [talking(consumer, user=user) for user in users]

    async def __aenter__(self) -> list[Any]:
        clients = [await context.__aenter__() for context in self._contexts]
        for client in clients:
            await client.call("follow")
        return clients

    async def __aexit__(self, *error: Any) -> None:
        for context in self._contexts:
            await context.__aexit__(*error)


# Users.


def own_tasks(made: list[str]) -> type[Following]:
    class Tasks(Following):
        @model_observer(Task, for_user=True)
        async def changed(self, message: Any, action: str) -> None:
            await self.reply(action, message)

        @changed.serializer
        def changed(self, instance: Task, action: Kind, user: User) -> Any:
            made.append(user.username)
            return {"title": instance.title, "for": user.username}

        @changed.is_visible
        def changed(self, instance: Task, user: User) -> bool:
            return instance.owner_id in (None, user.pk)

    return Tasks


async def test_messages_are_made_once_for_each_user_who_may_see_them(board: Board) -> None:
    made: list[str] = []
    tasks = own_tasks(made)
    ann = await User.objects.acreate(username="ann")
    bob = await User.objects.acreate(username="bob")
    async with (
        talking(tasks, user=ann) as one,
        talking(tasks, user=ann) as other,
        talking(tasks, user=bob) as his,
    ):
        clients = (one, other, his)
        for client in clients:
            await client.call("follow")
        task = await Task.objects.acreate(board=board, title="own", owner=ann)
        for client in (one, other):
            assert (await client.next(action="create"))["data"] == {"title": "own", "for": "ann"}
        await saved(task, owner=None)
        for client in clients:
            await client.next(action="update")
        await saved(task, owner=ann)
        for client in (one, other):
            await client.next(action="update")
        await task.adelete()
        for client in (one, other):
            assert (await client.next(action="delete"))["data"]["title"] == "own"
        for client in clients:
            assert await client.quiet()
    assert sorted(made) == ["ann"] * 4 + ["bob"]


async def test_serializers_know_the_user(board: Board) -> None:
    class Mine(serializers.ModelSerializer[Task]):
        for_user = serializers.SerializerMethodField()
        by_request = serializers.SerializerMethodField()

        class Meta:
            model = Task
            fields = ("for_user", "by_request")

        def get_for_user(self, task: Task) -> str:
            return str(self.context["user"].username)

        def get_by_request(self, task: Task) -> str:
            return str(self.context["request"].user.username)

    class Tasks(Following):
        @model_observer(Task, serializer_class=Mine, for_user=True)
        async def changed(self, message: Any, action: str) -> None:
            await self.reply(action, message)

        @model_observer(Task, for_user=True)
        async def changed_too(self, message: Any) -> None:
            await self.reply("too", message)

        async def on_connected(self) -> None:
            await self.changed_too.subscribe()

    async with talking(Tasks, user=User(pk=1, username="ann")) as ann, talking(Tasks) as nobody:
        for client, name in ((ann, "ann"), (nobody, "")):
            await client.call("follow")
            task = await Task.objects.acreate(board=board)
            frame = await client.next(action="create")
            assert frame["data"] == {"for_user": name, "by_request": name}
        assert (await nobody.next(action="too", data={"pk": task.pk}))["errors"] == []


async def test_a_row_that_is_gone_when_it_is_read_is_not_sent(board: Board) -> None:
    tasks = own_tasks([])
    task = await Task.objects.acreate(board=board, title="one")
    observer = vars(tasks)["changed"]
    payload = {"action": "update", "pk": task.pk + 1, "row": None}
    async with talking(tasks) as ann:
        await ann.call("follow")
        from collab.live.events.encoding import as_json
        from collab.live.events.groups import Event, send

        send(Event(observer._event_type, observer._group_name(), as_json(payload)))
        assert await ann.quiet()


async def test_users_cost_a_query_for_each_process_and_event(board: Board) -> None:
    made: list[str] = []
    task = await Task.objects.acreate(board=board)
    tasks = own_tasks(made)
    counts = [await _queries_of_a_save(tasks, number, task) for number in (1, 20)]
    assert counts[0] == counts[1]
    assert len(made) == 21


def test_row_is_the_same_after_its_journey(board: Board) -> None:
    task = Task.objects.create(
        board=board, title="t", due="2024-02-29", estimate="1.50", extra={"a": [1, None]}
    )
    task = Task.objects.get()
    loaded = cast("Task", load_row(Task, dump_row(task)))
    fields = [field.attname for field in Task._meta.concrete_fields]
    assert [getattr(loaded, name) for name in fields] == [getattr(task, name) for name in fields]


# Signals.


async def test_a_signal_is_sent_to_subscribers() -> None:
    joined = Signal()

    class Doors(Following):
        @signal_observer(joined)
        async def changed(  # type: ignore[no-untyped-def]
            self, message, observer=None, subscribing_request_ids=(), **kwargs
        ):
            await self.tell(message, "joined", subscribing_request_ids)

    async with talking(Doors) as ann, talking(Doors) as bob:
        request_id = (await ann.call("follow"))["request_id"]
        joined.send(sender=None)
        frame = await ann.next(action="joined")
        assert (frame["data"], frame["request_id"]) == ({}, request_id)
        assert await bob.quiet()


async def test_signal_has_message_and_groups_of_its_own() -> None:
    joined = Signal()

    class Doors(Following):
        @signal_observer(joined, sender="front")
        async def changed(self, message: Any) -> None:
            await self.reply("joined", message)

        @changed.serializer
        def changed(self, signal: Signal, name: str, **kwargs: Any) -> Any:
            return {"name": name}

        @changed.groups_for_signal
        def changed(self, message: Any, name: str, **kwargs: Any) -> Iterator[str]:
            yield message["name"]

        @changed.groups_for_consumer
        def changed(self, name: str, **kwargs: Any) -> Iterator[str]:
            yield name

    async with talking(Doors) as ann:
        await ann.call("follow", name="bob")
        joined.send(sender="front", name="eve")
        joined.send(sender="back", name="bob")
        joined.send(sender="front", name="bob")
        assert (await ann.next(action="joined"))["data"] == {"name": "bob"}
        assert await ann.quiet()


async def test_a_signal_in_a_transaction_is_sent_after_the_commit() -> None:
    joined = Signal()

    class Doors(Following):
        @signal_observer(joined)
        async def changed(self, message: Any) -> None:
            await self.reply("joined", message)

        @changed.serializer
        def changed(self, signal: Signal, name: str, **kwargs: Any) -> Any:
            return name

    def work() -> None:
        joined.send(sender=None, name="in vain")
        transaction.set_rollback(True)

    async with talking(Doors) as ann:
        await ann.call("follow")
        await in_transaction(work)
        await in_transaction(lambda: joined.send(sender=None, name="ann"))
        assert (await ann.next(action="joined"))["data"] == "ann"
        assert await ann.quiet()


# Errors.


async def test_error_of_an_observer_harms_neither_who_saves_nor_others(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    joined = Signal()

    class Tasks(Following):
        @model_observer(Task)
        async def changed(self, message: Any, action: str) -> None:
            await self.reply(action, message)

        @changed.serializer
        def changed(self, instance: Task, action: Kind) -> Any:
            return 1 // len(instance.title)

        @signal_observer(joined)
        async def told(self, message: Any) -> None: ...

        @told.serializer
        def told(self, signal: Signal, **kwargs: Any) -> Any:
            raise ZeroDivisionError

    joined.send(sender=None)
    async with talking(Tasks) as ann:
        await ann.call("follow")
        await Task.objects.abulk_create([Task(board=board), Task(board=board, title="1")])
        assert (await ann.next(action="create"))["data"] == 1
    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.name for record in told] == ["collab.live"] * 2


def test_method_that_observes_has_to_be_async() -> None:
    with pytest.raises(TypeError, match="write async def"):

        @model_observer(Task)
        def changed(self: Any, message: Any) -> None: ...


def test_observer_is_itself_on_the_class() -> None:
    class Tasks(Following):
        @model_observer(Task)
        async def changed(self, message: Any) -> None: ...

        again = changed

    assert Tasks.changed is Tasks.again is vars(Tasks)["changed"]
