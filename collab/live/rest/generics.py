"""Consumers with a queryset and a serializer, like REST framework's generic views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from django.http import Http404
from rest_framework.generics import get_object_or_404
from rest_framework.serializers import BaseSerializer

from collab.live.actions.requests import rest_request
from collab.live.consumers import LiveConsumer
from collab.live.errors import CallError
from collab.live.permissions import ask

__all__ = ["GenericAsyncAPIConsumer"]

#: Arguments that are not parameters of the request.
_OWN = ("action", "data", "query", "request_id")


class GenericAsyncAPIConsumer(LiveConsumer):
    """A consumer for the rows of a queryset; see :mod:`collab.live.rest.mixins` for its actions.

    The ``kwargs`` of its methods are the arguments of the called action, including ``action`` and
    ``request_id``. All methods run in a thread, where they may use the database.
    """

    queryset: ClassVar[Any] = None
    serializer_class: ClassVar[Any] = None
    #: The field that identifies a row.
    lookup_field: ClassVar[str] = "pk"
    #: The argument with its value, if its name differs.
    lookup_url_kwarg: ClassVar[str | None] = None
    #: REST framework's; their parameters are arguments of the action, or in its ``query``.
    filter_backends: ClassVar[Sequence[Any]] = ()

    def get_queryset(self, **kwargs: Any) -> QuerySet[Any]:
        """Return the rows, by default ``queryset``.

        Raises:
            ImproperlyConfigured: ``queryset`` is not set.
        """
        if self.queryset is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} has no queryset: set it, or define get_queryset()."
            )
        # A copy, because a queryset caches its rows and the attribute is shared.
        rows: QuerySet[Any] = self.queryset.all()
        return rows

    def get_object(self, **kwargs: Any) -> Any:
        """Return the row that the arguments identify, after checking permissions.

        Raises:
            CallError: the argument is missing (400), or a permission refuses (403).
            Http404: the row does not exist.
        """
        wanted = {self.lookup_field: self._looked_up(kwargs)}
        rows = self.filter_queryset(self.get_queryset(**kwargs), **kwargs)
        try:
            row: Model = get_object_or_404(rows, **wanted)
        except OverflowError:
            # A number such as 1e400, which is infinite.
            raise Http404 from None
        async_to_sync(self.check_object_permissions)(kwargs.get("action", "retrieve"), row)
        return row

    def get_serializer(
        self, *args: Any, action_kwargs: dict[str, Any] | None = None, **kwargs: Any
    ) -> BaseSerializer[Any]:
        """Return a serializer from ``get_serializer_class`` and ``get_serializer_context``."""
        action_kwargs = action_kwargs or {}
        serializer_class = self.get_serializer_class(**action_kwargs)
        kwargs["context"] = self.get_serializer_context(**action_kwargs)
        serializer: BaseSerializer[Any] = serializer_class(*args, **kwargs)
        return serializer

    def get_serializer_class(self, **kwargs: Any) -> Any:
        """Return the class of the serializer, by default ``serializer_class``.

        Raises:
            ImproperlyConfigured: ``serializer_class`` is not set.
        """
        if self.serializer_class is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} has no serializer_class: set it, or define"
                " get_serializer_class()."
            )
        return self.serializer_class

    def get_serializer_context(self, **kwargs: Any) -> dict[str, Any]:
        """Return the context of serializers; its ``request`` has the user."""
        return {"scope": self.scope, "consumer": self, "request": self._request(kwargs)}

    def filter_queryset(self, queryset: QuerySet[Any], **kwargs: Any) -> QuerySet[Any]:
        """Return a queryset filtered by the filter backends."""
        if self.filter_backends:
            request = self._request(kwargs)
            for backend in self.filter_backends:
                queryset = backend().filter_queryset(request, queryset, self)
        return queryset

    async def check_object_permissions(self, action: str, instance: Any) -> None:
        """Raise ``CallError`` (403) unless the action is allowed for a row."""
        for permission in await self.get_permissions(action):
            if not await ask(permission.has_object_permission, self.scope, self, action, instance):
                raise CallError(403, "You do not have permission to perform this action.")

    @classmethod
    def lookup_name(cls) -> str:
        """Return the name of the argument that identifies a row."""
        return cls.lookup_url_kwarg or cls.lookup_field

    def _looked_up(self, arguments: Mapping[str, Any]) -> Any:
        """Return the argument that identifies a row."""
        name = self.lookup_name()
        if name not in arguments:
            raise CallError(400, {name: ["This argument is required."]})
        return arguments[name]

    def _request(self, kwargs: dict[str, Any]) -> Any:
        query = {name: value for name, value in kwargs.items() if name not in _OWN}
        more = kwargs.get("query") or {}
        if not isinstance(more, dict):
            raise CallError(400, {"query": ["Expected `object`."]})
        return rest_request(self.scope, "GET", query={**query, **more})
