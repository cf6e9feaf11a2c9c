from __future__ import annotations

import pytest
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.urls import path
from pycrdt import Doc, Text, create_sync_message, create_update_message

from collab import documents
from collab.consumers import YjsConsumer

pytestmark = pytest.mark.django_db(transaction=True)

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])


async def test_an_update_is_stored_when_its_sender_has_left() -> None:
    communicator = WebsocketCommunicator(application, "ws/room")
    connected, _ = await communicator.connect()
    assert connected
    assert (await communicator.receive_from())[:2] == b"\0\0"
    doc = Doc()
    doc.get("text", type=Text).insert(0, "hello")
    await communicator.send_to(bytes_data=create_update_message(doc.get_update()))
    await communicator.disconnect()
    assert str((await documents.aread("room")).get("text", type=Text)) == "hello"
