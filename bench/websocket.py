"""Websocket clients that cost as little as can be: frames are cut out of what comes, no more."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from base64 import b64encode
from os import urandom
from typing import Any, cast

from .servers import Running

__all__ = ["BINARY", "PATIENCE", "TEXT", "Connection", "client_frame", "settle", "split"]

BINARY, TEXT = 0x82, 0x81
_CLOSE, _PING, _PONG = 0x88, 0x89, 0x8A

#: How long anything may take, in seconds.
PATIENCE = 120.0
#: Seconds from one sign of life of a client to the next.
_SIGN_INTERVAL = 15.0


def client_frame(payload: bytes, head: int = BINARY) -> bytes:
    """Return a websocket frame; its mask of zeros changes nothing."""
    size = len(payload)
    if size < 126:
        start = bytes((head, 0x80 | size))
    elif size < 1 << 16:
        start = bytes((head, 0xFE)) + size.to_bytes(2)
    else:
        start = bytes((head, 0xFF)) + size.to_bytes(8)
    return start + b"\0\0\0\0" + payload


def split(data: bytes) -> tuple[list[tuple[int, bytes]], int, int]:
    """Return the frames that ``data`` begins with, each its first byte and its payload.

    Returns:
        the frames; where what is behind them begins; how many bytes that must have to be a frame.
    """
    frames: list[tuple[int, bytes]] = []
    position, total = 0, len(data)
    while True:
        start = position + 2
        if total < start:
            return frames, position, 2
        size = data[position + 1]
        if size >= 126:
            start += 2 if size == 126 else 8
            size = int.from_bytes(data[position + 2 : start]) if total >= start else 0
        if total < start + size:
            return frames, position, start + size - position
        frames.append((data[position], data[start : start + size]))
        position = start + size


class Connection(asyncio.Protocol):
    """One connection of a client.

    Args:
        server: whose client it is.
        room: which it joins.
    """

    def __init__(self, server: Running, room: str) -> None:
        self.server = server
        self.room = room
        self._handshake = bytearray()
        #: The beginning of a frame.
        self.partial = bytearray()
        self._needed = 0
        self._closing = False
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    # What those who use it call.

    async def connect(self) -> None:
        """Open it."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            await loop.create_connection(lambda: self, "127.0.0.1", self.server.port)
            await self._opened

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        self._transport.write(frame)

    def close(self) -> None:
        """Close it."""
        self._closing = True
        if not self._transport.is_closing():
            self._transport.write(client_frame(b"\x03\xe8", _CLOSE))
            self._transport.close()

    # What those who extend it define, and what they call.

    @property
    def address(self) -> bytes:
        """The bytes before a message to one of its documents."""
        return self.server.contestant.prefix(self.room)

    @abstractmethod
    def take(self, data: bytes) -> None:
        """Take what has come, which may end in the middle of a frame."""

    def fail(self, error: Exception) -> None:
        """Report to all who wait that the connection is of no use any more."""
        settle(self._opened, error)

    def frames(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the frames that ``data`` completes, each its first byte and its payload."""
        if self.partial:
            self.partial += data
            if len(self.partial) < self._needed:
                return []
            data = bytes(self.partial)
            self.partial.clear()
        frames, end, self._needed = split(data)
        self.partial += data[end:]
        return frames

    def control(self, head: int, payload: bytes) -> None:
        """Do what a frame says that is neither ``BINARY`` nor ``TEXT``."""
        if head == _PING:
            # A server disconnects who does not send the ping's payload back.
            self._transport.write(client_frame(payload, _PONG))
        elif head == _CLOSE:
            code, reason = int.from_bytes(payload[:2]), payload[2:].decode(errors="replace")
            raise ConnectionError(f"closed by the server: {code} {reason}".rstrip())
        elif head != _PONG:
            raise ConnectionError(f"a frame begins with {head:#x}")

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not assured by isinstance(): those of uvloop are not derived from it.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(
            f"GET {self.server.path(self.room)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {b64encode(urandom(16)).decode()}\r\n\r\n".encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closing:
            name = self.server.contestant.name
            self.fail(ConnectionError(f"a client of {name} was disconnected"))

    def data_received(self, data: bytes) -> None:
        try:
            self.take(data if self._opened.done() else self._read_handshake(data))
        except Exception as error:
            # The loop would log it, and those who wait would wait on.
            self._closing = True
            self._transport.abort()
            self.fail(error)

    def _read_handshake(self, data: bytes) -> bytes:
        """Return what comes behind the handshake's end, if that is there."""
        self._handshake += data
        head, end, rest = bytes(self._handshake).partition(b"\r\n\r\n")
        if not end:
            return b""
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(head.decode())
        settle(self._opened)
        self._sign_later()
        return rest

    def _sign_later(self) -> None:
        if self.server.contestant.sign_of_life is not None:
            asyncio.get_running_loop().call_later(_SIGN_INTERVAL, self._give_sign)

    def _give_sign(self) -> None:
        message = self.server.contestant.sign_of_life
        if message is not None and not self._closing and not self._transport.is_closing():
            self.send(client_frame(self.address + message))
            self._sign_later()


def settle(future: asyncio.Future[Any], error: Exception | None = None) -> None:
    """Continue all who wait for ``future``, unless they go on already."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
        # Marks it as retrieved: nobody may wait, as when a client fails between two waits.
        future.exception()
