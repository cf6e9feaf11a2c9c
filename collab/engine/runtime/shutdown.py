"""A process that is asked to end lets its members go gently before its server does.

ASGI tells an application of its end only when the connections are cut. So the first SIGTERM is
taken here: members are told to connect again, a few at a time, what they wrote is stored, and
then the server gets the signal.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

__all__ = ["drain_on_sigterm"]


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
        # The next one is not for us.
        signal.signal(number, previous)
        if loop.is_running():
            asyncio.run_coroutine_threadsafe(drain_and_end(), loop)
        else:
            signal.raise_signal(number)

    signal.signal(signal.SIGTERM, receive)
