"""The process' part of the relay: carries what rooms publish over the channel layer.

There is one channel of the layer for the process and one group for each room. What keeps a room
equal to those of the same document in other processes is its :class:`~collab.link.Link`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from math import inf
from typing import Any, Protocol

from .conf import Settings
from .counts import counts
from .link import MESSAGE_TYPE, Link, Message

__all__ = ["ChannelLayer", "Relay", "order"]

logger = logging.getLogger(__name__)

#: How often links look at their clocks, in seconds.
_TICK = 0.25
#: How often those are looked at that have nothing due soon.
_ALL = 1.0
#: Pause before the next attempt to receive from a layer that fails.
_PAUSE = 0.5
#: Messages that wait for a layer that does not take them.
_MAX_POSTS = 10_000

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
        self._links: dict[str, Link] = {}
        #: Links that have something due soon; the others are looked at now and then.
        self._restless: set[Link] = set()
        self._changed: dict[Link, None] = {}
        self._posts: deque[tuple[bool, str, Message]] = deque(maxlen=_MAX_POSTS)
        self._sender: asyncio.Task[None] | None = None
        self._keepers: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self._failing = False

    def now(self) -> float:
        """Return the event loop's clock."""
        return self._loop.time()

    # Rooms.

    async def connect(self, name: str, reread: Callable[[], Coroutine[Any, Any, None]]) -> Link:
        """Meet the processes that hold the room ``name``, which is going to be loaded.

        Args:
            name: of the room.
            reread: takes into the room what the storage has.
        """
        async with self._starting:
            await self._start()
        link = self._links[name] = Link(self, name, reread)
        await self.join_group(link)
        self.wake(link)
        return link

    async def _start(self) -> None:
        if self._keepers:
            return
        await self._take_channel()
        self._keepers = [
            self._loop.create_task(self._listen()),
            self._loop.create_task(self._keep_time()),
        ]

    async def _take_channel(self) -> None:
        with self._watching():
            async with asyncio.timeout(self.settings.RELAY_TIMEOUT):
                # Of the prefix that consumers use, too: the Redis layer reads one at a time.
                self.channel = await self._layer.new_channel()

    async def join_group(self, link: Link) -> None:
        """Let messages of the room's group come to this process."""
        link.join_at = self.now() + self._membership
        with self._watching():
            async with asyncio.timeout(self.settings.RELAY_TIMEOUT):
                await self._layer.group_add(link.group, self.channel)

    async def disconnect(self, link: Link) -> None:
        """Leave the other processes that hold the room."""
        link.say_goodbye()
        self._links.pop(link.name, None)
        self._restless.discard(link)
        self._changed.pop(link, None)
        with suppress(Exception):
            async with asyncio.timeout(self.settings.RELAY_TIMEOUT):
                await self._layer.group_discard(link.group, self.channel)

    async def close(self) -> None:
        """End; all rooms are closed."""
        keepers, self._keepers = self._keepers, []
        if self._sender is not None:
            await asyncio.wait([self._sender], timeout=self.settings.RELAY_TIMEOUT)
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, *self._tasks, return_exceptions=True)

    # Sending.

    def schedule(self, link: Link) -> None:
        """Send what the link has to publish; what comes until its turn is one message."""
        self._changed[link] = None
        self.wake(link)
        self._start_sender()

    def post(self, message: Message, *, group: str = "", channel: str = "") -> None:
        """Send a message to a group or to one process."""
        self._posts.append((bool(group), group or channel, message))
        self._start_sender()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something slow beside the relay."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("What the relay does has failed.", exc_info=error)

    def _start_sender(self) -> None:
        if self._sender is None:
            self._sender = self._loop.create_task(self._send_all())
            self._sender.add_done_callback(self._task_done)

    async def _send_all(self) -> None:
        try:
            while self._posts or self._changed:
                if self._posts:
                    await self._send(*self._posts.popleft())
                    continue
                link = next(iter(self._changed))
                del self._changed[link]
                await self._send(True, link.group, link.next_message())
        finally:
            self._sender = None

    async def _send(self, to_group: bool, target: str, message: Message) -> None:
        with self._watching():
            async with asyncio.timeout(self.settings.RELAY_TIMEOUT):
                if to_group:
                    await self._layer.group_send(target, message)
                else:
                    await self._layer.send(target, message)
            counts.relay_sent_messages += 1

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
            try:
                self._receive(message)
            except Exception:
                logger.exception(
                    "A message of another process cannot be understood.",
                    extra={"room": message.get("room")},
                )

    def _receive(self, message: Message) -> None:
        counts.relay_received_messages += 1
        if message["kind"] == "order":
            if message["from"] != PROCESS:
                self._on_order(message)
        elif link := self._links.get(message["room"]):
            link.receive(message)

    # Time.

    def wake(self, link: Link) -> None:
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

    def _tick(self, link: Link, now: float) -> bool:
        try:
            return link.tick(now)
        except Exception:
            # The clock of the other rooms goes on.
            logger.exception("A room cannot be kept equal.", extra={"room": link.name})
            return False
