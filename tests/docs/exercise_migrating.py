"""Uses the samples of docs/migrating.md."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.test import override_settings
from django.urls import path
from notes.carry_over import carry_over  # type: ignore[import-not-found]
from notes.chained_rooms import chained_rooms  # type: ignore[import-not-found]
from notes.doc_consumer import DocConsumer  # type: ignore[import-not-found]
from notes.python_client import synchronized  # type: ignore[import-not-found]
from pycrdt import Doc, Text
from pycrdt.store import SQLiteYStore

from collab import documents
from collab.consumers import YjsConsumer
from collab.testing import ConnectionClosed, close_rooms, connect

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]

application = URLRouter([path("ws/<str:room>", DocConsumer.as_asgi())])
LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


@pytest.mark.parametrize("layers", [{}, LAYERS])
async def test_people_edit_together(layers: dict[str, object]) -> None:
    user = await User.objects.acreate(username="ann")
    with override_settings(CHANNEL_LAYERS=layers):
        async with (
            connect(application, "/ws/first", user=user) as ann,
            connect(application, "/ws/first", user=user) as bob,
        ):
            ann.doc.get("text", type=Text).insert(0, "Hello")
            await bob.wait_until(lambda: str(bob.doc.get("text", type=Text)) == "Hello")


@override_settings(CHANNEL_LAYERS=LAYERS)
async def test_the_event_still_works() -> None:
    user = await User.objects.acreate(username="ann")
    doc: Doc[Text] = Doc()
    doc.get("text", type=Text).insert(0, "Hello")
    async with connect(application, "/ws/first", user=user) as ann:
        event = {"type": "doc_update", "update": doc.get_update()}
        await get_channel_layer().group_send("first", event)
        await ann.wait_until(lambda: str(ann.doc.get("text", type=Text)) == "Hello")


async def test_anonymous_users_are_refused() -> None:
    with pytest.raises(ConnectionClosed, match="4401"):
        async with connect(application, "/ws/first", user=AnonymousUser()):
            pytest.fail("An anonymous user was let in.")


def text_of(doc: Doc[Text]) -> str:
    return str(doc.get("text", type=Text))


async def until_equal(*docs: Doc[Text]) -> None:
    """Wait until all have the same text, which is not empty."""
    changed = asyncio.Event()
    for doc in docs:
        doc.observe(lambda event: changed.set())
    async with asyncio.timeout(60):
        while not text_of(docs[0]) or len({text_of(doc) for doc in docs}) > 1:
            await changed.wait()
            changed.clear()


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Serve documents that everybody may open, and yield the address."""
    routes = URLRouter([path("ws/<path:room>", YjsConsumer.as_asgi())])
    config = uvicorn.Config(routes, lifespan="off", log_config=None, ws="websockets-sansio")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
    finally:
        server.should_exit = True
        await serving
        await close_rooms()


@override_settings(COLLAB={"DEFAULT_ACCESS": "write"})
async def test_programs_edit_together() -> None:
    ann, bob = Doc[Text](), Doc[Text]()
    async with (
        served() as address,
        synchronized(ann, f"{address}/a"),
        synchronized(bob, f"{address}/a"),
    ):
        ann.get("text", type=Text).insert(0, "Hello")
        await until_equal(ann, bob)


@override_settings(COLLAB={"DEFAULT_ACCESS": "write"})
async def test_rooms_in_front_are_kept_equal() -> None:
    ann = Doc[Text]()
    async with served() as address, chained_rooms(address) as rooms:
        room = await rooms.get_room("a")
        async with synchronized(ann, f"{address}/a"):
            ann.get("text", type=Text).insert(0, "Hello")
            await until_equal(ann, room.ydoc)
            room.ydoc.get("text", type=Text).insert(0, "Oh. ")
            await until_equal(ann, room.ydoc)


async def test_stored_documents_are_carried_over(tmp_path: Path) -> None:
    class Store(SQLiteYStore):
        db_path = str(tmp_path / "old.db")

    doc = Doc[Text]()
    doc.get("text", type=Text).insert(0, "from long ago")
    async with Store("carried/1") as store:
        await store.write(doc.get_update())
    for _ in range(2):
        await carry_over(Store.db_path)
        assert text_of(await documents.aread("carried/1")) == "from long ago"
