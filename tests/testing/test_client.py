"""The helpers for users' own tests, used as their tests would use them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django.contrib.auth.models import User
from django.test import TestCase
from django.urls import path
from pycrdt import Doc, Text

from collab import documents
from collab.access import Access
from collab.conf import get_storage
from collab.consumers import YjsConsumer
from collab.engine.hub.current import live_hubs
from collab.testing import (
    CollabClient,
    ConnectionClosed,
    close_rooms,
    connect,
    use_memory_storage,
)
from collab_storage.memory import MemoryStorage

in_memory = pytest.mark.usefixtures("memory_storage")


@pytest.fixture
def memory_storage() -> Any:
    with use_memory_storage():
        yield


class Consumer(YjsConsumer):
    """Users may do what they are called."""

    async def authorize(self) -> Access:
        user = self.scope["user"]
        return Access[user.username.upper()] if user.is_authenticated else Access.NONE


class Unstored(YjsConsumer):
    storage = None


class Unopened(YjsConsumer):
    async def make_ydoc(self) -> Doc[Any]:
        raise LookupError("nothing to be read here")


class Broken(YjsConsumer):
    async def receive(self, *args: Any, **kwargs: Any) -> None:
        raise LookupError("broken")


application = URLRouter(
    [
        path("ws/<str:room>", Consumer.as_asgi()),
        path("open/<str:room>", YjsConsumer.as_asgi()),
        path("unstored/<str:room>", Unstored.as_asgi()),
        path("unopened/<str:room>", Unopened.as_asgi()),
        path("broken/<str:room>", Broken.as_asgi()),
    ]
)
site = ProtocolTypeRouter(
    {"websocket": OriginValidator(AuthMiddlewareStack(application), ["localhost"])}
)


def text(client: CollabClient) -> str:
    return str(client.doc.get("text", type=Text))


def says(client: CollabClient, expected: str) -> Callable[[], bool]:
    return lambda: text(client) == expected


def write(client: CollabClient, words: str) -> None:
    client.doc.get("text", type=Text).insert(0, words)


# The client.


@in_memory
async def test_two_clients_edit_together() -> None:
    async with connect(application, "/open/room") as ann, connect(application, "open/room") as bob:
        write(ann, "Hello")
        await bob.wait_until(says(bob, "Hello"))
        write(bob, "X")
        await ann.wait_until(says(ann, "XHello"))


@in_memory
async def test_a_saved_edit_is_in_the_storage() -> None:
    async with connect(application, "/open/room") as client:
        write(client, "Hello")
        await client.wait_saved()
        assert await get_storage().exists("room")


@in_memory
async def test_a_document_with_content_is_brought_along() -> None:
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, "offline")
    async with connect(application, "/open/room", doc=doc) as client:
        await client.wait_saved()
    assert str((await documents.aread("room")).get("text", type=Text)) == "offline"


@in_memory
async def test_rooms_are_opened_from_the_storage_after_the_last_client() -> None:
    async with connect(application, "/open/room") as client:
        write(client, "Hello")
    assert live_hubs() == []
    async with connect(application, "/open/room") as client:
        assert text(client) == "Hello"


@in_memory
async def test_a_client_may_come_back() -> None:
    client = CollabClient(application, "/open/room")
    await client.connect()
    write(client, "Hello")
    await client.wait_saved()
    await client.disconnect()
    await client.disconnect()
    write(client, "Oh, ")
    again = CollabClient(application, "/open/room", doc=client.doc)
    await again.connect()
    await again.wait_saved()
    await again.disconnect()
    await close_rooms()
    assert str((await documents.aread("room")).get("text", type=Text)) == "Oh, Hello"


@in_memory
async def test_presence_is_seen_and_taken_back() -> None:
    async with connect(application, "/open/room") as ann, connect(application, "/open/room") as bob:
        ann.set_presence({"name": "Ann"})
        await bob.wait_until(lambda: bob.presence.get(ann.doc.client_id) == {"name": "Ann"})
        ann.set_presence(None)
        await bob.wait_until(lambda: ann.doc.client_id not in bob.presence)


@in_memory
async def test_a_reader_is_informed_that_it_may_not_write() -> None:
    ann = User(pk=1, username="read")
    async with connect(application, "/ws/room", user=ann) as client:
        assert client.access == "read"
        write(client, "Hello")
        await client.wait_until(lambda: client.errors)
        with pytest.raises(RuntimeError, match="are not stored"):
            await client.wait_saved()


@in_memory
async def test_a_reader_becomes_a_writer() -> None:
    ann = User(pk=1, username="read")
    async with connect(application, "/ws/room", user=ann) as client:
        write(client, "lost at first")
        ann.username = "write"
        await documents.arecheck_access("room", user=ann)
        await client.wait_until(lambda: client.access == "write")
        write(client, "now ")
        await client.wait_saved()
    assert str((await documents.aread("room")).get("text", type=Text)) == "now lost at first"


async def test_a_room_in_memory_is_never_saved() -> None:
    async with connect(application, "/unstored/room") as client:
        with pytest.raises(RuntimeError, match="are not stored"):
            await client.wait_saved()


# The end of a connection.


@pytest.mark.parametrize("subprotocols", [("collab",), ()])
async def test_a_refusal_is_raised(subprotocols: tuple[str, ...]) -> None:
    forbidden = User(pk=1, username="none")
    with pytest.raises(ConnectionClosed) as raised:
        async with connect(application, "/ws/room", user=forbidden, subprotocols=subprotocols):
            pytest.fail("It was let in.")
    assert raised.value.code == 4403


@pytest.mark.django_db(transaction=True)
async def test_the_session_says_who_connects() -> None:
    with pytest.raises(ConnectionClosed, match="4401 Log in"):
        async with connect(site, "/ws/room", headers={"Cookie": "sessionid=x"}):
            pytest.fail("It was let in.")


@pytest.mark.django_db(transaction=True)
async def test_another_site_is_refused() -> None:
    with pytest.raises(ConnectionClosed):
        async with connect(site, "/open/room", headers={"Origin": "http://evil"}):
            pytest.fail("It was let in.")


@pytest.mark.parametrize(
    "allowed",
    ["localhost", "example.com", ".example.com", "https://.example.com:444", "http://[::1]", "*"],
)
@pytest.mark.django_db(transaction=True)
@in_memory
async def test_a_client_comes_from_a_page_of_the_site(allowed: str) -> None:
    async with connect(OriginValidator(application, [allowed]), "/open/room") as client:
        assert client.access == "write"


@in_memory
async def test_the_server_ends_a_connection() -> None:
    async with connect(application, "/open/room") as client:
        client.send(b"\xff")
        closed = await client.wait_closed()
        assert closed.code == 1008
        with pytest.raises(ConnectionClosed):
            await client.wait_until(lambda: False)


@in_memory
async def test_an_error_in_the_consumer_fails_the_test() -> None:
    with pytest.raises(LookupError, match="broken"):
        async with connect(application, "/broken/room"):
            pytest.fail("It was let in.")


async def test_an_application_that_ends_without_a_word() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    with pytest.raises(ConnectionClosed, match="1006"):
        async with connect(silent, "/"):
            pytest.fail("It was let in.")


@in_memory
async def test_waiting_has_an_end() -> None:
    async with connect(application, "/open/room") as client:
        with pytest.raises(TimeoutError):
            await client.wait_until(lambda: False, within=0.01)


async def test_frames_of_other_kinds_are_left_alone() -> None:
    async def talkative(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": b"\x02\x00"})
        await send({"type": "websocket.close"})
        await receive()

    with pytest.raises(ConnectionClosed, match="1000"):
        async with connect(talkative, "/"):
            pytest.fail("It was let in.")


# The storage.


@use_memory_storage()
async def test_the_storage_is_in_memory_in_a_decorated_test() -> None:
    assert isinstance(get_storage(), MemoryStorage)


def test_each_use_begins_without_documents(settings: Any) -> None:
    settings.COLLAB = {"MAX_ROOMS": 7}
    for _ in range(2):
        with use_memory_storage():
            assert not documents.exists("room")
            with documents.edit("room") as doc:
                doc.get("text", type=Text).insert(0, "Hello")
    assert settings.COLLAB == {"MAX_ROOMS": 7}


class InTestCase(TestCase):
    """Uses that work in a transaction that is never committed."""

    def test_documents(self) -> None:
        with documents.edit("room") as doc:
            doc.get("text", type=Text).insert(0, "Hello")
        assert str(documents.read("room").get("text", type=Text)) == "Hello"

    async def test_rooms_on_the_database_are_refused(self) -> None:
        with pytest.raises(RuntimeError, match="use_memory_storage"):
            async with connect(application, "/open/room"):
                pytest.fail("It was let in.")

    @use_memory_storage()
    async def test_why_a_document_may_not_open_here_is_explained(self) -> None:
        with pytest.raises(ConnectionClosed, match="1011") as raised:
            async with connect(application, "/unopened/room"):
                pytest.fail("It was opened.")
        assert "TransactionTestCase" in raised.value.__notes__[0]

    @use_memory_storage()
    async def test_middleware_leaves_the_connection_of_the_transaction_open(self) -> None:
        await User.objects.acreate(username="ann")
        async with connect(AuthMiddlewareStack(application), "/open/room"):
            pass
        assert await User.objects.acount() == 1

    @use_memory_storage()
    async def test_refusals_need_no_explanation(self) -> None:
        with pytest.raises(ConnectionClosed, match="4403") as raised:
            async with connect(application, "/ws/room", user=User(pk=1, username="none")):
                pytest.fail("It was let in.")
        assert not hasattr(raised.value, "__notes__")

    @use_memory_storage()
    async def test_rooms_in_memory(self) -> None:
        user = await User.objects.acreate(username="write")
        async with connect(site, "/ws/room", user=user) as client:
            write(client, "Hello")
            await client.wait_saved()
            async with documents.aedit("room", user) as doc:
                doc.get("text", type=Text).insert(0, "Oh, ")
            await client.wait_until(says(client, "Oh, Hello"))


@in_memory
async def test_outside_of_a_transaction_there_is_nothing_to_explain() -> None:
    with pytest.raises(ConnectionClosed, match="1011") as raised:
        async with connect(application, "/unopened/room"):
            pytest.fail("It was opened.")
    assert not hasattr(raised.value, "__notes__")


@pytest.mark.django_db(transaction=True)
async def test_rooms_on_the_database() -> None:
    user = await User.objects.acreate(username="write")
    async with connect(application, "/ws/room", user=user) as client:
        write(client, "Hello")
        await client.wait_saved()
    assert str((await documents.aread("room")).get("text", type=Text)) == "Hello"


@in_memory
async def test_nothing_is_lost_when_a_client_has_waited_in_vain() -> None:
    async with connect(application, "/open/room") as ann:
        for number in range(3):
            waiting = asyncio.ensure_future(ann.wait_until(lambda: False))
            await asyncio.sleep(0)
            # It comes in the turn of the loop in which the waiting ends.
            frame = json.dumps({"action": "news", "errors": [f"error {number}"]})
            ann._output.put_nowait({"type": "websocket.send", "text": frame})
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
        await ann.wait_until(lambda: ann.errors == ["error 0", "error 1", "error 2"])
