"""Runs work on the states of documents away from the event loop.

That on a large document runs in a process of its own. Openings of documents do not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from collab_storage.subprocesses import LARGE, run_patiently

__all__ = ["run_history_job"]

T = TypeVar("T")


async def run_history_job(size: int, job: Callable[..., T], *args: Any) -> T:
    """Return the result of ``job``, which works on ``size`` bytes."""
    if size <= LARGE:
        return await asyncio.to_thread(job, *args)
    return await run_patiently(job, *args)
