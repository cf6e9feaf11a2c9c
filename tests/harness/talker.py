"""A client that talks JSON, over whatever carries its frames."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from .waiting import DEADLINE

__all__ = ["SocketTalker", "Talker", "talking"]


class Talker(ABC):
    """A connection that sends and takes text frames; those not asked for are kept for later."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self._ids = count(1)

    @abstractmethod
    async def send_text(self, text: str) -> None:
        """Send a frame."""

    @abstractmethod
    async def take_text(self) -> str | None:
        """Return the next text frame; ``None`` if a frame of another kind has come."""

    async def send(self, /, **message: Any) -> None:
        """Send a message."""
        await self.send_text(json.dumps(message))

    async def call(self, action: str, /, **arguments: Any) -> dict[str, Any]:
        """Call an action and return the answer."""
        request_id = f"call {next(self._ids)}"
        await self.send(action=action, request_id=request_id, **arguments)
        return await self.next(request_id=request_id)

    async def next(self, **wanted: Any) -> dict[str, Any]:
        """Return the first frame that has these values, and was not returned before."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for frame in self.frames:
                    if wanted.items() <= frame.items():
                        self.frames.remove(frame)
                        return frame
                await self.take()

    async def take(self) -> None:
        """Take one frame more."""
        if text := await self.take_text():
            self.frames.append(json.loads(text))

    async def quiet(self) -> bool:
        """Return whether nothing comes of what is under way; asks the server something for that."""
        await self.call("hello")
        self.frames = [frame for frame in self.frames if frame["action"] != "runtime_state"]
        return not self.frames


class SocketTalker(Talker):
    """A connection to a server."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self._connection = connection

    async def send_text(self, text: str) -> None:
        await self._connection.send(text)

    async def take_text(self) -> str | None:
        message = await self._connection.recv()
        return message if isinstance(message, str) else None


@asynccontextmanager
async def talking(url: str) -> AsyncIterator[SocketTalker]:
    """Connect to a server."""
    async with connect(url) as connection:
        yield SocketTalker(connection)
