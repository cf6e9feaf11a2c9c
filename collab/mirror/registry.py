"""Declaring which rows of a model are in which documents, and what clients may change of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from django.db import router
from django.db.models import Model, QuerySet
from rest_framework.serializers import ModelSerializer
from rest_framework.utils.encoders import JSONEncoder

from collab.mirror.rows.relations import Path, declared_paths, serializer_paths
from collab.mirror.rows.values import from_json

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

__all__ = ["ModelMirror", "Values", "default_serializer", "mirrors", "mirrors_in", "register"]

M = TypeVar("M", bound=Model)

#: Of a row, as JSON, by field.
Values = dict[str, Any]


class ModelMirror(Generic[M]):
    """Which rows of a model are in which documents; to be subclassed and registered.

    In the document ``doc.get(map_name, type=Map)[str(pk)]`` is a Map of field name -> JSON value,
    or Text for ``text_fields``.
    """

    #: Of the model, what documents show; or else a serializer that says it.
    fields: ClassVar[Sequence[str]] = ()
    serializer_class: ClassVar[type[ModelSerializer[Any]] | None] = None
    #: Those of them that clients may change.
    writable_fields: ClassVar[Sequence[str]] = ()
    #: Those that are Text, so that several people edit them together.
    text_fields: ClassVar[Sequence[str]] = ()
    #: Relations, named as in queries, to rows that values come from by methods of the serializer:
    #: ``("board__owner",)``. Those that its fields and nested serializers follow are known.
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

        Called after each save; it should need no query. :meth:`get_queryset` decides in the end:
        a document that is not named here learns of the row when it is opened next.
        """
        raise NotImplementedError(f"{type(self).__name__} needs get_room_names().")

    def get_queryset(self, room_name: str) -> QuerySet[M] | None:
        """Return the rows that belong in a document; ``None`` if it has none of this model."""
        raise NotImplementedError(f"{type(self).__name__} needs get_queryset().")

    def get_serializer_class(self, room_name: str) -> type[ModelSerializer[Any]]:
        """Return what turns rows into values for a document, and checks what clients change."""
        return self.serializer_class or default_serializer(self.model, tuple(self.fields))

    def get_writable_fields(self, room_name: str) -> Sequence[str]:
        """Return which of the values in a document clients may change."""
        return self.writable_fields

    def has_write_permission(self, user: User, instance: M, changes: Mapping[str, Any]) -> bool:
        """Tell whether ``user``, who may write the document, may make these changes to a row.

        Args:
            user: who makes them; the anonymous user if that is not known any more.
            instance: the row as it is; one that is not saved yet if it is to be created.
            changes: validated values by field; empty if the row is to be deleted.
        """
        return True

    def get_initial(self, room_name: str, user: User) -> Mapping[str, Any]:
        """Return attributes of the rows that ``user`` adds to a document.

        They are beside what the client has written, and win over it; such as the foreign key that
        makes the row one of the document's.
        """
        return {}

    # For mirrors of rows that belong together.

    def is_allowed(
        self, room_name: str, user: User, instance: M, changes: Mapping[str, Any]
    ) -> bool:
        """Tell the same as :meth:`has_write_permission`, of a change that is made in a document."""
        return self.has_write_permission(user, instance, changes)

    def get_companions(
        self, room_name: str, key: str, before: Values | None, now: Values | None
    ) -> Mapping[str, Iterable[Any]]:
        """Return which rows of other mirrors a change of a row lets enter a document, or leave it.

        They are looked at in the same transaction; :meth:`get_queryset` of theirs decides.

        Args:
            room_name: the document.
            key: of the row.
            before: its values there until now; ``None`` if it was not in the document.
            now: its values from now on; ``None`` if it leaves.

        Returns:
            their primary keys, by the other mirror's ``map_name``.
        """
        return {}

    # How it is used.

    def values(self, rows: Iterable[M], room_name: str) -> list[Values]:
        """Return the values of ``rows`` as a document shows them, in their order."""
        context = {"room_name": room_name}
        serializer = self.get_serializer_class(room_name)(rows, many=True, context=context)
        # To what a client would read back, so that the two can be compared.
        values: list[Values] = from_json(json.dumps(serializer.data, cls=JSONEncoder))
        return values

    def rows(self, room_name: str) -> QuerySet[M] | None:
        """Return :meth:`get_queryset`, with what each row's values need fetched for all at once.

        From the database that rows are written to: a replica may not have them yet.
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
        return queryset.prefetch_related(
            *(path.prefetch() for path in paths if path.name not in known)
        )

    def paths(self) -> list[Path]:
        """Return the ways to other rows that the values of a row come from."""
        found = declared_paths(self.model, self.depends_on)
        for serializer in self.serializers():
            found += serializer_paths(serializer, self.model)
        return found + [path.through for path in found if path.through]

    def serializers(self) -> list[type[ModelSerializer[Any]]]:
        """Return what turns rows into values, as far as that is known without a document."""
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
    """Return a serializer that has these fields of a model."""
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
