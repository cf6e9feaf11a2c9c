"""Rows in events, and results that the connections of a process share for one event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from django.db.models import Model

__all__ = ["dump_row", "load_row", "shared"]

T = TypeVar("T")

#: Key in a payload for results that this process' connections share.
_SHARED = "shared"


async def shared(
    payload: dict[str, Any], key: object, make: Callable[[], Coroutine[Any, Any, T]]
) -> T:
    """Return the result of ``make``, called once for all of a process' connections.

    Args:
        payload: of the event, shared by the connections.
        key: of the result, with everything that it depends on.
        make: returns the result.
    """
    loop = asyncio.get_running_loop()
    found = payload.setdefault(_SHARED, {})
    if (loop, key) not in found:
        found[loop, key] = loop.create_task(make())
    task: Awaitable[T] = found[loop, key]
    # A connection that ends does not cancel it for others.
    return await asyncio.shield(task)


def dump_row(row: Model) -> dict[str, Any]:
    """Return the fields of a row as values for JSON."""
    return {
        field.attname: None if field.value_from_object(row) is None else field.value_to_string(row)
        for field in row._meta.concrete_fields
    }


def load_row(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Return a row with the fields that :func:`dump_row` returned."""
    fields = model._meta.concrete_fields
    return model(**{field.attname: field.to_python(values[field.attname]) for field in fields})
