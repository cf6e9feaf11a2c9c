"""A client that talks JSON to a consumer in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.urls import re_path

from collab.testing import close_rooms

__all__ = ["DEADLINE", "Refused", "Talker", "talking"]

#: How long a test waits for what should happen at once, in seconds.
DEADLINE = 10.0


class Refused(Exception):
    """The server did not let the client in."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Talker:
    """A connection that sends and takes text frames; others that come are kept for later."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        self.communicator = communicator
        self.frames: list[dict[str, Any]] = []
        self._calls = 0

    async def send(self, /, **message: Any) -> None:
        await self.communicator.send_to(text_data=json.dumps(message))

    async def call(self, action: str, /, **arguments: Any) -> dict[str, Any]:
        """Call an action and return the answer."""
        self._calls += 1
        request_id = f"call {self._calls}"
        await self.send(action=action, request_id=request_id, **arguments)
        return await self.next(request_id=request_id)

    async def next(self, **wanted: Any) -> dict[str, Any]:
        """Return the first text frame that has these values, and was not returned before."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for frame in self.frames:
                    if wanted.items() <= frame.items():
                        self.frames.remove(frame)
                        return frame
                await self._take()

    async def _take(self) -> None:
        message = await self.communicator.receive_output(DEADLINE)
        if message["type"] == "websocket.close":
            raise Refused(message.get("code"))
        if text := message.get("text"):
            self.frames.append(json.loads(text))

    async def closed(self) -> int | None:
        """Wait for the end of the connection, and return its code."""
        try:
            while True:
                await self._take()
        except Refused as end:
            return end.code

    async def quiet(self) -> bool:
        """Tell whether nothing comes of what is under way; asks the server something for that."""
        await self.call("hello")
        self.frames = [frame for frame in self.frames if frame["action"] != "runtime_state"]
        return not self.frames


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


async def close() -> None:
    """Close all that the connections of a test have left open."""
    await close_rooms()
