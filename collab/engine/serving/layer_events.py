"""Receives the events of a channel layer for one connection, and keeps it in its groups."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from math import inf
from typing import Any

from collab.conf import get_settings

__all__ = ["LayerEvents"]

logger = logging.getLogger("collab.consumers")

#: Seconds between two attempts to receive from a channel layer that fails.
_RETRY_PAUSE = 1.0


class LayerEvents:
    """The channel of one connection in a channel layer.

    Editing does not need the layer: while it fails, the connection goes on without its events,
    and joins the groups again afterwards.

    Args:
        layer: the project's.
        groups: returns the names of the groups that the connection is in.
        handle: handles an event.
        on_channel: called with the name of each new channel.
        on_failed: called with an error of ``handle``, which ends the receiving.
        log_context: returns the ``extra`` of log records.
    """

    def __init__(
        self,
        layer: Any,
        *,
        groups: Callable[[], Iterable[str]],
        handle: Callable[[dict[str, Any]], Awaitable[None]],
        on_channel: Callable[[str], None],
        on_failed: Callable[[BaseException], None],
        log_context: Callable[[], dict[str, Any]],
    ) -> None:
        self._layer = layer
        self._groups = groups
        self._handle = handle
        self._on_channel = on_channel
        self._on_failed = on_failed
        self._log_context = log_context
        self._channel = ""
        #: Groups that may have to be left.
        self._joined: set[str] = set()
        #: When to join the groups again.
        self._rejoin_at = 0.0
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take a channel, and begin to receive from it."""
        with suppress(Exception):
            # If that fails, the listener tries again.
            await self._take_channel()
        self._listener = asyncio.create_task(self._listen())
        self._listener.add_done_callback(self._listener_done)

    async def add(self, group: str) -> None:
        """Join a group; if that fails, the next :meth:`stay` repeats it."""
        self._joined.add(group)
        try:
            await self._ask("group_add", group)
        except Exception as error:
            self._rejoin_at = 0.0
            self._warn(error)

    async def discard(self, group: str) -> None:
        """Leave a group."""
        if group in self._joined:
            try:
                await self._ask("group_discard", group)
            except Exception as error:
                self._warn(error)
            self._joined.discard(group)

    async def stay(self) -> None:
        """Join all groups, again if that is due: some layers forget them after a time."""
        now = asyncio.get_running_loop().time()
        if now < self._rejoin_at:
            return
        self._rejoin_at = now + getattr(self._layer, "group_expiry", inf) / 2
        try:
            await self._join_groups()
        except Exception as error:
            self._warn(error)

    def stop_listening(self) -> None:
        """Receive no more."""
        if self._listener is not None:
            self._listener.remove_done_callback(self._listener_done)
            self._listener.cancel()

    async def leave(self) -> None:
        """Leave all groups, if the layer answers in time."""
        with suppress(Exception):
            async with asyncio.timeout(get_settings().RELAY_TIMEOUT):
                for group in self._joined:
                    await self._layer.group_discard(group, self._channel)

    async def _ask(self, verb: str, group: str) -> None:
        async with asyncio.timeout(get_settings().RELAY_TIMEOUT):
            await getattr(self._layer, verb)(group, self._channel)

    async def _join_groups(self) -> None:
        async with asyncio.timeout(get_settings().RELAY_TIMEOUT):
            for group in self._groups():
                self._joined.add(group)
                await self._layer.group_add(group, self._channel)

    async def _take_channel(self) -> None:
        async with asyncio.timeout(get_settings().RELAY_TIMEOUT):
            self._channel = await self._layer.new_channel()
        self._on_channel(self._channel)

    async def _listen(self) -> None:
        failing = False
        while True:
            try:
                if not self._channel:
                    await self._take_channel()
                if failing:
                    await self._join_groups()
                event = await self._layer.receive(self._channel)
                failing = False
            except Exception as error:
                if not failing:
                    self._warn(error)
                failing = True
                await asyncio.sleep(_RETRY_PAUSE)
                continue
            await self._handle(event)

    def _listener_done(self, listener: asyncio.Task[None]) -> None:
        if not listener.cancelled() and (error := listener.exception()):
            self._on_failed(error)

    def _warn(self, error: Exception) -> None:
        text = "The channel layer fails (%s)."
        logger.warning(text, type(error).__name__, extra=self._log_context())
