"""Several processes in one: hubs that share a storage, and a channel layer that obeys the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from channels.layers import InMemoryChannelLayer
from pycrdt import Doc

from collab.conf import Settings
from collab.engine.hub import current as hub_module
from collab.engine.hub.hub import Hub
from collab.engine.relay.layer_channel import ChannelLayer, Message
from collab.engine.relay.layer_key import layer_token
from collab.engine.relay.messages import order
from collab.engine.relay.relay import Relay
from collab.engine.relay.room_link import RoomLink
from collab.engine.relay.timings import RelayTimings
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.storing.document_store import DocumentStore
from collab.protocol.frames import (
    GONE,
    PresenceState,
    decode_presence,
    presence_frame,
    read_bytes,
    step2_frame,
    update_frame,
)
from collab.protocol.yjs.updates import merge
from collab_storage.base import Mark
from collab_storage.memory import MemoryStorage
from tests.engine.fakes import HinderedStorage, Socket, new_member, room_of
from tests.harness.waiting import DEADLINE, until
from tests.protocol.yjs.samples import content, insert, new_doc, text

__all__ = [
    "NOTES",
    "QUICK",
    "Client",
    "Cluster",
    "Opener",
    "Process",
    "Wire",
    "cluster",
    "hold_no_updates",
    "last",
    "losing",
    "met",
    "pause",
    "present",
    "two",
]

#: The document that most tests are about.
NOTES = "notes"

#: Nothing happens by itself but what a test speeds up.
CALM = {
    "RELAY_STORAGE_INTERVAL": 1000,
    "WRITE_DELAY": 0.001,
    "UNLOAD_DELAY": 0.01,
    "DRAIN_TIME": 0.01,
    "CLOSE_TIMEOUT": 1,
    # Rooms sleep whenever they can.
    "SLEEP_DELAY": 0.001,
}


#: The same for a relay, which checks its clocks more often than is good for a server.
CALM_TIMINGS = {
    "timeout": 1000,
    "digest": 1000,
    "peer": 1000,
    "retry": 0.01,
    "patience": 0.01,
    "pace": 0.001,
    "tick": 0.002,
    "long_tick": 0.01,
}

#: Intervals of a relay with which lost messages are noticed at once.
QUICK = {"timeout": 0.1, "digest": 0.05, "peer": 0.3}


class Opener:
    """A project that wants nothing special; it notes how often documents are seeded."""

    makes_plain_docs = True

    def __init__(self, seed: str = "") -> None:
        self.seed = seed
        self.seeded = 0

    async def make_ydoc(self) -> Doc[Any]:
        return Doc()

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        self.seeded += 1
        content(doc).insert(0, self.seed)


class SharedStorage(HinderedStorage):
    """One process's way to the storage that all share."""

    def __init__(self, shared: MemoryStorage) -> None:
        super().__init__()
        self._documents = shared._documents
        self._ids = shared._ids
        self._names = shared._names
        self._lock = shared._lock

    async def marks(self, names: Sequence[str]) -> dict[str, Mark]:
        await self._hinder("marks")
        return await super().marks(names)


class Wire(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no types.
    """A layer in memory that notes what it carries, and loses what a test wants lost."""

    def __init__(self) -> None:
        super().__init__(capacity=10_000)
        #: What has arrived, or was lost: the channel and the message.
        self.carried: list[tuple[str, Message]] = []
        self.lost: list[tuple[str, Message]] = []
        #: What was given to it: to which group or channel, and the messages that were one.
        self.given: list[tuple[str, list[Message]]] = []
        #: Tells which messages to which channel are lost.
        self.loses: Callable[[str, Message], bool] = lambda channel, message: False
        #: What each verb raises, and what each waits for.
        self.failures: dict[str, Exception] = {}
        self.gates: dict[str, asyncio.Event] = {}

    async def _hinder(self, verb: str) -> None:
        if gate := self.gates.get(verb):
            await gate.wait()
        if error := self.failures.get(verb):
            raise error

    async def new_channel(self, prefix: str = "specific") -> str:
        await self._hinder("new_channel")
        channel: str = await super().new_channel(prefix)
        return channel

    async def send(self, channel: str, message: Message) -> None:
        await self._hinder("send")
        parts = message.get("parts", [message])
        self.given.append((channel, parts))
        lost = [part for part in parts if self.loses(channel, part)]
        kept = [part for part in parts if part not in lost]
        self.lost += [(channel, part) for part in lost]
        self.carried += [(channel, part) for part in kept]
        if lost and kept:
            message = {**message, "parts": kept}
        if kept:
            # Parts that a test sends once more are of this project, too.
            await super().send(channel, {"token": layer_token(), **message})

    async def receive(self, channel: str) -> Message:
        await self._hinder("receive")
        message: Message = await super().receive(channel)
        return message

    async def group_add(self, group: str, channel: str) -> None:
        await self._hinder("group_add")
        await super().group_add(group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        await self._hinder("group_discard")
        await super().group_discard(group, channel)

    async def group_send(self, group: str, message: Message) -> None:
        await self._hinder("group_send")
        self.given.append((group, message.get("parts", [message])))
        await super().group_send(group, message)

    def kinds(self, sender: Process | None = None, to: Process | None = None) -> list[str]:
        """Return the kinds of the messages that have arrived at other processes, in order."""
        return [
            message["kind"]
            for channel, message in self.carried
            if channel != message["channel"]
            and (sender is None or message["channel"] == sender.channel)
            and (to is None or channel == to.channel)
        ]

    def forget(self) -> None:
        """Forget what was carried so far."""
        self.carried.clear()
        self.lost.clear()
        self.given.clear()

    def changes(self) -> list[tuple[str, list[str]]]:
        """Return where messages with changes were sent, and the rooms that were in each."""
        told = [
            (target, [part["room"] for part in parts if part["kind"] == "change"])
            for target, parts in self.given
        ]
        return [(target, rooms) for target, rooms in told if rooms]


class Process:
    """A hub with its own way to the storage and the layer."""

    def __init__(
        self,
        settings: Settings,
        timings: RelayTimings,
        shared: MemoryStorage,
        layer: ChannelLayer,
    ) -> None:
        self.storage = SharedStorage(shared)
        self.settings = settings
        self.hub = Hub(
            DocumentStore(self.storage, settings, max_retry_delay=0.01), Relay(layer, timings)
        )

    @property
    def channel(self) -> str:
        assert self.hub.relay is not None
        return self.hub.relay.layer.name

    def room(self, name: str = NOTES) -> Room:
        return self.hub.rooms[name, True]

    def link(self, name: str = NOTES) -> RoomLink:
        return self.hub._upkeep._links[name, True]

    def text(self, name: str = NOTES) -> str:
        """Return the text that this process holds."""
        return text(self.room(name).doc)

    async def open(self, name: str = NOTES, opener: Opener | None = None) -> Client:
        """Admit a client."""
        client = Client(self, name)
        await client.enter(opener)
        return client


class Client:
    """A member of a room, with a document of its own."""

    def __init__(self, process: Process, name: str = NOTES, doc: Doc[Any] | None = None) -> None:
        self.process = process
        self.name = name
        self.doc = new_doc() if doc is None else doc
        self.member: Member
        self.socket: Socket
        self._clock = 0
        self._read = 0

    async def enter(self, opener: Opener | None = None) -> None:
        """Join the room, and tell the server what this client has."""
        self.member, self.socket = new_member(greeted=True)
        self._read = 0
        await self.process.hub.join(self.name, self.member, opener or Opener())
        self.receive()
        self.send(b"\0\0\1\0")
        if self.doc.get_state() != b"\0":
            self.send(step2_frame(self.doc.get_update()))

    def leave(self) -> None:
        room_of(self.member).leave(self.member)

    def send(self, frame: bytes) -> None:
        effect = self.member.session.receive_bytes(frame)
        if effect is not None:
            room_of(self.member).handle(self.member, effect)

    def type(self, letters: str, at: int = 0) -> None:
        """Insert ``letters`` and send that."""
        self.send(update_frame(insert(self.doc, letters, at)))

    def show(self, state: str = '{"cursor":1}') -> None:
        """Be present with that state."""
        self._clock += 1
        self.send(presence_frame([PresenceState(self.doc.client_id, self._clock, state)]))

    def receive(self) -> None:
        """Apply what has come."""
        frames, self._read = self.socket.frames[self._read :], len(self.socket.frames)
        for frame in frames:
            if frame[0] == 0 and frame[1] != 0:
                self.doc.apply_update(read_bytes(frame, 2)[0])

    @property
    def text(self) -> str:
        self.receive()
        return text(self.doc)

    @property
    def saved(self) -> int:
        """The number of this client's updates that were reported as saved."""
        counts = [r["data"]["count"] for r in self.socket.replies if r["action"] == "saved"]
        return counts[-1] if counts else 0

    @property
    def sees(self) -> set[int]:
        """The client ids that are present as far as this client was told."""
        present: dict[int, str] = {}
        for frame in self.socket.frames:
            if frame[0] == 1:
                states = decode_presence(read_bytes(frame, 1)[0], 10_000)
                present |= {state.client_id: state.state for state in states}
        return {client_id for client_id, state in present.items() if state != GONE}


class Cluster:
    """Processes that share a storage and a layer."""

    def __init__(
        self, layer: ChannelLayer, settings: dict[str, Any], timings: Mapping[str, float]
    ) -> None:
        self.layer = layer
        #: Of all processes; may be changed at any time.
        self.timings = RelayTimings(**{**CALM_TIMINGS, **timings})
        self.storage = MemoryStorage()
        self._settings = Settings(**{**CALM, **settings})
        self.processes: list[Process] = []

    @property
    def wire(self) -> Wire:
        assert isinstance(self.layer, Wire)
        return self.layer

    def start(self) -> Process:
        """Start one process more."""
        self.processes.append(Process(self._settings, self.timings, self.storage, self.layer))
        return self.processes[-1]

    def kill(self, process: Process) -> None:
        """Stop a process: it stores nothing, and no other process hears of it."""
        process.storage.gates.setdefault("append", asyncio.Event())
        before, channel = self.wire.loses, process.channel
        self.wire.loses = lambda to, message: (
            to == channel or message.get("channel") == channel or before(to, message)
        )

    async def tell(self, room_name: str, what: str, **fields: Any) -> None:
        """Order something of the processes that hold a room, as server code elsewhere does."""
        message = {**order(room_name, what, **fields), "from": "elsewhere"}
        for process in self.processes:
            await self.layer.send(process.channel, {**message, "channel": "elsewhere"})

    async def rows(self, name: str = NOTES) -> list[bytes]:
        """Return what is stored, row by row."""
        stored = await self.storage.load(name)
        return [] if stored is None else stored.updates

    async def stored_text(self, name: str = NOTES) -> str:
        rows = await self.rows(name)
        return text(new_doc(merge(rows))) if rows else ""

    async def wait_stored(self, expected: str, name: str = NOTES) -> None:
        """Wait until that text is stored."""

        async def is_stored() -> bool:
            return await self.stored_text(name) == expected

        await until(is_stored)

    async def calm(self) -> None:
        """Wait until nothing is on its way to the storage or between the processes."""
        for process in self.processes:
            for room in process.hub.rooms.values():
                room.flush()
            await process.hub.writer.idle()
        # Each message is followed by whatever it causes.
        for _ in range(20):
            await asyncio.sleep(0)
        await until(lambda: all(_is_quiet(process) for process in self.processes))

    async def close(self) -> None:
        """End all processes, the killed ones with them."""
        if isinstance(self.layer, Wire):
            self.wire.failures.clear()
            _open(self.wire.gates)
        for process in self.processes:
            process.storage.failures.clear()
            _open(process.storage.gates)
        for process in self.processes:
            await process.hub.close()


def _open(gates: dict[str, asyncio.Event]) -> None:
    for gate in gates.values():
        gate.set()
    gates.clear()


def _is_quiet(process: Process) -> bool:
    sending = process.hub.relay
    assert sending is not None
    return sending.is_idle


@asynccontextmanager
async def cluster(
    *,
    layer: ChannelLayer | None = None,
    timings: Mapping[str, float] = CALM_TIMINGS,
    **settings: Any,
) -> AsyncIterator[Cluster]:
    """Processes that end with the block, after which no task is left."""
    before = asyncio.all_tasks()
    processes = Cluster(layer or Wire(), settings, timings)
    try:
        yield processes
    finally:
        async with asyncio.timeout(DEADLINE):
            await processes.close()
    await until(lambda: asyncio.all_tasks() <= before)
    assert hub_module.live_hubs() == []


def present(*clients: Client) -> set[int]:
    """Return the client ids of ``clients``."""
    return {client.doc.client_id for client in clients}


def last(sent: Sequence[tuple[str, Message]], kind: str) -> Message:
    """Return the newest message of that kind."""
    return next(message for _, message in reversed(sent) if message["kind"] == kind)


async def two(processes: Cluster) -> tuple[Client, Client]:
    """Return a client in each of two processes, which have met."""
    ann = await processes.start().open()
    bob = await processes.start().open()
    await met(processes)
    return ann, bob


async def hold_no_updates(process: Process) -> None:
    """Wait until all has been confirmed that others have brought to a process."""
    await until(lambda: not any(p.unconfirmed for p in process.link().peers.values()))


async def met(processes: Cluster) -> None:
    """Wait until all processes know each other and nobody has a question."""
    links = [process.link() for process in processes.processes]
    await until(
        lambda: all(
            len(link.peers) == len(links) - 1
            and all(peer.ask_at is None for peer in link.peers.values())
            for link in links
        )
    )
    await processes.calm()
    await pause()
    if isinstance(processes.layer, Wire):
        processes.wire.forget()


async def pause() -> None:
    """Run many ticks: what is due is done, and what was lost has been asked for."""
    # Tests that wait so long see that nothing comes; for what comes they wait with `until`.
    await asyncio.sleep(30 * CALM_TIMINGS["tick"])


def losing(*kinds: str, to: Process | None = None) -> Callable[[str, Message], bool]:
    """Return a rule after which messages of these kinds are lost."""

    def loses(channel: str, message: Message) -> bool:
        return message["kind"] in kinds and (to is None or channel == to.channel)

    return loses
