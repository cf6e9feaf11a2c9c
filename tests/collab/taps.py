"""Connections without a network: uvicorn's protocol objects, to which bytes are handed.

What a client sends is taken in before ``send`` returns, so that a test can tell what follows from
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import uvicorn
from uvicorn.server import ServerState

from collab.sockets import WebSocketProtocol

from .live import until
from .test_sockets import frame

__all__ = ["Tap", "party"]

_REQUEST = (
    b"GET /ws/%b HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Tap(asyncio.Transport):
    """A connection to ``application``; it keeps what the server writes."""

    def __init__(self, application: Any, room: str) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 80)})
        self.written: list[bytes] = []
        config = uvicorn.Config(
            application,
            interface="asgi3",
            ws=WebSocketProtocol,
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            log_config=None,
        )
        config.load()
        self._request = _REQUEST % room.encode()
        self._state = ServerState()
        self._protocol = WebSocketProtocol(config, self._state, {})
        self._is_closing = False

    async def __aenter__(self) -> Self:
        self._protocol.connection_made(self)
        self._protocol.data_received(self._request)
        # The server's answer, and a step 1.
        await until(lambda: len(self.written) > 1)
        assert self.written[0].startswith(b"HTTP/1.1 101")
        return self

    async def __aexit__(self, *error: object) -> None:
        self._protocol.connection_lost(None)
        await until(lambda: not self._state.tasks)

    def send(self, message: bytes) -> None:
        """Let a message of the client arrive."""
        self._protocol.data_received(frame(message))

    # What the server asks of a transport.

    def write(self, data: Any) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def pause_reading(self) -> None:
        """Whoever sends too much would notice; tests do not."""

    def resume_reading(self) -> None:
        """Nothing has been held back."""


@asynccontextmanager
async def party(application: Any, size: int, room: str = "room") -> AsyncIterator[list[Tap]]:
    """Let so many connections into a room; what they were told meanwhile is forgotten."""
    async with AsyncExitStack() as stack:
        taps = [await stack.enter_async_context(Tap(application, room)) for _ in range(size)]
        for tap in taps:
            tap.written.clear()
        yield taps
