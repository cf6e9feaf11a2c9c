"""A connection that is being closed ends in time, whether its client reads or not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.engine.transports import new_protocol, request
from tests.harness.virtual_time import in_virtual_time
from tests.harness.waiting import DEADLINE, until

PAYLOAD = bytes(1 << 20)


class Connection:
    """A connection, whose application sends much and then waits.

    Args:
        client: the client's end.
    """

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.has_left = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.protocol: Any = new_protocol(self._application, ping_interval=20)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": PAYLOAD})
        await self.has_left.wait()

    async def read(self) -> bytes:
        """Return everything that is left to be read."""
        data = bytearray()
        while part := await self.loop.sock_recv(self.client, 1 << 20):
            data += part
        return bytes(data)

    async def ends(self) -> None:
        """Wait until the server has forgotten the connection."""
        await until(lambda: not self.protocol.connections)


@asynccontextmanager
async def connected() -> AsyncIterator[Connection]:
    """Connect a client that reads nothing."""
    server, client = socket.socketpair()
    client.setblocking(False)
    with client:
        connection = Connection(client)
        await connection.loop.connect_accepted_socket(lambda: connection.protocol, server)
        await connection.loop.sock_sendall(client, request())
        await until(lambda: connection.protocol.handshake_complete)
        assert not connection.protocol.writable.is_set()
        yield connection
        connection.has_left.set()
        await connection.ends()


async def leave(connection: Connection) -> None:
    connection.has_left.set()


async def send_no_more(connection: Connection) -> None:
    connection.client.shutdown(socket.SHUT_WR)


async def answer_no_ping(connection: Connection) -> None:
    await until(lambda: connection.protocol.close_sent)


ENDS = [leave, send_no_more, answer_no_ping]
End = Callable[[Connection], Any]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@in_virtual_time
async def test_client_that_reads_nothing_keeps_no_connection_that_is_being_closed(
    end: End,
) -> None:
    async with connected() as connection:
        await end(connection)
        await connection.ends()


@pytest.mark.parametrize("end", [leave, send_no_more], ids=lambda end: end.__name__)
async def test_client_that_reads_in_time_gets_everything(end: End) -> None:
    async with connected() as connection:
        await end(connection)
        async with asyncio.timeout(DEADLINE):
            assert (await connection.read()).endswith(PAYLOAD)
