"""Types of TypeScript for annotations of Python, as msgspec encodes such values in JSON."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, TypeGuard, get_origin

from msgspec import inspect

from .files import File, Files, block, literal, property_name

__all__ = ["Types", "array", "union"]

#: Types that msgspec encodes as text.
_TEXTS = (
    inspect.StrType,
    inspect.BytesType,
    inspect.ByteArrayType,
    inspect.MemoryViewType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.TimeType,
    inspect.TimeDeltaType,
    inspect.UUIDType,
    inspect.DecimalType,
)
_LISTS = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)
_OBJECTS = (inspect.TypedDictType, inspect.DataclassType, inspect.StructType)


def union(types: Iterable[str]) -> str:
    """Return the union of ``types`` with ``null`` last."""
    distinct = dict.fromkeys(types)
    if "unknown" in distinct:
        return "unknown"
    return " | ".join(sorted(distinct, key=lambda type_: type_ == "null"))


def array(item: str) -> str:
    """Return the array type of ``item``."""
    return f"({item})[]" if " | " in item else f"{item}[]"


class Types:
    """Converts annotations to types.

    Args:
        files: contain the declarations of named types.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    def of(self, annotation: Any, file: File) -> str:
        """Return the type of an annotation, as referred to in ``file``.

        Types that msgspec does not support are ``unknown``.
        """
        try:
            info = inspect.type_info(annotation)
        except TypeError:
            return "unknown"
        return self._type(info, file)

    def _type(self, info: Any, file: File) -> str:
        match info:
            case inspect.Metadata():
                return self._type(info.type, file)
            case inspect.BoolType():
                return "boolean"
            case inspect.IntType() | inspect.FloatType():
                return "number"
            case inspect.NoneType():
                return "null"
            case inspect.LiteralType():
                return union(literal(value) for value in sorted(info.values, key=_order))
            case inspect.EnumType(cls=cls) | inspect.CustomType(cls=cls) if _is_enum(cls):
                return union(literal(member.value) for member in cls)
            case inspect.UnionType():
                return union(self._type(one, file) for one in info.types)
        if isinstance(info, _TEXTS):
            return "string"
        return self._composed(info, file)

    def _composed(self, info: Any, file: File) -> str:
        if isinstance(info, _LISTS):
            return array(self._type(info.item_type, file))
        if isinstance(info, _OBJECTS):
            return self._object(info, file)
        match info:
            case inspect.TupleType():
                return f"[{', '.join(self._type(item, file) for item in info.item_types)}]"
            case inspect.NamedTupleType():
                return f"[{', '.join(self._type(part.type, file) for part in info.fields)}]"
            case inspect.DictType():
                return f"Record<string, {self._type(info.value_type, file)}>"
        return "unknown"

    def _object(self, info: Any, file: File) -> str:
        if get_origin(info.cls) is not None:
            # A specialization of a generic class, which has no name of its own.
            return f"{{ {' '.join(self._properties(info, file))} }}"
        owner = self._files.of(info.cls)
        name = info.cls.__name__
        opening = f"export interface {name}"
        owner.declare(name, info.cls, lambda: block(opening, self._properties(info, owner)))
        return file.refer(owner, name)

    def _properties(self, info: Any, file: File) -> list[str]:
        lines = [
            f"{property_name(part.encode_name)}{_mark(info, part)}: {self._type(part.type, file)};"
            for part in info.fields
        ]
        if getattr(info, "tag_field", None):
            lines.insert(0, f"{property_name(info.tag_field)}: {literal(info.tag)};")
        return lines


def _is_enum(cls: object) -> TypeGuard[type[Enum]]:
    # Before msgspec 0.23, Django's choices are a CustomType: their metaclass is not EnumMeta.
    return isinstance(cls, type) and issubclass(cls, Enum)


def _mark(info: Any, part: Any) -> str:
    """Return ``?`` for a part that may be missing; parts with defaults are always sent."""
    config = getattr(info.cls, "__struct_config__", None)
    may_miss = isinstance(info, inspect.TypedDictType) or (config and config.omit_defaults)
    return "?" if may_miss and not part.required else ""


def _order(value: Any) -> tuple[str, Any]:
    return type(value).__name__, value
