"""The cost of a join, an edit, a moving cursor and doing nothing, in frames and bytes.

The numbers are budgets: a change that makes one grow says why here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from pycrdt import (
    Awareness,
    Doc,
    Text,
    create_awareness_message,
    create_sync_message,
    create_update_message,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.harness.fixtures import StartServer
from tests.harness.server import Server
from tests.harness.waiting import DEADLINE

SYNC, AWARENESS = 0, 1
STEP2, UPDATE = 1, 2

#: What a server does in a minute, it does in a moment.
HURRIED = {
    "ACCESS_CHECK_INTERVAL": 0.05,
    "RELAY_STORAGE_INTERVAL": 0.05,
    "SLEEP_DELAY": 0.05,
    "FIRST_FRAME_TIMEOUT": 5,
}
#: Seconds of that.
IDLE = 1.0


class Wire:
    """A connection whose received frames are counted; it answers nothing by itself."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.doc: Doc[Text] = Doc(client_id=7)
        self.presence = Awareness(self.doc)
        self.frames: list[bytes] = []

    async def send(self, frame: bytes | str) -> None:
        await self._connection.send(frame)

    async def receive_until(self, condition: Callable[[bytes], bool]) -> list[bytes]:
        """Return the frames up to the first for which the condition holds."""
        received: list[bytes] = []
        async with asyncio.timeout(DEADLINE):
            while not received or not condition(received[-1]):
                received.append(await self._receive())
        return received

    async def receive_rest(self) -> list[bytes]:
        """Return what the server has sent until it answers a question that it is asked now."""
        await self.send(create_sync_message(Doc()))
        return (await self.receive_until(is_step2))[:-1]

    async def receive_for(self, seconds: float) -> list[bytes]:
        """Return what comes in a time."""
        received: list[bytes] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    received.append(await self._receive())
        except TimeoutError:
            return received

    async def _receive(self) -> bytes:
        frame = await self._connection.recv()
        return frame.encode() if isinstance(frame, str) else frame

    def edit(self) -> bytes:
        """Type a letter, and return the frame that says so."""
        before = self.doc.get_state()
        self.doc.get("text", type=Text).insert(0, "a")
        return create_update_message(self.doc.get_update(before))

    def move(self, position: int) -> bytes:
        """Move the cursor, and return the frame that says so."""
        self.presence.set_local_state({"user": {"name": "Ann"}, "cursor": position})
        return create_awareness_message(self.presence.encode_awareness_update([7]))


def is_step2(frame: bytes) -> bool:
    return frame[:2] == bytes((SYNC, STEP2))


def is_update(frame: bytes) -> bool:
    return frame[:2] == bytes((SYNC, UPDATE))


def is_presence(frame: bytes) -> bool:
    return frame[0] == AWARENESS


def is_saved(frame: bytes) -> bool:
    return frame[:1] == b"{" and json.loads(frame)["action"] == "saved"


def size(frames: list[bytes]) -> int:
    return sum(map(len, frames))


@asynccontextmanager
async def joined(server: Server, greets: bool = False) -> AsyncIterator[Wire]:
    """A member that has received everything; one that ``greets`` says hello as CollabProvider."""
    subprotocols = [Subprotocol("collab")] if greets else None
    async with connect(
        server.url("room"), subprotocols=subprotocols, compression=None, proxy=None
    ) as connection:
        wire = Wire(connection)
        if greets:
            await wire.send('{"action":"hello","request_id":1}')
        await wire.send(create_sync_message(wire.doc))
        wire.frames = await wire.receive_until(is_step2)
        yield wire


@pytest.mark.parametrize(("greets", "frames", "octets"), [(False, 2, 10), (True, 4, 340)])
async def test_a_join_of_an_empty_document(
    server: Server, greets: bool, frames: int, octets: int
) -> None:
    async with joined(server, greets) as ann:
        received = ann.frames + await ann.receive_rest()
        assert len(received) <= frames
        assert size(received) <= octets


async def test_a_join_costs_the_document_once_and_the_cursors_once(server: Server) -> None:
    async with joined(server) as ann:
        for _ in range(100):
            await ann.send(ann.edit())
        await ann.send(ann.move(1))
        await ann.receive_until(is_presence)
        await ann.receive_rest()
        async with joined(server) as bob:
            received = bob.frames + await bob.receive_rest()
            document, presence = ann.doc.get_update(), ann.move(2)
            assert len(received) <= 3
            assert size(received) <= len(document) + len(presence) + 30
        # The others hear of nobody who has no presence.
        assert await ann.receive_rest() == []


async def test_an_edit_is_one_frame_for_each_of_the_others_and_nothing_for_its_sender(
    server: Server,
) -> None:
    async with joined(server) as ann, joined(server) as bob:
        for _ in range(10):
            frame = ann.edit()
            await ann.send(frame)
            received = await bob.receive_until(is_update)
            assert received == [frame]
        assert await bob.receive_rest() == []
        assert await ann.receive_rest() == []


async def test_an_edit_of_a_client_that_said_hello_is_answered_with_one_short_frame(
    server: Server,
) -> None:
    async with joined(server, greets=True) as ann:
        await ann.receive_rest()
        await ann.send(ann.edit())
        received = await ann.receive_until(is_saved)
        assert len(received) == 1
        assert size(received) <= 120
        assert await ann.receive_rest() == []


async def test_typing_faster_than_the_storage_writes_is_answered_less_often_than_typed(
    server: Server,
) -> None:
    async with joined(server, greets=True) as ann:
        await ann.receive_rest()
        # Made beforehand: they are sent at once, however slow the client is.
        for frame in [ann.edit() for _ in range(200)]:
            await ann.send(frame)
        received = await ann.receive_until(
            lambda frame: is_saved(frame) and json.loads(frame)["data"]["count"] == 200
        )
        assert len(received) <= 20


async def test_a_move_of_a_cursor_is_one_frame_for_each_member(server: Server) -> None:
    # Its sender gets it, too: a stock client that receives nothing for 30 s connects anew.
    async with joined(server) as ann, joined(server) as bob:
        for position in range(10):
            frame = ann.move(position)
            await ann.send(frame)
            for member in (ann, bob):
                received = await member.receive_until(is_presence)
                assert len(received) == 1
                assert size(received) <= len(frame) + 10
        assert await bob.receive_rest() == []
        assert await ann.receive_rest() == []


async def test_doing_nothing_costs_nothing(start_server: StartServer) -> None:
    server = start_server(collab=HURRIED)
    async with joined(server) as ann, joined(server, greets=True) as bob:
        await ann.send(ann.edit())
        await ann.send(ann.move(1))
        for member in (ann, bob):
            await member.receive_until(is_presence)
        await bob.receive_rest()
        await ann.receive_rest()
        idle = await asyncio.gather(ann.receive_for(IDLE), bob.receive_for(IDLE))
        assert [*idle[0], *idle[1]] == []
