"""Events of the channel layer reach rooms whose connections share one channel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers
from channels.routing import URLRouter
from django.test import override_settings
from django.urls import path
from pycrdt import Doc

from collab.access import Access
from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.engine.serving.layer_events import RoomEvents, handles_events
from collab.testing import close_rooms
from tests.engine.taps import party
from tests.harness.waiting import until
from tests.protocol.yjs.samples import new_doc, text

MEMORY = {"BACKEND": "collab_storage.memory.MemoryStorage"}

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])


class Seeding(YjsConsumer):
    """Has the hooks of nearly all projects."""

    echo_updates = True

    def make_room_name(self) -> str:
        return "other"

    async def authorize(self) -> Access:
        return Access.WRITE

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        """Seed nothing."""


class Grouped(YjsConsumer):
    groups: ClassVar = ["news"]


class Handling(YjsConsumer):
    async def news_flash(self, event: dict[str, Any]) -> None:
        """Handle an event."""


class Inheriting(Handling):
    """Handles the event of its base."""


@pytest.fixture
async def layer() -> AsyncIterator[InMemoryChannelLayer]:
    layer = InMemoryChannelLayer()
    with override_settings(COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY}):
        channel_layers.set("default", layer)
        yield layer
        await close_rooms()
        channel_layers.set("default", None)
        del channel_layers.backends["default"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (YjsConsumer, False),
        (Seeding, False),
        (Grouped, True),
        (Handling, True),
        (Inheriting, True),
    ],
)
def test_a_class_needs_a_channel_if_it_may_handle_events(
    kind: type[YjsConsumer], expected: bool
) -> None:
    assert handles_events(kind(), YjsConsumer) is expected


def test_a_consumer_that_is_none_of_ours_may_handle_events() -> None:
    assert handles_events(YjsConsumer(), Handling)


async def test_the_members_of_a_room_share_one_channel(layer: InMemoryChannelLayer) -> None:
    async with party(application, 3), party(application, 2, "other"):
        assert [len(layer.groups[name]) for name in ("room", "other")] == [1, 1]
    await until(lambda: not layer.groups)


async def test_the_last_member_that_leaves_ends_the_channel(layer: InMemoryChannelLayer) -> None:
    async with party(application, 1) as (tap,):
        async with party(application, 1):
            pass
        await layer.group_send("room", {"type": "send.message", "message": b"\x64hello"})
        await until(lambda: any(b"\x64hello" in data for data in tap.written))


async def test_an_event_with_an_update_changes_the_document_once(
    layer: InMemoryChannelLayer,
) -> None:
    async with party(application, 3) as taps:
        event = {"type": "doc_update", "update": new_doc("word").get_update()}
        await layer.group_send("room", event)
        await until(lambda: all(tap.written for tap in taps))
        assert text(current_hub().rooms["room", True].doc) == "word"
        assert [len(tap.written) for tap in taps] == [1, 1, 1]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "doc_update", "update": b"\x07"},
        {"type": "doc_update"},
        {"type": "send_message"},
        {"type": "unheard.of"},
        {"type": "_private"},
    ],
    ids=str,
)
async def test_an_event_that_is_not_valid_harms_no_member(
    layer: InMemoryChannelLayer, caplog: pytest.LogCaptureFixture, event: dict[str, Any]
) -> None:
    caplog.set_level(logging.ERROR, "collab.consumers")
    async with party(application, 1) as (tap,):
        await layer.group_send("room", event)
        await until(lambda: caplog.records)
        await layer.group_send("room", {"type": "send_message", "message": b"\x64hello"})
        await until(lambda: tap.written)
    assert [record.__dict__["room"] for record in caplog.records] == ["room"]
    caplog.clear()


class Arriving:
    """A connection that is not in a room yet."""

    has_room = False
    member = None

    @property
    def room(self) -> Any:
        raise AssertionError("It has none.")


async def test_events_pass_connections_that_are_in_no_room_yet(
    layer: InMemoryChannelLayer,
) -> None:
    async with party(application, 1) as (tap,):
        events, arriving = RoomEvents(), Arriving()
        await events.enter(layer, "room", arriving)
        await layer.group_send("room", {"type": "send_message", "message": b"\x64hello"})
        await until(lambda: tap.written)
        await events.leave(layer, "room", arriving)
        # Once more, as a connection does that has failed to join.
        await events.leave(layer, "room", arriving)


async def test_a_connection_that_is_cancelled_leaves_the_channel_to_the_others(
    layer: InMemoryChannelLayer,
) -> None:
    events, first, second = RoomEvents(), Arriving(), Arriving()
    entering = [asyncio.create_task(events.enter(layer, "room", each)) for each in (first, second)]
    await asyncio.sleep(0)
    entering[0].cancel()
    await entering[1]
    await events.leave(layer, "room", first)
    assert len(layer.groups["room"]) == 1
    await events.leave(layer, "room", second)
    assert not layer.groups
