"""Websockets of uvicorn at both ends of a wire: one protocol object, or a whole server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Self

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from collab.engine.sockets.join_queue import current_join_queue
from collab.sockets import WebSocketProtocol
from tests.harness.waiting import DEADLINE

__all__ = ["Line", "Noting", "Pipe", "fill_join_queue", "new_protocol", "request", "served"]

#: uvicorn's HTTP protocol passes names on in small letters.
_REQUEST = (
    b"GET /ws/%b HTTP/1.1\r\nhost: here\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n%b\r\n"
)
_DEFLATE = b"sec-websocket-extensions: permessage-deflate\r\n"


def request(room: str = "room", *, compressed: bool = False) -> bytes:
    """Return how a client begins, which asks for compression or does not."""
    return _REQUEST % (room.encode(), _DEFLATE if compressed else b"")


def new_protocol(
    application: Any,
    kind: type[WebSocketsSansIOProtocol] = WebSocketProtocol,
    *,
    compressed: bool = False,
    max_size: int = 1 << 24,
    ping_interval: float | None = None,
) -> WebSocketsSansIOProtocol:
    """Return a protocol object that serves ``application``, and is not connected yet."""
    config = uvicorn.Config(
        application,
        interface="asgi3",
        ws=kind,
        ws_max_size=max_size,
        ws_per_message_deflate=compressed,
        ws_ping_interval=ping_interval,
        log_config=None,
    )
    config.load()
    return kind(config, ServerState(), {})


def fill_join_queue() -> None:
    """Make clients that come now wait for the next turn of the event loop."""
    for _ in range(10):
        current_join_queue().add(lambda: None)


class Pipe(asyncio.Transport):
    """A transport without a socket; it keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 80)})
        self.written: list[bytes] = []
        self._is_closing = False

    def write(self, data: Any) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Do nothing: tests call the protocol themselves."""

    def pause_reading(self) -> None:
        """Do nothing: tests do not send too much."""

    def resume_reading(self) -> None:
        """Nothing has been held back."""


class Line:
    """One protocol object with a client's socket at its other end, and an application.

    Args:
        kind: the class of the protocol.
        compressed: the client asks for that.
        max_size: of a message.
        ping_interval: in seconds; ``None`` for no pings.
    """

    def __init__(
        self,
        kind: type[WebSocketsSansIOProtocol] = WebSocketProtocol,
        *,
        compressed: bool = False,
        max_size: int = 1024,
        ping_interval: float | None = None,
    ) -> None:
        self.protocol = new_protocol(
            self._application,
            kind,
            compressed=compressed,
            max_size=max_size,
            ping_interval=ping_interval,
        )
        self.events: list[Any] = []
        self.scope: dict[str, Any] = {}
        self._request = request(compressed=compressed)
        self._accepted = asyncio.Event()
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        server, client = socket.socketpair()
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: self.protocol, server)
        self.reader, self.writer = await asyncio.open_connection(sock=client)
        self.protocol.data_received(self._request)
        async with asyncio.timeout(DEADLINE):
            await self._accepted.wait()
        self.answer = await self.reader.readuntil(b"\r\n\r\n")
        return self

    async def __aexit__(self, *error: object) -> None:
        self.protocol.transport.close()
        async with asyncio.timeout(DEADLINE):
            await self._ended.wait()
        self.writer.close()
        await self.writer.wait_closed()

    async def _application(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scope, self.send = scope, send
        await receive()
        await send({"type": "websocket.accept"})
        self._accepted.set()
        try:
            while not self.events or self.events[-1]["type"] != "websocket.disconnect":
                self.events.append(await receive())
        finally:
            self._ended.set()

    async def feed(self, pieces: Sequence[bytes]) -> None:
        """Deliver these bytes, each piece in a read of its own, as long as the server reads."""
        for piece in pieces:
            if not self.protocol.transport.is_closing():
                self.protocol.data_received(piece)

    async def end(self) -> bytes:
        """End the connection as the client; return all that it was sent."""
        self.writer.write_eof()
        async with asyncio.timeout(DEADLINE):
            sent = await self.reader.read()
            await self._ended.wait()
        return sent


class Noting(WebSocketProtocol):
    """Notes what goes through ASGI."""

    all: ClassVar[list[Noting]] = []

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.all.append(self)
        self.received: list[str] = []
        self.sent: list[str] = []

    async def receive(self) -> Any:
        event = await super().receive()
        self.received.append(event["type"])
        return event

    async def send(self, message: Any) -> None:
        self.sent.append(message["type"])
        await super().send(message)


@asynccontextmanager
async def served(
    application: Any, kind: type[WebSocketsSansIOProtocol] = Noting
) -> AsyncIterator[str]:
    """Serve ``application`` in this process; the URL in front of a room's name is yielded."""
    Noting.all.clear()
    config = uvicorn.Config(
        application, ws=kind, lifespan="off", log_config=None, timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws/"
        finally:
            server.should_exit = True
            await serving
