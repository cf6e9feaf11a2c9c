"""Many clients in one process that cost it as little as can be: they look for marks in what they
receive, and throw it away.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from os import urandom
from random import Random
from time import perf_counter
from typing import Any, Self, cast

from pycrdt import Doc, Text

from collab.protocol import read_bytes, step1_frame, update_frame

from .servers import Running

__all__ = ["LENGTH", "Author", "Crowd", "Member", "Update", "client_frame", "read_text"]

#: A text that a client finds again in whatever a server makes of an update.
_MARK = re.compile(rb"<w\d{4}r\d{6}>")
#: Characters that each update inserts.
LENGTH = 14

#: Updates that an author writes without a move of the cursor.
_RUN = 20

_STEP2 = b"\x00\x01"
_EMPTY_STATE = b"\x00"

#: How long anything may take, in seconds.
_PATIENCE = 120.0
#: Connections that are opened at once.
_AT_ONCE = 50


def client_frame(payload: bytes, opcode: int = 0x82) -> bytes:
    """Return a websocket frame, by default a binary one; its mask of zeros changes nothing."""
    size = len(payload)
    if size < 126:
        head = bytes((opcode, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((opcode, 0xFE)) + size.to_bytes(2)
    else:
        head = bytes((opcode, 0xFF)) + size.to_bytes(8)
    return head + b"\0\0\0\0" + payload


class Member(asyncio.Protocol):
    """One connection.

    Args:
        server: whose client it is.
        room: which it joins.
        crowd: which it belongs to.
    """

    def __init__(self, server: Running, room: str, crowd: Crowd | None = None) -> None:
        self.server = server
        self.room = room
        #: Marks that it has to find yet.
        self.expected: set[bytes] = set()
        self._crowd = crowd
        self._prefix = server.contestant.prefix(room)
        self._buffer = bytearray()
        self._closing = False
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = loop.create_future()
        #: The first answer to a step 1.
        self._state: asyncio.Future[bytes] = loop.create_future()

    async def open(self) -> bytes:
        """Connect, and return the document that the server has."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_PATIENCE):
            await loop.create_connection(lambda: self, "127.0.0.1", self.server.port)
            await self._opened
            self._greet()
            return await self._state

    def _greet(self) -> None:
        for message in self.server.contestant.greeting(self.room):
            self.send(self.frame(message))
        self.send(self.frame(step1_frame(_EMPTY_STATE)))

    def frame(self, message: bytes) -> bytes:
        """Return what to ``send`` to say ``message``."""
        return client_frame(self._prefix + message)

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        self._transport.write(frame)

    def close(self) -> None:
        """Close the connection."""
        self._closing = True
        self._transport.write(b"\x88\x82\0\0\0\0\x03\xe8")
        self._transport.close()

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
        if self._closing:
            return
        lost = ConnectionError(f"A client of {self.server.contestant.name} was disconnected.")
        _fail(self._opened, lost)
        _fail(self._state, lost)
        if self._crowd is not None:
            _fail(self._crowd.finished, lost)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._opened.done() and not self._read_handshake():
            return
        self._read_frames()

    def _read_handshake(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self._buffer.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(bytes(self._buffer[:end]).decode())
        del self._buffer[: end + 4]
        self._opened.set_result(None)
        return True

    def _read_frames(self) -> None:
        buffer, position = self._buffer, 0
        while len(buffer) >= position + 2:
            start, size = position + 2, buffer[position + 1]
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(buffer[position + 2 : start])
            if len(buffer) < start + size:
                break
            self._receive(buffer[position], bytes(buffer[start : start + size]))
            position = start + size
        del buffer[:position]

    def _receive(self, head: int, payload: bytes) -> None:
        if head == 0x82:
            if self.expected:
                self._look_for_marks(payload)
            elif not self._state.done():
                self._look_for_state(payload)
        elif head == 0x89:
            # A server disconnects who does not send the ping's payload back.
            self._transport.write(client_frame(payload, 0x8A))
        elif head not in (0x81, 0x88, 0x8A):
            raise ConnectionError(f"A frame begins with {head:#x}.")

    def _look_for_marks(self, payload: bytes) -> None:
        for found in _MARK.findall(payload):
            if found in self.expected:
                self.expected.remove(found)
                assert self._crowd is not None
                self._crowd.found(self, found)

    def _look_for_state(self, payload: bytes) -> None:
        message = payload[len(self._prefix) :]
        if message.startswith(_STEP2):
            self._state.set_result(message)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


async def _open(members: Sequence[Member]) -> None:
    for start in range(0, len(members), _AT_ONCE):
        await asyncio.gather(*(member.open() for member in members[start : start + _AT_ONCE]))


async def read_text(server: Running, room: str) -> str:
    """Return the text of a document as a newcomer gets it."""
    member = Member(server, room)
    message = await member.open()
    member.close()
    doc: Doc[Any] = Doc()
    doc.apply_update(read_bytes(message, len(_STEP2))[0])
    return str(doc.get("text", type=Text))


@dataclass(frozen=True, slots=True)
class Update:
    """Something to write: a Yjs update with ``mark`` in it, which may be empty."""

    data: bytes
    mark: bytes


class Crowd:
    """Members of several rooms, as many in each.

    Args:
        servers: whose clients they are; those of each room take turns.
        rooms: how many rooms.
        size: how many members each room has.
        member_type: what they are.
    """

    def __init__(
        self,
        servers: Sequence[Running],
        rooms: int,
        size: int,
        member_type: type[Member] = Member,
    ) -> None:
        #: All that was written has reached everybody.
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Seconds from sending a marked update to each member's finding it, by its server.
        self.latencies: dict[Running, list[float]] = {server: [] for server in servers}
        self.rooms: dict[str, list[Member]] = {}
        for number in range(rooms):
            name = f"room-{number}"
            self.rooms[name] = [
                member_type(server, name, self) for server in islice(cycle(servers), size)
            ]
        self._missing = 0
        self._sent_at: dict[tuple[str, bytes], float] = {}

    @property
    def members(self) -> list[Member]:
        """All of them."""
        return [member for members in self.rooms.values() for member in members]

    async def __aenter__(self) -> Self:
        # A peer breaks when a room is opened by many at once.
        await _open([member for members in self.rooms.values() for member in members[:1]])
        await _open([member for members in self.rooms.values() for member in members[1:]])
        return self

    async def __aexit__(self, *error: object) -> None:
        for member in self.members:
            member.close()

    async def write(self, updates: Sequence[Sequence[Update]], pace: float = 0.0) -> None:
        """Let the n-th member of each room send ``updates[n]``; wait until all others have them.

        They take turns, update by update. A member has what another sent once it has found the
        mark of the last.

        Args:
            updates: of each writer.
            pace: seconds from one update to the next, of whatever room; by default all are sent
                at once.
        """
        self._expect([of_writer[-1].mark for of_writer in updates])
        self.finished = asyncio.get_running_loop().create_future()
        began = perf_counter()
        for number, (frame, member, update) in enumerate(self._frames(updates)):
            if pace:
                await asyncio.sleep(began + number * pace - perf_counter())
            if update.mark:
                self._sent_at[member.room, update.mark] = perf_counter()
            member.send(frame)
        if self._missing:
            async with asyncio.timeout(_PATIENCE):
                await self.finished
        self._sent_at.clear()

    def _expect(self, marks: Sequence[bytes]) -> None:
        for members in self.rooms.values():
            for number, member in enumerate(members):
                member.expected = {mark for writer, mark in enumerate(marks) if writer != number}
                self._missing += len(member.expected)

    def _frames(self, updates: Sequence[Sequence[Update]]) -> list[tuple[bytes, Member, Update]]:
        return [
            (member.frame(update_frame(update.data)), member, update)
            for turn in zip(*updates, strict=True)
            for members in self.rooms.values()
            for member, update in zip(members, turn, strict=False)
        ]

    def found(self, member: Member, mark: bytes) -> None:
        """Take note that ``member`` has found ``mark``."""
        seconds = perf_counter() - self._sent_at[member.room, mark]
        self.latencies[member.server].append(seconds)
        self._missing -= 1
        if not self._missing:
            self.finished.set_result(None)


class Author:
    """Writes updates: each inserts a text behind the one before, or now and then elsewhere.

    Args:
        number: of the member that sends them.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._random = Random(number)
        self._cursor = self._written = self._marks = 0
        self._doc: Doc[Any] = Doc(client_id=1_000 + number)
        self._text: Text = self._doc.get("text", type=Text)

    def write(self, number: int) -> list[Update]:
        """Return so many updates; the last of them is marked."""
        return [self._insert(marked=index == number - 1) for index in range(number)]

    def _insert(self, *, marked: bool) -> Update:
        self._marks += marked
        mark = f"<w{self._number:04d}r{self._marks:06d}>" if marked else ""
        known = self._doc.get_state()
        self._text.insert(self._next_place(), mark or "." * LENGTH)
        return Update(self._doc.get_update(known), mark.encode())

    def _next_place(self) -> int:
        # Nobody writes a whole book from start to end without going back once.
        if self._written % _RUN == 0:
            self._cursor = self._random.randint(0, self._written) * LENGTH
        place = self._cursor
        self._cursor += LENGTH
        self._written += 1
        return place
