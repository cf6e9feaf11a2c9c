"""A client that does not read costs bounded memory and delays no other (I8)."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, suppress

from pycrdt import Text
from websockets.exceptions import ConnectionClosed

from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import StartServer
from tests.harness.server import NO_PINGS, Server

from .attacks import step1, strike
from .honest_pair import memory, unharmed

KiB = 1024
MiB = 1024 * KiB

# Documents that are not stored show best what is kept for readers: what waits for the storage
# has a limit of its own.

#: One member may send all that the tests want it to.
FAST = {"BYTE_BURST": 1024 * MiB, "MESSAGE_BURST": 1_000_000}


def slow_client(server: Server, route: str = "ws") -> YjsClient:
    """Return a client for which the kernel keeps next to nothing."""
    return YjsClient(server.url("room", route), receive_buffer=4 * KiB)


async def type_much(writer: YjsClient, listener: YjsClient, size: int) -> None:
    """Write and delete until ``size`` bytes have been sent to all; the document stays small."""
    for number in range(size // (256 * KiB)):
        async with writer.edit() as doc:
            bulk = doc.get("bulk", type=Text)
            bulk.clear()
            bulk.insert(0, f"{number} ".ljust(256 * KiB, "x"))
            text = str(bulk)
        # What arrives at once is sent as one update, without what is deleted already.
        await listener.wait_until(lambda: bulk_of(listener) == text)  # noqa: B023


def bulk_of(client: YjsClient) -> str:
    return str(client.doc.get("bulk", type=Text))


async def test_readers_that_stop_cost_bounded_memory_and_converge_when_they_go_on(
    start_server: StartServer,
) -> None:
    server = start_server(collab={**FAST, "SEND_TIMEOUT": 1000}, environment=NO_PINGS)
    async with unharmed(server, route="unstored") as (ann, bob), AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(slow_client(server, "unstored")) for _ in range(20)
        ]
        for reader in readers:
            reader.pause()
        # What any server needs that has passed on so much.
        await type_much(ann, bob, 4 * MiB)
        before = memory(server)
        await type_much(ann, bob, 32 * MiB)
        # Had it been kept for them, it would be 640 MiB.
        assert memory(server) - before < 64 * MiB
        for reader in readers:
            assert bulk_of(reader) != bulk_of(ann)
            reader.resume()
        await wait_until(
            lambda: all(bulk_of(reader) == bulk_of(ann) for reader in readers), *readers
        )


async def test_a_reader_that_stops_for_good_is_disconnected(start_server: StartServer) -> None:
    # Long enough for those who read, however busy the machine is.
    limits = {"SEND_TIMEOUT": 15, "MAX_ROOM_MEMBERS": 3}
    server = start_server(collab={**FAST, **limits}, environment=NO_PINGS)
    async with unharmed(server) as (ann, bob), slow_client(server) as reader:
        await reader.set_presence({"name": "gone"})
        await ann.wait_until(lambda: {"name": "gone"} in ann.presence.values())
        assert await strike(server, []) == 1013, "the room is full"
        reader.pause()
        await type_much(ann, bob, 4 * MiB)
        await ann.wait_until(lambda: {"name": "gone"} not in ann.presence.values())
        server.wait_for_log("A member reads too slowly and is disconnected")
        assert await strike(server, []) is None
        # It comes back as if the network had been away.
        reader.resume()
        assert await reader.wait_closed() == 1006
        await reader.connect()
        await reader.wait_until(lambda: bulk_of(reader) == bulk_of(ann))


async def test_asking_without_reading_costs_bounded_memory(start_server: StartServer) -> None:
    server = start_server(collab=FAST)
    async with unharmed(server, route="unstored") as (ann, bob), AsyncExitStack() as stack:
        await type_much(ann, bob, 4 * MiB)
        before = memory(server)
        deaf = [await stack.enter_async_context(slow_client(server, "unstored")) for _ in range(20)]
        for client in deaf:
            client.pause()
            # Each is answered with the whole document, which has a quarter of a megabyte.
            for _ in range(100):
                await client.send(step1())
        await type_much(ann, bob, 4 * MiB)
        assert memory(server) - before < 64 * MiB


async def test_a_client_that_sends_requests_without_reading_is_disconnected(
    start_server: StartServer,
) -> None:
    server = start_server(collab=FAST)
    async with unharmed(server) as (ann, _), slow_client(server) as client:
        await client.set_presence({"name": "gone"})
        await ann.wait_until(lambda: {"name": "gone"} in ann.presence.values())
        client.pause()
        # The server may have disconnected it before it has sent all.
        with suppress(ConnectionClosed):
            for _ in range(500):
                # The answer quotes it.
                await client.send(json.dumps({"action": "x" * 10 * KiB}))
        await ann.wait_until(lambda: {"name": "gone"} not in ann.presence.values())
        client.resume()
        assert await client.wait_closed() == 1006
