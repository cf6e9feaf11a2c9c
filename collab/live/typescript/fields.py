"""Interfaces for serializers of REST framework: their output and their input."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, get_type_hints

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from rest_framework import relations, serializers

from .files import File, Files, block, literal, property_name
from .types import Types, array, union

__all__ = ["Serializers", "column_type", "interface_name"]

_TEXTS = (
    serializers.CharField,
    serializers.DateTimeField,
    serializers.DateField,
    serializers.TimeField,
    serializers.DurationField,
    serializers.UUIDField,
    serializers.IPAddressField,
    serializers.FileField,
    serializers.FilePathField,
    relations.StringRelatedField,
    relations.HyperlinkedRelatedField,
)
_NUMERIC_COLUMNS = (models.IntegerField, models.FloatField)
_TEXT_COLUMNS = (
    models.CharField,
    models.TextField,
    models.UUIDField,
    models.DateTimeField,
    models.DateField,
    models.TimeField,
    models.DurationField,
    models.GenericIPAddressField,
    models.FileField,
)


def interface_name(serializer: type) -> str:
    """Return the name of a serializer class' interface: ``Task`` for TaskSerializer."""
    return serializer.__name__.removesuffix("Serializer") or serializer.__name__


class Serializers:
    """Declares the interfaces of serializers.

    Args:
        files: contain the declarations.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._types = Types(files)

    def shown(self, serializer: Any, file: File) -> str:
        """Return the type of a serializer's output, as referred to in ``file``."""
        owner, name = self._files.of(type(serializer)), interface_name(type(serializer))
        owner.declare(name, type(serializer), lambda: self.interface(name, serializer, owner))
        return file.refer(owner, name)

    def interface(self, name: str, serializer: Any, file: File) -> str:
        """Return an interface for the output of a serializer."""
        return block(f"export interface {name}", self._shown(serializer, file))

    def taken(self, name: str, serializer: Any, names: Collection[str], file: File) -> str:
        """Return an interface for the input of a serializer, with the fields in ``names``."""
        lines = (
            f"{property_name(key)}{'' if field.required else '?'}:"
            f" {self._type(field, file, taken=True)};"
            for key, field in serializer.fields.items()
            if key in names
        )
        return block(f"export interface {name}", lines)

    def _shown(self, serializer: Any, file: File) -> Iterator[str]:
        for name, field in serializer.fields.items():
            if not field.write_only:
                yield f"{property_name(name)}: {self._type(field, file)};"

    # Fields.

    def _type(self, field: Any, file: File, *, taken: bool = False) -> str:
        type_ = self._bare(field, file, taken)
        is_null = field.allow_null or (not taken and _shows_null(field))
        return union([type_, "null"]) if is_null and not type_.endswith("null") else type_

    def _bare(self, field: Any, file: File, taken: bool) -> str:
        """Return the type of a field without null."""
        match field:
            case serializers.Serializer():
                return self.shown(field, file)
            case serializers.ListSerializer() | serializers.ListField():
                return array(self._type(field.child, file, taken=taken))
            case serializers.DictField():
                return f"Record<string, {self._type(field.child, file, taken=taken)}>"
            case serializers.ManyRelatedField():
                return array(self._type(field.child_relation, file, taken=taken))
            case relations.PrimaryKeyRelatedField() | relations.SlugRelatedField():
                return self._related(field, file, taken)
            case serializers.MultipleChoiceField():
                return array(_choices(field))
            case serializers.ChoiceField():
                return _choices(field)
        return self._simple(field, file, taken)

    def _simple(self, field: Any, file: File, taken: bool) -> str:
        match field:
            case serializers.BooleanField():
                return "boolean"
            case serializers.IntegerField() | serializers.FloatField():
                return "number"
            case serializers.DecimalField():
                return _decimal(field, taken)
            case serializers.SerializerMethodField():
                return self._returned(getattr(type(field.parent), field.method_name, None), file)
            case serializers.ModelField():
                return column_type(field.model_field)
            case serializers.ReadOnlyField():
                return self._read(field, file)
        if isinstance(field, _TEXTS):
            return "string"
        return self._returned(type(field).to_representation, file)

    def _related(self, field: Any, file: File, taken: bool) -> str:
        if isinstance(field, relations.PrimaryKeyRelatedField) and field.pk_field is not None:
            return self._bare(field.pk_field, file, taken)
        # The child of a many-related field has the source of its parent.
        bearer = field.parent if isinstance(field.parent, serializers.ManyRelatedField) else field
        model = field.queryset.model if field.queryset is not None else _target(bearer)
        name = getattr(field, "slug_field", "pk")
        column = _column(model, name) if model is not None else None
        return "unknown" if column is None else column_type(column)

    def _read(self, field: Any, file: File) -> str:
        """Return the type of a read-only attribute."""
        model = _model(field.parent)
        if (column := _column(model, field.source)) is not None:
            return column_type(column)
        attribute = getattr(model, field.source, None)
        return self._returned(getattr(attribute, "fget", attribute), file)

    def _returned(self, function: Any, file: File) -> str:
        """Return the type of a function's result from its annotations."""
        try:
            hints = get_type_hints(function, include_extras=True)
        except (NameError, TypeError):
            return "unknown"
        return self._types.of(hints.get("return", Any), file)


def _choices(field: Any) -> str:
    values = [*field.choices, *([""] if field.allow_blank else [])]
    return union(literal(value) for value in values) or "string"


def _decimal(field: Any, taken: bool) -> str:
    if taken:
        return "string | number"
    return "string" if getattr(field, "coerce_to_string", True) else "number"


# Columns of models.


def column_type(column: Any) -> str:
    """Return the type of a model field's values without null."""
    while column.is_relation:
        if not column.concrete or column.many_to_many:
            return "unknown"
        column = column.target_field
    if column.flatchoices:
        return union(literal(value) for value, _ in column.flatchoices)
    if isinstance(column, models.BooleanField):
        return "boolean"
    if isinstance(column, _NUMERIC_COLUMNS):
        return "number"
    return "string" if isinstance(column, _TEXT_COLUMNS) else "unknown"


def _model(serializer: Any) -> Any:
    return getattr(getattr(serializer, "Meta", None), "model", None)


def _column(model: Any, name: str) -> Any:
    if model is None:
        return None
    try:
        return model._meta.pk if name == "pk" else model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _columns(field: Any) -> Iterator[Any]:
    """Yield the model fields on the way from a serializer's model to a field's value."""
    model = _model(field.parent)
    for name in field.source_attrs:
        column = _column(model, name)
        yield column
        model = column.related_model if column is not None and column.is_relation else None


def _target(field: Any) -> Any:
    """Return the related model of a field."""
    *_, column = [None, *_columns(field)]
    return None if column is None else column.related_model


def _shows_null(field: Any) -> bool:
    """Return whether the output may be null although the input may not."""
    if isinstance(field, serializers.FileField) or _is_of_user(field):
        return True
    if isinstance(field, serializers.ListSerializer | serializers.ManyRelatedField):
        return False
    return any(column is not None and _may_be_null(column) for column in _columns(field))


def _is_of_user(field: Any) -> bool:
    """Return whether a nested row is shown to its own user only."""
    is_one = not isinstance(field.parent, serializers.ListSerializer)
    return is_one and bool(getattr(getattr(field, "Meta", None), "user_key", ""))


def _may_be_null(column: Any) -> bool:
    if column.auto_created and not column.concrete:
        # The reverse side of a one-to-one relation.
        return bool(column.one_to_one)
    return bool(column.null)
