"""A connection that is being closed ends in time, whether its client reads or not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from collab.engine.runtime.counters import counters
from tests.engine.transports import new_protocol, request
from tests.harness.virtual_time import in_virtual_time
from tests.harness.waiting import DEADLINE, until

PAYLOAD = bytes(1 << 20)
#: Seconds until a client that does not read has to read so many bytes in each second.
PATIENCE, READ_PER_SECOND = 2 * 60, 64 * 1024


class Connection:
    """A connection, whose application sends much and then waits.

    Args:
        client: the client's end.
        ping_interval: in seconds; ``None`` for no pings.
    """

    def __init__(self, client: socket.socket, ping_interval: float | None) -> None:
        self.client = client
        self.has_left = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.protocol: Any = new_protocol(self._application, ping_interval=ping_interval)

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
async def connected(ping_interval: float | None = 20) -> AsyncIterator[Connection]:
    """Connect a client that reads nothing."""
    server, client = socket.socketpair()
    client.setblocking(False)
    with client:
        connection = Connection(client, ping_interval)
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


@in_virtual_time
async def test_client_that_reads_nothing_keeps_no_connection_that_is_not_pinged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    evictions = counters.evictions
    async with connected(ping_interval=None) as connection:
        # Nothing waits behind the one frame that the transport has.
        await asyncio.sleep(PATIENCE + len(PAYLOAD) / READ_PER_SECOND)
        await connection.ends()
    assert counters.evictions == evictions + 1
    assert "A client reads too slowly" in caplog.text


@in_virtual_time
async def test_client_that_reads_nothing_and_is_leaving_is_not_sent_away() -> None:
    evictions = counters.evictions
    async with connected(ping_interval=None) as connection:
        left = connection.protocol.transport.get_write_buffer_size()
        # The client leaves just before its time is over.
        await asyncio.sleep(PATIENCE + left / READ_PER_SECOND - 1)
        connection.has_left.set()
        await connection.ends()
    assert counters.evictions == evictions


async def test_client_that_reads_slowly_has_time_for_all_of_a_large_frame(
    settings: Any,
) -> None:
    settings.COLLAB = {**settings.COLLAB, "SEND_TIMEOUT": 0.001}
    evictions = counters.evictions
    async with connected(ping_interval=None) as connection:
        first_timer = connection.protocol._unread_timer
        await until(lambda: connection.protocol._unread_timer is not first_timer)
        data = b""
        while len(data) < len(PAYLOAD):
            data += await connection.loop.sock_recv(connection.client, 1 << 20)
        await until(lambda: connection.protocol._unread_timer is None)
        assert connection.protocol.connections
    assert counters.evictions == evictions
