"""Runs work on the states of documents away from the event loop.

That on a large document runs in a process of its own. Openings of documents do not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from collab_storage.subprocesses import LARGE, run_patiently

if TYPE_CHECKING:
    # Imported when it is used: most projects only pass updates on.
    from collab.content import Schema

__all__ = ["run_content_job", "run_history_job"]

T = TypeVar("T")


async def run_history_job(size: int, job: Callable[..., T], *args: Any) -> T:
    """Return the result of ``job``, which works on ``size`` bytes."""
    if size <= LARGE:
        return await asyncio.to_thread(job, *args)
    return await run_patiently(job, *args)


async def run_content_job(
    size: int, job: Callable[..., T], schema: Schema | str | None, *args: Any
) -> T:
    """Return the result of ``job``, which reads ``size`` bytes as content.

    The first argument of ``job`` is the schema.
    """
    from collab.content.editors.names import schema_name

    name = None if schema is None else schema_name(schema)
    if name is None and schema is not None:
        # A schema without a name cannot be sent to another process.
        return await asyncio.to_thread(job, schema, *args)
    return await run_history_job(size, job, name, *args)
