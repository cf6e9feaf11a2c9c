"""Tables of a state: the rows of a nested serializer, and the relations between them.

A state is a tree of serializers. In the document it is flat: each serializer class has one
:class:`Table`, a map of its rows by primary key, however often the tree contains it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, cast
from urllib.parse import unquote

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db.models import ForeignKey, ForeignObjectRel, Model
from rest_framework.relations import ManyRelatedField, PrimaryKeyRelatedField
from rest_framework.serializers import ListSerializer, ModelSerializer

from collab.mirror.rows.relations import Path, declared_paths

__all__ = [
    "CREATE",
    "DELETE",
    "SAVE",
    "Operation",
    "Parent",
    "Relation",
    "Serializer",
    "Table",
    "flat_serializer",
    "owner_in",
    "related_property",
    "sources_of",
    "tables_of",
]

Serializer = type[ModelSerializer[Any]]


class Operation(StrEnum):
    """An operation of clients on rows of a table."""

    SAVE = "save"
    CREATE = "create"
    DELETE = "delete"


SAVE, CREATE, DELETE = Operation


@dataclass(frozen=True, slots=True)
class Relation:
    """A field of a table's rows that leads to rows of another table.

    Args:
        field: of the serializer; its value is a list of primary keys, one key, or ``None``.
        map_name: of the other table.
        many: the value is a list.
        path: to the other model.
    """

    field: str
    map_name: str
    many: bool
    path: Path

    @property
    def lookup(self) -> str:
        """The lookup for the primary keys at the other end."""
        return "__".join((*self.path.lookups, "pk"))

    @property
    def foreign_key(self) -> ForeignKey[Any, Any] | None:
        """The other model's foreign key, if the relation is the reverse of one."""
        relation = self.path.relation
        is_key = len(self.path.lookups) == 1 and isinstance(relation, ForeignObjectRel)
        return relation.field if is_key and isinstance(relation.field, ForeignKey) else None


@dataclass(frozen=True, slots=True)
class Parent:
    """A table whose rows are parents of rows of another, by a foreign key.

    Args:
        map_name: of the parents' table.
        relation: the parents' field with the list of children.
        field: the children's field with the parent's key; ``None`` if clients cannot write it.
        foreign_key: of the children's model.
    """

    map_name: str
    relation: str
    field: str | None
    foreign_key: ForeignKey[Any, Any]


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of one serializer.

    Args:
        serializer_class: the project's nested serializer.
        map_name: in the document, ``doc.get(map_name, type=Map)[str(pk)]`` is the row.
        relations: the fields that lead to other tables, by name.
        parents: tables whose rows have a list of rows of this one.
        operations: of clients.
        user_key: the model's field with the user who alone sees a row, or ``""``.
        text_fields: fields that are a ``Y.Text``.
    """

    serializer_class: Serializer
    map_name: str
    relations: Mapping[str, Relation]
    parents: tuple[Parent, ...] = ()
    operations: frozenset[Operation] = frozenset()
    user_key: str = ""
    text_fields: tuple[str, ...] = ()

    @property
    def model(self) -> type[Model]:
        """The model of the rows."""
        return _model(self.serializer_class)

    @property
    def user_attribute(self) -> str:
        """The attribute of a row with the primary key of its user, or ``""``."""
        return _user_attribute(self.serializer_class)


# Collecting tables.


def tables_of(
    root: Serializer, operations: Mapping[Serializer, Iterable[Operation]] | None = None
) -> tuple[Table, ...]:
    """Return the tables of a state, starting with the root's.

    Args:
        root: the outermost serializer.
        operations: of clients, by serializer.

    Raises:
        ImproperlyConfigured: the source of a nested serializer's rows is unknown.
    """
    found: dict[str, Table] = {}
    _collect(root, operations or {}, found, ())
    tables = found.values()
    return tuple(replace(table, parents=tuple(_parents(table, tables))) for table in tables)


def _collect(
    serializer: Serializer,
    operations: Mapping[Serializer, Iterable[Operation]],
    found: dict[str, Table],
    above: tuple[Serializer, ...],
) -> None:
    if serializer in above:
        raise ImproperlyConfigured(f"{serializer.__name__} is nested in itself.")
    name, nested = map_name_of(serializer), nested_in(serializer)
    found[name] = Table(
        serializer,
        name,
        {field: _relation(serializer, field, nested[field]) for field in nested},
        operations=frozenset(operations.get(serializer, ())),
        user_key=_meta(serializer, "user_key", ""),
        text_fields=tuple(_meta(serializer, "text_fields", ())),
    )
    for field in nested.values():
        _collect(type(_row_of(field)), operations, found, (*above, serializer))


def map_name_of(serializer: Serializer) -> str:
    """Return the name of the map with the rows of a serializer."""
    return f"{app_label_of(serializer) or _model(serializer)._meta.app_label}.{serializer.__name__}"


def app_label_of(cls: type) -> str | None:
    """Return the label of the app that contains a class."""
    config = apps.get_containing_app_config(cls.__module__)
    return config.label if config else None


def _model(serializer: Serializer) -> type[Model]:
    return cast("type[Model]", serializer.Meta.model)


def _user_attribute(serializer: Serializer) -> str:
    name = _meta(serializer, "user_key", "")
    return str(cast("Any", _model(serializer)._meta.get_field(name)).attname) if name else ""


def _meta(serializer: Serializer, name: str, default: Any) -> Any:
    return getattr(serializer.Meta, name, default)


def nested_in(serializer: Serializer) -> dict[str, Any]:
    """Return the fields of a serializer that nest others, by name."""
    declared: Collection[str] = cast("Any", serializer)._declared_fields
    return {
        name: field
        for name, field in serializer().fields.items()
        # Serializers that DRF generates for ``depth`` stay part of the row.
        if name in declared and isinstance(_row_of(field), ModelSerializer) and field.source != "*"
    }


def _row_of(field: Any) -> Any:
    return field.child if isinstance(field, ListSerializer) else field


def _relation(serializer: Serializer, name: str, field: Any) -> Relation:
    model = _model(serializer)
    steps = list(_steps(model, field.source_attrs))
    try:
        path = declared_paths(model, ["__".join(steps)])[-1]
    except FieldDoesNotExist as error:
        raise ImproperlyConfigured(
            f"{serializer.__name__}.{name} is not a relation of {model.__name__}. For a property,"
            " write @related_property instead of @property, with the relation to its rows."
        ) from error
    other = map_name_of(type(_row_of(field)))
    return Relation(name, other, isinstance(field, ListSerializer), path)


def _parents(table: Table, tables: Iterable[Table]) -> Iterator[Parent]:
    for other in tables:
        for relation in other.relations.values():
            if relation.map_name == table.map_name and (key := relation.foreign_key):
                field = _field_for(table.serializer_class, key.name)
                yield Parent(other.map_name, relation.field, field, key)


def _field_for(serializer: Serializer, source: str) -> str | None:
    """Return the writable field of a serializer for an attribute of the row."""
    for name, field in serializer().fields.items():
        if field.source == source and not field.read_only and name not in nested_in(serializer):
            return name
    return None


# Flat rows.


@cache
def flat_serializer(serializer: Serializer) -> Serializer:
    """Return a serializer with primary keys in place of nested serializers."""
    fields = {name: _keys(name, field) for name, field in nested_in(serializer).items()}
    return type(serializer.__name__, (serializer,), fields)


def _keys(name: str, nested: Any) -> Any:
    source = {} if nested.source == name else {"source": nested.source}
    attribute = _user_attribute(type(_row_of(nested)))
    if isinstance(nested, ListSerializer):
        keys = PrimaryKeyRelatedField[Any](read_only=True)
        return _Keys(child_relation=keys, read_only=True, user_attribute=attribute, **source)
    return _Key(read_only=True, allow_null=True, user_attribute=attribute, **source)


class _Keys(ManyRelatedField):
    """Primary keys of rows; for a table with a ``user_key``, of the user's rows."""

    def __init__(self, *, user_attribute: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._user_attribute = user_attribute

    def get_attribute(self, instance: Any) -> Any:
        rows = cast("Iterable[Any]", super().get_attribute(instance))
        return [row for row in rows if _is_shown(row, self._user_attribute, self.context)]


class _Key(PrimaryKeyRelatedField[Any]):
    """Primary key of a row; for a table with a ``user_key``, ``None`` for other users' rows."""

    def __init__(self, *, user_attribute: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._user_attribute = user_attribute

    def use_pk_only_optimization(self) -> bool:
        # The row itself has the user.
        return not self._user_attribute

    def get_attribute(self, instance: Any) -> Any:
        row = super().get_attribute(instance)
        return row if row and _is_shown(row, self._user_attribute, self.context) else None


def _is_shown(row: Any, user_attribute: str, context: Mapping[str, Any]) -> bool:
    return not user_attribute or str(getattr(row, user_attribute)) == owner_in(context["room_name"])


def owner_in(room_name: str) -> str:
    """Return the primary key of the document's user from the room's name."""
    return unquote(room_name.rpartition("@")[2])


# Properties.


class _RelatedProperty(property):
    accessor: str


def related_property(
    accessor: str, reverse: str | None = None
) -> Callable[[Callable[[Any], Any]], Any]:
    """Make a method of a model a property whose value comes from other rows.

    Args:
        accessor: the relations to these rows, as in queries: ``"project__members"``. For a nested
            serializer, all rows at the end are shown.
        reverse: ignored; accepted for code written for other packages.
    """

    def decorate(function: Callable[[Any], Any]) -> Any:
        made = _RelatedProperty(function)
        made.accessor = accessor
        return made

    return decorate


def sources_of(serializer: Serializer) -> Sequence[str]:
    """Return the relations behind a serializer's values that its fields do not show."""
    model = _model(serializer)
    found = list(_meta(serializer, "depends_on", ()))
    nested = nested_in(serializer)
    for name, field in serializer().fields.items():
        steps = list(_steps(model, field.source_attrs))
        # Whether a key is shown depends on the row's user.
        is_private = name in nested and _user_attribute(type(_row_of(field)))
        if is_private or steps[: len(field.source_attrs)] != field.source_attrs:
            found.append("__".join(steps))
    return tuple(dict.fromkeys(found))


def _steps(model: type[Model], attributes: Iterable[str]) -> Iterator[str]:
    """Yield ``attributes`` up to the first that is not a relation, resolving properties."""
    for attribute in attributes:
        found = getattr(model, attribute, None)
        name = found.accessor if isinstance(found, _RelatedProperty) else attribute
        try:
            model = declared_paths(model, [name])[-1].model
        except FieldDoesNotExist:
            yield name
            return
        yield name
