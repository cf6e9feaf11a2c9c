"""A consumer behind a server that lets it past ASGI: all is as it is behind any other."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from contextvars import ContextVar
from typing import Any, ClassVar

import pytest
from channels.auth import AuthMiddlewareStack
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.urls import path
from pycrdt import Doc, Text, create_update_message

from collab.consumers import YjsConsumer, group_name
from collab.engine.hub.current import current_hub
from collab.protocol.presence import Presence
from collab.sockets import WebSocketProtocol
from collab.testing import close_rooms
from tests.collab.test_sockets import STOCK
from tests.engine.transports import Noting, served
from tests.harness.client import YjsClient
from tests.harness.waiting import until
from tests.protocol.yjs import poison
from tests.protocol.yjs.samples import HELLO

BOTH = pytest.mark.parametrize("kind", [Noting, STOCK], ids=["own", "stock"])


pytestmark = pytest.mark.usefixtures("memory")


def routes(consumer: type[YjsConsumer]) -> URLRouter:
    return URLRouter([path("ws/<path:room>", consumer.as_asgi())])


def text_of(room: str) -> str:
    return str(current_hub().rooms[room, True].doc.get("text", type=Text))


async def write_words(writer: YjsClient, reader: YjsClient) -> None:
    """Write ten words with one, each when the other has the one before."""
    for number in range(10):
        await writer.insert(f"<{number}>")
        await reader.wait_until(lambda: f"<{number}>" in reader.text)  # noqa: B023


def tasks_of_connections() -> set[asyncio.Task[Any]]:
    """Return all tasks but those that store what was written."""
    return {
        task for task in asyncio.all_tasks() if not task.get_name().startswith("collab-writing")
    }


# Who is let past.


async def test_frames_come_and_go_past_asgi() -> None:
    async with (
        served(routes(YjsConsumer)) as url,
        YjsClient(f"{url}room") as ann,
        YjsClient(f"{url}room") as bob,
    ):
        before = [list(socket.received) for socket in Noting.all]
        tasks = tasks_of_connections()
        await write_words(ann, bob)
        await ann.set_presence({"name": "Ann"})
        await bob.wait_until(lambda: {"name": "Ann"} in bob.presence.values())
        assert [socket.received for socket in Noting.all] == before
        assert [socket.sent for socket in Noting.all] == [["websocket.accept"]] * 2
        assert tasks_of_connections() <= tasks


@pytest.mark.django_db(transaction=True)
async def test_sessions_of_channels_stand_in_no_way() -> None:
    application = AuthMiddlewareStack(routes(YjsConsumer))
    async with (
        served(application) as url,
        YjsClient(f"{url}room") as ann,
        YjsClient(f"{url}room") as bob,
    ):
        await write_words(ann, bob)
        assert [socket.sent for socket in Noting.all] == [["websocket.accept"]] * 2


class Watching(YjsConsumer):
    """Looks at each frame, as projects did that counted them."""

    seen = 0

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        type(self).seen += 1
        await super().receive(text_data, bytes_data)


class Dispatching(YjsConsumer):
    seen = 0

    async def dispatch(self, message: dict[str, Any]) -> None:
        type(self).seen += message["type"] == "websocket.receive"
        await super().dispatch(message)


class Receiving(YjsConsumer):
    seen = 0

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        type(self).seen += 1
        await super().websocket_receive(message)


@pytest.mark.parametrize("consumer", [Watching, Dispatching, Receiving])
async def test_a_consumer_that_overrides_what_takes_frames_gets_all_of_them(
    consumer: type[Watching | Dispatching | Receiving],
) -> None:
    consumer.seen = 0
    async with (
        served(routes(consumer)) as url,
        YjsClient(f"{url}room") as ann,
        YjsClient(f"{url}room") as bob,
    ):
        joined = consumer.seen
        await write_words(ann, bob)
        assert consumer.seen == joined + 10


async def test_middleware_that_looks_at_frames_sees_all_of_them() -> None:
    seen = []
    consumers = routes(YjsConsumer)

    async def middleware(scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def noting_receive() -> Any:
            event = await receive()
            seen.append(event["type"])
            return event

        async def noting_send(message: Any) -> None:
            seen.append(message["type"])
            await send(message)

        await consumers(scope, noting_receive, noting_send)

    async with (
        served(middleware) as url,
        YjsClient(f"{url}room") as ann,
        YjsClient(f"{url}room") as bob,
    ):
        seen.clear()
        await write_words(ann, bob)
        assert seen == ["websocket.receive", "websocket.send"] * 10


# What is as it is behind any other server.


@BOTH
@pytest.mark.parametrize(
    "frame",
    [b"\x04", b"\0\2\xff", create_update_message(poison.RAISING)],
    ids=["unknown", "cut off", "poison"],
)
async def test_a_frame_that_is_not_valid_ends_its_senders_connection_only(
    kind: type[WebSocketProtocol], frame: bytes
) -> None:
    async with (
        served(routes(YjsConsumer), kind) as url,
        YjsClient(f"{url}room") as ann,
        YjsClient(f"{url}room") as bob,
        YjsClient(f"{url}room") as eve,
    ):
        async with ann.edit() as doc:
            doc.apply_update(HELLO)
        await bob.wait_until(lambda: bob.text == "hello")
        await eve.send(frame)
        assert await eve.wait_closed() == 1008
        await write_words(bob, ann)


@BOTH
async def test_an_error_of_the_server_ends_the_connection_and_is_logged(
    kind: type[WebSocketProtocol],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*args: object) -> None:
        raise LookupError("broken")

    async with served(routes(YjsConsumer), kind) as url, YjsClient(f"{url}room") as ann:
        monkeypatch.setattr(Presence, "receive", fail)
        await ann.set_presence({"name": "Ann"})
        assert await ann.wait_closed() == 1011
        await until(lambda: not current_hub().rooms["room", True].members)
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [str(record.exc_info and record.exc_info[1]) for record in records] == ["broken"]


@BOTH
async def test_a_client_that_sends_too_fast_is_read_more_slowly_and_in_order(
    kind: type[WebSocketProtocol], settings: Any
) -> None:
    settings.COLLAB = {**settings.COLLAB, "MESSAGE_RATE": 100, "MESSAGE_BURST": 5}
    async with (
        served(routes(YjsConsumer), kind) as url,
        YjsClient(f"{url}room") as ann,
        YjsClient(f"{url}room") as bob,
    ):
        began = asyncio.get_running_loop().time()
        for number in range(20):
            await ann.insert(f"{number},")
        expected = "".join(f"{number}," for number in range(20))
        await bob.wait_until(lambda: bob.text == expected)
        assert asyncio.get_running_loop().time() - began > 0.13


class Slow(YjsConsumer):
    """Takes its time over an event of the channel layer."""

    begun: asyncio.Event
    gate: asyncio.Event

    async def take_time(self, message: dict[str, Any]) -> None:
        self.begun.set()
        await self.gate.wait()


async def test_frames_wait_for_an_event_that_is_being_handled_and_stay_in_order() -> None:
    Slow.begun, Slow.gate = asyncio.Event(), asyncio.Event()
    async with (
        served(routes(Slow)) as url,
        YjsClient(f"{url}room") as ann,
        YjsClient(f"{url}other") as bob,
    ):
        await get_channel_layer().group_send(group_name("room"), {"type": "take.time"})
        await Slow.begun.wait()
        for word in ("one ", "two "):
            await ann.insert(word)
        # Its frames reach the server after those.
        await bob.insert("other")
        await until(lambda: text_of("other") == "other")
        assert text_of("room") == ""
        Slow.gate.set()
        await ann.insert("three")
        await until(lambda: text_of("room") == "one two three")


user: ContextVar[str] = ContextVar("user", default="nobody")


class Contextual(YjsConsumer):
    """Observes its document, and looks at a variable that it has set."""

    users: list[str]

    async def make_ydoc(self) -> Doc[Any]:
        doc: Doc[Any] = Doc()
        doc.observe(lambda event: self.users.append(user.get()))
        return doc

    async def connect(self) -> None:
        user.set("Ann")
        await super().connect()


@BOTH
async def test_frames_are_handled_in_the_context_of_their_connection(
    kind: type[WebSocketProtocol],
) -> None:
    Contextual.users = []
    async with served(routes(Contextual), kind) as url, YjsClient(f"{url}room") as ann:
        await ann.insert("hello")
        await until(lambda: Contextual.users)
    assert set(Contextual.users) == {"Ann"}


class Kept(YjsConsumer):
    alive: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()

    async def connect(self) -> None:
        self.alive.add(self)
        await super().connect()


async def test_nothing_of_a_connection_stays() -> None:
    async with served(routes(Kept)) as url, YjsClient(f"{url}room") as ann:
        await ann.insert("hello")
        assert len(Kept.alive) == 1
    await close_rooms()
    Noting.all.clear()
    gc.collect()
    assert not Kept.alive
