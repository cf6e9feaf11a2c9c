"""A client that talks JSON to a consumer in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.urls import re_path

from tests.harness.talker import Talker as AnyTalker
from tests.harness.waiting import DEADLINE

__all__ = ["Refused", "Talker", "talking"]


class Refused(Exception):
    """The server did not let the client in."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Talker(AnyTalker):
    """A connection to a consumer in this process."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        super().__init__()
        self.communicator = communicator

    async def send_text(self, text: str) -> None:
        await self.communicator.send_to(text_data=text)

    async def take_text(self) -> str | None:
        message = await self.communicator.receive_output(DEADLINE)
        if message["type"] == "websocket.close":
            raise Refused(message.get("code"))
        text: str | None = message.get("text")
        return text

    async def closed(self) -> int | None:
        """Wait for the end of the connection, and return its code."""
        try:
            while True:
                await self.take()
        except Refused as end:
            return end.code


@asynccontextmanager
async def talking(
    consumer: Any, url: str = "live/", *, user: Any = None, **scope: Any
) -> AsyncIterator[Talker]:
    """Connect to a consumer class; ``url`` may end in the name of a document, as in ``ws/room``.

    Raises:
        Refused: the server did not let the client in.
    """
    routes = [
        re_path(r"^live/$", consumer.as_asgi()),
        re_path(r"^ws/(?P<room>.+)$", consumer.as_asgi()),
    ]
    communicator = WebsocketCommunicator(URLRouter(routes), url)
    communicator.scope.update(scope, user=user or AnonymousUser())
    connected, code = await communicator.connect(DEADLINE)
    if not connected:
        raise Refused(code)
    try:
        yield Talker(communicator)
    finally:
        await communicator.disconnect(timeout=DEADLINE)
