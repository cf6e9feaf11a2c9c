"""A channel layer for tests that is as bad as the specification allows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from django.utils.module_loading import import_string

__all__ = ["LossyChannelLayer"]

_LATE = "collab.late"


class LossyChannelLayer:
    """Drops, repeats, delays and reorders the messages of another layer at random.

    Each receiver loses messages independently. Other calls, such as ``flush``, go to the other
    layer.

    Args:
        layer: the other layer, as in ``CHANNEL_LAYERS``: ``{"BACKEND": ..., "CONFIG": {...}}``.
        drop: share of messages that are lost.
        repeat: share of messages that arrive twice.
        delay: share of messages that arrive later, out of order.
        longest: longest delay, in seconds.
        seed: seed of the random numbers.
    """

    def __init__(
        self,
        layer: Mapping[str, Any] | None = None,
        *,
        drop: float = 0.2,
        repeat: float = 0.1,
        delay: float = 0.2,
        longest: float = 0.2,
        seed: int = 0,
        **config: Any,
    ) -> None:
        wrapped = layer or {"BACKEND": "channels.layers.InMemoryChannelLayer"}
        self._layer = import_string(wrapped["BACKEND"])(**wrapped.get("CONFIG", {}), **config)
        self._drop, self._repeat, self._delay = drop, repeat, delay
        self._longest = longest
        self._random = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    async def receive(self, channel: str) -> dict[str, Any]:
        """Receive the next message that is not dropped, delayed ones in their turn."""
        while True:
            message: dict[str, Any] = await self._layer.receive(channel)
            if message.pop(_LATE, False):
                return message
            fate = self._random.random()
            if fate < self._drop:
                continue
            if fate < self._drop + self._delay + self._repeat:
                self._bring_later(channel, message)
            if fate >= self._drop + self._delay:
                return message

    def _bring_later(self, channel: str, message: dict[str, Any]) -> None:
        late = {**message, _LATE: True}
        task = asyncio.create_task(self._send_later(channel, late))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_later(self, channel: str, message: dict[str, Any]) -> None:
        await asyncio.sleep(self._random.random() * self._longest)
        await self._layer.send(channel, message)
