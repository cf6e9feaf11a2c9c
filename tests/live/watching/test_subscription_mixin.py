"""Clients that watch any object, and filtered lists of objects, on one connection."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from rest_framework.serializers import CharField, ModelSerializer

from collab.engine.hub.current import current_hub
from collab.live import (
    CallError,
    LiveConsumer,
    ModelSubscription,
    SubscriptionMixin,
    action,
    apublish,
    consumer,
    subscribable,
)
from collab.live.events.groups import local_members
from collab.live.watching.subscription_mixin import Subscriber, _registry
from collab.live.watching.subscriptions import group_of, subscription_of, unregister
from collab.testing import close_rooms
from tests.harness.waiting import until
from tests.live.talking import Talker, talking
from tests.rows.models import Board, Card, Label, Note, Task

pytestmark = [pytest.mark.usefixtures("memory"), pytest.mark.django_db(transaction=True)]


class CardSerializer(ModelSerializer[Card]):
    """Shows the salary to its owner alone."""

    salary = CharField()

    class Meta:
        model = Card
        fields = ("id", "title", "done", "salary")

    def to_representation(self, instance: Card) -> dict[str, Any]:
        values: dict[str, Any] = super().to_representation(instance)
        if instance.owner_id != self.context["user"].pk:
            del values["salary"]
        return values


class Live(SubscriptionMixin, LiveConsumer):
    """One connection for everything."""

    @action
    def mark(self, pk: int, done: bool) -> None:
        card = Card.objects.get(pk=pk)
        card.done = done
        card.save()


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    @subscribable(Card)
    class Cards(ModelSubscription[Card]):
        serializer_class = CardSerializer
        filter_fields = ("board", "done", "board__name__startswith")

        def get_queryset(self, user: Any) -> QuerySet[Card]:
            return Card.objects.exclude(title="secret")

        def has_permission(self, user: Any, instance: Card) -> bool:
            return instance.title != f"not for {user.username}"

    @subscribable(Board)
    class Boards(ModelSubscription[Board]):
        fields = ("name",)
        filter_fields = ("name",)
        per_user = False

        def get_queryset(self, user: Any) -> QuerySet[Board]:
            assert user is None
            return Board.objects.all()

        def encode_id(self, pk: Any) -> str:
            return f"board-{pk}"

        def decode_id(self, value: Any) -> int:
            return int(value.removeprefix("board-"))

    @subscribable(Task)
    class Tasks(ModelSubscription[Task]):
        fields = ("id", "title", "labels")
        filter_fields = ("board", "labels")
        per_user = False

        def get_queryset(self, user: Any) -> QuerySet[Task]:
            return Task.objects.all()

        def decode_filter(self, name: str, value: Any) -> Any:
            return int(value.removeprefix("board-")) if name == "board" else value

    @subscribable(Note)
    class Undeclared(ModelSubscription[Note]):
        pass

    yield
    for model in (Card, Board, Task, Note):
        unregister(model)


@pytest.fixture
def board() -> Board:
    return Board.objects.create(name="House")


ANN, BOB = User(pk=1, username="ann"), User(pk=2, username="bob")


async def watch(client: Talker, request_id: str, **what: Any) -> Any:
    await client.send(action="subscribe", request_id=request_id, **what)
    answer = await client.next(request_id=request_id, action="subscribe")
    assert answer["response_status"] == 201, answer
    return answer["data"]


@sync_to_async
def save(row: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


# One object.


async def test_a_subscriber_gets_a_row_and_its_changes(board: Board) -> None:
    async with talking(Live) as ann, talking(Live) as bob:
        seen = await watch(ann, "house", model="rows.Board", id=f"board-{board.pk}")
        assert seen == {"id": f"board-{board.pk}", "instance": {"name": "House"}}
        await save(board, name="Home")
        frame = await ann.next(request_id="house")
        assert (frame["action"], frame["data"]["instance"]) == ("update", {"name": "Home"})
        pk = board.pk
        await board.adelete()
        frame = await ann.next(request_id="house")
        assert (frame["action"], frame["data"]) == ("delete", {"id": f"board-{pk}"})
        assert await bob.quiet()


async def test_several_objects_are_watched_on_one_connection(board: Board) -> None:
    other = await Board.objects.acreate(name="Garden")
    async with talking(Live) as ann:
        await watch(ann, "a", model="rows.board", id=f"board-{board.pk}")
        await watch(ann, "b", model="rows.Board", id=f"board-{other.pk}")
        await save(other, name="Yard")
        assert (await ann.next(action="update"))["request_id"] == "b"
        answer = await ann.call("unsubscribe", subscription="b")
        assert answer["response_status"] == 204
        await save(other, name="Court")
        await save(board, name="Home")
        assert (await ann.next(action="update"))["request_id"] == "a"
        assert await ann.quiet()


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ({"model": "auth.User", "id": 1}, 404),
        ({"model": "rows.Card", "id": 4711}, 404),
        ({"model": "rows.Card", "id": "x"}, 404),
        ({"model": "rows.Board", "id": 1}, 404),
        ({"model": "rows.Card"}, 400),
        ({"model": "rows.Card", "id": 1, "filter": {}}, 400),
        ({"model": "rows.Card", "filter": {"owner__password": "x"}}, 400),
        ({"model": "rows.Card", "filter": {"board": "x"}}, 400),
        ({"model": "rows.Card", "filter": {"board": {"a": 1}}}, 400),
        ({"model": "rows.Task", "filter": {"board": 1}}, 400),
        ({"model": 1, "id": 1}, 400),
        ({"id": 1}, 400),
    ],
)
async def test_subscriptions_that_are_not_valid_are_refused(
    what: dict[str, Any], status: int
) -> None:
    async with talking(Live, user=ANN) as ann:
        answer = await ann.call("subscribe", **what)
        assert (answer["response_status"], answer["data"]) == (status, None)
        assert await ann.quiet()


async def test_a_declaration_without_rows_is_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with talking(Live) as ann:
        answer = await ann.call("subscribe", model="rows.Note", filter={})
        assert answer["response_status"] == 500
    assert "Undeclared needs get_queryset()." in caplog.text


async def test_a_row_that_a_user_may_not_see_is_404(board: Board) -> None:
    card = await Card.objects.acreate(board=board, title="not for bob")
    async with talking(Live, user=BOB) as bob, talking(Live, user=ANN) as ann:
        answer = await bob.call("subscribe", model="rows.Card", id=card.pk)
        assert (answer["response_status"], answer["data"]) == (404, None)
        await watch(ann, "card", model="rows.Card", id=card.pk)
        await save(card, title="not for ann")
        frame = await ann.next(request_id="card")
        assert (frame["action"], frame["data"]) == ("leave", {"id": card.pk})
        await save(card, done=True)
        assert await ann.quiet()
        assert await bob.quiet()


async def test_each_user_gets_a_serialization_of_their_own(board: Board) -> None:
    owner = await User.objects.acreate(username="ann")
    card = await Card.objects.acreate(board=board, owner=owner, title="Paint", salary="9")
    async with talking(Live, user=owner) as ann, talking(Live, user=BOB) as bob:
        assert (await watch(ann, "c", model="rows.Card", id=card.pk))["instance"]["salary"] == "9"
        assert "salary" not in (await watch(bob, "c", model="rows.Card", id=card.pk))["instance"]
        await save(card, salary="10")
        assert (await ann.next(action="update"))["data"]["instance"]["salary"] == "10"
        assert "salary" not in (await bob.next(action="update"))["data"]["instance"]


# Lists.


async def test_rows_enter_and_leave_a_list_as_they_change(board: Board) -> None:
    """baserow#5660: a row that left a filter stayed in the list of its editor until a reload."""
    done = await Card.objects.acreate(board=board, title="Dust", done=True)
    async with talking(Live, user=ANN) as ann:
        shown = await watch(ann, "l", model="rows.Card", filter={"done": True})
        assert [each["id"] for each in shown["instances"]] == [done.pk]
        card = await sync_to_async(Card.objects.create)(board=board, title="Paint", done=True)
        frame = await ann.next(request_id="l")
        assert (frame["action"], frame["data"]["id"]) == ("create", card.pk)
        await save(card, title="Painting")
        assert (await ann.next(request_id="l"))["action"] == "update"
        # By the list's own client.
        await ann.call("mark", pk=card.pk, done=False)
        frame = await ann.next(request_id="l")
        assert (frame["action"], frame["data"]) == ("leave", {"id": card.pk})
        await save(card, done=False, title="Paint")
        await save(card, done=True)
        frame = await ann.next(request_id="l")
        assert (frame["action"], frame["data"]["instance"]["title"]) == ("enter", "Paint")
        pk = card.pk
        await card.adelete()
        frame = await ann.next(request_id="l")
        assert (frame["action"], frame["data"]) == ("delete", {"id": pk})
        assert await ann.quiet()


async def test_lists_may_be_filtered_by_what_the_declaration_decodes(board: Board) -> None:
    label = await Label.objects.acreate(name="red")
    async with talking(Live) as ann:
        await watch(ann, "b", model="rows.Task", filter={"board": f"board-{board.pk}"})
        await watch(ann, "l", model="rows.Task", filter={"labels": label.pk})
        task = await sync_to_async(Task.objects.create)(board=board, title="Paint")
        assert (await ann.next(request_id="b"))["action"] == "create"
        await task.labels.aadd(label)
        assert (await ann.next(request_id="b"))["data"]["instance"]["labels"] == [label.pk]
        assert (await ann.next(request_id="l"))["action"] == "enter"


async def test_a_transaction_is_published_once_and_a_rollback_never(board: Board) -> None:
    @sync_to_async
    def work() -> None:
        with transaction.atomic():
            card = Card.objects.create(board=board, title="Paint")
            card.title = "Painted"
            card.save()
            with pytest.raises(LookupError), transaction.atomic():
                Card.objects.create(board=board, title="Never")
                raise LookupError

    async with talking(Live, user=ANN) as ann:
        await watch(ann, "l", model="rows.Card", filter={})
        await work()
        frame = await ann.next(request_id="l")
        assert (frame["action"], frame["data"]["instance"]["title"]) == ("create", "Painted")
        assert await ann.quiet()


async def test_a_row_that_changes_again_before_it_is_read_is_sent_as_it_is_then(
    board: Board,
) -> None:
    @sync_to_async
    def work() -> None:
        card = Card.objects.create(board=board, title="Paint")
        for number in range(20):
            card.title = f"Paint {number}"
            card.save()

    async with talking(Live, user=ANN) as ann:
        await watch(ann, "l", model="rows.Card", filter={})
        await work()
        frame = await ann.next(request_id="l")
        assert frame["action"] == "create"
        while frame["data"]["instance"]["title"] != "Paint 19":
            frame = await ann.next(request_id="l", action="update")


def test_a_subscription_is_not_a_group_of_the_project(board: Board) -> None:
    assert subscription_of("rows.Card").groups_of(Card(board=board)) == ()


async def test_a_change_costs_the_same_however_many_watch_it(board: Board) -> None:
    @sync_to_async
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            Board.objects.get(pk=board.pk).save()
        return len(queries)

    before = await count()
    async with talking(Live) as ann:
        for number in range(50):
            await watch(ann, f"w{number}", model="rows.Board", id=f"board-{board.pk}")
        assert await count() == before
        for number in range(50):
            await ann.next(request_id=f"w{number}", action="update")


async def test_a_list_of_too_many_rows_is_refused(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelSubscription, "max_rows", 1)
    await Board.objects.acreate(name="Garden")
    async with talking(Live) as ann:
        answer = await ann.call("subscribe", model="rows.Board", filter={})
        assert answer["response_status"] == 400
        assert answer["errors"] == [{"filter": ["More than 1 rows; use a narrower filter."]}]
        await watch(ann, "g", model="rows.Board", filter={"name": "Garden"})


async def test_one_connection_watches_no_more_than_it_may(board: Board, settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "LIVE_MAX_SUBSCRIPTIONS": 1}
    async with talking(Live) as ann:
        await watch(ann, "a", model="rows.Board", filter={})
        assert (await ann.call("subscribe", model="rows.Board", filter={}))[
            "response_status"
        ] == 429
        await ann.send(action="subscribe", request_id="a", model="rows.Board", filter={})
        answer = await ann.next(request_id="a")
        assert answer["response_status"] == 400


async def test_an_unknown_subscription_cannot_be_ended() -> None:
    async with talking(Live) as ann:
        assert (await ann.call("unsubscribe", subscription="x"))["response_status"] == 404


async def test_a_serializer_that_fails_for_some_spoils_nothing_for_others(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    card = await Card.objects.acreate(board=board, title="Paint")

    class Moody(CardSerializer):
        def to_representation(self, instance: Card) -> dict[str, Any]:
            if instance.done and self.context["user"] == BOB:
                raise LookupError("moody")
            return super().to_representation(instance)

    unregister(Card)

    @subscribable(Card)
    class Cards(ModelSubscription[Card]):
        serializer_class = Moody

        def get_queryset(self, user: Any) -> QuerySet[Card]:
            return Card.objects.all()

    async with talking(Live, user=BOB) as bob, talking(Live, user=ANN) as ann:
        await watch(bob, "c", model="rows.Card", id=card.pk)
        await watch(ann, "c", model="rows.Card", id=card.pk)
        await save(card, done=True)
        assert (await ann.next(request_id="c"))["action"] == "update"
        assert await bob.quiet()
    assert "Query of rows.Card failed; its subscribers miss a change." in caplog.text


async def test_subscriptions_end_when_the_user_changes(board: Board) -> None:
    card = await Card.objects.acreate(board=board, title="Paint")
    async with talking(Live, user=ANN) as ann:
        await watch(ann, "c", model="rows.Card", id=card.pk)
        [member] = current_hub().lobby
        member.connection.scope["user"] = BOB
        await member.connection.recheck_access()
        answer = await ann.next(request_id="c")
        assert (answer["action"], answer["response_status"]) == ("unsubscribe", 401)
        await save(card, done=True)
        assert await ann.quiet()


class LoggingOut(Live):
    """Its users can leave, which is noticed when access is checked next."""

    @action
    async def log_out(self) -> None:
        self.scope["user"] = AnonymousUser()

    async def on_user_changed(self) -> None:
        """Calls not what it overrides."""

    async def on_disconnected(self) -> None:
        raise LookupError


async def test_a_user_who_logs_out_gets_nothing_more_and_others_do(
    board: Board,
) -> None:
    owner = await User.objects.acreate(username="ann")
    card = await Card.objects.acreate(board=board, owner=owner, title="a", salary="5")
    with pytest.raises(LookupError):
        async with (
            talking(Live, user=owner) as here,
            talking(LoggingOut, user=owner) as there,
            talking(LoggingOut, user=owner) as alone,
        ):
            for client in (here, there):
                await watch(client, "c", model="rows.Card", id=card.pk)
            await watch(alone, "l", model="rows.Card", filter={})
            for client in (there, alone):
                await watch(client, "other", model="rows.Card", filter={"done": True})
                await client.call("log_out")
            await save(card, title="b")
            frame = await here.next(request_id="c")
            assert (frame["action"], frame["data"]["instance"]["salary"]) == ("update", "5")
            for client in (there, alone):
                assert await client.quiet()
            for member in current_hub().lobby:
                await member.connection.recheck_access()
            assert (await there.next(request_id="c"))["response_status"] == 401
            await save(card, title="c")
            await here.next(request_id="c", action="update")
            await there.next(request_id="other", action="unsubscribe")
            assert await there.quiet()
    # Although the project's code has failed.
    assert not local_members(group_of(Card))


async def test_a_subscription_may_end_twice_at_once(board: Board) -> None:
    registry = _registry(subscription_of("rows.Board"))
    async with talking(Live, user=ANN) as ann:
        for request_id in ("a", "b"):
            await watch(ann, request_id, model="rows.Board", filter={})
        [member] = current_hub().lobby
        connection: Any = member.connection
        subscriber = connection.part(Subscriber)
        # As while rows are looked at.
        async with registry._lock:
            endings = [asyncio.create_task(subscriber.forget_user()) for _ in range(2)]
            await until(lambda: len(registry._lock._waiters or ()) == 2)
        await asyncio.gather(*endings)
        for request_id in ("a", "b"):
            assert (await ann.next(request_id=request_id))["response_status"] == 401
        assert not local_members(group_of(Board))


async def test_a_user_who_logs_out_while_subscribing_gets_nothing(board: Board) -> None:
    @subscribable(Card)
    class Cards(ModelSubscription[Card]):
        fields = ("title",)

        def get_queryset(self, user: Any) -> QuerySet[Card]:
            for member in current_hub_of_test.lobby:
                member.connection.scope["user"] = AnonymousUser()
            return Card.objects.all()

    card = await Card.objects.acreate(board=board, title="a")
    async with talking(Live, user=ANN) as ann:
        current_hub_of_test = current_hub()
        answer = await ann.call("subscribe", model="rows.Card", id=card.pk)
        assert (answer["response_status"], answer["data"]) == (401, None)
        assert not local_members(group_of(Card))


@pytest.mark.parametrize("value", ["1e999", 10**30, -(10**30), {}, [], "x", [{}]])
@pytest.mark.parametrize("name", ["board", "done", "id"])
async def test_values_that_are_not_valid_are_answered_and_not_logged(
    name: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    what = {"id": value} if name == "id" else {"filter": {name: value}}
    async with talking(Live, user=ANN) as ann:
        call = {"action": "subscribe", "request_id": 1, "model": "rows.Card", **what}
        # JSON has larger numbers than Python.
        await ann.send_text(json.dumps(call).replace('"1e999"', "1e999"))
        answer = await ann.next(request_id=1)
        assert answer["response_status"] in (201, 400, 404)
        assert not (answer["data"] or {}).get("instances")
        assert await ann.quiet()
    assert not caplog.messages


async def test_ended_connections_have_no_subscriptions(board: Board) -> None:
    async with talking(Live) as ann:
        await watch(ann, "l", model="rows.Board", filter={})
        assert local_members(group_of(Board))
    assert not local_members(group_of(Board))


class Busy(Live):
    """Does a bit of everything."""

    async def on_connected(self) -> None:
        await self.add_group("busy")

    @action
    async def fail(self) -> None:
        raise CallError(400, "No.")

    @action(detached=True)
    async def wait(self) -> None:
        await asyncio.Event().wait()

    @action
    def in_thread(self) -> int:
        return 1

    @consumer("told")
    async def on_told(self, event: dict[str, Any]) -> None:
        await self.reply("told")


async def test_nothing_is_kept_of_connections_that_are_gone(board: Board) -> None:
    await Card.objects.acreate(board=board, title="a")
    gone: list[weakref.ref[Any]] = []
    for _ in range(3):
        async with talking(Busy, user=ANN) as ann, talking(Busy, "ws/room", user=BOB) as bob:
            for client in (ann, bob):
                await watch(client, "l", model="rows.Card", filter={})
                await watch(client, "b", model="rows.Board", filter={})
                await client.call("fail")
                await client.call("in_thread")
                await client.call("subscribe", model="rows.Card", filter={"done": "x"})
                await client.send(action="wait")
            gone += map(weakref.ref, local_members("busy"))
            await apublish("busy", "told", replay=5)
            await apublish("busy", "shown", replay=5)
            await ann.next(action="shown")
    await close_rooms()

    def is_gone() -> bool:
        gc.collect()
        return not any(each() for each in gone)

    assert len(gone) == 6
    await until(is_gone)
