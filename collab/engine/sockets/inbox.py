"""The events that an application has not received yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["Inbox"]


class Inbox:
    """Events that an application has not received; even if empty, asyncio's queue takes 3 KB."""

    __slots__ = ("_events", "_waiters", "on_event")

    def __init__(self) -> None:
        #: Called when an event is added.
        self.on_event: Callable[[], None] | None = None
        self._events: list[Any] = []
        self._waiters: list[asyncio.Future[None]] = []

    def empty(self) -> bool:
        """Return whether there are no events."""
        return not self._events

    def put_nowait(self, event: Any) -> None:
        """Add an event."""
        self._events.append(event)
        if self.on_event is not None:
            self.on_event()
        elif self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def get_nowait(self) -> Any:
        """Remove and return the first event."""
        return self._events.pop(0)

    def wait(self) -> asyncio.Future[None]:
        """Return a future that is done when an event is added; a coroutine would take more."""
        waiter = asyncio.get_running_loop().create_future()
        if self._waiters:
            # Cancelled ones must not pile up until the next event.
            self._waiters = [each for each in self._waiters if not each.done()]
        self._waiters.append(waiter)
        return waiter
