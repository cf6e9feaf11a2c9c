"""Where rows, and what is known of documents, are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import override_settings

__all__ = ["Elsewhere", "RowsElsewhere", "kept_in", "on_both"]

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
    with override_settings(DATABASE_ROUTERS=routers, COLLAB={"STORAGE": storage}):
        yield
