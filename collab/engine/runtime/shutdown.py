"""The end of a process: connections are closed gently, and updates stored, before the server ends.

An ASGI server informs an application of its end only when the connections are cut. So the first
SIGTERM is handled here: connections are closed a few at a time, their updates are stored, and then
the server gets the signal.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from multiprocessing.util import Finalize
from types import FrameType
from typing import Any

__all__ = ["drain_on_sigterm", "run_at_exit"]


def drain_on_sigterm(drain: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``drain`` in the running event loop on the first SIGTERM, and pass that on after it.

    Only the main thread gets signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    previous = signal.getsignal(signal.SIGTERM)

    async def drain_and_end() -> None:
        try:
            await drain()
        finally:
            signal.raise_signal(signal.SIGTERM)

    def receive(number: int, frame: FrameType | None) -> None:
        # The next signal is the server's.
        signal.signal(number, previous)
        if loop.is_running():
            asyncio.run_coroutine_threadsafe(drain_and_end(), loop)
        else:
            signal.raise_signal(number)

    signal.signal(signal.SIGTERM, receive)


def run_at_exit(work: Callable[[], object]) -> Callable[[], object]:
    """Call ``work`` when the process ends; return a function that cancels that.

    Servers' workers are often children of ``multiprocessing``, which do not run ``atexit``.
    """
    return Finalize(None, work, exitpriority=1).cancel
