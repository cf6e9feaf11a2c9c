"""Objects with one instance for each event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerLoop", "is_in_event_loop"]

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Makes an object for each event loop that requests it; may be used from any thread.

    Args:
        make: makes the object, in its event loop.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[asyncio.AbstractEventLoop, T] = {}
        self._lock = threading.Lock()

    def current(self) -> T:
        """Return the object of the running event loop."""
        loop = asyncio.get_running_loop()
        # Only this thread adds the object of its event loop.
        made = self._made.get(loop)
        return self._add(loop) if made is None else made

    def _add(self, loop: asyncio.AbstractEventLoop) -> T:
        with self._lock:
            for closed in [loop for loop in self._made if loop.is_closed()]:
                del self._made[closed]
            made = self._made[loop] = self._make()
            return made

    def all(self) -> list[T]:
        """Return the objects of all event loops that run."""
        with self._lock:
            return [made for loop, made in self._made.items() if not loop.is_closed()]

    def forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """Forget an event loop's object; the next request makes another."""
        with self._lock:
            self._made.pop(loop, None)


def is_in_event_loop() -> bool:
    """Return whether the caller runs in an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
