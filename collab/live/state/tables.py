"""What a nested serializer says of a state: which rows it has, and how one leads to others.

A state is a tree of serializers. In the document it is flat: one :class:`Table` for each
serializer class, wherever in the tree it is, with a map of its rows by primary key.
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
    """What clients may do to the rows of a table."""

    SAVE = "save"
    CREATE = "create"
    DELETE = "delete"


SAVE, CREATE, DELETE = Operation


@dataclass(frozen=True, slots=True)
class Relation:
    """A field of a table's rows that leads to rows of another table.

    Args:
        field: of the serializer; the value is a list of primary keys, or one, or ``None``.
        map_name: of the other table.
        many: it is a list.
        path: to the other model.
    """

    field: str
    map_name: str
    many: bool
    path: Path

    @property
    def lookup(self) -> str:
        """The primary keys at the other end, as queries name them."""
        return "__".join((*self.path.lookups, "pk"))

    @property
    def foreign_key(self) -> ForeignKey[Any, Any] | None:
        """The other model's foreign key, if that is what makes the relation."""
        relation = self.path.relation
        is_key = len(self.path.lookups) == 1 and isinstance(relation, ForeignObjectRel)
        return relation.field if is_key and isinstance(relation.field, ForeignKey) else None


@dataclass(frozen=True, slots=True)
class Parent:
    """What a row of a table may belong to, by a foreign key of its own.

    Args:
        map_name: of the table whose rows have a list of such rows.
        relation: the field that is the list.
        field: of the serializer, that says to which row one belongs; ``None`` if there is none
            that clients could write.
        foreign_key: of the model.
    """

    map_name: str
    relation: str
    field: str | None
    foreign_key: ForeignKey[Any, Any]


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of one serializer.

    Args:
        serializer_class: the project's, nested.
        map_name: in the document, ``doc.get(map_name, type=Map)[str(pk)]`` is the row.
        relations: the fields that lead to other tables, by name.
        parents: whose rows lead here by a foreign key; what creating a row has to say.
        operations: what clients may do.
        user_key: the field of the model that says whose a row is, who alone sees it; else ``""``.
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
        """The attribute of the rows that has the primary key of whose they are, or ``""``."""
        return _user_attribute(self.serializer_class)


# Finding them.


def tables_of(
    root: Serializer, operations: Mapping[Serializer, Iterable[Operation]] | None = None
) -> tuple[Table, ...]:
    """Return the tables of a state, the one that the others are nested in first.

    Args:
        root: the serializer.
        operations: what clients may do, by serializer.

    Raises:
        ImproperlyConfigured: a nested serializer does not say where its rows come from.
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
    """Return the name of the map that has the rows of a serializer."""
    return f"{app_label_of(serializer) or _model(serializer)._meta.app_label}.{serializer.__name__}"


def app_label_of(cls: type) -> str | None:
    """Return the label of the app that a class is in."""
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
        # What DRF nests by itself, for ``depth``, stays part of the row.
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
            f"{serializer.__name__}.{name} is not a relation of {model.__name__}. If it is a"
            " property, write @related_property instead of @property, with the relation that its"
            " rows come from."
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
    """Return the field by which clients write an attribute of a row."""
    for name, field in serializer().fields.items():
        if field.source == source and not field.read_only and name not in nested_in(serializer):
            return name
    return None


# Flat rows.


@cache
def flat_serializer(serializer: Serializer) -> Serializer:
    """Return a serializer that has primary keys where ``serializer`` nests others."""
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
    """The primary keys of rows; of a table with a ``user_key``, of those that are the user's."""

    def __init__(self, *, user_attribute: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._user_attribute = user_attribute

    def get_attribute(self, instance: Any) -> Any:
        rows = cast("Iterable[Any]", super().get_attribute(instance))
        return [row for row in rows if _is_shown(row, self._user_attribute, self.context)]


class _Key(PrimaryKeyRelatedField[Any]):
    """The primary key of a row; of a table with a ``user_key``, if it is the user's."""

    def __init__(self, *, user_attribute: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._user_attribute = user_attribute

    def use_pk_only_optimization(self) -> bool:
        # Only the row says whose it is.
        return not self._user_attribute

    def get_attribute(self, instance: Any) -> Any:
        row = super().get_attribute(instance)
        return row if row and _is_shown(row, self._user_attribute, self.context) else None


def _is_shown(row: Any, user_attribute: str, context: Mapping[str, Any]) -> bool:
    return not user_attribute or str(getattr(row, user_attribute)) == owner_in(context["room_name"])


def owner_in(room_name: str) -> str:
    """Return the primary key of the user whom the document is for, as the room's name has it."""
    return unquote(room_name.rpartition("@")[2])


# Properties.


class _RelatedProperty(property):
    accessor: str


def related_property(
    accessor: str, reverse: str | None = None
) -> Callable[[Callable[[Any], Any]], Any]:
    """Make a method of a model a property with a value that comes from other rows.

    Args:
        accessor: the relations to them, named as in queries: ``"project__members"``. If the
            property is for a nested serializer, it leads to its rows, all of which are shown.
        reverse: not needed; code from elsewhere may say it.
    """

    def decorate(function: Callable[[Any], Any]) -> Any:
        made = _RelatedProperty(function)
        made.accessor = accessor
        return made

    return decorate


def sources_of(serializer: Serializer) -> Sequence[str]:
    """Return the relations that values of a serializer come from, beside those DRF knows of."""
    model = _model(serializer)
    found = list(_meta(serializer, "depends_on", ()))
    nested = nested_in(serializer)
    for name, field in serializer().fields.items():
        steps = list(_steps(model, field.source_attrs))
        # Whether a key is shown may depend on whose the row is.
        is_private = name in nested and _user_attribute(type(_row_of(field)))
        if is_private or steps[: len(field.source_attrs)] != field.source_attrs:
            found.append("__".join(steps))
    return tuple(dict.fromkeys(found))


def _steps(model: type[Model], attributes: Iterable[str]) -> Iterator[str]:
    """Yield ``attributes`` with what related properties stand for, as far as they are relations."""
    for attribute in attributes:
        found = getattr(model, attribute, None)
        name = found.accessor if isinstance(found, _RelatedProperty) else attribute
        try:
            model = declared_paths(model, [name])[-1].model
        except FieldDoesNotExist:
            yield name
            return
        yield name
