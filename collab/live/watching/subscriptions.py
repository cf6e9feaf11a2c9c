"""Declaring which rows of a model clients may watch, whichever they ask for.

Declarations are in the module ``subscriptions`` of an app; see :class:`ModelSubscription`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import Model, QuerySet
from rest_framework.serializers import ModelSerializer

from collab.live.errors import CallError
from collab.live.events.encoding import as_json
from collab.live.events.groups import Event, send
from collab.live.watching.row_changes import RowChange, unwatch, watch
from collab.mirror.registry import default_serializer

__all__ = [
    "CHANGED",
    "ModelSubscription",
    "group_of",
    "subscribable",
    "subscription_of",
    "subscriptions",
    "unregister",
]

M = TypeVar("M", bound=Model)

#: Type of the event that tells which rows of a model have changed, and how.
CHANGED = "collab.rows"


_NO_ROW = {"filter": ["No row can have such a value."]}
#: What is raised for a value that a client has made up; it may be of any type.
_NO_VALUE = (ValueError, TypeError, AttributeError, LookupError, ValidationError)


class ModelSubscription(Generic[M]):
    """Which rows of a model clients may watch, and what they see of them; to be registered."""

    #: Of the model, what clients see; or else a serializer that says it. Its context has the
    #: ``user``.
    fields: ClassVar[Sequence[str]] = ()
    serializer_class: ClassVar[type[ModelSerializer[Any]] | None] = None
    #: Lookups, as in queries, that lists may be filtered by.
    filter_fields: ClassVar[Sequence[str]] = ()
    #: Which rows are seen, and what of them, depends on the user. If not, all who watch the same
    #: cost as much as one, and ``user`` is ``None`` everywhere.
    per_user: ClassVar[bool] = True

    def __init__(self, model: type[M]) -> None:
        self.model = model

    def get_queryset(self, user: Any) -> QuerySet[M]:
        """Return the rows that a user may see; the others are not there for him."""
        raise NotImplementedError(f"{type(self).__name__} needs get_queryset().")

    def has_permission(self, user: Any, instance: M) -> bool:
        """Tell whether a user may see one of these rows; for what no query can tell."""
        return True

    def encode_id(self, pk: Any) -> Any:
        """Return what clients have in place of a primary key."""
        return pk

    def decode_id(self, value: Any) -> Any:
        """Return the primary key that a client means; raise ``ValueError`` if it means none."""
        return value

    def decode_filter(self, name: str, value: Any) -> Any:
        """Return what the database has for a value that a client filters by."""
        return value

    # How it is used.

    #: What it wants to know of changes.
    many_to_many = True
    wants_before = False

    def groups_of(self, row: Model) -> Iterable[str]:
        """Return in which groups a row is: that is asked for each who watches, when it changes."""
        return ()

    def receive(self, changes: Sequence[RowChange]) -> None:
        """Tell all processes which rows a transaction has changed."""
        keys = [[change.pk, change.kind] for change in changes]
        send(Event(CHANGED, group_of(self.model), as_json(keys)))

    def rows(self, user: Any, lookups: Mapping[str, Any]) -> QuerySet[M]:
        """Return the rows that a user may see and that the lookups find.

        Raises:
            CallError: 400, the lookups cannot be.
        """
        try:
            return self.get_queryset(user).filter(**lookups)
        except _NO_VALUE as error:
            raise CallError(400, _NO_ROW) from error

    def lookups(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the lookups of a filter.

        Raises:
            CallError: 400, it is not one that lists may be filtered by.
        """
        if unknown := sorted(wanted.keys() - set(self.filter_fields)):
            known = ", ".join(self.filter_fields) or "nothing"
            reason = f"Lists are filtered by {known}, not by {', '.join(unknown)}."
            raise CallError(400, {"filter": [reason]})
        try:
            return {name: self.decode_filter(name, value) for name, value in wanted.items()}
        except _NO_VALUE as error:
            raise CallError(400, _NO_ROW) from error

    def text_of(self, lookups: Mapping[str, Any]) -> str:
        """Return what is the same for the same lookups.

        Raises:
            CallError: 400, the lookups cannot be.
        """
        try:
            return as_json(sorted(lookups.items()))
        except _NO_VALUE as error:
            raise CallError(400, _NO_ROW) from error

    def found(self, rows: QuerySet[M]) -> list[M]:
        """Return the rows that the database finds.

        Raises:
            CallError: 400, it cannot look for such values.
        """
        try:
            return list(rows)
        except (DataError, OverflowError, ValueError) as error:
            raise CallError(400, _NO_ROW) from error

    def user_key(self, user: Any) -> Any:
        """Return what tells users apart, if there are differences between them."""
        return getattr(user, "pk", None) if self.per_user else None

    def key(self, value: Any) -> Any:
        """Return the primary key that a client means.

        Raises:
            CallError: 404, there cannot be such a row.
        """
        try:
            return self.model._meta.pk.to_python(self.decode_id(value))
        except _NO_VALUE as error:
            raise CallError(404, "Not found.") from error

    def shown(self, user: Any, rows: Iterable[M]) -> dict[Any, dict[str, Any]]:
        """Return what a user sees of rows, by primary key, in their order."""
        seen = list({row.pk: row for row in rows if self.has_permission(user, row)}.values())
        serializer_class = self.serializer_class or default_serializer(
            self.model, tuple(self.fields)
        )
        data = serializer_class(seen, many=True, context={"user": user}).data
        return {
            row.pk: {"id": self.encode_id(row.pk), "instance": values}
            for row, values in zip(seen, data, strict=True)
        }


_subscriptions: dict[str, ModelSubscription[Any]] = {}


def subscribable(
    model: type[Model],
) -> Callable[[type[ModelSubscription[Any]]], type[ModelSubscription[Any]]]:
    """Let clients watch rows of a model as the :class:`ModelSubscription` below says."""

    def add(declared: type[ModelSubscription[Any]]) -> type[ModelSubscription[Any]]:
        unregister(model)
        subscription = _subscriptions[model._meta.label_lower] = declared(model)
        watch(subscription)
        return declared

    return add


def unregister(model: type[Model]) -> None:
    """Let clients watch rows of a model no more."""
    if former := _subscriptions.pop(model._meta.label_lower, None):
        unwatch(former)


def subscriptions() -> list[ModelSubscription[Any]]:
    """Return what is registered, in the order of the models' labels."""
    return [_subscriptions[label] for label in sorted(_subscriptions)]


def subscription_of(label: str) -> ModelSubscription[Any]:
    """Return what is registered for a model; ``label`` as in ``"notes.Task"``.

    Raises:
        CallError: 404, clients may not watch it.
    """
    if found := _subscriptions.get(label.lower()):
        return found
    raise CallError(404, "Not found.")


def group_of(model: type[Model]) -> str:
    """Return the group that hears of changes of a model's rows."""
    return f"collab.rows.{model._meta.label_lower}"
