"""Rows as their serializers show them.

Making the fields of a serializer takes many times as long as reading a row through them, and most
serializers have the same fields each time. One whose class has no code for its representation, and
only fields of the framework without such code, is made once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from rest_framework.fields import Field, SerializerMethodField, empty
from rest_framework.relations import ManyRelatedField, PrimaryKeyRelatedField
from rest_framework.serializers import ModelSerializer
from rest_framework.utils.encoders import JSONEncoder

from collab.mirror.rows.values import from_json

__all__ = ["plain_serializer", "serialized"]

#: Names that projects define in a serializer without effect on what it shows.
_NOT_SHOWN = ("Meta", "create", "update")
_FRAMEWORK = "rest_framework."


def serialized(
    serializer_class: type[ModelSerializer[Any]], rows: Iterable[Any], context: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the values of rows, in their order, as a client would read them back."""
    if (plain := plain_serializer(serializer_class)) is not None:
        data: Any = [plain.to_representation(row) for row in rows]
    else:
        data = serializer_class(rows, many=True, context=dict(context)).data
    values: list[dict[str, Any]] = from_json(json.dumps(data, cls=JSONEncoder))
    return values


@lru_cache(maxsize=256)
def plain_serializer(serializer_class: type[ModelSerializer[Any]]) -> ModelSerializer[Any] | None:
    """Return a serializer that shows each row as a new one would; ``None`` if that is not sure."""
    meta = getattr(serializer_class, "Meta", None)
    if any(_code(serializer_class)) or hasattr(meta, "list_serializer_class"):
        return None
    serializer = serializer_class()
    return serializer if all(map(_is_plain, serializer.fields.values())) else None


def _code(serializer_class: type) -> Iterator[str]:
    """Yield names of what a project's classes define and that may change a representation."""
    for each in serializer_class.__mro__:
        if each is object or each.__module__.startswith(_FRAMEWORK):
            continue
        for name, value in vars(each).items():
            if (callable(value) or hasattr(value, "__get__")) and not _shows_nothing(name):
                yield name


def _shows_nothing(name: str) -> bool:
    return name in _NOT_SHOWN or name.startswith("validate")


def _is_plain(field: Field[Any, Any, Any, Any]) -> bool:
    if isinstance(field, ManyRelatedField):
        return type(field) is ManyRelatedField and _is_plain(field.child_relation)
    if isinstance(field, PrimaryKeyRelatedField):
        return type(field) is PrimaryKeyRelatedField and field.pk_field is None
    child = getattr(field, "child", None)
    return (
        type(field).__module__ == Field.__module__
        and not isinstance(field, SerializerMethodField)
        and (field.default is empty or not callable(field.default))
        and (child is None or _is_plain(child))
    )
