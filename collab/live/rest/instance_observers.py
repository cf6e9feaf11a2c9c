"""Subscriptions to rows of a ``GenericAsyncAPIConsumer``: ``retrieve``, sent on each change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.db.models import Model
from django.shortcuts import get_object_or_404
from rest_framework import status

from collab.live.actions.actions import action
from collab.live.connections.live_connection import ConnectionPart, connection_of
from collab.live.errors import CallError
from collab.live.permissions import ObservedAction
from collab.live.rest.generics import GenericAsyncAPIConsumer
from collab.live.rest.mixins import RequestId, RetrieveModelMixin
from collab.live.watching.event_rows import shared
from collab.live.watching.observers import ModelObserver
from collab.live.watching.row_changes import Kind

if TYPE_CHECKING:
    _Base = GenericAsyncAPIConsumer
else:
    _Base = object

__all__ = ["ObserverModelInstanceMixin"]

#: Methods whose overrides may return different rows for different users.
_CHOOSING = ("get_queryset", "get_object", "filter_queryset", "retrieve")
#: Methods whose overrides may answer differently for different connections of a user.
_ANSWERING = (
    *_CHOOSING,
    "check_object_permissions",
    "check_permissions",
    "get_permissions",
    "get_serializer",
    "get_serializer_class",
    "get_serializer_context",
)
#: Keys that ASGI, Channels and Django put into a scope; the rest is the project's.
_USUAL_SCOPE = {
    *("asgi", "client", "extensions", "headers", "http_version", "method", "path", "query_string"),
    *("raw_path", "root_path", "scheme", "server", "state", "subprotocols", "type"),
    *("cookies", "path_remaining", "session", "url_route", "user"),
}


class _InstanceObserver(ModelObserver):
    """An observer with one group for each row."""

    wants_before = False

    def groups_of(self, row: Model) -> Iterable[str]:
        return [self._group_name(row.pk)]

    def _names_for(self, consumer: Any, args: Any, kwargs: Mapping[str, Any]) -> list[str]:
        return [self._group_name(kwargs["pk"])]

    async def __call__(self, consumer: Any, event: dict[str, Any]) -> None:
        # Handlers of a connection run one after the other.
        consumer.observed_event = event
        await super().__call__(consumer, event)


@dataclass(eq=False)
class _WatchedRows(ConnectionPart):
    """The rows that one connection watches."""

    #: By the id of the request, and the value that the row was looked up by.
    rows: dict[tuple[RequestId, str], tuple[Any, dict[str, Any]]] = field(default_factory=dict)


class ObserverModelInstanceMixin(RetrieveModelMixin, _Base):
    """Adds the actions ``subscribe_instance`` and ``unsubscribe_instance``, with ``pk``.

    After a change of the row, subscribers that may still retrieve it get the result of
    ``retrieve``. It is computed once for the connections of a user at one URL if all permissions
    have ``depends_on_user_alone`` and no method is overridden; otherwise for each connection.
    """

    #: Changes of many-to-many relations count as changes of the row.
    observer_many_to_many_relationships: ClassVar[bool] = False
    #: The model of the rows; by default that of ``queryset`` or ``serializer_class``.
    model: ClassVar[Any] = None

    handle_instance_change: Any
    #: The event that is being handled.
    observed_event: Mapping[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if (model := _model_of(cls)) is not None:
            observer = _InstanceObserver(
                _handle_instance_change,
                model,
                many_to_many=cls.observer_many_to_many_relationships,
                name=f"{cls.__module__}.{cls.__qualname__} of {model._meta.label}",
            )
            cls.handle_instance_change = observer
            observer.__set_name__(cls, "handle_instance_change")

    @action
    async def subscribe_instance(
        self, request_id: RequestId | None = None, **kwargs: Any
    ) -> tuple[None, int]:
        """Subscribe to a row; the id of this request becomes that of the subscription."""
        if request_id is None:
            raise CallError(400, {"request_id": ["This argument is required."]})
        if _model_of(type(self)) is None:
            raise ImproperlyConfigured(f"{type(self).__name__} has no model: set it.")
        row = await database_sync_to_async(self.get_object)(request_id=request_id, **kwargs)
        await self.handle_instance_change.subscribe(pk=row.pk, request_id=request_id)
        # The primary key, because the field that identified the row may change.
        arguments = {name: value for name, value in kwargs.items() if name != "action"}
        self._watched_rows[request_id, str(self._looked_up(kwargs))] = row.pk, arguments
        return None, status.HTTP_201_CREATED

    @action
    async def unsubscribe_instance(
        self, request_id: RequestId | None = None, **kwargs: Any
    ) -> tuple[None, int]:
        """End a subscription to a row, or without ``request_id`` all to this row."""
        wanted = str(self._looked_up(kwargs))
        for key in list(self._watched_rows):
            if key[1] == wanted and request_id in (None, key[0]):
                pk, _ = self._watched_rows.pop(key)
                await self.handle_instance_change.unsubscribe(pk=pk, request_id=key[0])
        return None, status.HTTP_204_NO_CONTENT

    async def handle_observed_action(
        self, action: str, group: str | None = None, **kwargs: Any
    ) -> None:
        """Send the client a changed row, once for each of its subscriptions.

        Args:
            action: ``"update"``, ``"create"`` or ``"delete"``.
            group: of the observer.
            kwargs: the row's ``pk``.
        """
        for (request_id, _), (pk, arguments) in list(self._watched_rows.items()):
            if str(pk) == str(kwargs["pk"]):
                try:
                    data, code = await self._answer(action, pk, arguments)
                    await self.reply(action, data, status=code, request_id=request_id)
                except Exception as error:
                    await self.handle_exception(error, action, request_id)

    async def _answer(self, action: str, pk: Any, arguments: dict[str, Any]) -> Any:
        """Return data and status, computed once for all subscribers they are equal for."""
        observed = ObservedAction(action)

        async def compute() -> Any:
            await self.check_permissions(observed, **arguments)
            if action == Kind.DELETE:
                return {"pk": pk}, status.HTTP_204_NO_CONTENT
            row = await self._shared(
                "row", partial(database_sync_to_async(self._read), pk, arguments)
            )
            return await database_sync_to_async(self._shown)(row, arguments)

        audience = await self._audience(observed, arguments)
        return await self._shared((audience, repr(sorted(arguments.items()))), compute)

    async def _audience(self, observed: ObservedAction, arguments: dict[str, Any]) -> Any:
        """Return a key that is equal for connections with equal answers."""
        connection = connection_of(self)
        if not self._is_plain(_ANSWERING):
            return connection
        given = await self.get_permissions(observed, **arguments)
        own = tuple((key, self.scope[key]) for key in sorted(self.scope.keys() - _USUAL_SCOPE))
        if not (all(each.depends_on_user_alone for each in given) and _is_hashable(own)):
            return connection
        return connection.user_id, self.scope["path"], self.scope["query_string"], own

    async def _shared(self, key: object, compute: Any) -> Any:
        return await shared(self.observed_event["payload"], (type(self), key), compute)

    def _read(self, pk: Any, arguments: dict[str, Any]) -> Any:
        model = _model_of(type(self))
        is_plain = self._is_plain(_CHOOSING)
        rows: Any = self.get_queryset(**arguments) if is_plain else model._base_manager.all()
        # Replicas may not have the change yet.
        return get_object_or_404(rows.using(rows._db or router.db_for_write(model)), pk=pk)

    def _shown(self, row: Any, arguments: dict[str, Any]) -> Any:
        if not self._is_plain(_CHOOSING):
            now = attrgetter(self.lookup_field.replace("__", "."))(row)
            return self.retrieve(**{**arguments, "action": "retrieve", self.lookup_name(): now})
        async_to_sync(self.check_object_permissions)("retrieve", row)
        serializer = self.get_serializer(instance=row, action_kwargs=arguments)
        return serializer.data, status.HTTP_200_OK

    def _is_plain(self, names: Iterable[str]) -> bool:
        """Return whether the project overrides none of these methods, and filters no rows."""
        own = [getattr(type(self), name) for name in names]
        plain = [getattr(_Plain, name) for name in names]
        return own == plain and not self.filter_backends

    @property
    def _watched_rows(self) -> dict[tuple[RequestId, str], tuple[Any, dict[str, Any]]]:
        """Primary key and arguments, by request id and the value that identified the row."""
        return connection_of(self).part(_WatchedRows).rows


class _Plain(RetrieveModelMixin, GenericAsyncAPIConsumer):
    """A consumer without overrides, for comparison."""


async def _handle_instance_change(
    self: ObserverModelInstanceMixin, message: dict[str, Any], action: str, group: str
) -> None:
    await self.handle_observed_action(action=action, group=group, **message)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _model_of(consumer: type[ObserverModelInstanceMixin]) -> Any:
    """Return the model of a consumer's rows; ``None`` if it is not set."""
    if consumer.model is not None or consumer.queryset is not None:
        return consumer.model or consumer.queryset.model
    return getattr(getattr(consumer.serializer_class, "Meta", None), "model", None)
