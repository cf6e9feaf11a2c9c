"""Consumers with a queryset and a serializer, as REST framework's generic views have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from rest_framework.generics import get_object_or_404
from rest_framework.serializers import BaseSerializer

from collab.live.actions.requests import rest_request
from collab.live.consumers import LiveConsumer
from collab.live.errors import CallError

__all__ = ["GenericAsyncAPIConsumer"]

#: Arguments that are no parameters of a query.
_OWN = ("action", "data", "query", "request_id")


class GenericAsyncAPIConsumer(LiveConsumer):
    """A consumer for the rows of a queryset; see :mod:`collab.live.rest.mixins` for its actions.

    The methods' ``kwargs`` are the arguments of the action that is called, ``action`` and
    ``request_id`` among them. All are called in a thread, where they may use the database.
    """

    queryset: ClassVar[Any] = None
    serializer_class: ClassVar[Any] = None
    #: The field that a row is looked up by.
    lookup_field: ClassVar[str] = "pk"
    #: The argument with its value, if it is called otherwise.
    lookup_url_kwarg: ClassVar[str | None] = None
    #: REST framework's. Their parameters are arguments of the action, or of its ``query``.
    filter_backends: ClassVar[Sequence[Any]] = ()

    def get_queryset(self, **kwargs: Any) -> QuerySet[Any]:
        """Return the rows there are, by default ``queryset``.

        Raises:
            ImproperlyConfigured: there is none.
        """
        if self.queryset is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} needs a queryset, or a method get_queryset()."
            )
        # Not the one that all connections share: it keeps what it has read.
        rows: QuerySet[Any] = self.queryset.all()
        return rows

    def get_object(self, **kwargs: Any) -> Any:
        """Return the row that the arguments name, if the user may do that to it.

        Raises:
            CallError: the argument is missing (400), or a permission says no (403).
            Http404: there is no such row for him.
        """
        name = self.lookup_name()
        if name not in kwargs:
            raise CallError(400, {name: ["This argument is required."]})
        rows = self.filter_queryset(self.get_queryset(**kwargs), **kwargs)
        row: Model = get_object_or_404(rows, **{self.lookup_field: kwargs[name]})
        async_to_sync(self.check_object_permissions)(kwargs.get("action", "retrieve"), row)
        return row

    def get_serializer(
        self, *args: Any, action_kwargs: dict[str, Any] | None = None, **kwargs: Any
    ) -> BaseSerializer[Any]:
        """Return a serializer, of ``get_serializer_class`` and with ``get_serializer_context``."""
        action_kwargs = action_kwargs or {}
        serializer_class = self.get_serializer_class(**action_kwargs)
        kwargs["context"] = self.get_serializer_context(**action_kwargs)
        serializer: BaseSerializer[Any] = serializer_class(*args, **kwargs)
        return serializer

    def get_serializer_class(self, **kwargs: Any) -> Any:
        """Return the class of the serializer, by default ``serializer_class``.

        Raises:
            ImproperlyConfigured: there is none.
        """
        if self.serializer_class is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} needs a serializer_class, or a method"
                " get_serializer_class()."
            )
        return self.serializer_class

    def get_serializer_context(self, **kwargs: Any) -> dict[str, Any]:
        """Return what serializers know besides the row; ``request`` has the user."""
        return {"scope": self.scope, "consumer": self, "request": self._request(kwargs)}

    def filter_queryset(self, queryset: QuerySet[Any], **kwargs: Any) -> QuerySet[Any]:
        """Return the rows that the filter backends leave of a queryset."""
        if self.filter_backends:
            request = self._request(kwargs)
            for backend in self.filter_backends:
                queryset = backend().filter_queryset(request, queryset, self)
        return queryset

    async def check_object_permissions(self, action: str, instance: Any) -> None:
        """Raise ``CallError`` (403) unless the action may be done to a row."""
        for permission in await self.get_permissions(action):
            if not await permission.has_object_permission(self.scope, self, action, instance):
                raise CallError(403, "You do not have permission to do this.")

    @classmethod
    def lookup_name(cls) -> str:
        """Return the name of the argument that a row is looked up by."""
        return cls.lookup_url_kwarg or cls.lookup_field

    def _request(self, kwargs: dict[str, Any]) -> Any:
        query = {name: value for name, value in kwargs.items() if name not in _OWN}
        more = kwargs.get("query") or {}
        if not isinstance(more, dict):
            raise CallError(400, {"query": ["Expected `object`."]})
        return rest_request(self.scope, "GET", query={**query, **more})
