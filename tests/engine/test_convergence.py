"""Whatever clients do at once, and however often they lose the connection, all end up equal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from channels.routing import URLRouter
from django.test import override_settings
from django.urls import path
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, create_sync_message, create_update_message, handle_sync_message

from collab import documents
from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.testing import close_rooms
from collab_storage.exceptions import StorageUnavailable
from tests.engine.fakes import HinderedStorage
from tests.harness.communicator import Communicator
from tests.harness.waiting import DEADLINE
from tests.protocol.yjs.samples import changes, content, text

CLIENTS = 3

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])


class Client:
    """A stock Yjs client that may lose its connection and keeps on editing then."""

    def __init__(self) -> None:
        self.doc: Doc[Any] = Doc()
        self._connection: Communicator | None = None

    async def connect(self) -> None:
        if self._connection is None:
            self._connection = Communicator(application, "ws/room")
            connected, _ = await self._connection.connect()
            assert connected
            await self._connection.send_to(bytes_data=create_sync_message(self.doc))

    async def disconnect(self) -> None:
        """Go, without having read what was sent last."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.disconnect()

    async def edit(self, change: Callable[[Doc[Any]], None]) -> None:
        with changes(self.doc) as updates:
            change(self.doc)
        if self._connection is not None:
            for update in updates:
                await self._connection.send_to(bytes_data=create_update_message(update))

    async def read(self) -> None:
        """Take in what has come, and answer it."""
        while self._connection is not None and self._connection.output_queue.qsize():
            message = self._connection.output_queue.get_nowait()
            assert message["type"] == "websocket.send", message
            reply = handle_sync_message(message["bytes"][1:], self.doc)
            if reply is not None:
                await self._connection.send_to(bytes_data=reply)


class World:
    """Some clients of one document, and the storage behind them."""

    def __init__(self) -> None:
        current_hub()
        self.storage = HinderedStorage.latest
        self.clients = [Client() for _ in range(CLIENTS)]

    async def insert(self, client: int, number: int, *_: object) -> None:
        def change(doc: Doc[Any]) -> None:
            content(doc).insert(number % (len(content(doc)) + 1), f"{client}{number};")

        await self.clients[client].edit(change)

    async def delete(self, client: int, number: int) -> None:
        def change(doc: Doc[Any]) -> None:
            if length := len(content(doc)):
                start = number % length
                del content(doc)[start : min(start + 3, length)]

        await self.clients[client].edit(change)

    async def connect(self, client: int, number: int) -> None:
        await self.clients[client].connect()

    async def disconnect(self, client: int, number: int) -> None:
        await self.clients[client].disconnect()

    async def read(self, client: int, number: int) -> None:
        await asyncio.sleep(0)
        await self.clients[client].read()

    async def lose_storage(self, client: int, number: int) -> None:
        self.storage.failures["append"] = StorageUnavailable()

    async def regain_storage(self, client: int, number: int) -> None:
        self.storage.failures.clear()

    async def unload(self, client: int, number: int) -> None:
        """Remove all members, and the room too unless it has work that is unsaved."""
        for each in self.clients:
            await each.disconnect()
        # Longer than an empty room is kept, as a rule: either is a case of this test.
        await asyncio.sleep(0.005)

    async def settle(self) -> None:
        self.storage.failures.clear()
        for client in self.clients:
            await client.connect()

        async with asyncio.timeout(DEADLINE):
            # Twice, for what is still on its way.
            while not (await self.is_settled() and await self.is_settled()):
                pass

    async def is_settled(self) -> bool:
        # Several flushes may be due; the caller asks until two answers in a row are yes.
        await asyncio.sleep(0.003)
        for client in self.clients:
            await client.read()
        texts = {text(client.doc) for client in self.clients}
        return len(texts) == 1 and not current_hub().writer.has("room")


STEPS = [
    World.insert,
    World.insert,
    World.delete,
    World.connect,
    World.disconnect,
    World.read,
    World.lose_storage,
    World.regain_storage,
    World.unload,
]
steps = st.lists(
    st.tuples(st.sampled_from(STEPS), st.integers(0, CLIENTS - 1), st.integers(0, 200)),
    min_size=1,
    max_size=30,
)


async def live(script: list[tuple[Any, int, int]]) -> None:
    world = World()
    for client in world.clients:
        await client.connect()
    for step, who, number in script:
        await step(world, who, number)
    await world.settle()
    expected = text(world.clients[0].doc)
    assert {text(client.doc) for client in world.clients} == {expected}
    for client in world.clients:
        await client.disconnect()
    await close_rooms()
    if expected:
        assert text(await documents.aread("room")) == expected


@given(steps)
@settings(max_examples=40)
def test_clients_and_storage_end_up_equal(script: list[tuple[Any, int, int]]) -> None:
    hindered = {"BACKEND": f"{HinderedStorage.__module__}.HinderedStorage"}
    limits = {"WRITE_DELAY": 0.001, "UNLOAD_DELAY": 0.002}
    limits["CLOSE_TIMEOUT"] = 0.002
    with override_settings(
        COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": hindered, **limits}, CHANNEL_LAYERS={}
    ):
        asyncio.run(live(script))
