"""Nothing of a connection or a document stays when it is over."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from channels.layers import channel_layers, get_channel_layer
from channels.routing import URLRouter
from django.test import override_settings
from django.urls import path
from pycrdt import Doc, TransactionEvent, create_update_message

from collab import documents
from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.testing import close_rooms
from collab_storage.exceptions import StorageUnavailable
from tests.engine.fakes import HinderedStorage
from tests.harness.communicator import Communicator
from tests.harness.waiting import until
from tests.protocol.yjs import poison
from tests.protocol.yjs.samples import HELLO, insert


class Observing(YjsConsumer):
    """Observes its document with a method, as the peer's documentation shows."""

    alive: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()

    async def make_ydoc(self) -> Doc[Any]:
        doc: Doc[Any] = Doc()
        doc.observe(self.on_update_event)
        self.alive.add(doc)
        return doc

    async def connect(self) -> None:
        self.alive.add(self)
        await super().connect()

    def on_update_event(self, event: TransactionEvent) -> None:
        """Do something with the event."""


#: Types of what may keep something of each document.
CONTAINERS = (dict, deque, list, set)

application = URLRouter([path("ws/<str:room>", Observing.as_asgi())])


@pytest.fixture(autouse=True)
async def storage() -> AsyncIterator[HinderedStorage]:
    hindered = {"BACKEND": f"{HinderedStorage.__module__}.HinderedStorage"}
    with override_settings(
        COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": hindered, "UNLOAD_DELAY": 0.001}
    ):
        channel_layers.backends.clear()
        current_hub()
        yield HinderedStorage.latest
        await close_rooms()


async def visit(room: str, *frames: bytes) -> None:
    client = Communicator(application, f"ws/{room}")
    await client.connect()
    for frame in frames:
        await client.send_to(bytes_data=frame)
    await client.disconnect()


def is_all_gone() -> bool:
    gc.collect()
    return not Observing.alive


async def test_documents_and_connections_are_freed(storage: HinderedStorage) -> None:
    for number in range(20):
        await visit(f"room{number}", create_update_message(HELLO))
    await until(lambda: not current_hub().rooms)
    await until(is_all_gone)


def number_of_items() -> int:
    """Return how many items all containers of the process have together."""
    gc.collect()
    # By their type: a lazy object of Django makes its value when it is asked for its class.
    containers = (each for each in gc.get_objects() if issubclass(type(each), CONTAINERS))
    return sum(map(len, containers))


async def test_documents_that_were_used_leave_nothing_behind(storage: HinderedStorage) -> None:
    async def use(first: int, number: int) -> None:
        for each in range(first, first + number):
            await visit(f"room{each}", create_update_message(HELLO))
            await until(lambda: not current_hub().rooms)
            await documents.adelete(f"room{each}")

    await use(0, 10)
    before = number_of_items()
    await use(10, 50)
    # Less than an item of each.
    await until(lambda: number_of_items() < before + 50)


async def test_a_document_that_was_repaired_is_freed_as_well(storage: HinderedStorage) -> None:
    await visit("room", create_update_message(HELLO), create_update_message(poison.RAISING))
    await until(lambda: not current_hub().rooms)
    await until(is_all_gone)


async def test_a_connection_is_freed_while_the_document_lives_on(
    storage: HinderedStorage,
) -> None:
    client = Communicator(application, "ws/room")
    await client.connect()
    await client.receive_from()
    before = set(Observing.alive)
    await visit("room", create_update_message(HELLO))
    await until(lambda: not gc.collect() and set(Observing.alive) == before)
    before.clear()
    await client.disconnect()
    await until(lambda: not current_hub().rooms)


async def test_a_document_that_cannot_be_opened_is_freed(
    storage: HinderedStorage, caplog: pytest.LogCaptureFixture
) -> None:
    # Tracebacks hold all of it: that of the error, and in the record of it.
    caplog.set_level("CRITICAL", "collab")
    storage.failures["create"] = StorageUnavailable()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Observing, "seed_ydoc", seed)
        await visit("room")
    storage.failures.clear()
    await until(is_all_gone)


async def seed(consumer: YjsConsumer, doc: Doc[Any]) -> None:
    insert(doc, "seed")


async def test_a_document_that_is_deleted_under_its_members_is_freed_and_stays_deleted(
    storage: HinderedStorage,
) -> None:
    client = Communicator(application, "ws/room")
    await client.connect()
    await client.receive_from()
    await client.send_to(bytes_data=create_update_message(HELLO))
    await until(lambda: storage.calls["append"])
    room = current_hub().rooms["room", True]
    assert await documents.adelete("room")
    assert (await client.receive_output())["code"] == 4404
    # The project's code may come too late with an event, or with a look at the document.
    await get_channel_layer().group_send("room", {"type": "doc_update", "update": HELLO})
    room.edit(HELLO)
    insert(room.doc, "?")
    await client.receive_nothing(0.01)
    await client.disconnect()
    del room
    await until(is_all_gone)
    assert not await documents.aexists("room")


async def test_a_refused_connection_leaves_nothing_in_the_channel_layer(
    storage: HinderedStorage,
) -> None:
    storage.failures["load"] = StorageUnavailable()
    client = Communicator(application, "ws/room")
    await client.connect()
    assert (await client.receive_output())["code"] == 1011
    await client.disconnect()
    assert get_channel_layer().groups == {}


async def test_a_connection_that_has_ended_leaves_nothing_in_the_channel_layer(
    storage: HinderedStorage,
) -> None:
    await visit("room")
    assert get_channel_layer().groups == {}
