"""Returns freed memory to the system.

The C library keeps freed memory for the process as long as anything behind it is in use. After the
Doc of a large document that can be nearly all of the Doc's memory. glibc returns it on request;
other libraries have no such function.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

from collab.engine.runtime.per_loop import PerLoop

__all__ = ["Trimmer", "current_trimmer"]

#: Number of freed bytes that justifies a call, which takes some milliseconds.
_WORTH = 1024 * 1024
#: Seconds between two attempts.
_INTERVAL = 2.0


def _find_trim(library: Callable[[None], ctypes.CDLL] = ctypes.CDLL) -> Callable[[int], object]:
    """Return glibc's ``malloc_trim``, or a function that does nothing."""
    try:
        found: Callable[[int], object] = library(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda pad: None
    return found


class Trimmer:
    """Returns memory to the system from time to time, when much was freed.

    Args:
        trim: returns freed memory to the system.
    """

    def __init__(self, trim: Callable[[int], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._trim = trim
        self._freed = 0
        self._handle: asyncio.TimerHandle | None = None

    def note_freed(self, size: int) -> None:
        """Record that about ``size`` bytes were freed."""
        self._freed += size
        if self._freed >= _WORTH and self._handle is None:
            self._handle = self._loop.call_later(_INTERVAL, self._give_back)

    def _give_back(self) -> None:
        self._freed, self._handle = 0, None
        self._trim(0)


_malloc_trim = _find_trim()
_trimmers = PerLoop(lambda: Trimmer(_malloc_trim))


def current_trimmer() -> Trimmer:
    """Return the trimmer of the running event loop."""
    return _trimmers.current()
