"""Uses the samples of docs/live.md."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser, Group, User
from django.urls import path
from mysite.asgi import websockets  # type: ignore[import-not-found]
from notes.live import InboxConsumer  # type: ignore[import-not-found]
from notes.models import Message  # type: ignore[import-not-found]
from notes.telling import close_chat, measured, remind  # type: ignore[import-not-found]

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]

routes = URLRouter([*websockets.routes, path("inbox/", InboxConsumer.as_asgi())])


@asynccontextmanager
async def talking(url: str, user: Any) -> AsyncIterator[Any]:
    communicator = WebsocketCommunicator(routes, url)
    communicator.scope["user"] = user
    connected, _ = await communicator.connect(10)
    assert connected
    yield communicator
    await communicator.disconnect()


async def call(communicator: Any, action: str, **arguments: Any) -> dict[str, Any]:
    await communicator.send_json_to({"action": action, "request_id": action, **arguments})
    return await take(communicator, action)


async def take(communicator: Any, action: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while (frame := json.loads(await communicator.receive_from(10)))["action"] != action:
            pass
    assert isinstance(frame, dict)
    return frame


async def a_writer() -> User:
    user = await User.objects.acreate(username="ann")
    await user.groups.aadd(await Group.objects.acreate(name="writers"))
    return user


async def test_actions() -> None:
    ann = await a_writer()
    async with talking("chat/", ann) as chat:
        said = await call(chat, "say", text="Hello")
        assert (await call(chat, "count"))["data"] == 1
        assert said["data"] == (await Message.objects.aget()).pk
        wrong = await call(chat, "say", text=1)
        assert wrong["errors"] == [{"text": ["Expected `str`, got `int`."]}]
        assert (await call(chat, "say", text=""))["response_status"] == 400
    bob = await User.objects.acreate(username="bob")
    async with talking("chat/", bob) as chat:
        assert (await call(chat, "say", text="Hello"))["response_status"] == 403
    communicator = WebsocketCommunicator(routes, "chat/")
    communicator.scope["user"] = AnonymousUser()
    connected, _ = await communicator.connect()
    assert not connected


async def test_events() -> None:
    ann = await a_writer()
    await measured(20.5)
    async with talking("chat/", ann) as chat:
        point = await take(chat, "point")
        assert (point["data"], point["number"]) == ({"value": 20.5}, 1)
        await sync_to_async(remind)(ann)
        assert (await take(chat, "notification"))["data"] == {"text": "Your turn"}
        await sync_to_async(close_chat)()
        assert (await take(chat, "closed"))["data"] == {"why": "It is late."}


async def test_runtime_state() -> None:
    ann = await a_writer()
    await Message.objects.acreate(text="Hello", author=ann)
    async with talking("inbox/", ann) as inbox:
        assert (await take(inbox, "runtime_state"))["data"] == {"unread": 1}
        await call(inbox, "read_all")
        await call(inbox, "hello")
        assert (await take(inbox, "runtime_state"))["data"] == {"unread": 0}


async def test_any_object() -> None:
    ann = await a_writer()
    first = await Message.objects.acreate(text="Hello", author=ann)
    async with talking("everything/", ann) as everything:
        answer = await call(
            everything, "subscribe", model="notes.Message", filter={"author": ann.pk}
        )
        assert [each["id"] for each in answer["data"]["instances"]] == [first.pk]
        second = await Message.objects.acreate(text="Bye", author=ann)
        created = await take(everything, "create")
        assert created["data"]["instance"] == {"id": second.pk, "text": "Bye", "author": ann.pk}
