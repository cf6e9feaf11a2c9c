"""Where rows, and what is known of documents, are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import override_settings

__all__ = ["Elsewhere", "RowsElsewhere", "kept_in", "on_both", "served_from", "together"]

on_both = pytest.mark.parametrize(
    "using",
    [
        pytest.param("default", marks=pytest.mark.django_db(transaction=True)),
        pytest.param(
            "postgres",
            marks=pytest.mark.django_db(transaction=True, databases=["default", "postgres"]),
        ),
    ],
)


class Elsewhere:
    """A router that has everything in PostgreSQL."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "postgres"

    db_for_write = db_for_read


class RowsElsewhere(Elsewhere):
    """A router that has the rows in PostgreSQL, and documents in the default database."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "postgres" if model._meta.app_label == "rows" else None

    db_for_write = db_for_read


@contextmanager
def kept_in(using: str) -> Iterator[None]:
    """Keep everything in one of the two databases."""
    storage = {"BACKEND": "collab_storage.orm.ORMStorage", "OPTIONS": {"using": using}}
    routers = [] if using == "default" else [Elsewhere()]
    with override_settings(
        DATABASE_ROUTERS=routers, COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": storage}
    ):
        yield


@asynccontextmanager
async def served_from(using: str) -> AsyncIterator[None]:
    """Keep everything in one of the two databases, in an async test."""
    with kept_in(using):
        try:
            yield
        finally:
            # Those of the thread that async code has used.
            await sync_to_async(connections.close_all)()


def together(*functions: Callable[[], object]) -> list[object]:
    """Call functions in threads of their own, with connections of their own."""

    def run(function: Callable[[], object]) -> object:
        try:
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(functions)) as executor:
        return list(executor.map(run, functions))
