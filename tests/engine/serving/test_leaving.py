"""A connection that has ended is gone at once, and a project may keep its consumer."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
from channels.routing import URLRouter
from django.urls import path
from pycrdt import Doc, Text

from collab.access import Access
from collab.consumers import YjsConsumer, serving_connection
from collab.testing import close_rooms
from tests.engine.taps import Tap, party

pytestmark = pytest.mark.django_db(transaction=True)


#: Consumers and their connections.
served_once: list[weakref.ref[Any]] = []


class Plain(YjsConsumer):
    """Records its consumers without keeping them."""

    storage = None

    def make_room_name(self) -> str:
        served_once.extend((weakref.ref(self), weakref.ref(serving_connection(self))))
        return super().make_room_name()


class Kept(YjsConsumer):
    """Keeps its consumers."""

    ended: ClassVar[list[YjsConsumer]] = []
    storage = None

    async def disconnect(self, code: int) -> None:
        self.ended.append(self)


class Titled(YjsConsumer):
    """Makes its documents itself."""

    opener: ClassVar[list[Any]] = []
    storage = None

    async def make_ydoc(self) -> Doc[Any]:
        self.opener.append(serving_connection(self))
        return Doc({"title": Text()})


def served(consumer: type[YjsConsumer]) -> Any:
    return URLRouter([path("ws/<str:room>", consumer.as_asgi())])


@pytest.fixture(autouse=True)
async def rooms() -> AsyncIterator[None]:
    """Close the rooms of a test."""
    yield
    await close_rooms()


@contextmanager
def without_collector() -> Iterator[None]:
    """Free objects by their counts of references only."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def test_a_connection_that_has_ended_leaves_nothing_to_the_garbage_collector() -> None:
    served_once.clear()
    application = served(Plain)
    async with party(application, 1):
        with without_collector():
            async with Tap(application, "room"):
                pass
            consumer, connection = served_once[2:]
            assert (consumer(), connection()) == (None, None)


async def test_a_consumer_can_be_used_when_its_connection_has_ended() -> None:
    Kept.ended.clear()
    async with Tap(served(Kept), "room"):
        pass
    (consumer,) = Kept.ended
    assert (consumer.room_name, consumer.room.name) == ("room", "room")
    assert consumer.access is Access.WRITE
    assert consumer.scope["path"] == "/ws/room"
    await consumer.close()
    await consumer.send_message({"message": b"late"})
    # The project is not asked about a client that has left, whose access stays as it was.
    await consumer.recheck_access()
    assert consumer.access is Access.WRITE


async def test_the_connection_that_opened_a_document_makes_its_docs_when_it_has_ended() -> None:
    Titled.opener.clear()
    async with party(served(Titled), 1), Tap(served(Titled), "room"):
        pass
    (connection,) = Titled.opener
    assert "title" in await connection.make_ydoc()
