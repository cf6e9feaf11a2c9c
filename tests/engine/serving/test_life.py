"""Connections that rest: without a task, until something happens."""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from collab.access import Access
from collab.consumers import YjsConsumer, serving_connection
from collab.engine.rooms.room import Room
from collab.engine.serving.connection import ConsumerConnection
from collab.engine.sockets.resting import MIDDLEWARE
from collab.exceptions import Unauthenticated
from collab.protocol.frames import update_frame
from collab.signals import member_left
from collab.testing import close_rooms
from tests.collab.test_sockets import CONT, TEXT, frame
from tests.engine.taps import Tap, party
from tests.harness.waiting import until
from tests.protocol.yjs.samples import HELLO, text, typed

pytestmark = pytest.mark.django_db(transaction=True)

Middleware = Callable[[Any], Any]
NAME: ContextVar[str] = ContextVar("NAME", default="nobody")


#: The consumers of a test, the first one first, and what they answer.
consumers: list[YjsConsumer] = []
answer: list[Access] = []


class Noting(YjsConsumer):
    """Records its consumers; with any other name of its own it would have a channel."""

    storage = None

    def make_room_name(self) -> str:
        consumers.append(self)
        NAME.set("ann")
        return super().make_room_name()

    async def authorize(self) -> Access:
        return answer[0]


#: What has happened at the ends of connections.
events: list[str] = []


async def record(name: str, **arguments: object) -> None:
    events.append(f"{NAME.get()} left {name}")


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    events.clear()
    consumers.clear()
    answer[:] = [Access.WRITE]
    member_left.connect(record)
    yield
    member_left.disconnect(record)
    await close_rooms()


def application(middleware: Middleware = lambda inner: inner) -> Any:
    return middleware(URLRouter([path("ws/<str:room>", Noting.as_asgi())]))


def stack(inner: Any) -> Any:
    """Return the application with the middleware of the docs."""
    return ProtocolTypeRouter(
        {"websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(inner))}
    )


def last(inner: Any) -> Any:
    """Return middleware that records the end of the application."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)
        events.append("after")

    return call


def the_room() -> Room:
    return serving_connection(consumers[0]).room


@asynccontextmanager
async def resting(app: Any = None) -> AsyncIterator[Tap]:
    async with party(app or application(), 1) as (tap,):
        # Its task may still be about to end.
        await until(lambda: tap.is_resting)
        yield tap


def test_middleware_that_is_known_ends_with_an_await() -> None:
    for middleware in MIDDLEWARE:
        (function,) = ast.parse(textwrap.dedent(inspect.getsource(middleware.__code__))).body
        assert isinstance(function, ast.AsyncFunctionDef)
        for node in ast.walk(function):
            assert not isinstance(node, ast.AsyncWith | ast.With | ast.AsyncFor)
            if isinstance(node, ast.Try):
                assert not node.finalbody and not node.orelse
                # A router that finds no route tries the next one.
                (handler,) = node.handlers
                assert ast.unparse(handler.type or node) in ("Resolver404", "UnicodeDecodeError")
            if isinstance(node, ast.Await) and "send" in ast.unparse(node):
                assert any(
                    isinstance(each, ast.Return) and each.value is node
                    for each in ast.walk(function)
                )


@pytest.mark.parametrize("middleware", [stack, lambda inner: inner], ids=["of the docs", "none"])
async def test_an_idle_connection_has_no_task(middleware: Middleware) -> None:
    app = application(middleware)
    async with resting(app):
        tasks = len(asyncio.all_tasks())
        async with party(app, 20) as taps:
            await until(lambda: all(tap.is_resting for tap in taps))
            assert len(asyncio.all_tasks()) == tasks


async def test_middleware_that_works_afterwards_does_so_at_the_end() -> None:
    async with party(application(last), 1) as (tap,):
        assert not tap.is_resting
        assert events == []
    assert sorted(events) == ["after", "ann left room"]


async def test_a_connection_with_a_channel_of_its_own_keeps_its_task() -> None:
    class Grouped(Noting):
        async def greeting(self, event: object) -> None:
            """Handle an event."""

    first, second = typed("ab")
    async with party(URLRouter([path("ws/<str:room>", Grouped.as_asgi())]), 1) as (tap,):
        intake = serving_connection(consumers[0])._intake
        await until(lambda: intake.may_rest)
        for letter in (first, second):
            message = update_frame(letter)
            tap.receive(frame(message[:5], fin=False) + frame(message[5:], CONT))
        await until(lambda: text(the_room().doc) == "ab")
        assert not tap.is_resting
        assert tap.is_served


async def test_a_connection_that_rests_ends_in_its_context_when_the_client_leaves() -> None:
    async with resting(application(stack)):
        room = the_room()
        assert len(room.members) == 1
    assert events == ["ann left room"]
    assert not room.members


async def test_a_message_that_ends_the_rest_comes_before_those_behind_it() -> None:
    first, second = typed("ab")
    async with resting() as tap:
        message = update_frame(first)
        parts = frame(message[:5], fin=False) + frame(message[5:], CONT)
        tap.receive(parts + frame(update_frame(second)))
        await until(lambda: text(the_room().doc) == "ab")
        await until(lambda: tap.is_resting)


async def test_a_connection_that_rests_is_closed_when_access_is_revoked() -> None:
    async with resting() as tap:
        answer[:] = [Access.NONE]
        await consumers[0].recheck_access()
        assert tap.written[-1].endswith(str(Unauthenticated()).encode())
    assert events == ["ann left room"]


async def test_a_connection_that_rests_can_be_ended_without_the_client() -> None:
    async with resting() as tap:
        room = the_room()
        for _ in range(2):
            serving_connection(consumers[0]).evict()
        await until(lambda: not room.members)
        await until(tap.is_closing)
    assert events == ["ann left room"]


async def test_a_client_that_leaves_while_it_is_sent_away_has_left_once() -> None:
    app = application()
    async with resting(app):
        room, tap = the_room(), Tap(app, "room")
        tap.knock()
        await until(lambda: tap.is_resting)
        tap.hang_up()
        serving_connection(consumers[1]).evict()
        await until(lambda: len(room.members) == 1)
        await until(lambda: events == ["ann left room"])


async def test_an_error_that_ends_a_rest_is_logged_and_harms_its_sender_only(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("broken")

    app = application()
    async with party(app, 1) as (other,):
        # Each connection takes the method when it begins.
        monkeypatch.setattr(ConsumerConnection, "receive_text", fail)
        async with resting(app) as tap:
            tap.receive(frame(b"{}", TEXT))
            await until(lambda: len(the_room().members) == 1)
        assert "RuntimeError: broken" in caplog.text
        other.send(update_frame(HELLO))
        await until(lambda: text(the_room().doc) == "hello")
