"""Ways to look at and into what the ORM storage does with its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from django.db import connections

__all__ = ["after_statements", "elsewhere", "in_executor", "pages_written"]

T = TypeVar("T")


@contextmanager
def in_executor() -> Iterator[ThreadPoolExecutor]:
    """A thread that has closed its database connections when this is left."""
    with ThreadPoolExecutor(1) as executor:
        try:
            yield executor
        finally:
            executor.submit(connections.close_all).result()


def elsewhere(function: Callable[[], T]) -> T:
    """Return ``function()``, called on another thread and so on another connection."""
    with in_executor() as executor:
        return executor.submit(function).result()


@contextmanager
def after_statements(using: str, actions: dict[int, Callable[[], Any]]) -> Iterator[list[str]]:
    """Do each of ``actions`` elsewhere after this thread's statement of that number, from 1.

    Yields the list of the statements, which grows.
    """
    statements: list[str] = []

    def execute(run: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        result = run(sql, *arguments)
        statements.append(sql)
        if action := actions.get(len(statements)):
            elsewhere(action)
        return result

    with connections[using].execute_wrapper(execute):
        yield statements


def pages_written(file: Path, change: Callable[[], Any]) -> int:
    """Return the number of pages that a change writes to the log of a SQLite file."""
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size: int = db.execute("PRAGMA page_size").fetchone()[0]
        change()
        log = file.with_name(f"{file.name}-wal")
        return (log.stat().st_size - 32) // (size + 24)
