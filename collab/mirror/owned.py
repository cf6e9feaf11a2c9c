"""Own rows in full, others' in part: two kinds of documents for the rows of one mirror.

A client that opens a document gets all of it, its history included, so private fields have to be in
another one. Each shared document has the rows of all users in part, and each owner has another one
with the own rows in full, ``"board-1"`` and ``"board-1~7"``. A client opens both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from rest_framework.serializers import ModelSerializer

from collab.mirror.registry import ModelMirror, User, default_serializer
from collab.mirror.rows.relations import Path, serializer_paths

__all__ = ["OwnRowsMirror", "is_own_or_shared", "split_room_name"]

M = TypeVar("M", bound=Model)

#: Between the name of a shared document and the key of an owner.
_SEPARATOR = "~"


def split_room_name(room_name: str) -> tuple[str, str | None]:
    """Return the name of the shared document, and of an owner's the owner's key, else ``None``."""
    shared, separator, owner = room_name.partition(_SEPARATOR)
    return shared, owner if separator else None


def is_own_or_shared(room_name: str, user: User) -> bool:
    """Return whether a document is shared, or belongs to ``user``; for ``authorize()``.

    Access to the shared document is a question of its own.
    """
    owner = split_room_name(room_name)[1]
    return owner is None or _is(user, owner)


def _is(user: User, owner: object) -> bool:
    return user.pk is not None and str(user.pk) == str(owner)


class OwnRowsMirror(ModelMirror[M]):
    """Declares rows that show their owners more fields than others.

    The attributes of :class:`ModelMirror` are for all users; those for owners have ``own`` in their
    names.
    """

    #: The field with the owner of a row; a row may have none.
    owner_field: ClassVar[str] = "owner"
    #: Fields that owners see beside ``fields``; or else a serializer with all that they see.
    own_fields: ClassVar[Sequence[str]] = ()
    own_serializer_class: ClassVar[type[ModelSerializer[Any]] | None] = None
    #: Fields that owners may change beside ``writable_fields``.
    own_writable_fields: ClassVar[Sequence[str]] = ()

    def get_shared_room_names(self, instance: M) -> Iterable[str]:
        """Return the names of the shared documents that ``instance`` is in, without a ``"~"``."""
        raise NotImplementedError(f"{type(self).__name__} needs get_shared_room_names().")

    def get_shared_queryset(self, room_name: str) -> QuerySet[M] | None:
        """Return the rows that belong in a shared document; ``None`` if it has none of these."""
        raise NotImplementedError(f"{type(self).__name__} needs get_shared_queryset().")

    def has_write_permission(self, user: User, instance: M, changes: Mapping[str, Any]) -> bool:
        """Allow owners to do all with their rows, others to change ``writable_fields``."""
        if _is(user, self._owner_of(instance)):
            return True
        is_change = bool(changes) and not instance._state.adding
        return is_change and changes.keys() <= set(self.writable_fields)

    # Methods of a mirror.

    def get_room_names(self, instance: M) -> Iterable[str]:
        """Return the names of the shared documents, and of those of the owner.

        Raises:
            ValueError: the name of a shared document looks like that of an owner's.
        """
        shared, owner = list(self.get_shared_room_names(instance)), self._owner_of(instance)
        if wrong := [name for name in shared if _SEPARATOR in name]:
            raise ValueError(f"The name of a shared document has {_SEPARATOR!r}: {wrong[0]!r}.")
        own = [] if owner is None else [f"{name}{_SEPARATOR}{owner}" for name in shared]
        return [*shared, *own]

    def get_queryset(self, room_name: str) -> QuerySet[M] | None:
        """Return the rows of a shared document, or those of them that are the owner's."""
        shared, owner = split_room_name(room_name)
        if owner is not None and not self._is_key(owner):
            return None
        rows = self.get_shared_queryset(shared)
        return rows if rows is None or owner is None else rows.filter(**{self.owner_field: owner})

    def get_serializer_class(self, room_name: str) -> type[ModelSerializer[Any]]:
        """Return the serializer of a shared document, or of an owner's."""
        is_shared = split_room_name(room_name)[1] is None
        return super().get_serializer_class(room_name) if is_shared else self.own_serializer

    def get_writable_fields(self, room_name: str) -> Sequence[str]:
        """Return the fields that clients may change in a shared document, or in an owner's."""
        is_shared = split_room_name(room_name)[1] is None
        return self.writable_fields if is_shared else self.all_writable_fields

    def serializers(self) -> list[type[ModelSerializer[Any]]]:
        """Return the serializers of shared documents and of owners'."""
        return [*super().serializers(), self.own_serializer]

    def paths(self) -> list[Path]:
        """Return the paths to other rows, among them to the owner, who may be deleted."""
        found = super().paths()
        owner = default_serializer(self.model, (self.owner_field,))
        return found + [path for path in serializer_paths(owner, self.model) if path not in found]

    @property
    def own_serializer(self) -> type[ModelSerializer[Any]]:
        """The serializer of owners' documents."""
        names = dict.fromkeys((*self.fields, *self.own_fields))
        return self.own_serializer_class or default_serializer(self.model, tuple(names))

    @property
    def all_writable_fields(self) -> Sequence[str]:
        """All fields that owners may change."""
        return (*self.writable_fields, *self.own_writable_fields)

    # Owners.

    def _owner_of(self, instance: M) -> Any:
        field: Any = self.model._meta.get_field(self.owner_field)
        # Code may have assigned "7".
        return field.to_python(getattr(instance, field.attname))

    def _is_key(self, owner: str) -> bool:
        """Return whether ``owner`` is a key as :meth:`get_room_names` writes it, not "07"."""
        field: Any = self.model._meta.get_field(self.owner_field)
        try:
            return str(field.to_python(owner)) == owner
        except ValidationError:
            return False
