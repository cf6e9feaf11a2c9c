"""Waits for events, with a deadline that only something that is dead reaches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from inspect import iscoroutine

__all__ = ["DEADLINE", "poll_until", "until"]

#: The longest wait for an event, in seconds; a machine that others use is slow.
DEADLINE = 120.0
#: The pause between two looks at a condition that announces no change, in seconds.
PAUSE = 0.001


def poll_until(condition: Callable[[], object]) -> None:
    """Return as soon as ``condition()`` holds.

    Raises:
        AssertionError: it does not hold within the deadline.
    """
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE} s: {condition}")
        time.sleep(10 * PAUSE)


async def until(condition: Callable[[], object]) -> None:
    """Return as soon as ``condition()``, or the result of the coroutine that it returns, is true.

    Raises:
        TimeoutError: it is not true within the deadline.
    """
    async with asyncio.timeout(DEADLINE):
        while not await _result(condition):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(PAUSE)


async def _result(condition: Callable[[], object]) -> object:
    result = condition()
    return await result if iscoroutine(result) else result
