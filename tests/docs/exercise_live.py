"""Uses the samples of docs/live.md."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.auth.signals import user_logged_in
from django.urls import path
from mysite.asgi import application  # type: ignore[import-not-found]
from notes.announcing import close_desk, measured, remind  # type: ignore[import-not-found]
from notes.live import InboxConsumer  # type: ignore[import-not-found]
from notes.models import Message, Project, Remark, Ticket  # type: ignore[import-not-found]
from notes.routing import websocket_urlpatterns  # type: ignore[import-not-found]
from pycrdt import Map

from collab.testing import CollabClient, ConnectionClosed, connect
from tests.harness.communicator import Communicator

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]

routes = URLRouter([*websocket_urlpatterns, path("ws/inbox/", InboxConsumer.as_asgi())])


@asynccontextmanager
async def talking(url: str, user: Any) -> AsyncIterator[Any]:
    communicator = Communicator(routes, url)
    communicator.scope["user"] = user
    connected, _ = await communicator.connect()
    assert connected
    yield communicator
    await communicator.disconnect()


async def call(communicator: Any, action: str, **arguments: Any) -> dict[str, Any]:
    await communicator.send_json_to({"action": action, "request_id": action, **arguments})
    return await receive(communicator, action)


async def receive(communicator: Any, action: str) -> dict[str, Any]:
    while (frame := json.loads(await communicator.receive_from()))["action"] != action:
        pass
    assert isinstance(frame, dict)
    return frame


async def a_writer() -> User:
    user = await User.objects.acreate(username="ann")
    await user.groups.aadd(await Group.objects.acreate(name="writers"))
    return user


async def test_actions() -> None:
    ann = await a_writer()
    async with talking("ws/desk/", ann) as desk:
        said = await call(desk, "say", text="Hello")
        assert (await call(desk, "count"))["data"] == 1
        assert said["data"] == (await Message.objects.aget()).pk
        wrong = await call(desk, "say", text=1)
        assert wrong["errors"] == [{"text": ["Expected `str`, got `int`."]}]
        assert (await call(desk, "say", text=""))["response_status"] == 400
    bob = await User.objects.acreate(username="bob")
    async with talking("ws/desk/", bob) as desk:
        assert (await call(desk, "say", text="Hello"))["response_status"] == 403
    communicator = Communicator(routes, "ws/desk/")
    communicator.scope["user"] = AnonymousUser()
    connected, _ = await communicator.connect()
    assert not connected


async def test_events() -> None:
    ann = await a_writer()
    await measured(20.5)
    async with talking("ws/desk/", ann) as desk:
        point = await receive(desk, "point")
        assert (point["data"], point["number"]) == ({"value": 20.5}, 1)
        await sync_to_async(remind)(ann)
        assert (await receive(desk, "notification"))["data"] == {"text": "Your turn"}
        await sync_to_async(close_desk)()
        assert (await receive(desk, "closed"))["data"] == {"why": "It is late."}


async def test_runtime_state() -> None:
    ann = await a_writer()
    await Message.objects.acreate(text="Hello", author=ann)
    async with talking("ws/inbox/", ann) as inbox:
        assert (await receive(inbox, "runtime_state"))["data"] == {"unread": 1}
        await call(inbox, "read_all")
        await call(inbox, "hello")
        assert (await receive(inbox, "runtime_state"))["data"] == {"unread": 0}


async def test_any_object() -> None:
    ann = await a_writer()
    first = await Message.objects.acreate(text="Hello", author=ann)
    async with talking("ws/watching/", ann) as watching:
        answer = await call(watching, "subscribe", model="notes.Message", filter={"author": ann.pk})
        assert [each["id"] for each in answer["data"]["instances"]] == [first.pk]
        second = await Message.objects.acreate(text="Bye", author=ann)
        created = await receive(watching, "create")
        assert created["data"]["instance"] == {"id": second.pk, "text": "Bye", "author": ann.pk}


def rows(client: CollabClient, name: str) -> Any:
    return client.doc.get(name, type=Map)


async def call_from(client: CollabClient, action: str, **arguments: Any) -> None:
    client.send(json.dumps({"action": action, "request_id": action, **arguments}))
    await client.wait_until(lambda: client.messages[-1]["request_id"] == action)


async def test_a_state() -> None:
    ann, bob = [await User.objects.acreate(username=name) for name in ("ann", "bob")]
    project = await Project.objects.acreate(name="Kitchen")
    await project.team.aadd(ann)
    address = f"/ws/projects/{project.pk}/"
    with pytest.raises(ConnectionClosed, match="4403"):
        async with connect(application, address, user=bob):
            pytest.fail("Another user was let in.")
    async with connect(application, address, user=ann) as client:
        tickets, remarks = (
            rows(client, f"notes.{name}Serializer") for name in ("Ticket", "Remark")
        )
        tickets["a6b5c2ff-2b0f-4f6b-8a55-0d34cf4f3f55"] = Map({"title": "Paint"})
        await client.wait_until(lambda: client.messages[-1]["action"] == "row_created")
        key = client.messages[-1]["data"]["new_key"]
        remarks["0b0f6a5e-9d5c-4a4e-8f4e-2f1f2d1c9a77"] = Map({"text": "Blue", "ticket": int(key)})
        await client.wait_until(lambda: tickets[key].get("remarks"))
        await project.team.aadd(bob)
        await client.wait_until(lambda: tickets[key]["team_size"] == 2)
        assert set(rows(client, "notes.MemberSerializer").keys()) == {str(ann.pk), str(bob.pk)}
        del tickets[key]
        await client.wait_until(lambda: client.messages[-1]["response_status"] == 403)
        await client.wait_until(lambda: key in tickets)
    assert (await Ticket.objects.aget()).project_id == project.pk
    assert (await Remark.objects.aget()).text == "Blue"


async def test_a_list() -> None:
    ann = await User.objects.acreate(username="ann")
    kitchen = await Project.objects.acreate(name="Kitchen")
    async with connect(application, "/ws/lists/k/", user=ann) as client:
        [order] = rows(client, "collab.roots").values()
        assert list(order["keys"]) == [kitchen.pk]
        cellar = await Project.objects.acreate(name="Keller")
        await client.wait_until(lambda: list(order["keys"]) == [cellar.pk, kitchen.pk])
        bath = await Project.objects.acreate(name="Bath")
        await call_from(client, "pin", project=bath.pk)
        await client.wait_until(lambda: list(order["keys"]) == [bath.pk, cellar.pk, kitchen.pk])


async def test_own_rows() -> None:
    ann, bob = [await User.objects.acreate(username=name) for name in ("ann", "bob")]
    async with connect(application, "/ws/outbox/", user=ann) as client:
        await Message.objects.acreate(text="secret", author=bob)
        own = await Message.objects.acreate(text="Hello", author=ann)
        await client.wait_until(lambda: len(rows(client, "notes.OwnMessageSerializer")))
        assert list(rows(client, "notes.OwnMessageSerializer").keys()) == [str(own.pk)]
        assert b"secret" not in client.doc.get_update()


async def test_observers() -> None:
    ann, bob = [await User.objects.acreate(username=name) for name in ("ann", "bob")]
    async with talking("ws/observer/", ann) as hers, talking("ws/own/", bob) as his:
        await call(hers, "follow", author=ann.pk)
        message = await Message.objects.acreate(text="Hello", author=ann)
        created = await receive(hers, "create")
        assert (created["data"], created["request_id"]) == (
            {"id": message.pk, "text": "Hello"},
            "follow",
        )
        message.author = bob
        await message.asave()
        await receive(hers, "delete")
        assert (await receive(his, "update"))["data"] == {"text": "Hello", "own": True}
        await call(hers, "leave", author=ann.pk, subscription="follow")
        await sync_to_async(user_logged_in.send)(User, user=bob, request=None)
        assert (await receive(hers, "logged_in"))["data"] == {"username": "bob"}


async def test_generic_api() -> None:
    ann, bob = [await User.objects.acreate(username=name) for name in ("ann", "bob")]
    async with (
        talking("ws/api/", ann) as hers,
        talking("ws/api/", bob) as his,
        talking("ws/api/", AnonymousUser()) as nobodys,
    ):
        row = (await call(hers, "create", data={"text": "Hello"}))["data"]
        assert (await call(nobodys, "create", data={"text": "x"}))["response_status"] == 403
        page = {"count": 1, "results": [row], "limit": 10, "offset": 0}
        assert (await call(nobodys, "list", limit=10, search="hell"))["data"] == page
        assert (await call(nobodys, "list", search="heaven"))["data"]["count"] == 0
        await call(his, "subscribe_instance", pk=row["id"])
        refused = await call(his, "patch", pk=row["id"], data={"text": "Bye"})
        assert refused["response_status"] == 403
        await call(hers, "patch", pk=row["id"], data={"text": "Bye"})
        answer = await receive(his, "update")
        assert (answer["response_status"], answer["data"]) == (200, {**row, "text": "Bye"})
        await call(hers, "delete", pk=row["id"])
        assert (await receive(his, "delete"))["data"] == {"pk": row["id"]}


async def test_views() -> None:
    ann = await User.objects.acreate(username="ann")
    message = await Message.objects.acreate(text="Hello", author=ann)
    row = {"id": message.pk, "text": "Hello"}
    async with (
        talking("ws/views/messages/", ann) as messages,
        talking("ws/views/message/", ann) as one,
    ):
        assert (await call(messages, "list"))["data"] == [row]
        assert (await call(one, "retrieve", parameters={"pk": message.pk}))["data"] == row
    async with talking("ws/views/messages/", AnonymousUser()) as messages:
        assert (await call(messages, "list"))["response_status"] == 403
