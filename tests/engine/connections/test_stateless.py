"""Messages of ``CollabProvider`` that are no part of a document."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

import pytest
from channels.routing import URLRouter
from django.contrib.auth.models import User
from django.urls import path

from collab.access import Access
from collab.consumers import YjsConsumer
from collab.engine.rooms.member import Member
from collab.exceptions import Forbidden
from collab.testing import CollabClient, connect

pytestmark = pytest.mark.usefixtures("memory")


class Echo(YjsConsumer):
    """Sends messages back, but for some."""

    received: ClassVar[list[tuple[str | None, Any, Access, str]]] = []
    gate: ClassVar[asyncio.Event]
    ended: ClassVar[list[str]]

    async def receive_stateless(self, member: Member, payload: str) -> None:
        self.received.append((member.room_name, member.user, member.access, payload))
        if payload == "forbidden":
            raise Forbidden("Not that.")
        if payload == "broken":
            raise LookupError
        if payload == "wait":
            try:
                await self.gate.wait()
            finally:
                self.ended.append(payload)
        member.send_stateless(payload)


application = URLRouter(
    [path("ws/<str:room>", Echo.as_asgi()), path("deaf/<str:room>", YjsConsumer.as_asgi())]
)


@pytest.fixture(autouse=True)
def fresh() -> None:
    Echo.received.clear()
    Echo.gate, Echo.ended = asyncio.Event(), []


def send(client: CollabClient, data: Any, **fields: Any) -> None:
    client.send(json.dumps({"action": "stateless", "data": data, **fields}))


def heard(client: CollabClient) -> list[Any]:
    frames = [frame for frame in client.messages if frame["action"] == "stateless"]
    return [frame["data"] or frame["errors"] for frame in frames]


async def test_messages_reach_the_project_in_their_order() -> None:
    ann = User(pk=1, username="ann")
    async with connect(application, "/ws/room", user=ann) as client:
        for payload in ("wait", "two", "three"):
            send(client, payload)
        Echo.gate.set()
        await client.wait_until(lambda: heard(client) == ["wait", "two", "three"])
        assert Echo.received == [
            ("room", ann, Access.WRITE, text) for text in ("wait", "two", "three")
        ]
        # A further one, when all before it are handled.
        send(client, "four")
        await client.wait_until(lambda: heard(client)[3:] == ["four"])


async def test_a_message_that_is_no_text_is_answered_with_an_error() -> None:
    async with connect(application, "/ws/room") as client:
        for data in (5, None, {"a": 1}):
            send(client, data, request_id=7)
        await client.wait_until(lambda: len(heard(client)) == 3)
        assert heard(client) == [['Send a text as "data".']] * 3
        assert client.messages[-1]["request_id"] == 7
        assert Echo.received == []


@pytest.mark.parametrize(("payload", "code"), [("forbidden", 4403), ("broken", 1011)])
async def test_a_message_that_the_project_does_not_handle_ends_the_connection(
    payload: str, code: int
) -> None:
    async with connect(application, "/ws/room") as client:
        send(client, payload)
        send(client, "after")
        assert (await client.wait_closed()).code == code
    assert [text for *_, text in Echo.received] == [payload]


async def test_messages_that_wait_are_limited() -> None:
    async with connect(application, "/ws/room") as client:
        for payload in ("wait", "x" * 900_000, "x" * 200_000):
            send(client, payload)
        assert (await client.wait_closed()).code == 1013


async def test_a_client_that_leaves_takes_its_messages_along() -> None:
    async with connect(application, "/ws/room") as client:
        send(client, "wait")
        send(client, "never")
        await client.wait_until(lambda: Echo.received)
    assert [text for *_, text in Echo.received] == Echo.ended == ["wait"]


async def test_a_project_that_expects_no_messages_ignores_them() -> None:
    async with connect(application, "/deaf/room") as client:
        send(client, "hello")
        client.send(json.dumps({"action": "hello", "request_id": 2}))
        await client.wait_until(lambda: client.messages[-1]["request_id"] == 2)
        assert heard(client) == []
