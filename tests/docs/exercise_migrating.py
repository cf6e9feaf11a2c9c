"""Uses the samples of docs/migrating.md."""

from __future__ import annotations

import pytest
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.test import override_settings
from django.urls import path
from notes.doc_consumer import DocConsumer  # type: ignore[import-not-found]
from pycrdt import Doc, Text

from collab.testing import ConnectionClosed, connect

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
