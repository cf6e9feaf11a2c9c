"""The process' part of the relay: carries what rooms publish over the channel layer.

There is one channel of the layer for the process and one group for each room. What keeps a room
equal to those of the same document in other processes is its
:class:`~collab.engine.relay.room_link.RoomLink`.

A message costs far more than what is in it: so what all rooms have to say in a few milliseconds
goes to each process that is concerned in one message, unless groups take fewer.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import inf
from typing import Any, Protocol

from channels.exceptions import ChannelFull

from collab.conf import Settings
from collab.engine.relay.room_link import MESSAGE_TYPE, Message, RoomLink
from collab.engine.runtime.counters import counters
from collab.protocol.yjs.updates import is_failure

__all__ = ["ChannelLayer", "Relay", "order"]

logger = logging.getLogger("collab.relay")

#: How often links look at their clocks, in seconds.
_TICK = 0.25
#: How often those are looked at that have nothing due soon.
_ALL = 1.0
#: Pause before the next attempt to receive from a layer that fails.
_PAUSE = 0.5
#: Least time between two rounds of messages, in seconds.
_PACE = 0.02
#: Messages that wait for a layer that does not take them.
_MAX_POSTS = 10_000
#: Messages, and bytes of updates and presence, that may go together in one.
_MAX_PARTS = 100
_MAX_SIZE = 256 * 1024
#: Kind of a message that holds others.
_SEVERAL = "several"

#: A group of the layer or a channel, and which of both.
Target = tuple[bool, str]

#: Names this process; its own rooms have had its orders by other ways.
PROCESS = secrets.token_hex(8)


class ChannelLayer(Protocol):
    """What the relay needs of a channel layer; see Channels' specification."""

    async def new_channel(self, prefix: str = "specific") -> str: ...
    async def receive(self, channel: str) -> Message: ...
    async def send(self, channel: str, message: Message) -> None: ...
    async def group_add(self, group: str, channel: str) -> None: ...
    async def group_discard(self, group: str, channel: str) -> None: ...
    async def group_send(self, group: str, message: Message) -> None: ...


def order(room_name: str, what: str, **fields: Any) -> Message:
    """Return a message in which server code tells processes that hold a room what to do."""
    return {
        "type": MESSAGE_TYPE,
        "kind": "order",
        "room": room_name,
        "from": PROCESS,
        "what": what,
        **fields,
    }


def _together(parts: Sequence[Message]) -> Message:
    if len(parts) == 1:
        return parts[0]
    return {"type": MESSAGE_TYPE, "kind": _SEVERAL, "parts": [*parts]}


def _size(message: Message) -> int:
    states = message.get("present", ())
    return len(message.get("update", b"")) + sum(len(state) for _, _, state in states)


@contextmanager
def _guarded(what: str, room: str | None) -> Iterator[None]:
    """Let one room fail, be it that pycrdt panics, and the others go on."""
    try:
        yield
    except BaseException as error:
        if not is_failure(error):
            raise
        logger.exception(what, extra={"room": room})


class Relay:
    """Publishes and receives for all rooms of this process.

    Args:
        layer: the channel layer.
        settings: for the intervals.
        on_order: called with what server code of another process orders of a room's members.
    """

    def __init__(
        self, layer: ChannelLayer, settings: Settings, on_order: Callable[[Message], None]
    ) -> None:
        self.settings = settings
        self.channel = ""
        self._layer = layer
        self._on_order = on_order
        #: Layers that forget who is in a group say after how many seconds they do.
        self._membership: float = getattr(layer, "group_expiry", inf) / 2
        self._loop = asyncio.get_running_loop()
        self._links: dict[str, RoomLink] = {}
        #: Links that have something due soon; the others are looked at now and then.
        self._restless: set[RoomLink] = set()
        self._changed: dict[RoomLink, None] = {}
        self._posts: deque[tuple[Target, Message]] = deque(maxlen=_MAX_POSTS)
        #: There is something to send; there is nothing, and nothing is on its way to the layer.
        self._filled, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._keepers: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self._failing = False

    def now(self) -> float:
        """Return the event loop's clock."""
        return self._loop.time()

    # Rooms.

    async def connect(self, name: str, reread: Callable[[], Coroutine[Any, Any, None]]) -> RoomLink:
        """Meet the processes that hold the room ``name``, which is going to be loaded.

        Args:
            name: of the room.
            reread: takes into the room what the storage has.
        """
        async with self._starting:
            await self._start()
        link = self._links[name] = RoomLink(self, name, reread)
        await self.join_group(link)
        self.wake(link)
        return link

    async def _start(self) -> None:
        if self._keepers:
            return
        await self._take_channel()
        self._keepers = [
            self._loop.create_task(self._listen()),
            self._loop.create_task(self._keep_sending()),
            self._loop.create_task(self._keep_time()),
        ]

    async def _take_channel(self) -> None:
        with self._watching():
            async with asyncio.timeout(self.settings.RELAY_TIMEOUT):
                # Of the prefix that consumers use, too: the Redis layer reads one at a time.
                self.channel = await self._layer.new_channel()

    async def join_group(self, link: RoomLink) -> None:
        """Let messages of the room's group come to this process."""
        link.join_at = self.now() + self._membership
        with self._watching():
            async with asyncio.timeout(self.settings.RELAY_TIMEOUT):
                await self._layer.group_add(link.group, self.channel)

    async def disconnect(self, link: RoomLink) -> None:
        """Leave the other processes that hold the room."""
        self._changed.pop(link, None)
        if link.has_news:
            self.post(link.next_message(), group=link.group)
        link.say_goodbye()
        self._links.pop(link.name, None)
        self._restless.discard(link)
        with suppress(Exception):
            async with asyncio.timeout(self.settings.RELAY_TIMEOUT):
                await self._layer.group_discard(link.group, self.channel)

    async def close(self) -> None:
        """End; all rooms are closed."""
        keepers, self._keepers = self._keepers, []
        if keepers:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.RELAY_TIMEOUT):
                    await self._idle.wait()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, *self._tasks, return_exceptions=True)

    # Sending.

    def schedule(self, link: RoomLink) -> None:
        """Send what the link has to publish; what comes until its turn is one message."""
        self._changed[link] = None
        self.wake(link)
        self._fill()

    def post(self, message: Message, *, group: str = "", channel: str = "") -> None:
        """Send a message to a group or to one process."""
        self._posts.append(((bool(group), group or channel), message))
        self._fill()

    @property
    def is_idle(self) -> bool:
        """The layer has all that was to be sent."""
        return self._idle.is_set()

    def _fill(self) -> None:
        self._filled.set()
        self._idle.clear()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something slow beside the relay."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("What the relay does has failed.", exc_info=error)

    async def _keep_sending(self) -> None:
        due = self.now()
        while True:
            await self._filled.wait()
            # At least the rest of this turn, in which more rooms may have something to say.
            await asyncio.sleep(due - self.now())
            self._filled.clear()
            for target, messages in self._next_round().items():
                await self._send_together(target, messages)
            if not self._filled.is_set():
                self._idle.set()
            due = self.now() + _PACE

    def _next_round(self) -> Mapping[Target, Sequence[Message]]:
        """Return what is to be sent now, by where to."""
        messages: defaultdict[Target, list[Message]] = defaultdict(list)
        while self._posts:
            target, message = self._posts.popleft()
            messages[target].append(message)
        links, self._changed = [*self._changed], {}
        channels = {channel for link in links for channel in link.channels}
        for link in links:
            # Who has just come, and is not known yet, asks for what he has missed.
            direct = link.channels if len(channels) <= len(links) else ()
            targets = [(False, channel) for channel in direct] or [(True, link.group)]
            # What cannot be told of one room is lost.
            with _guarded("A room cannot be told of.", link.name):
                news = link.next_message()
                for target in targets:
                    messages[target].append(news)
        return messages

    async def _send_together(self, target: Target, messages: Sequence[Message]) -> None:
        """Send messages to one place, in as few as they fit into."""
        parts: list[Message] = []
        size = 0
        for message in messages:
            size += _size(message)
            if parts and (len(parts) == _MAX_PARTS or size > _MAX_SIZE):
                await self._send(target, _together(parts))
                parts, size = [], _size(message)
            parts.append(message)
        await self._send(target, _together(parts))

    async def _send(self, target: Target, message: Message) -> None:
        to_group, name = target
        # A process that does not come after is told by and by what it has missed.
        with self._watching(), suppress(ChannelFull):
            async with asyncio.timeout(self.settings.RELAY_TIMEOUT):
                if to_group:
                    await self._layer.group_send(name, message)
                else:
                    await self._layer.send(name, message)
            counters.relay_sent_messages += 1

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Let the layer fail: what it loses is repaired. The first failure of a row is logged."""
        try:
            yield
        except Exception as error:
            if not self._failing:
                logger.warning("The channel layer fails (%s).", type(error).__name__)
            self._failing = True
        else:
            self._failing = False

    # Receiving.

    async def _listen(self) -> None:
        while True:
            message: Message | None = None
            if not self.channel:
                # The layer was away when the first room was opened.
                await self._take_channel()
            if self.channel:
                with self._watching():
                    message = await self._layer.receive(self.channel)
            if message is None:
                await asyncio.sleep(_PAUSE)
                continue
            counters.relay_received_messages += 1
            self._take(message)

    def _take(self, message: Message) -> None:
        with _guarded("A message of another process cannot be understood.", message.get("room")):
            self._receive(message)

    def _receive(self, message: Message) -> None:
        if message["kind"] == _SEVERAL:
            for part in message["parts"]:
                self._take(part)
        elif message["kind"] == "order":
            if message["from"] != PROCESS:
                self._on_order(message)
        elif link := self._links.get(message["room"]):
            link.receive(message)

    # Time.

    def wake(self, link: RoomLink) -> None:
        """Look at the link's clock with the next tick."""
        self._restless.add(link)

    async def _keep_time(self) -> None:
        all_at = 0.0
        while True:
            await asyncio.sleep(_TICK)
            now = self.now()
            links = self._restless
            if all_at <= now:
                all_at, links = now + _ALL, set(self._links.values())
            self._restless = set()
            self._restless |= {link for link in links if self._tick(link, now)}

    def _tick(self, link: RoomLink, now: float) -> bool:
        with _guarded("A room cannot be kept equal.", link.name):
            return link.tick(now)
        return False
