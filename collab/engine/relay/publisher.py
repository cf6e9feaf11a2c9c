"""Publishing to the channel layer from code that has no event loop of its own.

``async_to_sync(layer.group_send)`` opens a new connection for each call. Here one thread of the
process keeps one, so that a view or a task pays for one publish and does not wait for it.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import InMemoryChannelLayer, channel_layers
from django.conf import settings as django_settings

from collab.conf import get_settings
from collab.engine.relay.relay import ChannelLayer
from collab.engine.relay.room_link import Message, relay_group

__all__ = ["Make", "post", "publish", "shared_layer"]

logger = logging.getLogger("collab.relay")

#: Returns the message when its turn has come, or ``None`` if there is nothing to send any more.
Make = Callable[[], Message | None]

#: A process that ends waits at most so long for what it has published, in seconds.
_LAST_WORDS = 5.0
#: Messages that wait for a layer that does not take them.
_MAX_WAITING = 10_000


def shared_layer(make: Callable[[str], Any]) -> ChannelLayer | None:
    """Return the project's channel layer, made by ``make``, if other processes can be behind it."""
    if DEFAULT_CHANNEL_LAYER not in getattr(django_settings, "CHANNEL_LAYERS", {}):
        return None
    layer: ChannelLayer = make(DEFAULT_CHANNEL_LAYER)
    return None if type(layer) is InMemoryChannelLayer else layer


class _Outlet:
    """A thread with an event loop and a channel layer of its own."""

    def __init__(self, layer: ChannelLayer) -> None:
        self._layer = layer
        self._waiting = 0
        #: What it fails with was told.
        self._is_away = False
        #: By group, while something is being sent to it: one after the other, in their order.
        self._queues: dict[str, deque[Make]] = {}
        self._lock = threading.Lock()
        self._all_sent = threading.Event()
        self._all_sent.set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="collab-outlet", daemon=True).start()

    def post(self, group: str, make: Make) -> bool:
        with self._lock:
            if self._waiting >= _MAX_WAITING:
                logger.error("The channel layer is stuck; others learn of this later, or never.")
                return False
            self._waiting += 1
            self._all_sent.clear()
            is_idle = group not in self._queues
            self._queues.setdefault(group, deque()).append(make)
        if is_idle:
            asyncio.run_coroutine_threadsafe(self._send_all(group), self._loop)
        return True

    async def _send_all(self, group: str) -> None:
        while make := self._next(group):
            try:
                if message := make():
                    await self._send(group, message)
            finally:
                with self._lock:
                    self._waiting -= 1
                    if not self._waiting:
                        self._all_sent.set()

    async def _send(self, group: str, message: Message) -> None:
        try:
            async with asyncio.timeout(get_settings().RELAY_TIMEOUT):
                await self._layer.group_send(group, message)
        except Exception as error:
            if not self._is_away:
                logger.warning("The channel layer fails (%s).", type(error).__name__)
            self._is_away = True
        else:
            self._is_away = False

    def _next(self, group: str) -> Make | None:
        with self._lock:
            if queue := self._queues[group]:
                return queue.popleft()
            del self._queues[group]
            return None

    def finish(self) -> None:
        self._all_sent.wait(_LAST_WORDS)


_outlets: dict[int, _Outlet | None] = {}
_outlets_lock = threading.Lock()


def publish(room_name: str, message: Message) -> None:
    """Send a message to the processes that hold a room; lost if the layer fails."""
    post(relay_group(room_name), lambda: message)


def post(group: str, make: Make) -> bool:
    """Send to a group of the channel layer what ``make`` returns; lost if the layer fails.

    Returns:
        False if it is never going to be asked: there is no layer, or it takes nothing.
    """
    # A thread does not survive a fork: each process has its own outlet.
    pid = os.getpid()
    with _outlets_lock:
        if pid not in _outlets:
            layer = shared_layer(channel_layers.make_backend)
            outlet = _outlets[pid] = None if layer is None else _Outlet(layer)
            if outlet is not None:
                atexit.register(outlet.finish)
    outlet = _outlets[pid]
    return outlet is not None and outlet.post(group, make)
