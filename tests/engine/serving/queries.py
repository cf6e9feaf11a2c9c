"""Counts the queries of code that asks a database from an event loop."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db.backends.utils import CursorWrapper

__all__ = ["captured_queries"]


@asynccontextmanager
async def captured_queries() -> AsyncIterator[list[str]]:
    """Yield a list that gets the SQL of the project's code, and of what asks on its behalf.

    That is the SQL of the thread that asynchronous code shares, and of those of document types.
    """
    found: list[str] = []
    shared = await sync_to_async(threading.current_thread)()
    execute = CursorWrapper.execute

    def record(cursor: Any, sql: str, params: Any = None) -> Any:
        thread = threading.current_thread()
        if thread is shared or thread.name == "collab-hooks":
            found.append(sql)
        return execute(cursor, sql, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", record)
        yield found
        # Queries that wait for the shared thread come before this.
        await sync_to_async(threading.current_thread)()
