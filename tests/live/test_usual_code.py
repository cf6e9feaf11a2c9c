"""Code as Channels, REST framework and djangochannelsrestframework have taught it to people."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, cast

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from collab.access import Access
from collab.live import LiveConsumer, action, apublish, detached, model_observer
from collab.live.actions.actions import actions_of
from collab.live.permissions import AllowAny, BasePermission
from tests.live.talking import Refused, talking
from tests.live.watching.observing import observers_end
from tests.rows.models import Label

__all__ = ["observers_end"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("memory")]


# Decorators.


def staff_only(method: Callable[..., Any]) -> Any:
    @functools.wraps(method)
    async def check(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise PermissionDenied

    return check


def noisy(method: Callable[..., Any]) -> Any:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.noise = True
        return method(self, *args, **kwargs)

    return call


class Decorated(LiveConsumer):
    @staff_only
    @action
    async def secret(self) -> str:
        return "secret"

    @staff_only
    @action
    @detached
    async def later(self) -> str:
        return "secret"

    @noisy
    @action
    async def loud(self, number: int) -> tuple[int, bool]:
        return number, self.noise

    @action()
    @database_sync_to_async  # type: ignore[untyped-decorator]
    def count(self, **kwargs: Any):  # type: ignore[no-untyped-def]
        return {"users": User.objects.count()}, 200

    @action
    def plain(self, number: int) -> int:
        return number + User.objects.count()

    @action
    async def awaited(self, number: int) -> Any:
        return await cast("Any", self).plain(number=number)

    @action
    def called(self, number: int) -> int:
        return self.plain(number=number)

    @action()
    @database_sync_to_async  # type: ignore[untyped-decorator]
    def doubled(self, number: int) -> Any:
        return number * 2


@pytest.mark.parametrize("name", ["secret", "later"])
async def test_a_decorator_above_action_is_called(name: str) -> None:
    async with talking(Decorated) as client:
        assert (await client.call(name))["response_status"] == 403


async def test_a_decorator_that_is_not_async_may_wrap_an_action_that_is() -> None:
    async with talking(Decorated) as client:
        assert (await client.call("loud", number=7))["data"] == [7, True]


def test_a_decorated_action_keeps_its_parameters() -> None:
    assert list(actions_of(Decorated)["loud"].parameters) == ["number"]


async def test_methods_of_database_sync_to_async_can_be_actions() -> None:
    async with talking(Decorated) as client:
        assert (await client.call("count"))["data"] == {"users": 0}
        assert (await client.call("doubled", number=2))["data"] == 4
        assert (await client.call("doubled", number="two"))["response_status"] == 400


@pytest.mark.parametrize("name", ["plain", "awaited", "called"])
async def test_an_action_that_is_not_async_can_be_awaited_and_called(name: str) -> None:
    async with talking(Decorated) as client:
        assert (await client.call(name, number=7))["data"] == 7


# Permissions.


class Queries(BasePermission):
    """Has methods that are not async, and that query."""

    def can_connect(self, scope: Any, consumer: Any, message: Any = None) -> Any:
        return not User.objects.filter(username="closed").exists()

    def has_permission(self, scope: Any, consumer: Any, action: str, **kwargs: Any) -> Any:
        return action == "greet" and not User.objects.exists()


class Guarded(LiveConsumer):
    permission_classes: ClassVar = [Queries]

    @action
    async def greet(self) -> str:
        return "hi"

    @action
    async def leave(self) -> str:
        return "bye"

    @action(permission_classes=[Queries & AllowAny])
    async def both(self) -> str:
        return "hi"

    @action(permission_classes=[~Queries])
    async def neither(self) -> str:
        return "hi"


async def test_methods_of_permissions_need_not_be_async() -> None:
    async with talking(Guarded) as client:
        answers = [await client.call(name) for name in ("greet", "leave", "both", "neither")]
        assert [answer["response_status"] for answer in answers] == [200, 403, 403, 200]
    await User.objects.acreate(username="closed")
    with pytest.raises(Refused):
        async with talking(Guarded):
            pass


# Requests and answers.


class Answers(LiveConsumer):
    state = "idle"

    @action
    async def get(self) -> str:
        return self.state

    @action()
    async def subscribe_all(self, request_id: Any, **kwargs: Any) -> None:
        await self.send_json({"request_id": request_id, "action": "subscribed"})

    @action()
    async def find(self, pk: int = None, **kwargs):  # type: ignore  # noqa: RUF013
        return {"pk": pk}, 200


async def test_a_request_without_an_action_is_answered_with_its_id() -> None:
    async with talking(Answers) as client:
        await client.send(request_id=7)
        answer = await client.next(request_id=7)
        assert (answer["response_status"], answer["action"]) == (405, None)


@pytest.mark.parametrize("request_id", [0.25, "a", 0, -1, None, True])
async def test_texts_and_numbers_are_ids_of_requests(request_id: Any) -> None:
    async with talking(Answers) as client:
        await client.send(action="get", request_id=request_id)
        answer = await client.next(action="get")
        assert (answer["request_id"], answer["data"]) == (request_id, "idle")


async def test_other_ids_of_requests_are_refused() -> None:
    async with talking(Answers) as client:
        await client.send(action="get", request_id=[1])
        answer = await client.next(request_id=None)
        assert answer["errors"] == ['Send a "request_id" that is text or a number.']


async def test_a_call_answered_by_send_json_has_no_other_answer() -> None:
    async with talking(Answers) as client:
        await client.send(action="subscribe_all", request_id=1)
        assert await client.next() == {"request_id": 1, "action": "subscribed"}
        assert await client.quiet()


@pytest.mark.parametrize("request_id", [[1], {"a": 1}])
async def test_send_json_sends_any_json(request_id: Any) -> None:
    class Odd(LiveConsumer):
        async def on_connected(self) -> None:
            await self.send_json(["welcome"])

        @action
        async def odd(self) -> None:
            await self.send_json({"request_id": request_id})

    async with talking(Odd) as client:
        assert await client.take_text() == '["welcome"]'
        answer = await client.call("odd")
        assert client.frames == [{"request_id": request_id}]
        assert answer["response_status"] == 204


async def test_null_is_valid_for_an_argument_with_that_default() -> None:
    async with talking(Answers) as client:
        assert (await client.call("find", pk=None))["data"] == {"pk": None}
        assert (await client.call("find", pk=3))["data"] == {"pk": 3}
        assert (await client.call("find", pk="x"))["response_status"] == 400


class Welcoming(LiveConsumer):
    """Sends from every method that is called while a client connects."""

    async def authorize(self) -> Access:
        await self.reply("authorize")
        self.reply_now("at once", None)
        return Access.WRITE

    async def accept(self, *args: Any, **kwargs: Any) -> None:
        await self.reply("before accept")
        await super().accept(*args, **kwargs)
        await self.reply("after accept")

    async def connect(self) -> None:
        await self.send_json({"action": "before connect"})
        await super().connect()
        await self.send_json({"action": "after connect"})

    async def seed_ydoc(self, doc: Any) -> None:
        await self.reply("seed")

    async def on_connected(self) -> None:
        await self.reply("on_connected")


@pytest.mark.parametrize(
    ("url", "now", "seed"), [("live/", ["at once"], []), ("ws/room", [], ["seed"])]
)
async def test_frames_sent_before_a_client_has_joined_are_sent_in_their_order(
    url: str, now: list[str], seed: list[str]
) -> None:
    early = ["authorize", *now, "before connect", "before accept", *seed]
    expected = [*early, "on_connected", "after accept", "after connect"]
    async with talking(Welcoming, url) as client:
        while len(client.frames) < len(expected):
            await client.take()
        assert [frame["action"] for frame in client.frames] == expected
        assert (await client.call("hello"))["response_status"] == 200
        assert len(client.frames) == len(expected)


async def test_a_client_that_is_refused_receives_no_frame_from_before() -> None:
    class Refusing(Welcoming):
        async def connect(self) -> None:
            await self.reply("never")
            await self.close(4403)

    with pytest.raises(Refused) as refused:
        async with talking(Refusing):
            pass
    assert refused.value.code == 4403


# Events.


class Chat(LiveConsumer):
    async def on_connected(self) -> None:
        await self.add_group("chat")

    @action
    async def wave(self) -> str:
        return "wave"


async def test_a_client_without_a_document_gets_only_the_events_that_it_has_missed() -> None:
    for number in range(1, 5):
        await apublish("chat", "message", number, replay=50)
    async with talking(Chat) as client:
        await client.call("hello", since={"chat": 3})
        assert (await client.next(action="message"))["data"] == 4
        assert await client.quiet()


async def test_a_client_that_sends_no_hello_gets_all_kept_events() -> None:
    await apublish("chat", "message", 1, replay=50)
    async with talking(Chat) as client:
        await apublish("chat", "message", 2, replay=50)
        assert [(await client.next(action="message"))["data"] for _ in range(2)] == [1, 2]


async def test_a_first_call_is_answered_after_the_kept_events() -> None:
    await apublish("chat", "message", 1, replay=50)
    async with talking(Chat) as client:
        await client.call("wave")
        assert [frame["data"] for frame in client.frames] == [1]


# Observers.


@pytest.mark.usefixtures("observers_end")
async def test_handlers_get_the_message_by_position_or_by_name() -> None:
    class Watching(LiveConsumer):
        @model_observer(Label)
        async def by_position(self, row: Any, action: Any, **kwargs: Any) -> None:
            await self.reply("position", row)

        @model_observer(Label)
        async def by_name(self, action: Any, message: Any) -> None:
            await self.reply("name", message)

        @model_observer(Label)
        async def by_keywords(self, **kwargs: Any) -> None:
            await self.reply("keywords", kwargs["message"])

        @model_observer(Label)
        async def without(self) -> None:
            await self.reply("without")

        async def on_connected(self) -> None:
            for observer in (self.by_position, self.by_name, self.by_keywords, self.without):
                await observer.subscribe()

    async with talking(Watching) as client:
        label = await Label.objects.acreate(name="urgent")
        for name in ("position", "name", "keywords"):
            assert (await client.next(action=name))["data"] == {"pk": label.pk}
        await client.next(action="without")


# Attributes.


@pytest.mark.parametrize("name", ["user", "room", "state", "ydoc", "runtime_state"])
async def test_attributes_of_the_project_may_have_names_of_ours(name: str) -> None:
    async def connect(self: Any) -> None:
        setattr(self, name, {})
        await self.accept()

    async with talking(type("Own", (Answers,), {"connect": connect})) as client:
        assert (await client.call("find"))["data"] == {"pk": None}
