"""Runtime state: variables of one connection, sent to its client only."""

from __future__ import annotations

from functools import cache
from typing import Any, get_type_hints

import msgspec

__all__ = ["check_variable", "variables_of"]


@cache
def variables_of(consumer: type) -> dict[str, Any]:
    """Return the annotations of a consumer's ``RuntimeState`` by name."""
    declared = getattr(consumer, "RuntimeState", None)
    return {} if declared is None else get_type_hints(declared)


def check_variable(consumer: type, name: str, value: Any) -> Any:
    """Return a value converted to a variable's annotation.

    Raises:
        LookupError: the variable is not declared.
        TypeError: the value is of another type.
    """
    variables = variables_of(consumer)
    if name not in variables:
        known = ", ".join(variables) or "none"
        raise LookupError(f"{consumer.__name__}.RuntimeState has no {name!r}; it has {known}.")
    try:
        return msgspec.convert(value, variables[name])
    except msgspec.ValidationError as error:
        raise TypeError(f"{consumer.__name__}.RuntimeState.{name}: {error}") from error
