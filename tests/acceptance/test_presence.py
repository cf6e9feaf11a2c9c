"""Presence: all members see it at once, and no client can change that of others."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.harness.client import YjsClient, wait_until
from tests.harness.fixtures import StartServer
from tests.harness.server import NO_PINGS, Server
from tests.harness.waiting import DEADLINE

from .attacks import open_connection, presence, strike

ROOT = Path(__file__).parents[2]


def names(client: YjsClient) -> set[str]:
    """Return the names of those who are present as ``client`` sees it."""
    return {state["name"] for state in client.presence.values()}


async def sees(client: YjsClient, *expected: str) -> None:
    """Wait until ``client`` sees just these."""
    await client.wait_until(lambda: names(client) == set(expected))


@asynccontextmanager
async def present(server: Server, name: str, **query: str) -> AsyncIterator[YjsClient]:
    """Return a client that is connected and present."""
    async with server.client("room", **query) as client:
        await client.set_presence({"name": name})
        yield client


async def test_a_newcomer_sees_every_member_at_once(server: Server) -> None:
    async with AsyncExitStack() as stack:
        everybody = [
            await stack.enter_async_context(present(server, f"person {n}")) for n in range(10)
        ]
        expected = {f"person {n}" for n in range(10)}
        await wait_until(lambda: all(names(one) == expected for one in everybody), *everybody)
        async with server.client("room") as newcomer:
            # As soon as it has the document, without waiting for anybody to move.
            assert names(newcomer) == expected


async def test_presence_stays_in_its_room(server: Server) -> None:
    async with present(server, "Ann") as ann, server.client("another room") as bob:
        await bob.set_presence({"name": "Bob"})
        async with server.client("room") as cid:
            assert names(cid) == {"Ann"}
        assert names(ann) == {"Ann"}
        assert names(bob) == {"Bob"}


async def say_goodbye(client: YjsClient) -> None:
    await client.set_presence(None)


@pytest.mark.parametrize("leave", [say_goodbye, YjsClient.disconnect, YjsClient.abort])
async def test_a_member_that_leaves_vanishes_for_the_others(
    server: Server, leave: Callable[[YjsClient], Awaitable[None]]
) -> None:
    async with present(server, "Ann") as ann:
        bob = server.client("room")
        await bob.connect()
        await bob.set_presence({"name": "Bob"})
        await sees(ann, "Ann", "Bob")
        await leave(bob)
        await sees(ann, "Ann")
        async with server.client("room") as cid:
            assert names(cid) == {"Ann"}
        await bob.disconnect()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_client_that_crashes_or_hangs_vanishes_for_the_others(
    start_server: StartServer, end: signal.Signals
) -> None:
    # A client that is only slow answers pings within that time.
    server = start_server(environment={"COLLAB_TEST_PING_INTERVAL": "5"})
    async with present(server, "Ann") as ann:
        visitor = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.acceptance.visitor", server.url("room"), cwd=ROOT
        )
        try:
            await sees(ann, "Ann", "visitor")
            visitor.send_signal(end)
            await sees(ann, "Ann")
        finally:
            if visitor.returncode is None:
                visitor.kill()
            await visitor.wait()


async def test_presence_that_is_not_renewed_vanishes_until_the_client_is_back(
    start_server: StartServer,
) -> None:
    constants = {"collab.engine.rooms.presence_broadcast.TIMEOUT": 5}
    server = start_server(collab={"CONSTANTS": constants}, environment=NO_PINGS)
    async with present(server, "Ann") as ann, present(server, "Bob") as bob:
        await sees(ann, "Ann", "Bob")
        # It hears nothing, not even that it is gone.
        bob.pause()
        async with asyncio.timeout(DEADLINE):
            while "Bob" in names(ann):
                await ann.set_presence({"name": "Ann"})
                await ann.hello()
        async with server.client("room") as cid:
            assert names(cid) == {"Ann"}
        bob.resume()
        await ann.wait_until(lambda: "Bob" in names(ann))


async def test_a_client_cannot_remove_or_overwrite_the_presence_of_others(server: Server) -> None:
    async with present(server, "Ann") as ann, present(server, "Bob") as bob:
        await sees(bob, "Ann", "Bob")
        victim = ann.doc.client_id
        lies = [
            presence((victim, 1_000, b"null")),
            presence((victim, 1_000, b'{"name": "Mallory"}')),
            presence((7, 1, b'{"name": "Mallory"}'), (victim, 2_000, b"null")),
            presence((victim, 2**53 - 1, b'{"name": "Mallory"}')),
        ]
        for lie in lies:
            # Alone, and from one who is present himself.
            assert await strike(server, [lie]) is None
            assert await strike(server, [presence((8, 1, b'{"name": "Eve"}')), lie]) is None
        await sees(bob, "Ann", "Bob")
        async with server.client("room") as cid:
            assert cid.presence[victim] == {"name": "Ann"}
        # It did not cost her the use of her own name either.
        await ann.set_presence({"name": "Ann Smith"})
        await sees(bob, "Ann Smith", "Bob")


async def test_presence_of_others_that_a_client_repeats_does_not_become_its_own(
    server: Server,
) -> None:
    async with present(server, "Ann") as ann, present(server, "Bob") as bob:
        await sees(bob, "Ann", "Bob")
        # As stock clients do when they connect: all they know.
        mine = ann.awareness.meta[ann.doc.client_id]["clock"]
        async with open_connection(server) as echo:
            await echo.send(presence((ann.doc.client_id, mine + 1, b'{"name": "Ann"}')))
            await echo.send(presence((7, 1, b'{"name": "Cid"}')))
            await sees(bob, "Ann", "Bob", "Cid")
        await sees(bob, "Ann", "Bob")
        async with server.client("room") as newcomer:
            assert names(newcomer) == {"Ann", "Bob"}


async def test_a_client_that_reconnects_at_once_with_the_same_clock_is_seen_again(
    server: Server,
) -> None:
    async with present(server, "Ann") as ann, present(server, "Bob") as bob:
        await sees(ann, "Ann", "Bob")
        for _ in range(5):
            await bob.abort()
            # That others have heard of it is the hard case: its clock is used up.
            await sees(ann, "Ann")
            await bob.connect()
            await sees(ann, "Ann", "Bob")
        for _ in range(5):
            await bob.abort()
            await bob.connect()
            async with server.client("room") as cid:
                await sees(cid, "Ann", "Bob")


async def test_a_user_takes_over_from_a_connection_that_hangs(server: Server) -> None:
    async with present(server, "Ann") as ann, present(server, "Bob", user="7") as bob:
        await sees(ann, "Ann", "Bob")
        # The network is away without a word, so the server still has the first connection.
        bob.pause()
        again = YjsClient(bob.url, doc=bob.doc)
        await again.connect()
        await again.set_presence({"name": "Bob"})
        await again.set_presence({"name": "Bob is back"})
        await sees(ann, "Ann", "Bob is back")
        # That its end is noticed at last takes nothing from the second.
        bob.resume()
        await bob.abort()
        async with server.client("room") as cid:
            assert names(cid) == {"Ann", "Bob is back"}
        await again.disconnect()
        await sees(ann, "Ann")
