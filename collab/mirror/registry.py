"""Declares which rows of a model are in which documents, and which fields clients may change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from django.db import router
from django.db.models import Model, QuerySet
from rest_framework.serializers import ModelSerializer

from collab.mirror.rows.relations import Path, declared_paths, serializer_paths
from collab.mirror.rows.serialized import serialized

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser
else:
    # This module is imported before models are loaded.
    User = Any

__all__ = ["ModelMirror", "Values", "default_serializer", "mirrors", "mirrors_in", "register"]

M = TypeVar("M", bound=Model)

#: Values of a row, as JSON, by field.
Values = dict[str, Any]


class ModelMirror(Generic[M]):
    """Declares which rows of a model are in which documents; to be subclassed and registered.

    In the document ``doc.get(map_name, type=Map)[str(pk)]`` is a Map of field name -> JSON value,
    or Text for ``text_fields``.
    """

    #: The fields of the model that documents show; or else a serializer with them.
    fields: ClassVar[Sequence[str]] = ()
    serializer_class: ClassVar[type[ModelSerializer[Any]] | None] = None
    #: The fields that clients may change.
    writable_fields: ClassVar[Sequence[str]] = ()
    #: The fields that are Text, so that several people edit them together.
    text_fields: ClassVar[Sequence[str]] = ()
    #: Relations, named as in queries, to rows that methods of the serializer read:
    #: ``("board__owner",)``. Relations of its fields and nested serializers need not be listed.
    depends_on: ClassVar[Sequence[str]] = ()
    #: Clients may add rows, and remove them.
    can_create: ClassVar[bool] = False
    can_delete: ClassVar[bool] = False
    #: By default ``"<app label>.<model name>"``.
    map_name: str = ""

    def __init__(self, model: type[M]) -> None:
        self.model = model
        self.map_name = type(self).map_name or model._meta.label_lower

    def get_room_names(self, instance: M) -> Iterable[str]:
        """Return the names of the documents that ``instance`` is in.

        Called after each save; it should need no query. :meth:`get_queryset` is authoritative: a
        document that is not named here gets the row when it is opened next.
        """
        raise NotImplementedError(f"{type(self).__name__} needs get_room_names().")

    def get_queryset(self, room_name: str) -> QuerySet[M] | None:
        """Return the rows that belong in a document; ``None`` if it has none of this model."""
        raise NotImplementedError(f"{type(self).__name__} needs get_queryset().")

    def get_serializer_class(self, room_name: str) -> type[ModelSerializer[Any]]:
        """Return the serializer of a document, which also validates changes of clients."""
        return self.serializer_class or default_serializer(self.model, tuple(self.fields))

    def get_writable_fields(self, room_name: str) -> Sequence[str]:
        """Return the fields that clients may change in a document."""
        return self.writable_fields

    def has_write_permission(self, user: User, instance: M, changes: Mapping[str, Any]) -> bool:
        """Return whether ``user``, who may write the document, may make these changes to a row.

        Args:
            user: their author; the anonymous user if that is not known any more.
            instance: the row as it is; an unsaved one before a creation.
            changes: validated values by field; empty before a deletion.
        """
        return True

    def get_initial(self, room_name: str, user: User) -> Mapping[str, Any]:
        """Return attributes of the rows that ``user`` adds to a document.

        They win over the client's values. An example is the foreign key that makes the row one of
        the document's.
        """
        return {}

    # For mirrors of rows that belong together.

    def is_allowed(
        self, room_name: str, user: User, instance: M, changes: Mapping[str, Any]
    ) -> bool:
        """Return the same as :meth:`has_write_permission`, for a change made in a document."""
        return self.has_write_permission(user, instance, changes)

    def get_companions(
        self, room_name: str, key: str, before: Values | None, now: Values | None
    ) -> Mapping[str, Iterable[Any]]:
        """Return the rows of other mirrors that enter or leave a document along with a change.

        They are read in the same transaction; their :meth:`get_queryset` is authoritative.

        Args:
            room_name: the document.
            key: of the row.
            before: its values there until now; ``None`` if it was not in the document.
            now: its values from now on; ``None`` if it leaves.

        Returns:
            their primary keys, by the other mirror's ``map_name``.
        """
        return {}

    # Used by the mirror.

    def values(self, rows: Iterable[M], room_name: str) -> list[Values]:
        """Return the values of ``rows`` as a document shows them, in their order."""
        serializer_class = self.get_serializer_class(room_name)
        return serialized(serializer_class, rows, {"room_name": room_name})

    def rows(self, room_name: str) -> QuerySet[M] | None:
        """Return :meth:`get_queryset` with the relations that values need prefetched.

        It reads from the database that rows are written to: a replica may lag behind.
        """
        queryset = self.get_queryset(room_name)
        if queryset is None:
            return None
        if cast("Any", queryset)._db is None:
            queryset = queryset.using(router.db_for_write(self.model))
        known = {
            getattr(lookup, "prefetch_to", lookup)
            for lookup in cast("Any", queryset)._prefetch_related_lookups
        }
        paths = _fetched(self.get_serializer_class(room_name), self.model, tuple(self.depends_on))
        lookups = [path.prefetch() for path in paths if path.name not in known]
        return queryset.prefetch_related(*lookups) if lookups else queryset

    def paths(self) -> list[Path]:
        """Return the paths to the other rows that the values of a row come from."""
        found = declared_paths(self.model, self.depends_on)
        for serializer in self.serializers():
            found += serializer_paths(serializer, self.model)
        return found + [path.through for path in found if path.through]

    def serializers(self) -> list[type[ModelSerializer[Any]]]:
        """Return the serializers that are known without a document."""
        if not (self.serializer_class or self.fields):
            return []
        return [ModelMirror.get_serializer_class(self, "")]


@cache
def _fetched(
    serializer: type[ModelSerializer[Any]], model: type[Model], depends_on: tuple[str, ...]
) -> list[Path]:
    paths = serializer_paths(serializer, model) + declared_paths(model, depends_on)
    # The same may be declared and shown.
    return list({path.name: path for path in paths if path.is_fetched}.values())


@cache
def default_serializer(model: type[Model], names: tuple[str, ...]) -> type[ModelSerializer[Any]]:
    """Return a serializer with these fields of a model."""
    meta = type("Meta", (), {"model": model, "fields": names})
    return type(f"{model.__name__}Serializer", (ModelSerializer,), {"Meta": meta})


_mirrors: list[ModelMirror[Any]] = []


def register(model: type[Model]) -> Callable[[type[ModelMirror[Any]]], type[ModelMirror[Any]]]:
    """Register a :class:`ModelMirror` for a model; a model may have several."""

    def add(mirror: type[ModelMirror[Any]]) -> type[ModelMirror[Any]]:
        _mirrors.append(mirror(model))
        return mirror

    return add


def mirrors() -> Sequence[ModelMirror[Any]]:
    """Return all registered mirrors, in their order."""
    return _mirrors


def mirrors_in(room_name: str) -> list[ModelMirror[Any]]:
    """Return the mirrors that have rows in a document, in their order."""
    return [mirror for mirror in _mirrors if mirror.get_queryset(room_name) is not None]
