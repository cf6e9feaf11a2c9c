"""Paths to the other rows that a row's values come from, derived from its serializer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.core.exceptions import FieldDoesNotExist
from django.db.models import CASCADE, PROTECT, RESTRICT, ForeignObjectRel, Model, Prefetch
from rest_framework.fields import Field
from rest_framework.relations import ManyRelatedField, PrimaryKeyRelatedField
from rest_framework.serializers import BaseSerializer, ListSerializer

__all__ = ["Path", "concrete", "declared_paths", "serializer_paths"]


@dataclass(frozen=True, slots=True)
class Path:
    """A path from a row to others.

    Args:
        names: of the relations as attributes, "labels" or "task_set"; none if they have none.
        lookups: of the same as queries name them, "labels" or "task".
        relation: the last of them.
        shown: the row shows values of the row at its end; else its primary key only.
    """

    names: tuple[str, ...]
    lookups: tuple[str, ...]
    relation: Any
    shown: bool

    @property
    def model(self) -> type[Model]:
        """The model at the end."""
        return cast("type[Model]", self.relation.related_model)

    def leading_to(self, using: str, key: str, values: Iterable[Any]) -> dict[str, Any]:
        """Return a filter for rows that lead to rows whose ``key`` is one of ``values``.

        By the foreign keys at the end, if they are there: their relation may have no name for
        queries.
        """
        if not isinstance(self.relation, ForeignObjectRel) or self.relation.many_to_many:
            return {"__".join((*self.lookups, key, "in")): values}
        field: Any = self.relation.field
        ends = self.model._base_manager.using(using).filter(**{f"{key}__in": values})
        lookup = "__".join((*self.lookups[:-1], field.target_field.name, "in"))
        return {lookup: ends.values(field.attname)}

    @property
    def is_fetched(self) -> bool:
        """Whether the values of a row need the rows at the end."""
        return bool(self.names and (self.shown or self.relation.many_to_many or self.is_backward))

    @property
    def name(self) -> str:
        """The path as attributes."""
        return "__".join(self.names)

    def prefetch(self) -> str | Prefetch[Any]:
        """Return a prefetch of the rows at the end, in the same order each time."""
        if self.model._meta.ordering or not (self.relation.many_to_many or self.is_backward):
            return self.name
        return Prefetch(self.name, self.model._default_manager.order_by("pk"))

    @property
    def through(self) -> Path | None:
        """The path to the rows that join both ends, if they are of a model of the project."""
        if not self.relation.many_to_many or self.joining_model._meta.auto_created:
            return None
        near, _ = self.joining_fields
        relation: Any = self.joining_model._meta.get_field(near).remote_field
        return Path((), (*self.lookups[:-1], relation.name), relation, True)

    @property
    def field(self) -> Any:
        """The field that declares the last relation, at either end of it."""
        is_backward = isinstance(self.relation, ForeignObjectRel)
        return self.relation.field if is_backward else self.relation

    @property
    def joining_model(self) -> type[Model]:
        """The model whose rows join both ends of a many-to-many relation."""
        return cast("type[Model]", self.field.remote_field.through)

    @property
    def joining_fields(self) -> tuple[str, str]:
        """Names of its fields: to where the last step begins, and to where it ends."""
        ends = self.field.m2m_field_name(), self.field.m2m_reverse_field_name()
        return ends[::-1] if isinstance(self.relation, ForeignObjectRel) else ends

    @property
    def is_backward(self) -> bool:
        """Whether the rows at the end have the foreign key, which may change."""
        return bool(
            self.relation.one_to_many
            or (self.relation.one_to_one and isinstance(self.relation, ForeignObjectRel))
        )

    @property
    def outlives(self) -> bool:
        """Whether rows stay, changed without a signal, when a row at the end is deleted."""
        if self.is_backward or self.relation.many_to_many:
            return True
        return self.relation.remote_field.on_delete not in (CASCADE, PROTECT, RESTRICT)


def serializer_paths(serializer: type[BaseSerializer[Any]], model: type[Model]) -> list[Path]:
    """Return the paths that a serializer of ``model`` follows, but for those of its methods."""
    return list(_paths_of(serializer(), model, (), ()))


def _paths_of(
    serializer: Any, model: type[Model], names: tuple[str, ...], lookups: tuple[str, ...]
) -> Iterator[Path]:
    fields: Iterable[Field[Any, Any, Any, Any]] = getattr(serializer, "fields", {}).values()
    for field in fields:
        paths = list(_follow(model, field.source_attrs, names, lookups, _is_key(field)))
        yield from paths
        nested = field.child if isinstance(field, ListSerializer) else field
        if isinstance(nested, BaseSerializer) and len(paths) == len(field.source_attrs):
            last = paths[-1] if paths else None
            yield from _paths_of(
                nested,
                last.model if last else model,
                last.names if last else names,
                last.lookups if last else lookups,
            )


def _is_key(field: Field[Any, Any, Any, Any]) -> bool:
    relation = field.child_relation if isinstance(field, ManyRelatedField) else field
    return isinstance(relation, PrimaryKeyRelatedField)


def declared_paths(model: type[Model], declared: Sequence[str]) -> list[Path]:
    """Return the paths that are named as in queries, ``"board__owner"``.

    Raises:
        FieldDoesNotExist: there is no such relation.
    """
    found: list[Path] = []
    for path in declared:
        attributes = path.split("__")
        followed = list(_follow(model, attributes, (), (), False))
        if len(followed) < len(attributes):
            raise FieldDoesNotExist(f"{model.__name__} has no relation {path!r}.")
        found += followed
    return found


def _follow(
    model: type[Model],
    attributes: Sequence[str],
    names: tuple[str, ...],
    lookups: tuple[str, ...],
    ends_at_key: bool,
) -> Iterator[Path]:
    """Yield each step along ``attributes``, as far as they are relations."""
    for number, attribute in enumerate(attributes, 1):
        if (relation := _relation(model, attribute)) is None:
            return
        names, lookups = (*names, _accessor(relation)), (*lookups, relation.name)
        yield Path(names, lookups, relation, not (ends_at_key and number == len(attributes)))
        model = relation.related_model


def _relation(model: type[Model], name: str) -> Any:
    for field in model._meta.get_fields():
        # A generic foreign key leads to no model that is known.
        if field.is_relation and field.related_model and name in (field.name, _accessor(field)):
            return field
    return None


def _accessor(relation: Any) -> str:
    """Return the name of a relation as an attribute."""
    backward = isinstance(relation, ForeignObjectRel)
    return str(relation.get_accessor_name() if backward else relation.name)


def concrete(model: type[Model]) -> type[Model]:
    """Return the model that has the table of ``model``, which may be a proxy."""
    return cast("type[Model]", model._meta.concrete_model)
