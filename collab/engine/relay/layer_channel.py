"""A channel of the channel layer that outlives the layer's failures.

It is in the groups that it has joined although layers forget them, after ``group_expiry`` or when
they restart. A failure is never raised: it is logged, at most once a minute for each layer, and
repaired as soon as the layer is back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

from channels.exceptions import ChannelFull

from collab.engine.runtime.counters import counters

__all__ = [
    "LAYER_PAUSE",
    "LAYER_TIMEOUT",
    "ChannelLayer",
    "Handler",
    "LayerChannel",
    "Message",
    "end_task",
]

logger = logging.getLogger("collab.relay")

#: An answer of the layer, or a message through it, is lost if it takes longer, in seconds.
LAYER_TIMEOUT = 3.0
#: Pause before the next attempt to use a layer that fails, in seconds.
LAYER_PAUSE = 0.5
#: Least time between two warnings about one layer, in seconds.
_QUIET = 60.0

Message = dict[str, Any]
#: Called with each message; the next is received once the result has been awaited, if there is one.
Handler = Callable[[Message], Awaitable[None] | None]


class ChannelLayer(Protocol):
    """The part of Channels' specification of a layer that is used here."""

    async def new_channel(self, prefix: str = "specific") -> str: ...
    async def receive(self, channel: str) -> Message: ...
    async def send(self, channel: str, message: Message) -> None: ...
    async def group_add(self, group: str, channel: str) -> None: ...
    async def group_discard(self, group: str, channel: str) -> None: ...
    async def group_send(self, group: str, message: Message) -> None: ...


#: When the last failure of each layer was logged.
_warned_at: WeakKeyDictionary[ChannelLayer, float] = WeakKeyDictionary()


class LayerChannel:
    """One channel of a layer, and the groups that it is in.

    Args:
        layer: the channel layer.
        handle: handles each message; if it raises, no more are received.
        on_failed: called with the error that ``handle`` has raised, instead of logging it.
        token: marks all messages; those that are received without it are dropped and counted.
        timeout: for each answer of the layer, by default ``LAYER_TIMEOUT``.
        pause: before the next attempt to use a layer that fails, by default ``LAYER_PAUSE``.
    """

    __slots__ = (
        "_groups",
        "_handle",
        "_is_stale",
        "_layer",
        "_listener",
        "_lock",
        "_on_failed",
        "_pause",
        "_rejoin_handle",
        "_rejoin_interval",
        "_rejoin_task",
        "_timeout",
        "_token",
        "name",
    )

    def __init__(
        self,
        layer: ChannelLayer,
        handle: Handler | None = None,
        *,
        on_failed: Callable[[BaseException], object] | None = None,
        token: str | None = None,
        timeout: float | None = None,
        pause: float | None = None,
    ) -> None:
        #: The channel's name, once the layer has given it one.
        self.name = ""
        self._layer = layer
        self._handle = handle
        self._on_failed = on_failed
        self._token = token
        self._timeout = LAYER_TIMEOUT if timeout is None else timeout
        self._pause = LAYER_PAUSE if pause is None else pause
        self._groups: set[str] = set()
        #: The layer may lack some of the groups; all are joined again soon.
        self._is_stale = False
        # Joining and leaving a group must reach the layer in their order.
        self._lock = asyncio.Lock()
        self._listener: asyncio.Task[None] | None = None
        self._rejoin_task: asyncio.Task[None] | None = None
        self._rejoin_handle: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to receive, as soon as the layer can, and join all groups again."""
        async with self._lock:
            await self._attempt_rejoin()

    async def join(self, group: str) -> None:
        """Be in ``group`` from now on; a layer that fails is not waited for."""
        async with self._lock:
            self._groups.add(group)
            if not self._is_stale:
                try:
                    await self._within_time(self._layer.group_add(group, self.name))
                except Exception as error:
                    self._fail(error)

    async def leave(self, group: str) -> None:
        """Be in ``group`` no more; a layer that fails forgets the channel in time."""
        async with self._lock:
            self._groups.discard(group)
            if not self._is_stale:
                with self._logged_failures():
                    await self._within_time(self._layer.group_discard(group, self.name))

    async def send(self, message: Message, *, group: str = "", channel: str = "") -> bool:
        """Send a message to a group or to one channel; return ``False`` if it is lost."""
        if self._token is not None:
            message = {**message, "token": self._token}
        with self._logged_failures(), suppress(ChannelFull):
            await self._within_time(
                self._layer.group_send(group, message)
                if group
                else self._layer.send(channel, message)
            )
            return True
        return False

    async def close(self) -> None:
        """Leave all groups and receive no more."""
        if self._rejoin_handle is not None:
            self._rejoin_handle.cancel()
        tasks, self._listener = [self._rejoin_task, self._listener], None
        for task in tasks:
            if task is not None:
                await end_task(task)
        with self._logged_failures():
            async with asyncio.timeout(self._timeout):
                for group in [] if self._is_stale else self._groups:
                    await self._layer.group_discard(group, self.name)
        self._groups.clear()
        self.name, self._is_stale = "", False

    async def _within_time(self, work: Awaitable[None]) -> None:
        async with asyncio.timeout(self._timeout):
            await work

    # Staying in the groups.

    def _rejoin_in(self, delay: float) -> None:
        if self._rejoin_handle is not None:
            self._rejoin_handle.cancel()
            self._rejoin_handle = None
        if delay < inf:
            loop = asyncio.get_running_loop()
            self._rejoin_handle = loop.call_later(delay, self._start_rejoin)

    def _start_rejoin(self) -> None:
        self._rejoin_handle = None
        self._rejoin_task = asyncio.get_running_loop().create_task(
            self.start(), name="collab-layer-rejoin"
        )

    async def _attempt_rejoin(self) -> None:
        try:
            if not self.name:
                await self._take_channel()
            for group in self._groups:
                await self._within_time(self._layer.group_add(group, self.name))
        except Exception as error:
            self._fail(error)
        else:
            self._is_stale = False
            # A layer that forgets groups says after how many seconds it does. Asked here, for a
            # layer on publish and subscribe answers in an event loop only.
            self._rejoin_in(getattr(self._layer, "group_expiry", inf) / 2)

    async def _take_channel(self) -> None:
        async with asyncio.timeout(self._timeout):
            # Of the prefix that consumers use: the Redis layer reads one prefix at a time.
            self.name = await self._layer.new_channel()
        self._listener = asyncio.get_running_loop().create_task(
            self._listen(), name="collab-layer-listen"
        )
        self._listener.add_done_callback(self._listener_done)

    def _fail(self, error: Exception) -> None:
        """Join all groups again after a pause, as the layer may have lost them."""
        self._warn(error)
        self._is_stale = True
        self._rejoin_in(self._pause)

    @contextmanager
    def _logged_failures(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        now = time.monotonic()
        if now - _warned_at.get(self._layer, -inf) >= _QUIET:
            _warned_at[self._layer] = now
            logger.warning("The channel layer fails (%s).", type(error).__name__)

    # Receiving.

    async def _listen(self) -> None:
        while True:
            try:
                message = await self._layer.receive(self.name)
            except Exception as error:
                self._fail(error)
                await asyncio.sleep(self._pause)
                continue
            if self._token is not None and message.get("token") != self._token:
                counters.relay_foreign_messages += 1
            elif self._handle is not None and (handling := self._handle(message)) is not None:
                await handling

    def _listener_done(self, listener: asyncio.Task[None]) -> None:
        # A channel that is being closed has no listener any more.
        if self._listener is listener and not listener.cancelled():
            error = cast("BaseException", listener.exception())
            if self._on_failed is not None:
                self._on_failed(error)
            else:
                logger.error("A message of the channel layer ended receiving.", exc_info=error)


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel ``task`` until it ends: ``receive()`` of Channels' Redis layer may swallow that.

    Its exception, if it ends with one, is the caller's to read.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=LAYER_PAUSE)
