"""Publishing to the channel layer from code that has no event loop of its own.

``async_to_sync(layer.group_send)`` opens a new connection for each call. Here one thread of the
process keeps one, so that a view or a task enqueues a message and does not wait for it.
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

from collab.engine.relay.inquiry import ask
from collab.engine.relay.layer_channel import ChannelLayer, LayerChannel, Message
from collab.engine.relay.layer_key import layer_token
from collab.engine.relay.messages import relay_group

__all__ = ["MakeMessage", "Publisher", "inquire", "publish", "send_to_group", "shared_layer"]

logger = logging.getLogger("collab.relay")

#: Returns the message when its turn has come, or ``None`` if there is nothing to send any more.
MakeMessage = Callable[[], Message | None]

#: Longest time that a process which ends waits for its messages, in seconds.
_FINISH_TIMEOUT = 5.0
#: Messages that wait for a layer that does not accept them, at most.
_MAX_WAITING = 10_000


def shared_layer(make: Callable[[str], Any]) -> ChannelLayer | None:
    """Return the project's channel layer, made by ``make``, if other processes may use it too."""
    if DEFAULT_CHANNEL_LAYER not in getattr(django_settings, "CHANNEL_LAYERS", {}):
        return None
    layer: ChannelLayer = make(DEFAULT_CHANNEL_LAYER)
    return None if type(layer) is InMemoryChannelLayer else layer


class Publisher:
    """A thread with an event loop and a channel layer of its own.

    Args:
        layer: the channel layer.
    """

    def __init__(self, layer: ChannelLayer) -> None:
        self._shared = layer
        self._layer = LayerChannel(layer, token=layer_token())
        self._waiting = 0
        #: By group, while messages are being sent to it: one after the other, in their order.
        self._queues: dict[str, deque[MakeMessage]] = {}
        self._lock = threading.Lock()
        self._all_sent = threading.Event()
        self._all_sent.set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(
            target=self._loop.run_forever, name="collab-publisher", daemon=True
        ).start()

    def send(self, group: str, make: MakeMessage) -> bool:
        """Enqueue a message; return ``False`` if too many wait already."""
        with self._lock:
            if self._waiting >= _MAX_WAITING:
                logger.error("Channel layer backlog full; a message is dropped.")
                return False
            self._waiting += 1
            self._all_sent.clear()
            is_idle = group not in self._queues
            self._queues.setdefault(group, deque()).append(make)
        if is_idle:
            asyncio.run_coroutine_threadsafe(self._send_all(group), self._loop)
        return True

    async def ask(self, group: str, message: Message, known: set[str] | None) -> list[Message]:
        """See :func:`collab.engine.relay.inquiry.ask`; may be awaited in any event loop."""
        asking = ask(self._shared, group, message, known)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asking, self._loop))

    def finish(self) -> None:
        """Wait, for a while, until all messages are sent."""
        self._all_sent.wait(_FINISH_TIMEOUT)

    async def _send_all(self, group: str) -> None:
        while make := self._next(group):
            try:
                if message := make():
                    await self._layer.send(message, group=group)
            finally:
                with self._lock:
                    self._waiting -= 1
                    if not self._waiting:
                        self._all_sent.set()

    def _next(self, group: str) -> MakeMessage | None:
        with self._lock:
            if queue := self._queues[group]:
                return queue.popleft()
            del self._queues[group]
            return None


_publishers: dict[int, Publisher | None] = {}
_publishers_lock = threading.Lock()


def publish(room_name: str, message: Message) -> None:
    """Send a message to the processes that hold a room; lost if the layer fails."""
    send_to_group(relay_group(room_name), lambda: message)


async def inquire(room_name: str, message: Message, known: set[str] | None) -> list[Message]:
    """Return the answers of the processes that hold a room; see :func:`.inquiry.ask`."""
    publisher = _publisher()
    return [] if publisher is None else await publisher.ask(relay_group(room_name), message, known)


def send_to_group(group: str, make: MakeMessage) -> bool:
    """Send the message that ``make`` returns to a group of the layer; lost if the layer fails.

    Returns:
        ``False`` if ``make`` is never called: there is no layer, or its backlog is full.
    """
    publisher = _publisher()
    return publisher is not None and publisher.send(group, make)


def _publisher() -> Publisher | None:
    # A thread does not survive a fork: each process has its own publisher.
    pid = os.getpid()
    with _publishers_lock:
        if pid not in _publishers:
            layer = shared_layer(channel_layers.make_backend)
            publisher = _publishers[pid] = None if layer is None else Publisher(layer)
            if publisher is not None:
                atexit.register(publisher.finish)
    return _publishers[pid]
