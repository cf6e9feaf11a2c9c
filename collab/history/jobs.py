"""Runs work on the content of documents; for a large document in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from collab_storage.subprocesses import LARGE, run_in_process

if TYPE_CHECKING:
    # Imported when it is used: most projects only pass updates on.
    from collab.content import Schema

__all__ = ["run_content_job"]

T = TypeVar("T")


async def run_content_job(
    size: int, job: Callable[..., T], schema: Schema | str | None, *args: Any
) -> T:
    """Return the result of ``job``, which reads ``size`` bytes as content.

    It never holds up the event loop. The first argument of ``job`` is the schema.
    """
    from collab.content.editors.names import schema_name

    name = None if schema is None else schema_name(schema)
    if size <= LARGE or (name is None and schema is not None):
        # A schema without a name cannot be sent to another process.
        return await asyncio.to_thread(job, name or schema, *args)
    return await run_in_process(job, name, *args)
