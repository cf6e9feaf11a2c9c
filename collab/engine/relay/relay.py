"""The process' part of the relay: carries the messages of rooms over the channel layer.

There is one channel of the layer for the process and one group for each room. The
:class:`~collab.engine.relay.room_link.RoomLink` of a room keeps it equal to those of the same
document in other processes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from collab.engine.relay.layer_channel import ChannelLayer, LayerChannel, Message, end_task
from collab.engine.relay.layer_key import layer_token
from collab.engine.relay.messages import (
    ALL_ROOMS,
    MESSAGE_TYPE,
    SEVERAL,
    pack,
    relay_group,
    this_process,
)
from collab.engine.relay.room_link import RoomLink
from collab.engine.relay.timings import RelayTimings
from collab.engine.runtime.background import BackgroundTasks
from collab.engine.runtime.counters import counters
from collab.protocol.yjs.updates import is_failure

__all__ = ["Relay"]

logger = logging.getLogger("collab.relay")

#: Messages that wait for a layer that does not accept them, at most.
_MAX_POSTS = 10_000

#: A group of the layer or a channel, and which of both.
Target = tuple[bool, str]


@contextmanager
def _isolated(failure: str, room: str | None) -> Iterator[None]:
    """Log a failure of one room, panics of pycrdt included, and go on with the others."""
    try:
        yield
    except BaseException as error:
        if not is_failure(error):
            raise
        logger.exception(failure, extra={"room": room})


class Relay:
    """Publishes and receives for all rooms of an event loop.

    Args:
        layer: the channel layer.
        timings: its intervals.
    """

    #: Called with each order of another process's server code.
    on_order: Callable[[Message], None]

    def __init__(self, layer: ChannelLayer, timings: RelayTimings) -> None:
        self.timings = timings
        #: The channel of this process.
        self.layer = LayerChannel(
            layer,
            self._handle,
            token=layer_token(),
            timeout=timings.timeout,
            pause=timings.retry,
        )
        self._loop = asyncio.get_running_loop()
        self._links: dict[str, RoomLink] = {}
        #: Links with something due soon, whose clocks are checked with each tick.
        self._restless: set[RoomLink] = set()
        self._changed: dict[RoomLink, None] = {}
        self._posts: deque[tuple[Target, Message]] = deque(maxlen=_MAX_POSTS)
        #: There is something to send; there is nothing, and the layer has accepted everything.
        self._filled, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._periodic: list[asyncio.Task[None]] = []
        self.tasks = BackgroundTasks("collab-relay", logger)
        self._starting = asyncio.Lock()

    def now(self) -> float:
        """Return the event loop's clock."""
        return self._loop.time()

    # Rooms.

    async def connect(self, name: str, reread: Callable[[], Coroutine[Any, Any, None]]) -> RoomLink:
        """Connect to the processes that hold the room ``name``, which is loaded next.

        Args:
            name: of the room.
            reread: applies to the room the updates in the storage that it lacks.
        """
        await self.listen()
        link = self._links[name] = RoomLink(self, name, reread)
        await self.layer.join(link.group)
        self.wake(link)
        return link

    async def listen(self) -> None:
        """Receive orders that concern every process, also while no room is open."""
        async with self._starting:
            if self._periodic:
                return
            await self.layer.start()
            await self.layer.join(relay_group(ALL_ROOMS))
            self._periodic = [
                self._loop.create_task(self._send_periodically(), name="collab-relay-send"),
                self._loop.create_task(self._tick_periodically(), name="collab-relay-tick"),
            ]

    async def disconnect(self, link: RoomLink) -> None:
        """Leave the other processes that hold the room."""
        self._changed.pop(link, None)
        if link.has_news:
            self.post(link.next_message(), group=link.group)
        link.say_goodbye()
        self._links.pop(link.name, None)
        self._restless.discard(link)
        await self.layer.leave(link.group)

    async def close(self) -> None:
        """End; all rooms are closed."""
        async with self._starting:
            periodic, self._periodic = self._periodic, []
            if periodic:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.timings.timeout):
                        await self._idle.wait()
            for task in periodic:
                await end_task(task)
            await self.tasks.finish()
            await self.layer.close()

    # Sending.

    def schedule(self, link: RoomLink) -> None:
        """Send the link's news; all of them until its turn comes are one message."""
        self._changed[link] = None
        self.wake(link)
        self._fill()

    def post(self, message: Message, *, group: str = "", channel: str = "") -> None:
        """Send a message to a group or to one process."""
        self._posts.append(((bool(group), group or channel), message))
        self._fill()

    @property
    def is_idle(self) -> bool:
        """Whether the layer has accepted everything."""
        return self._idle.is_set()

    def answer(self, name: str, channel: str, **fields: Any) -> None:
        """Send a process that asked about the room ``name`` this one's answer, and who else has it.

        Args:
            name: of a room that is open here.
            channel: of the process.
            fields: of the answer.
        """
        link = self._links[name]
        peers = sorted(link.peers)
        self.post(
            {"type": MESSAGE_TYPE, "kind": "found", "from": link.id, "peers": peers, **fields},
            channel=channel,
        )

    def peers_of(self, name: str) -> set[str]:
        """Return the ids of the other processes that hold the room ``name``, as far as known."""
        link = self._links.get(name)
        return set() if link is None else set(link.peers)

    def _fill(self) -> None:
        self._filled.set()
        self._idle.clear()

    async def _send_periodically(self) -> None:
        due = self.now()
        while True:
            await self._filled.wait()
            # At least the rest of this turn, in which more rooms may have news.
            await asyncio.sleep(due - self.now())
            self._filled.clear()
            for (to_group, name), messages in self._next_round().items():
                for message in pack(messages):
                    # Receivers notice lost messages, and ask for them.
                    sent = self.layer.send(message, **{"group" if to_group else "channel": name})
                    counters.relay_sent_messages += await sent
            if not self._filled.is_set():
                self._idle.set()
            due = self.now() + self.timings.pace

    def _next_round(self) -> Mapping[Target, Sequence[Message]]:
        """Return the messages to send now, by target."""
        messages: defaultdict[Target, list[Message]] = defaultdict(list)
        while self._posts:
            target, message = self._posts.popleft()
            messages[target].append(message)
        links, self._changed = [*self._changed], {}
        channels = {channel for link in links for channel in link.channels}
        for link in links:
            # A process that is not known yet asks for the updates that it has missed.
            direct = link.channels if len(channels) <= len(links) else ()
            targets = [(False, channel) for channel in direct] or [(True, link.group)]
            with _isolated("A room's changes cannot be published and are lost.", link.name):
                news = link.next_message()
                for target in targets:
                    messages[target].append(news)
        return messages

    # Receiving.

    def _handle(self, message: Message) -> None:
        counters.relay_received_messages += 1
        self._receive(message)

    def _receive(self, message: Message) -> None:
        with _isolated("A message of another process is not valid.", message.get("room")):
            if message["kind"] == SEVERAL:
                for part in message["parts"]:
                    self._receive(part)
            elif message["kind"] == "order":
                if message["from"] != this_process():
                    self.on_order(message)
            elif link := self._links.get(message["room"]):
                link.receive(message)

    # Time.

    def wake(self, link: RoomLink) -> None:
        """Check the link's clock with the next tick."""
        self._restless.add(link)

    async def _tick_periodically(self) -> None:
        all_at = 0.0
        while True:
            await asyncio.sleep(self.timings.tick)
            now = self.now()
            links = self._restless
            if all_at <= now:
                all_at, links = now + self.timings.long_tick, set(self._links.values())
            self._restless = set()
            self._restless |= {link for link in links if self._tick(link, now)}

    def _tick(self, link: RoomLink, now: float) -> bool:
        with _isolated("A room cannot be kept equal to other processes.", link.name):
            return link.tick(now)
        return False
