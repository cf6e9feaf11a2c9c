"""Declarations of models that clients may subscribe to; see :class:`ModelSubscription`.

They are in the module ``subscriptions`` of an app.
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

#: Type of the event with the keys of a model's changed rows.
CHANGED = "collab.rows"


_NO_ROW = {"filter": ["Not a valid value."]}
#: Errors that values from clients cause, which may be of any type.
_NO_VALUE = (ValueError, TypeError, AttributeError, LookupError, ValidationError)


class ModelSubscription(Generic[M]):
    """The rows of a model that clients may subscribe to, and their fields."""

    #: The model's fields that clients see; instead of them a serializer, whose context has the
    #: ``user``.
    fields: ClassVar[Sequence[str]] = ()
    serializer_class: ClassVar[type[ModelSerializer[Any]] | None] = None
    #: Lookups, as in queries, for filtered lists.
    filter_fields: ClassVar[Sequence[str]] = ()
    #: Rows or their values depend on the user. If False, all subscribers to a list share one
    #: query, and ``user`` is always ``None``.
    per_user: ClassVar[bool] = True
    #: Rows of one list, at most; beyond it the subscription is refused with 400.
    max_rows: ClassVar[int] = 1_000

    def __init__(self, model: type[M]) -> None:
        self.model = model

    def get_queryset(self, user: Any) -> QuerySet[M]:
        """Return the rows that a user may see; all others do not exist for that user."""
        raise NotImplementedError(f"{type(self).__name__} needs get_queryset().")

    def has_permission(self, user: Any, instance: M) -> bool:
        """Return whether a user may see one of these rows, where a query cannot decide."""
        return True

    def encode_id(self, pk: Any) -> Any:
        """Return the id of a row for clients."""
        return pk

    def decode_id(self, value: Any) -> Any:
        """Return the primary key for an id from a client.

        Raises:
            ValueError: the id is not valid.
        """
        return value

    def decode_filter(self, name: str, value: Any) -> Any:
        """Return the database's value for a value in a client's filter."""
        return value

    # How it works.

    many_to_many = True
    wants_before = False

    def groups_of(self, row: Model) -> Iterable[str]:
        """Return no groups: each query decides itself whether it finds a row."""
        return ()

    def receive(self, changes: Sequence[RowChange]) -> None:
        """Publish the keys of the rows that a transaction changed to all processes."""
        keys = [[change.pk, change.kind] for change in changes]
        send(Event(CHANGED, group_of(self.model), as_json(keys)))

    def rows(self, user: Any, lookups: Mapping[str, Any]) -> QuerySet[M]:
        """Return the rows that a user may see and the lookups find.

        Raises:
            CallError: 400, a lookup is not valid.
        """
        try:
            return self.get_queryset(user).filter(**lookups)
        except _NO_VALUE as error:
            raise CallError(400, _NO_ROW) from error

    def lookups(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the lookups for a client's filter.

        Raises:
            CallError: 400, a name is not in ``filter_fields``.
        """
        if unknown := sorted(wanted.keys() - set(self.filter_fields)):
            known = ", ".join(self.filter_fields) or "none"
            reason = f"Unknown filters: {', '.join(unknown)}; known filters: {known}."
            raise CallError(400, {"filter": [reason]})
        try:
            return {name: self.decode_filter(name, value) for name, value in wanted.items()}
        except _NO_VALUE as error:
            raise CallError(400, _NO_ROW) from error

    def text_of(self, lookups: Mapping[str, Any]) -> str:
        """Return a text that is equal for equal lookups.

        Raises:
            CallError: 400, a lookup is not valid.
        """
        try:
            return as_json(sorted(lookups.items()))
        except _NO_VALUE as error:
            raise CallError(400, _NO_ROW) from error

    def found(self, rows: QuerySet[M]) -> list[M]:
        """Return the rows of a query.

        Raises:
            CallError: 400, the database refuses a value.
        """
        try:
            return list(rows)
        except (DataError, OverflowError, ValueError) as error:
            raise CallError(400, _NO_ROW) from error

    def user_key(self, user: Any) -> Any:
        """Return the key of a user; ``None`` if all users see the same."""
        return getattr(user, "pk", None) if self.per_user else None

    def key(self, value: Any) -> Any:
        """Return the primary key for an id from a client.

        Raises:
            CallError: 404, no row can have this id.
        """
        try:
            return self.model._meta.pk.to_python(self.decode_id(value))
        except _NO_VALUE as error:
            raise CallError(404, "Not found") from error

    def shown(self, user: Any, rows: Iterable[M]) -> dict[Any, dict[str, Any]]:
        """Return serialized rows by primary key, in order, without those hidden from the user."""
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
    """Register a :class:`ModelSubscription` for a model: ``@subscribable(Task)``."""

    def add(declared: type[ModelSubscription[Any]]) -> type[ModelSubscription[Any]]:
        unregister(model)
        subscription = _subscriptions[model._meta.label_lower] = declared(model)
        watch(subscription)
        return declared

    return add


def unregister(model: type[Model]) -> None:
    """Remove the subscription of a model."""
    if former := _subscriptions.pop(model._meta.label_lower, None):
        unwatch(former)


def subscriptions() -> list[ModelSubscription[Any]]:
    """Return all registered subscriptions, in the order of the models' labels."""
    return [_subscriptions[label] for label in sorted(_subscriptions)]


def subscription_of(label: str) -> ModelSubscription[Any]:
    """Return the subscription of a model with a label such as ``"notes.Task"``.

    Raises:
        CallError: 404, none is registered.
    """
    if found := _subscriptions.get(label.lower()):
        return found
    raise CallError(404, "Not found")


def group_of(model: type[Model]) -> str:
    """Return the group that gets the keys of a model's changed rows."""
    return f"collab.rows.{model._meta.label_lower}"
