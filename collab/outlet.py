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
from collections.abc import Callable
from typing import Any

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import InMemoryChannelLayer, channel_layers
from django.conf import settings as django_settings

from .link import Message, relay_group
from .relay import ChannelLayer

__all__ = ["publish", "shared_layer"]

logger = logging.getLogger(__name__)

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
        self._lock = threading.Lock()
        self._all_sent = threading.Event()
        self._all_sent.set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="collab-outlet", daemon=True).start()

    def publish(self, group: str, message: Message) -> None:
        with self._lock:
            if self._waiting >= _MAX_WAITING:
                logger.error("The channel layer is stuck; rooms learn of a change later.")
                return
            self._waiting += 1
            self._all_sent.clear()
        asyncio.run_coroutine_threadsafe(self._send(group, message), self._loop)

    async def _send(self, group: str, message: Message) -> None:
        try:
            await self._layer.group_send(group, message)
        except Exception as error:
            logger.warning("The channel layer fails (%s).", type(error).__name__)
        finally:
            with self._lock:
                self._waiting -= 1
                if not self._waiting:
                    self._all_sent.set()

    def finish(self) -> None:
        self._all_sent.wait(_LAST_WORDS)


_outlets: dict[int, _Outlet | None] = {}
_outlets_lock = threading.Lock()


def publish(room_name: str, message: Message) -> None:
    """Send a message to the processes that hold a room; lost if the layer fails."""
    # A thread does not survive a fork: each process has its own outlet.
    pid = os.getpid()
    with _outlets_lock:
        if pid not in _outlets:
            layer = shared_layer(channel_layers.make_backend)
            outlet = _outlets[pid] = None if layer is None else _Outlet(layer)
            if outlet is not None:
                atexit.register(outlet.finish)
    if outlet := _outlets[pid]:
        outlet.publish(relay_group(room_name), message)
