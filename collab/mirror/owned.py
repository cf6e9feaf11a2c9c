"""Own rows in full, others' in part: two kinds of documents for the rows of one mirror.

Who has a document open gets all of it, its history included, so what some may not see has to be in
another one. Each shared document has in part the rows of everybody, and beside it there is one for
each owner with the owner's rows in full, ``"board-1"`` and ``"board-1~7"``. A client opens both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from rest_framework.serializers import ModelSerializer

from collab.mirror.registry import ModelMirror, default_serializer
from collab.mirror.rows.relations import Path, serializer_paths

if TYPE_CHECKING:
    from collab.mirror.registry import User

__all__ = ["OwnRowsMirror", "is_own_or_shared", "split_room_name"]

M = TypeVar("M", bound=Model)

#: Between the name of a shared document and the key of an owner.
_SEPARATOR = "~"


def split_room_name(room_name: str) -> tuple[str, str | None]:
    """Return the name of the shared document, and of an owner's the owner's key, else ``None``."""
    shared, separator, owner = room_name.partition(_SEPARATOR)
    return shared, owner if separator else None


def is_own_or_shared(room_name: str, user: User) -> bool:
    """Tell whether a document is no other owner's than ``user``; for ``authorize()``.

    Who may open the shared document is another question.
    """
    owner = split_room_name(room_name)[1]
    return owner is None or _is(user, owner)


def _is(user: User, owner: object) -> bool:
    return user.pk is not None and str(user.pk) == str(owner)


class OwnRowsMirror(ModelMirror[M]):
    """Which rows of a model are in which documents: owners see more of theirs than others do.

    What a :class:`ModelMirror` says is what everybody sees, and may change; what is beside it for
    owners has a name with ``own``.
    """

    #: The field that says whose a row is; nobody's if it is ``None``.
    owner_field: ClassVar[str] = "owner"
    #: What owners see beside ``fields``; or else a serializer that says all that they see.
    own_fields: ClassVar[Sequence[str]] = ()
    own_serializer_class: ClassVar[type[ModelSerializer[Any]] | None] = None
    #: What owners may change beside ``writable_fields``.
    own_writable_fields: ClassVar[Sequence[str]] = ()

    def get_shared_room_names(self, instance: M) -> Iterable[str]:
        """Return the names of the shared documents that ``instance`` is in, without a ``"~"``."""
        raise NotImplementedError(f"{type(self).__name__} needs get_shared_room_names().")

    def get_shared_queryset(self, room_name: str) -> QuerySet[M] | None:
        """Return the rows that belong in a shared document; ``None`` if it has none of these."""
        raise NotImplementedError(f"{type(self).__name__} needs get_shared_queryset().")

    def has_write_permission(self, user: User, instance: M, changes: Mapping[str, Any]) -> bool:
        """Let owners add, change and remove their rows, and others change ``writable_fields``."""
        if _is(user, self._owner_of(instance)):
            return True
        is_change = bool(changes) and not instance._state.adding
        return is_change and changes.keys() <= set(self.writable_fields)

    # What a mirror is asked for.

    def get_room_names(self, instance: M) -> Iterable[str]:
        """Return the names of the shared documents, and of those of the owner.

        Raises:
            ValueError: one of a shared document could be taken for that of an owner.
        """
        shared, owner = list(self.get_shared_room_names(instance)), self._owner_of(instance)
        if wrong := [name for name in shared if _SEPARATOR in name]:
            raise ValueError(f"The name of a shared document has no {_SEPARATOR!r}: {wrong[0]!r}.")
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
        """Return what shows rows in part, or for a document of an owner in full."""
        is_shared = split_room_name(room_name)[1] is None
        return super().get_serializer_class(room_name) if is_shared else self.own_serializer

    def get_writable_fields(self, room_name: str) -> Sequence[str]:
        """Return what clients may change in a shared document, or in one of an owner."""
        is_shared = split_room_name(room_name)[1] is None
        return self.writable_fields if is_shared else self.all_writable_fields

    def serializers(self) -> list[type[ModelSerializer[Any]]]:
        """Return what shows rows in part and in full."""
        return [*super().serializers(), self.own_serializer]

    def paths(self) -> list[Path]:
        """Return the ways to other rows, among them to the owner: who is deleted owns nothing."""
        found = super().paths()
        owner = default_serializer(self.model, (self.owner_field,))
        return found + [path for path in serializer_paths(owner, self.model) if path not in found]

    @property
    def own_serializer(self) -> type[ModelSerializer[Any]]:
        """What shows rows in full."""
        names = dict.fromkeys((*self.fields, *self.own_fields))
        return self.own_serializer_class or default_serializer(self.model, tuple(names))

    @property
    def all_writable_fields(self) -> Sequence[str]:
        """What owners may change."""
        return (*self.writable_fields, *self.own_writable_fields)

    # Owners.

    def _owner_of(self, instance: M) -> Any:
        field: Any = self.model._meta.get_field(self.owner_field)
        # Code may have assigned "7".
        return field.to_python(getattr(instance, field.attname))

    def _is_key(self, owner: str) -> bool:
        """Tell whether ``owner`` is a key as :meth:`get_room_names` writes it, not "07"."""
        field: Any = self.model._meta.get_field(self.owner_field)
        try:
            return str(field.to_python(owner)) == owner
        except ValidationError:
            return False
