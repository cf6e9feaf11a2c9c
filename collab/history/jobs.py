"""Runs work on the bytes of documents; for a large document in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from collab_storage.subprocesses import run_in_process

__all__ = ["run_job"]

P = ParamSpec("P")
T = TypeVar("T")

#: Bytes beyond which the work takes more than some milliseconds.
_LARGE = 64 * 1024


async def run_job(size: int, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of ``job``, which reads ``size`` bytes."""
    if size <= _LARGE:
        return job(*args, **kwargs)
    return await run_in_process(job, *args, **kwargs)
