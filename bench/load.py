"""Many clients in one process that cost it as little as can be.

They have no documents. Of each update they receive they note what it inserts, by the clocks in
it, and that this follows on what they have: what is lost or told twice fails the measurement.
Members of a room get equal bytes, which are looked at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto
from itertools import cycle, islice, zip_longest
from json import loads
from time import perf_counter
from typing import Any, Self

from collab.hocuspocus.frames import PING as ADDRESSED_PING
from collab.hocuspocus.frames import PONG as ADDRESSED_PONG
from collab.hocuspocus.frames import status_frame
from collab.protocol.frames import read_bytes, read_varuint, step1_frame, step2_frame, update_frame
from collab.wire import MessageType, SyncType
from collab_storage.updates import state_vector

from .authors import Author
from .clocks import Clocks, LostUpdate, Range, covers, extend, join, ranges
from .documents import Document
from .servers import Running
from .websocket import BINARY, PATIENCE, TEXT, Connection, client_frame, settle

__all__ = ["Crowd", "Line", "Member", "Reader", "Room", "newcomer"]

#: The report of a server of addressed frames that one update is stored.
_STORED = status_frame(True)
_NOTHING = b"\0"
_EMPTY_UPDATE = b"\0\0"

#: Connections that are opened at once.
_AT_ONCE = 50
#: How often something is looked at that nobody tells of, in seconds.
_INTERVAL = 0.01
#: Bytes up to which what was read is remembered, and how much of it.
_SMALL, _MANY, _FEW = 4096, 50_000, 2


class _Kind(Enum):
    UPDATE = auto()
    STATE = auto()
    QUESTION = auto()
    PRESENCE = auto()
    SAVED = auto()
    PING = auto()
    REPORT = auto()
    CONTROL = auto()
    OTHER = auto()


#: What a frame says, and ranges of an update or a state, clocks of presence, or a number.
_Message = tuple[_Kind, Any]
_UNKNOWN: _Message = (_Kind.OTHER, None)
_PING: _Message = (_Kind.PING, None)
_REPORT: _Message = (_Kind.REPORT, None)


class Reader:
    """Reads frames, for all members of a crowd."""

    def __init__(self) -> None:
        #: What was in bytes that came at once.
        self.chunks: dict[bytes, list[_Message]] = {}
        self._small: dict[bytes, _Message] = {}
        self._large: dict[bytes, _Message] = {}

    def keep(self, data: bytes, messages: list[_Message]) -> None:
        """Remember what came at once, if it is likely to come to others, too."""
        if len(data) < _SMALL:
            if len(self.chunks) >= _MANY:
                self.chunks.clear()
            self.chunks[data] = messages

    def read(self, head: int, payload: bytes, prefix: int) -> _Message:
        """Return what a frame says, in which so many bytes stand before each message."""
        if head == BINARY:
            return _PING if payload == ADDRESSED_PING else self._message(payload[prefix:])
        return _read_text(payload) if head == TEXT else (_Kind.CONTROL, (head, payload))

    def _message(self, payload: bytes) -> _Message:
        known, most = (self._small, _MANY) if len(payload) < _SMALL else (self._large, _FEW)
        if (message := known.get(payload)) is None:
            if len(known) >= most:
                known.clear()
            message = known[payload] = _read(payload)
        return message


def _read(payload: bytes) -> _Message:
    if payload[0] == MessageType.SYNC:
        content = read_bytes(payload, 2)[0]
        if payload[1] == SyncType.STEP1:
            return _Kind.QUESTION, state_vector(content)
        is_state = payload[1] == SyncType.STEP2
        return _Kind.STATE if is_state else _Kind.UPDATE, ranges(content)
    if payload == _STORED:
        return _REPORT
    if payload[0] == MessageType.AWARENESS:
        return _Kind.PRESENCE, _presence(read_bytes(payload, 1)[0])
    return _UNKNOWN


def _presence(data: bytes) -> Clocks:
    """Return clocks by client id."""
    clocks: Clocks = {}
    number, position = read_varuint(data, 0)
    for _ in range(number):
        client, position = read_varuint(data, position)
        clocks[client], position = read_varuint(data, position)
        _, position = read_bytes(data, position)
    return clocks


def _read_text(payload: bytes) -> _Message:
    frame = loads(payload)
    if isinstance(frame, dict) and frame.get("action") == "saved":
        return _Kind.SAVED, frame["data"]["count"]
    return _UNKNOWN


class Member(Connection):
    """A client that knows what it has of the document, and of whom it sees the presence.

    Args:
        server: whose client it is.
        room: its name.
        reader: to be shared with others.
        document: what it had before, and sends to a server that has lost it.
        line: which it shares with members of other rooms; by default it has its own connection.
    """

    def __init__(
        self,
        server: Running,
        room: str,
        reader: Reader | None = None,
        document: Document | None = None,
        line: Line | None = None,
    ) -> None:
        super().__init__(server, room)
        self._line = line
        #: What it has of the document.
        self.clocks: Clocks = {}
        #: The newest clock of presence that it got, by client id.
        self.seen: Clocks = {}
        #: Update frames that it has sent, and of how many it was told that they are stored.
        self.sent = self.saved = 0
        self._document = document
        self._reader = reader or Reader()
        #: What stands before each of its messages.
        self.prefix = server.contestant.prefix(room)
        if line is not None:
            line.add(self)
        self._has_state = False
        #: What came before it, which it may lack or not.
        self._early: list[Range] = []
        self._answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Connect, and return when it has the document."""
        if self._line is None:
            await self.connect()
        else:
            self._transport = await self._line.connect_once()
        for message in self.server.contestant.greeting(self.room):
            self.say(message)
        if self.server.contestant.hello is not None:
            self.send(client_frame(self.server.contestant.hello.encode(), TEXT))
        await self.ask()

    async def ask(self) -> None:
        """Ask for the whole document, and return when it is there."""
        self._answer = asyncio.get_running_loop().create_future()
        self.say(step1_frame(_NOTHING))
        async with asyncio.timeout(PATIENCE):
            await self._answer

    def say(self, message: bytes) -> None:
        """Send a message."""
        self.send(client_frame(self.prefix + message))

    def write(self, update: bytes) -> None:
        """Send an update."""
        self.sent += 1
        self.say(update_frame(update))

    @property
    def is_saved(self) -> bool:
        """All that it wrote is stored, as far as the server tells."""
        contestant = self.server.contestant
        reports = contestant.hello is not None or contestant.reports_each
        return not reports or self.saved >= self.sent

    def close(self) -> None:
        """Close its connection, also if others share it."""
        if self._line is None:
            super().close()
        else:
            self._line.close()

    def fail(self, error: Exception) -> None:
        super().fail(error)
        settle(self._answer, error)

    def take(self, data: bytes) -> None:
        known = None if self.partial else self._reader.chunks.get(data)
        if known is None:
            known = self._read(data)
        self.take_messages(known)

    def take_messages(self, messages: Sequence[_Message]) -> None:
        """Take what has come."""
        for kind, value in messages:
            if kind is _Kind.UPDATE:
                if self._has_state:
                    self.take_update(value)
                else:
                    self._early += value
            elif kind is _Kind.PRESENCE:
                self.seen.update(value)
            elif kind is not _Kind.OTHER:
                self._take_other(kind, value)

    def _read(self, data: bytes) -> list[_Message]:
        is_whole = not self.partial
        prefix = len(self.prefix)
        found = [self._reader.read(head, load, prefix) for head, load in self.frames(data)]
        if is_whole and not self.partial:
            self._reader.keep(data, found)
        return found

    def _take_other(self, kind: _Kind, value: Any) -> None:
        if kind is _Kind.STATE:
            self._take_state(value)
        elif kind is _Kind.SAVED:
            self.saved = value
        elif kind is _Kind.QUESTION:
            self._answer_question(value)
        elif kind is _Kind.REPORT:
            self.saved += 1
        elif kind is _Kind.PING:
            self.send(client_frame(ADDRESSED_PONG))
        else:
            self.control(*value)

    def _answer_question(self, known: Clocks) -> None:
        lacks = self._document is not None and not covers(known, self._document.clocks)
        update = self._document.data if self._document is not None and lacks else _EMPTY_UPDATE
        self.sent += 1
        self.say(step2_frame(update))

    def take_update(self, found: Sequence[Range]) -> None:
        """Take an update that comes after the document."""
        extend(self.clocks, found)

    def _take_state(self, found: Sequence[Range]) -> None:
        join(self.clocks, [*found, *self._early])
        self._early.clear()
        self._has_state = True
        settle(self._answer)


class Line(Connection):
    """One connection that has many documents open, each as a member of its own.

    Args:
        server: whose client it is.
        reader: to be shared with others.
    """

    def __init__(self, server: Running, reader: Reader) -> None:
        # Its address in the URL says nothing; documents have theirs in each frame.
        super().__init__(server, "all")
        self._reader = reader
        self._members: dict[bytes, Member] = {}
        self._connecting: asyncio.Task[None] | None = None

    @property
    def address(self) -> bytes:
        return next(iter(self._members))

    def add(self, member: Member) -> None:
        """Give the member what comes for its document."""
        self._members[member.prefix] = member

    async def connect_once(self) -> asyncio.Transport:
        """Connect, if that is not done; return the transport."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self.connect())
        await self._connecting
        return self._transport

    def take(self, data: bytes) -> None:
        for head, payload in self.frames(data):
            if head == BINARY and payload == ADDRESSED_PING:
                self.send(client_frame(ADDRESSED_PONG))
            elif head == BINARY:
                size = payload[0] + 1
                member = self._members[payload[:size]]
                member.take_messages([self._reader.read(head, payload, size)])
            else:
                self.control(head, payload)

    def fail(self, error: Exception) -> None:
        super().fail(error)
        for member in self._members.values():
            member.fail(error)


class _Inhabitant(Member):
    """A member of a room, who may write as one author."""

    def __init__(
        self, home: Room, server: Running, reader: Reader, line: Line | None = None
    ) -> None:
        super().__init__(server, home.name, reader, line=line)
        self.latencies = home.crowd.latencies[server]
        #: Client ids whose updates come from here, or were there before.
        self.own = home.crowd.earlier
        self._home = home

    def take_update(self, found: Sequence[Range]) -> None:
        self._home.delivered(self, extend(self.clocks, found, self.own))

    def fail(self, error: Exception) -> None:
        super().fail(error)
        self._home.crowd.fail(error)


class Room:
    """Members who have one document open.

    Args:
        crowd: which it belongs to.
        name: of the document.
        servers: whose clients the members are, each in turn.
        size: how many members.
        reader: of their frames.
        lines: for each member, if members share connections with those of other rooms.
    """

    def __init__(
        self,
        crowd: Crowd,
        name: str,
        servers: Sequence[Running],
        size: int,
        reader: Reader,
        lines: Sequence[Line] = (),
    ) -> None:
        self.crowd = crowd
        self.name = name
        places = zip_longest(islice(cycle(servers), size), lines)
        self.members = [_Inhabitant(self, server, reader, line) for server, line in places]
        #: When each update was sent, by the author's client id; its place in the list is its clock.
        self.sent: dict[int, list[float]] = {}
        #: Updates that members have to get yet, each counted for each of them.
        self.missing = 0
        #: What is called when none is missing any more.
        self.then: Callable[[Room], None] = _nothing

    def write(self, author: Author, place: int = 0) -> None:
        """Send the author's next update by the member at ``place``; all others wait for it."""
        member, sent = self.members[place], self.sent.setdefault(author.client_id, [])
        member.own = (author.client_id, *self.crowd.earlier)
        self.missing += len(self.members) - 1
        update = author.update(len(sent))
        sent.append(perf_counter())
        member.write(update)

    def delivered(self, member: _Inhabitant, found: Sequence[Range]) -> None:
        """Take note of what a member got."""
        now, number = perf_counter(), 0
        for author, clock, length in found:
            if author in self.sent and author not in member.own:
                sent = self.sent[author][clock : clock + length]
                member.latencies += [now - at for at in sent]
                number += len(sent)
        self.missing -= number
        # Writers may get back what they wrote, which changes nothing.
        if number and not self.missing:
            self.then(self)


def _nothing(room: Room) -> None:
    """Do nothing when all have got all."""


class Crowd:
    """Members of several rooms, as many in each.

    Args:
        servers: whose clients they are; those of each room take turns.
        rooms: how many rooms.
        size: how many members each room has.
        prefix: of the rooms' names.
        earlier: client ids of authors whose updates the rooms have; a server that loads them may
            send them to members again.
        is_shared: the n-th members of all rooms share one connection.
    """

    def __init__(
        self,
        servers: Sequence[Running],
        rooms: int,
        size: int,
        prefix: str = "room",
        earlier: tuple[int, ...] = (),
        is_shared: bool = False,
    ) -> None:
        self.earlier = earlier
        #: Seconds from sending an update to each member's getting it, by its server.
        self.latencies: dict[Running, list[float]] = {server: [] for server in servers}
        reader = Reader()
        lines = [
            Line(server, reader) for server in islice(cycle(servers), size if is_shared else 0)
        ]
        self.rooms = [
            Room(self, f"{prefix}-{number}", servers, size, reader, lines)
            for number in range(rooms)
        ]
        self._error: Exception | None = None
        self._busy = 0
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def members(self) -> list[Member]:
        """All of them."""
        return [member for room in self.rooms for member in room.members]

    @property
    def delivered(self) -> int:
        """The number of updates that have reached members, each counted for each of them."""
        return sum(map(len, self.latencies.values()))

    def taken(self, server: Running) -> list[float]:
        """Return the latencies of a server's clients up to now, which are counted anew then."""
        found = self.latencies[server]
        taken = found.copy()
        found.clear()
        return taken

    async def __aenter__(self) -> Self:
        # A peer breaks when a room is opened by many at once.
        await _open([member for room in self.rooms for member in room.members[:1]])
        await _open([member for room in self.rooms for member in room.members[1:]])
        return self

    async def __aexit__(self, *error: object) -> None:
        for member in self.members:
            member.close()

    def fail(self, error: Exception) -> None:
        """Fail all waits."""
        self._error = self._error or error
        settle(self._finished, error)

    # Writing.

    async def write(self, authors: Sequence[Author], updates: int, pace: float = 0.0) -> None:
        """Send updates of ``authors[n]`` by the n-th member of each room; wait for all members.

        Args:
            authors: they take turns, update by update.
            updates: of each.
            pace: seconds from one update to the next, of whatever room; by default nobody waits.
        """
        began, number = perf_counter(), 0
        for _ in range(updates):
            for place, author in enumerate(authors):
                for room in self.rooms:
                    if pace:
                        await asyncio.sleep(began + number * pace - perf_counter())
                    number += 1
                    room.write(author, place)
            # What was written leaves now, not with the next as one.
            await asyncio.sleep(0)
        await self._delivery()

    async def converse(self, author: Author, seconds: float) -> None:
        """Write by one member of each room for a time, each time when all others have the last."""
        end = perf_counter() + seconds
        await self._converse(author, lambda room: perf_counter() < end)

    async def exchange(self, author: Author, updates: int) -> None:
        """Write a number of updates in all by one member of each room, in the same way."""
        await self._converse(author, lambda room: len(room.sent[author.client_id]) < updates)

    async def _converse(self, author: Author, goes_on: Callable[[Room], bool]) -> None:
        def go_on(room: Room) -> None:
            if goes_on(room):
                room.write(author)
            else:
                self._rest(room)

        self._begin(go_on)
        for room in self.rooms:
            room.write(author)
        await self._end()

    async def stream(self, author: Author, pace: float, until: asyncio.Future[Any]) -> None:
        """Write by one member of each room at an even pace, whatever others have, up to a moment.

        Args:
            author: who writes.
            pace: seconds from one update to the next in a room.
            until: which ends it.
        """
        began, number = perf_counter(), 0
        while not until.done() and self._error is None:
            for room in self.rooms:
                room.write(author)
            number += 1
            await asyncio.sleep(began + number * pace - perf_counter())
        await self._delivery()

    async def _delivery(self) -> None:
        """Wait until all have got all."""
        self._begin(self._rest)
        for room in self.rooms:
            if not room.missing:
                self._rest(room)
        await self._end()

    def _begin(self, then: Callable[[Room], None]) -> None:
        self._busy = len(self.rooms)
        self._finished = asyncio.get_running_loop().create_future()
        for room in self.rooms:
            room.then = then

    def _rest(self, room: Room) -> None:
        room.then = _nothing
        self._busy -= 1
        if not self._busy:
            settle(self._finished)

    async def _end(self) -> None:
        if self._error is not None:
            raise self._error
        await self._finished

    # What else members do.

    async def saved(self) -> None:
        """Wait until all that members wrote is stored, as far as the server tells."""
        await self.until(lambda: all(member.is_saved for member in self.members))

    async def seed(self, pieces: Sequence[bytes], clocks: Clocks) -> None:
        """Send a document in pieces by the first member of each room; all members wait for it."""
        for piece in pieces:
            for room in self.rooms:
                room.members[0].write(piece)
        others = [member for room in self.rooms for member in room.members[1:]]
        await self.until(lambda: all(covers(member.clocks, clocks) for member in others))

    async def until(self, condition: Callable[[], bool], interval: float = _INTERVAL) -> None:
        """Wait until ``condition()`` holds, and look so often."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(interval)
                if self._error is not None:
                    raise self._error

    async def check(self) -> None:
        """Compare what newcomers to the first room get with what was written there.

        Raises:
            LostUpdate: they lack something.
        """
        room = self.rooms[0]
        written = {author: len(sent) for author, sent in room.sent.items()}
        for server in self.latencies:
            if server.contestant.keeps_documents:
                got = await newcomer(server, room.name)
                if not covers(got, written):
                    raise LostUpdate(f"a newcomer gets {got} of {written}")


async def newcomer(server: Running, room: str) -> Clocks:
    """Return the clocks of a document as a newcomer gets it."""
    member = Member(server, room)
    await member.open()
    member.close()
    return member.clocks


async def _open(members: Sequence[Member]) -> None:
    for start in range(0, len(members), _AT_ONCE):
        await asyncio.gather(*(member.open() for member in members[start : start + _AT_ONCE]))
