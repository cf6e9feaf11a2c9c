"""The consumer of live channels, as clients meet it."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, TypedDict

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from rest_framework.exceptions import Throttled

from collab.access import Access
from collab.engine.hub.current import current_hub
from collab.engine.runtime.counters import counters
from collab.live import CallError, LiveConsumer, action, apublish, consumer, detached
from collab.live.actions import call_queue
from collab.live.actions.call_queue import error_of
from collab.live.connections.live_connection import LiveConnection, connection_of
from collab.live.events.groups import Event, local_members, send
from collab.live.permissions import AllowAny, BasePermission, IsAuthenticated
from collab.wire import CloseCode
from tests.engine.watchers import MEMORY
from tests.harness.waiting import DEADLINE, until
from tests.rows.models import Task

from .talking import Refused, talking

pytestmark = pytest.mark.usefixtures("memory")


@dataclass
class Point:
    x: int
    y: int


class Calculator(LiveConsumer):
    """Actions of all kinds."""

    ended: ClassVar[asyncio.Event]
    begun: ClassVar[asyncio.Event]

    class RuntimeState(TypedDict, total=False):
        unread: int
        name: str

    @action
    async def add(self, one: int, other: int = 1) -> int:
        return one + other

    @action
    async def move(self, point: Point, by: list[int]) -> Point:
        return Point(point.x + by[0], point.y + by[1])

    @action
    async def finish(self, state: Task.State) -> list[Task.State]:
        return [state, Task.State.DONE]

    @action()
    async def price(self, on: date) -> dict[str, Any]:
        return {"on": on, "price": Decimal("9.90")}

    @action
    def in_thread(self, wanted: bool) -> bool:
        return connection.in_atomic_block is wanted

    @action(atomic=True)
    def in_transaction(self) -> bool:
        return connection.in_atomic_block

    @action
    async def pair(self, **kwargs: Any):  # type: ignore[no-untyped-def]
        return {"got": sorted(kwargs)}, 201

    @action
    async def nothing(self):  # type: ignore[no-untyped-def]
        return None

    @action
    async def own_answer(self, request_id: str) -> None:
        await self.reply("own_answer", data="own", request_id=request_id)

    @action
    async def wrong(self) -> int:
        return "text"  # type: ignore[return-value]

    @action
    async def refuse(self) -> None:
        raise CallError(418, "I am a teapot.")

    @action
    async def throttled(self) -> None:
        raise Throttled

    @action
    async def denied(self) -> None:
        raise PermissionDenied("of the vault")

    @action
    async def single(self):  # type: ignore[no-untyped-def]
        return "single"

    @action
    async def bye(self) -> None:
        await self.send_json({"last": "words"}, close=True)

    @action
    async def invalid(self) -> None:
        raise ValidationError({"name": ["Too long."]})

    @action
    async def missing(self) -> None:
        await User.objects.aget(pk=0)

    @action
    async def secret(self) -> None:
        raise RuntimeError("the password is 1234")

    @action(detached=True)
    async def long(self) -> str:
        type(self).begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            type(self).ended.set()
        return ""

    @action
    async def count(self, unread: int) -> None:
        await self.set_runtime_var("unread", unread)
        assert self.runtime_state["unread"] == unread


async def test_an_action_is_called_with_its_arguments_and_answers_its_caller() -> None:
    async with talking(Calculator) as ann:
        answer = await ann.call("add", one=1, other=2)
        assert answer["data"] == 3
        assert (answer["response_status"], answer["errors"]) == (200, [])
        assert (await ann.call("add", one=1))["data"] == 2
        answer = await ann.call("move", point={"x": 1, "y": 2}, by=[1, 1])
        assert answer["data"] == {"x": 2, "y": 3}
        assert (await ann.call("price", on="2026-01-31"))["data"] == {
            "on": "2026-01-31",
            "price": "9.90",
        }


async def test_pairs_without_an_annotation_are_data_and_status() -> None:
    async with talking(Calculator) as ann:
        answer = await ann.call("pair", more=1)
        assert answer["data"] == {"got": ["action", "more", "request_id"]}
        assert answer["response_status"] == 201
        answer = await ann.call("single")
        assert (answer["data"], answer["response_status"]) == ("single", 200)


async def test_an_action_without_an_annotation_that_returns_none_sends_nothing() -> None:
    async with talking(Calculator) as ann:
        await ann.send(action="nothing", request_id=1)
        assert await ann.quiet()


async def test_a_client_that_awaits_answers_is_answered_where_a_method_returns_nothing() -> None:
    async with talking(Calculator) as ann:
        await ann.send(action="hello", request_id=0, answers=True)
        answer = await ann.call("nothing")
        assert (answer["data"], answer["response_status"], answer["errors"]) == (None, 204, [])
        assert (await ann.call("own_answer"))["data"] == "own"


async def test_an_action_may_answer_by_itself() -> None:
    async with talking(Calculator) as ann:
        assert (await ann.call("own_answer"))["data"] == "own"
        assert await ann.quiet()


@pytest.mark.django_db(transaction=True)
async def test_methods_that_are_not_async_run_in_a_thread_and_in_a_transaction_if_asked() -> None:
    async with talking(Calculator) as ann:
        assert (await ann.call("in_thread", wanted=False))["data"] is True
        assert (await ann.call("in_transaction"))["data"] is True


def test_an_async_action_cannot_be_atomic() -> None:
    with pytest.raises(ValueError, match="cannot be atomic"):

        @action(atomic=True)
        async def save(self: Any) -> None: ...


def test_a_parameter_cannot_have_a_name_that_permissions_use() -> None:
    with pytest.raises(TypeError, match="rename parameter scope"):

        @action
        async def save(self: Any, scope: str) -> None: ...


async def test_choices_of_django_are_values_in_arguments_and_results() -> None:
    async with talking(Calculator) as ann:
        assert (await ann.call("finish", state="open"))["data"] == ["open", "done"]
        answer = await ann.call("finish", state="lost")
        assert answer["errors"] == [{"state": ["Invalid enum value 'lost'."]}]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"one": "1"}, {"one": ["Expected `int`, got `str`."]}),
        ({}, {"one": ["This argument is required."]}),
        ({"one": 1, "third": 1}, {"third": ["Unknown argument."]}),
        ({"one": 1, "self": 1}, {"self": ["Unknown argument."]}),
    ],
)
async def test_errors_name_the_argument(
    arguments: dict[str, Any], problem: dict[str, list[str]]
) -> None:
    async with talking(Calculator) as ann:
        answer = await ann.call("add", **arguments)
        assert (answer["response_status"], answer["errors"]) == (400, [problem])


@pytest.mark.parametrize(
    ("name", "status", "errors"),
    [
        ("refuse", 418, ["I am a teapot."]),
        ("invalid", 400, [{"name": ["Too long."]}]),
        ("throttled", 429, ["Request was throttled."]),
        ("denied", 403, ["You do not have permission to perform this action."]),
        ("no_such", 405, ['Method "no_such" not allowed.']),
        ("authorize", 405, ['Method "authorize" not allowed.']),
    ],
)
async def test_an_error_answers_its_caller_and_the_connection_lives(
    name: str, status: int, errors: list[Any]
) -> None:
    async with talking(Calculator) as ann:
        answer = await ann.call(name)
        assert (answer["response_status"], answer["errors"]) == (status, errors)
        assert (await ann.call("add", one=1))["data"] == 2


@pytest.mark.django_db(transaction=True)
async def test_a_row_that_is_missing_is_404() -> None:
    async with talking(Calculator) as ann:
        answer = await ann.call("missing")
        assert (answer["response_status"], answer["errors"]) == (404, ["Not found"])


@pytest.mark.parametrize("name", ["secret", "wrong"])
async def test_an_error_of_the_server_is_not_sent(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with talking(Calculator) as ann:
        answer = await ann.call(name)
        assert (answer["response_status"], answer["errors"]) == (500, ["Internal error."])
        assert (await ann.call("add", one=1))["data"] == 2
    assert caplog.messages == [f"Action {name!r} failed."]


@pytest.mark.parametrize(
    ("text", "status"),
    [("{", 400), ("[]", 400), ('"a"', 400), ("null", 400), ("{}", 405), ('{"action": 1}', 405)],
)
async def test_a_frame_that_is_no_request_is_answered_and_the_connection_lives(
    text: str, status: int
) -> None:
    async with talking(Calculator) as ann:
        await ann.communicator.send_to(text_data=text)
        assert (await ann.next(action=None))["response_status"] == status
        assert (await ann.call("add", one=1))["data"] == 2


async def test_a_long_action_holds_up_no_other_and_ends_with_the_connection() -> None:
    Calculator.begun, Calculator.ended = asyncio.Event(), asyncio.Event()
    async with talking(Calculator) as ann:
        await ann.send(action="long", request_id=1)
        await Calculator.begun.wait()
        assert (await ann.call("add", one=1))["data"] == 2
        assert not Calculator.ended.is_set()
    await asyncio.wait_for(Calculator.ended.wait(), DEADLINE)


class Panic(BaseException):
    """The exception of a library in Rust."""


class Ending(LiveConsumer):
    """Its methods raise what ends more than themselves."""

    raised: ClassVar[type[BaseException]]

    @action
    async def run(self) -> None:
        raise self.raised

    @action
    def run_in_thread(self) -> None:
        raise self.raised

    @action(detached=True)
    async def run_beside(self) -> None:
        raise self.raised

    @action
    async def start(self) -> None:
        self.start_detached(self.run())

    @action
    async def double(self, number: int) -> int:
        return 2 * number

    @consumer("end")
    async def on_end(self, event: dict[str, Any]) -> None:
        raise self.raised


@pytest.mark.parametrize("raised", [SystemExit, asyncio.CancelledError, Panic])
@pytest.mark.parametrize("name", ["run", "run_in_thread", "run_beside"])
async def test_an_action_ends_nothing_but_itself_whatever_it_raises(
    name: str, raised: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    Ending.raised = raised
    async with talking(Ending) as ann:
        await ann.send(action=name, request_id=1)
        await ann.send(action="double", request_id=2, number=2)
        answer = await ann.next(request_id=1)
        assert (answer["response_status"], answer["errors"]) == (500, ["Internal error."])
        assert (await ann.next(request_id=2))["data"] == 4
    assert caplog.messages == [f"Action {name!r} failed."]


async def test_an_interruption_of_the_server_is_not_held_back() -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await error_of(interrupted())


@pytest.mark.parametrize("raised", [SystemExit, asyncio.CancelledError, Panic])
async def test_a_handler_ends_nothing_but_itself_whatever_it_raises(
    raised: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    Ending.raised = raised
    async with talking(Ending) as ann:
        send(Event("end", "collab.everybody", "1"))
        await ann.call("start")
        assert (await ann.call("double", number=2))["data"] == 4
    assert sorted(caplog.messages) == [
        "Detached method failed.",
        "Handler of event 'end' failed.",
    ]


async def test_an_error_that_cannot_be_encoded_is_answered_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Odd(Calculator):
        @action
        async def odd(self) -> None:
            raise CallError(400, {"what": object()})

    async with talking(Odd) as ann:
        answer = await ann.call("odd")
        assert (answer["response_status"], answer["errors"]) == (500, ["Internal error."])
        assert (await ann.call("add", one=1))["data"] == 2
    assert caplog.messages == ["Action 'odd' failed."]


class Slow(LiveConsumer):
    """An action that goes on when it may."""

    gate: ClassVar[asyncio.Event]
    done: ClassVar[list[int]]

    @action
    async def wait(self, number: int) -> None:
        await self.gate.wait()
        self.done.append(number)


async def test_actions_run_in_their_order_and_hold_up_no_document() -> None:
    Slow.gate, Slow.done = asyncio.Event(), []
    async with talking(Slow, "ws/room") as ann:
        for number in range(3):
            await ann.send(action="wait", request_id=number, number=number)
        # A question of Yjs, for who is present, is answered meanwhile.
        await ann.communicator.send_to(bytes_data=bytes([0, 0, 1, 0]))
        while (await ann.communicator.receive_output()).get("bytes", b"")[:2] != b"\x00\x01":
            pass
        assert Slow.done == []
        Slow.gate.set()
        await ann.next(request_id=2)
        assert Slow.done == [0, 1, 2]


async def test_a_call_is_finished_although_the_connection_ends() -> None:
    Slow.gate, Slow.done = asyncio.Event(), []
    async with talking(Slow) as ann:
        await ann.send(action="wait", number=1)
        asyncio.get_running_loop().call_later(0.01, Slow.gate.set)
    assert Slow.done == [1]


async def test_a_call_that_takes_too_long_after_the_end_is_cancelled(settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "CLOSE_TIMEOUT": 0.05}
    Slow.gate, Slow.done = asyncio.Event(), []
    async with talking(Slow) as ann:
        await ann.send(action="wait", number=1)
        await ann.send(action="wait", number=2)
    assert Slow.done == []


async def test_too_many_calls_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_queue, "MAX_WAITING", 2)
    monkeypatch.setattr(call_queue, "MAX_DETACHED", 1)
    Slow.gate, Slow.done = asyncio.Event(), []
    async with talking(Slow) as ann:
        for number in range(5):
            await ann.send(action="wait", request_id=number, number=number)
        assert (await ann.next(request_id=4))["response_status"] == 429
        Slow.gate.set()
        await ann.next(request_id=1)


async def test_calls_that_wait_together_have_a_limited_number_of_bytes(settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "MAX_TEXT_SIZE": 1_000}
    Slow.gate, Slow.done = asyncio.Event(), []
    async with talking(Slow) as ann:
        for number in range(6):
            call = {"action": "wait", "request_id": number, "number": number}
            await ann.send_text(json.dumps(call) + 400 * " ")
            # It is under way, or waits.
            await ann.call("hello")
        for number in (3, 4, 5):
            assert (await ann.next(request_id=number))["response_status"] == 429
        Slow.gate.set()
        await ann.next(request_id=2)
        await ann.call("wait", number=7)
    assert Slow.done == [0, 1, 2, 7]


async def test_a_text_frame_that_is_too_large_ends_its_connection(settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "MAX_TEXT_SIZE": 1_000}
    async with talking(Calculator) as ann:
        await ann.send(action="add", one=1, x=1_000 * " ")
        assert await ann.closed() == CloseCode.TOO_BIG


async def test_too_many_detached_calls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_queue, "MAX_DETACHED", 1)
    Calculator.begun, Calculator.ended = asyncio.Event(), asyncio.Event()
    async with talking(Calculator) as ann:
        await ann.send(action="long", request_id=1)
        assert (await ann.call("long"))["response_status"] == 429


class Detaching(LiveConsumer):
    """Methods that return at once."""

    heard: ClassVar[list[str]]

    @detached
    async def later(self, text: str) -> None:
        await self.send_json({"text": text})

    @action()
    @detached
    async def called(self, text: str) -> str:
        return text

    @detached
    async def fail(self) -> None:
        raise LookupError("later")

    @action
    async def start(self) -> None:
        await self.later("hello")

    @action
    async def start_failing(self) -> None:
        await self.fail()


async def test_a_detached_method_is_no_action_and_its_caller_goes_on() -> None:
    async with talking(Detaching) as ann:
        assert (await ann.call("later", text="a"))["response_status"] == 405
        assert (await ann.call("called", text="a"))["data"] == "a"
        await ann.call("start")
        assert await ann.next(text="hello")


async def test_a_detached_method_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with talking(Detaching) as ann:
        assert (await ann.call("start_failing"))["response_status"] == 204
        assert await ann.quiet()
    assert "Detached method failed." in caplog.messages


async def test_too_many_detached_methods_are_an_error_of_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_queue, "MAX_DETACHED", 0)
    async with talking(Detaching) as ann:
        assert (await ann.call("start"))["response_status"] == 429


class Heir(Calculator):
    """Inherits actions, has one no more and another its own way."""

    async def add(self, one: int, other: int = 1) -> int:
        return 0

    @action
    async def pair(self, **kwargs: Any) -> str:
        return "heir"


async def test_actions_are_inherited_like_any_method() -> None:
    async with talking(Heir) as ann:
        assert (await ann.call("add", one=1))["response_status"] == 405
        assert (await ann.call("pair"))["data"] == "heir"
        assert (await ann.call("count", unread=1))["response_status"] == 204


# Permissions.


class Odd(BasePermission):
    """Odd numbers only."""

    async def has_permission(self, scope: Any, consumer: Any, action: str, **kwargs: Any) -> bool:
        return int(kwargs.get("number", 1)) % 2 == 1


class Guarded(LiveConsumer):
    """For those who are logged in."""

    permission_classes = (IsAuthenticated,)

    @action
    async def who(self) -> str:
        return str(self.user.username)

    @action(permission_classes=[Odd])
    async def odd(self, number: int) -> int:
        return number


async def test_a_client_without_permission_is_not_accepted() -> None:
    with pytest.raises(Refused) as refused:
        async with talking(Guarded):
            pass
    assert refused.value.code == CloseCode.UNAUTHENTICATED
    async with talking(Guarded, user=User(pk=1, username="ann")) as ann:
        assert (await ann.call("who"))["data"] == "ann"


async def test_an_action_may_need_another_permission() -> None:
    async with talking(Guarded, user=User(pk=1)) as ann:
        assert (await ann.call("odd", number=1))["data"] == 1
        answer = await ann.call("odd", number=2)
        assert answer["response_status"] == 403
        assert answer["data"] is None


# Documents.


async def test_without_a_document_binary_frames_are_refused() -> None:
    async with talking(Calculator) as ann:
        await ann.communicator.send_to(bytes_data=b"\x00\x00\x01\x00")
        assert await ann.closed() == CloseCode.PROTOCOL_VIOLATION


async def test_a_client_with_a_document_gets_no_json_before_it_sends_some() -> None:
    class Chatty(Calculator):
        async def on_connected(self) -> None:
            await self.set_runtime_var("unread", 1)
            send(Event("news", "collab.everybody", "1"))

    async with talking(Chatty, "ws/room") as ann:
        await ann.communicator.send_to(bytes_data=b"\x03")
        message = await ann.communicator.receive_output()
        assert "bytes" in message
        assert (await ann.call("hello"))["data"]["access"] == "write"
        assert (await ann.next(action="runtime_state"))["data"] == {"unread": 1}
        assert await ann.quiet()


async def test_a_process_that_ends_sends_those_away_that_have_no_document() -> None:
    from collab.engine.hub.current import current_hub

    async with talking(Calculator) as ann:
        await current_hub().drain()
        assert await ann.closed() == CloseCode.RESTART
    async with talking(Calculator) as bob:
        assert await bob.closed() == CloseCode.RESTART


async def test_a_client_that_loses_access_is_disconnected(settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "ACCESS_CHECK_INTERVAL": 0.02}

    class Closing(LiveConsumer):
        is_open = True

        async def authorize(self) -> Access:
            return Access.WRITE if type(self).is_open else Access.NONE

    async with talking(Closing, user=User(pk=1)) as ann:
        assert await ann.quiet()
        Closing.is_open = False
        assert await ann.closed() == CloseCode.FORBIDDEN


# Runtime state.


async def test_runtime_variables_are_sent_to_their_client_when_they_change() -> None:
    async with talking(Calculator) as ann, talking(Calculator) as bob:
        await ann.call("count", unread=3)
        assert (await ann.next(action="runtime_state"))["data"] == {"unread": 3}
        await ann.call("count", unread=3)
        assert await ann.quiet()
        assert await bob.quiet()


async def test_a_hello_is_followed_by_all_runtime_variables() -> None:
    async with talking(Calculator) as ann:
        await ann.call("count", unread=3)
        await ann.next(action="runtime_state")
        await ann.call("hello")
        assert (await ann.next(action="runtime_state"))["data"] == {"unread": 3}


@pytest.mark.parametrize(
    ("name", "value", "error"), [("unread", "3", TypeError), ("other", 3, LookupError)]
)
async def test_a_variable_that_was_not_declared_so_is_an_error(
    name: str, value: Any, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    class Wrong(Calculator):
        @action
        async def set(self) -> None:
            with pytest.raises(error, match=r"Wrong.RuntimeState"):
                await self.set_runtime_var(name, value)

    async with talking(Wrong) as ann:
        assert (await ann.call("set"))["response_status"] == 204


# Events.


class Listening(LiveConsumer):
    """Hears of a group."""

    @action
    async def listen(self, group: str) -> None:
        await self.add_group(group)

    @action
    async def stop(self, group: str) -> None:
        await self.remove_group(group)

    @consumer("chart.cleared")
    async def on_cleared(self, event: dict[str, Any]) -> None:
        await self.send_json({"handled": event})

    @consumer("chart.broken")
    async def on_broken(self, event: dict[str, Any]) -> None:
        raise LookupError("broken")


@pytest.mark.django_db(transaction=True)
async def test_an_event_reaches_the_connections_of_its_group_once() -> None:
    async with talking(Listening) as ann, talking(Listening) as bob:
        for _ in range(2):
            await ann.call("listen", group="chart")
        await apublish("chart", "point", {"x": 1})
        frame = await ann.next(action="point")
        assert frame["data"] == {"x": 1}
        assert (frame["group"], frame["number"], frame["request_id"]) == ("chart", None, None)
        assert await ann.quiet()
        assert await bob.quiet()
        for _ in range(2):
            await ann.call("stop", group="chart")
        await apublish("chart", "point", {"x": 2})
        assert await ann.quiet(), ann.frames


@pytest.mark.django_db(transaction=True)
async def test_a_handler_gets_events_instead_of_the_client() -> None:
    async with talking(Listening) as ann:
        await ann.call("listen", group="chart")
        await apublish("chart", "chart.cleared", "payload")
        frame = await ann.next()
        assert frame["handled"] == {
            "type": "chart.cleared",
            "group": "chart",
            "payload": "payload",
            "number": None,
        }


@pytest.mark.django_db(transaction=True)
async def test_a_handler_that_fails_is_logged_and_the_connection_lives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with talking(Listening) as ann:
        await ann.call("listen", group="chart")
        await apublish("chart", "chart.broken")
        await apublish("chart", "point", 1)
        await ann.next(action="point")
        assert await ann.quiet()
    assert caplog.messages == ["Handler of event 'chart.broken' failed."]
    assert caplog.records[0].levelno == logging.ERROR


async def test_a_connection_is_closed_behind_its_last_words() -> None:
    async with talking(Calculator) as ann:
        await ann.send(action="bye")
        await ann.next(last="words")
        assert await ann.closed() == 1000


class Hasty(Calculator):
    """Sends before the client is accepted."""

    async def authorize(self) -> Access:
        await self.set_runtime_var("unread", 1)
        await self.reply("too", data="early")
        return await super().authorize()


async def test_frames_from_before_the_client_is_accepted_are_sent_then() -> None:
    async with talking(Hasty) as ann:
        await ann.take()
        await ann.take()
        assert [frame["action"] for frame in ann.frames] == ["runtime_state", "too"]


async def test_a_document_keeps_variables_until_its_client_sends_a_text() -> None:
    async with talking(Hasty, "ws/room") as ann:
        assert (await ann.next(action="too"))["data"] == "early"
        await ann.call("hello")
        assert (await ann.next(action="runtime_state"))["data"] == {"unread": 1}
        assert await ann.quiet()


async def test_a_client_that_was_sent_away_is_not_answered() -> None:
    async with talking(Calculator) as ann:
        await ann.send(action="bye")
        assert await ann.closed() == 1000
        await ann.send(action="add", request_id="late", one=1)
        await ann.communicator.disconnect()
        assert ann.communicator.output_queue.empty()


async def test_the_project_is_notified_once_of_the_end_of_a_connection() -> None:
    ended: list[str] = []

    class Ending(LiveConsumer):
        async def on_disconnected(self) -> None:
            ended.append("ended")

    async with talking(Ending):
        assert ended == []
    assert ended == ["ended"]

    class Closed(Ending):
        async def authorize(self) -> Access:
            return Access.NONE

    with pytest.raises(Refused):
        async with talking(Closed):
            pass
    assert ended == ["ended"]


@pytest.mark.django_db(transaction=True)
async def test_groups_may_have_any_name(settings: Any) -> None:
    async with talking(Listening) as ann:
        await ann.call("listen", group="chart of Zoë")
        await apublish("chart of Zoë", "point", 1)
        await ann.next(action="point")
        await ann.call("stop", group="chart of Zoë")
        await apublish("chart of Zoë", "point", 2)
        assert await ann.quiet()


@pytest.mark.django_db(transaction=True)
async def test_no_channel_layer_is_needed_in_one_process(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {}
    async with talking(Listening) as ann:
        await ann.call("listen", group="chart")
        await apublish("chart", "point", 1)
        await ann.next(action="point")


async def test_events_of_the_server_itself_are_not_for_clients() -> None:
    async with talking(Calculator) as ann:
        send(Event("collab.secret", "collab.everybody", "1"))
        assert await ann.quiet()


async def test_groups_are_left_with_the_connection() -> None:
    class Late(LiveConsumer):
        @action
        async def join(self) -> None:
            await asyncio.sleep(0)
            await self.add_group("late")

    async with talking(Late) as ann:
        await ann.send(action="join")
    assert local_members("late") == local_members("collab.everybody") == set()


async def test_groups_are_left_although_the_project_fails_when_a_connection_ends() -> None:
    class Failing(LiveConsumer):
        async def on_connected(self) -> None:
            await connection_of(self).heard.listen("late")

        async def on_disconnected(self) -> None:
            raise LookupError

    with pytest.raises(LookupError):
        async with talking(Failing):
            assert local_members("late")
    assert local_members("late") == local_members("collab.everybody") == set()


async def test_a_connection_that_is_ending_is_not_refused_for_its_events() -> None:
    class Deaf(Slow):
        async def on_connected(self) -> None:
            await connection_of(self).heard.listen("late")

        @consumer("late")
        async def on_late(self, event: dict[str, Any]) -> None: ...

    Slow.gate, Slow.done = asyncio.Event(), []
    before = counters.refusals.copy()
    async with talking(Deaf) as ann:
        await ann.send(action="wait", number=1)
        [deaf] = local_members("late")
        turns = connection_of(deaf._target.consumer).calls  # type: ignore[attr-defined]
        await until(lambda: turns._runner)
        leaving = asyncio.create_task(ann.communicator.disconnect(timeout=DEADLINE))
        await until(lambda: turns._is_ended)
        await apublish("late", "late")
        await asyncio.sleep(0)
        Slow.gate.set()
        await leaving
    assert counters.refusals == before


def test_a_consumer_is_open_until_the_project_restricts_it() -> None:
    class Own(LiveConsumer):
        async def authorize(self) -> Access:
            return Access.NONE

    assert LiveConsumer.is_open_to_everybody()
    assert not Own.is_open_to_everybody()
    assert not Guarded.is_open_to_everybody()


@pytest.mark.parametrize("debug", [True, False])
async def test_a_consumer_without_document_and_permissions_gives_the_default_access(
    settings: Any, debug: bool
) -> None:
    settings.DEBUG, settings.COLLAB = debug, {"STORAGE": MEMORY}

    class Undecided(Calculator):
        pass

    if debug:
        async with talking(Undecided) as ann:
            assert (await ann.call("add", one=1))["data"] == 2
    else:
        with pytest.raises(Refused):
            async with talking(Undecided):
                pass


async def test_permissions_decide_who_may_connect(settings: Any) -> None:
    settings.COLLAB = {"STORAGE": MEMORY}

    class Decided(Calculator):
        permission_classes = (AllowAny,)

    for url in ("live/", "ws/room"):
        async with talking(Decided, url) as ann:
            assert (await ann.call("add", one=1))["data"] == 2


async def test_access_that_changes_without_a_document_is_recorded() -> None:
    class Moody(Calculator):
        access_now = Access.WRITE

        async def authorize(self) -> Access:
            return type(self).access_now

    async with talking(Moody) as ann:
        await ann.call("hello")
        [member] = current_hub().lobby
        Moody.access_now = Access.READ
        await member.connection.recheck_access()
        assert connection_of_member(member).access == Access.READ
        assert (await ann.call("add", one=1))["data"] == 2


def connection_of_member(member: Any) -> LiveConnection:
    connection = member.connection
    assert isinstance(connection, LiveConnection)
    return connection
