"""Counts the queries of code that asks a database from an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asgiref.sync import sync_to_async
from django.db import connections
from django.test.utils import CaptureQueriesContext

__all__ = ["captured_queries"]


@asynccontextmanager
async def captured_queries() -> AsyncIterator[list[str]]:
    """Yield a list that has, at the end, the SQL of the thread that async code shares."""
    found: list[str] = []
    capture = await sync_to_async(_begin)()
    try:
        yield found
    finally:
        found += await sync_to_async(_end)(capture)


def _begin() -> CaptureQueriesContext:
    return CaptureQueriesContext(connections["default"]).__enter__()


def _end(capture: CaptureQueriesContext) -> list[str]:
    capture.__exit__(None, None, None)
    return [query["sql"] for query in capture.captured_queries]
