"""Observers: methods of a consumer that handle signals and changes of rows.

    class Comments(LiveConsumer):
        @model_observer(Comment, serializer_class=CommentSerializer)
        async def comment_activity(self, message, action, subscribing_request_ids, **kwargs):
            for request_id in subscribing_request_ids:
                await self.reply(action, message, request_id=request_id)

        @action
        async def follow(self, request_id: int) -> None:
            await self.comment_activity.subscribe(request_id=request_id)

A process that changes rows publishes one event for each group of the observer; each process
delivers it to its subscribers. See :mod:`collab.live.watching.row_changes` for when.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from asgiref.sync import iscoroutinefunction
from channels.db import database_sync_to_async
from django.db import router
from django.db.models import Model
from django.dispatch import Signal

from collab.conf import get_settings
from collab.live.actions.requests import request_of_user
from collab.live.connections.live_connection import connection_of
from collab.live.consumers import LiveConsumer
from collab.live.errors import CallError
from collab.live.events import events, groups
from collab.live.events.encoding import as_json
from collab.live.events.events import publish_internal
from collab.live.events.groups import Event
from collab.live.watching.event_rows import dump_row, load_row, shared
from collab.live.watching.row_changes import Kind, RowChange, watch

__all__ = ["BaseObserver", "ModelObserver", "Observer", "model_observer", "observer"]

logger = logging.getLogger("collab.live")

AnyObserver = TypeVar("AnyObserver", bound="BaseObserver")

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def observer(signal: Signal, **kwargs: Any) -> Callable[[Any], Observer]:
    """Make a method handle a signal; ``kwargs`` are those of ``signal.connect``.

    ``@name.serializer`` decorates a function that returns the ``message``, by default ``{}``.
    """

    def decorate(handler: Any) -> Observer:
        return Observer(handler, signal, kwargs)

    return decorate


def model_observer(
    model: type[Model],
    serializer_class: Any = None,
    many_to_many: bool = False,
    for_user: bool = False,
) -> Callable[[Any], ModelObserver]:
    """Make a method handle changes of a model's rows.

    Args:
        model: of the rows.
        serializer_class: serializes the row into ``message``; by default the ``pk``.
        many_to_many: changes of many-to-many relations count as changes of the row.
        for_user: serialize for each subscribed user, who is in the serializer's context;
            ``@name.is_visible`` decorates a function that returns whether a user gets a message.
    """

    def decorate(handler: Any) -> ModelObserver:
        kind = UserModelObserver if for_user else ModelObserver
        return kind(handler, model, serializer_class, many_to_many=many_to_many)

    return decorate


class BaseObserver(ABC):
    """A decorated method, as an attribute of the consumer class."""

    def __init__(self, handler: Any, name: str | None = None) -> None:
        if not iscoroutinefunction(handler):
            raise TypeError(f"{handler.__qualname__} is an observer: write async def.")
        self._handler = handler
        self._wanted = _parameters(handler)
        self._is_positional = _takes_position(handler)
        #: Equal in all processes.
        self.name = name or f"{handler.__module__}.{handler.__qualname__}"
        self._serializer: Any = None
        self._groups_for_signal: Any = None
        self._groups_for_consumer: Any = None
        #: Request ids of subscriptions by group; ``None`` stands for those without one.
        self._requests: WeakKeyDictionary[LiveConsumer, dict[str, dict[Any, None]]]
        self._requests = WeakKeyDictionary()
        self._is_watching = False
        # Makes the observer the handler of its event.
        events.consumer(self._event_type)(self)

    @property
    def _event_type(self) -> str:
        return f"collab.observed.{self.name}"

    def __set_name__(self, owner: type, name: str) -> None:
        if not self._is_watching:
            self._is_watching = True
            self._start()

    def __get__(self, consumer: LiveConsumer | None, owner: type) -> Any:
        return self if consumer is None else BoundObserver(self, consumer)

    @abstractmethod
    def _start(self) -> None:
        """Connect to the source of changes."""

    # Decorators.

    def serializer(self: AnyObserver, function: Any) -> AnyObserver:
        """Decorate a function that returns the message for a row and its change, or a signal."""
        self._serializer = function
        return self

    def groups_for_signal(self: AnyObserver, function: Any) -> AnyObserver:
        """Decorate a function that yields the groups of an ``instance`` or a signal."""
        self._groups_for_signal = function
        return self

    def groups_for_consumer(self: AnyObserver, function: Any) -> AnyObserver:
        """Decorate a function that yields a subscription's groups from its arguments."""
        self._groups_for_consumer = function
        return self

    def groups(self: AnyObserver, function: Any) -> AnyObserver:
        """Decorate a function that yields the groups for both."""
        return self.groups_for_signal(function).groups_for_consumer(function)

    # Subscriptions.

    async def subscribe(
        self, consumer: LiveConsumer, *args: Any, request_id: Any = None, **kwargs: Any
    ) -> list[str]:
        """Subscribe a connection; arguments go to ``groups_for_consumer``.

        Args:
            request_id: of the client's request; the method gets it with each event.

        Returns:
            The names of the groups.

        Raises:
            CallError: 429, the connection has too many subscriptions.
        """
        names = self._names_for(consumer, args, kwargs)
        requests = self._of(consumer)
        if sum(map(len, requests.values())) + len(names) > get_settings().LIVE_MAX_SUBSCRIPTIONS:
            raise CallError(429, "Too many subscriptions; unsubscribe from one first.")
        for name in names:
            requests.setdefault(name, {})[request_id] = None
            await connection_of(consumer).heard.listen(name)
        return names

    async def unsubscribe(
        self, consumer: LiveConsumer, *args: Any, request_id: Any = None, **kwargs: Any
    ) -> list[str]:
        """End the subscription with the same arguments.

        Args:
            request_id: of the client's request; without it, all subscriptions to these groups end.
        """
        names = self._names_for(consumer, args, kwargs)
        for name in names:
            requests = self._of(consumer).get(name, {})
            if request_id is None:
                requests.clear()
            requests.pop(request_id, None)
            if not requests and self._of(consumer).pop(name, None) is not None:
                await connection_of(consumer).remove_group(name)
        return names

    def request_ids(self, consumer: LiveConsumer, group: str) -> list[Any]:
        """Return the request ids of a connection's subscriptions to a group."""
        requests = self._of(consumer).get(group, {})
        return [request_id for request_id in requests if request_id is not None]

    def _of(self, consumer: LiveConsumer) -> dict[str, dict[Any, None]]:
        return self._requests.setdefault(consumer, {})

    def _names_for(
        self, consumer: LiveConsumer, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[str]:
        return self._names(self._groups_for_consumer, *args, consumer=consumer, **kwargs)

    def _names(self, yields_groups: Any, /, *args: Any, **kwargs: Any) -> list[str]:
        """Return the names of the groups that a decorated function yields; without one, of all."""
        if yields_groups is None:
            return [self._group_name()]
        return list(dict.fromkeys(map(self._group_name, yields_groups(self, *args, **kwargs))))

    def _group_name(self, *group: Any) -> str:
        """Return a unique name for a group of this observer."""
        name = json.dumps([self.name, *map(str, group)]).encode()
        return f"collab.observed:{hashlib.sha256(name).hexdigest()}"

    # Events.

    async def __call__(self, consumer: LiveConsumer, event: dict[str, Any]) -> None:
        """Handle an event for a connection."""
        message = await self._message(consumer, event)
        if message is not None:
            await self._handle(consumer, event, message)

    async def _message(self, consumer: LiveConsumer, event: dict[str, Any]) -> Any:
        """Return the message for the method; ``None`` to skip it."""
        return event["payload"]["body"]

    async def _handle(self, consumer: LiveConsumer, event: dict[str, Any], message: Any) -> None:
        arguments = {
            # Changes that one connection makes to its copy do not affect others.
            "message": _copied(message),
            "action": event["payload"].get("action"),
            "message_type": self._handler.__name__.replace("_", "."),
            "observer": self,
            "subscribing_request_ids": self.request_ids(consumer, event["group"]),
            "group": event["group"],
        }
        given = [arguments.pop("message")] if self._is_positional else []
        await self._handler(consumer, *given, **_chosen(arguments, self._wanted))


class BoundObserver:
    """An observer as an attribute of a connection, for which it subscribes and unsubscribes."""

    def __init__(self, observer: BaseObserver, consumer: LiveConsumer) -> None:
        self.observer = observer
        self.subscribe = partial(observer.subscribe, consumer)
        self.unsubscribe = partial(observer.unsubscribe, consumer)


class Observer(BaseObserver):
    """Observes a signal."""

    def __init__(self, handler: Any, signal: Signal, kwargs: Mapping[str, Any]) -> None:
        super().__init__(handler)
        self._signal = signal
        self._kwargs = kwargs

    def _start(self) -> None:
        self._signal.connect(self._receive, **self._kwargs)

    def _receive(self, signal: Signal, *args: Any, **kwargs: Any) -> None:
        try:
            self._publish(signal, *args, **kwargs)
        except Exception:
            # The sender of the signal is not affected.
            logger.exception("Observer %s failed; the signal is dropped.", self.name)

    def _publish(self, signal: Signal, *args: Any, **kwargs: Any) -> None:
        make = self._serializer
        body = make(self, signal, *args, **kwargs) if make is not None else {}
        for group in self._names(self._groups_for_signal, *args, message=body, **kwargs):
            # In a transaction, after its commit.
            publish_internal(group, self._event_type, {"body": body})


class ModelObserver(BaseObserver):
    """Observes the rows of a model; it is a :class:`~collab.live.watching.row_changes.Watch`."""

    def __init__(
        self,
        handler: Any,
        model: type[Model],
        serializer_class: Any = None,
        *,
        many_to_many: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(handler, name)
        self.model = model
        self.many_to_many = many_to_many
        self._serializer_class = serializer_class

    @property
    def wants_before(self) -> bool:
        """Whether rows can change groups."""
        return self._groups_for_signal is not None

    def _start(self) -> None:
        watch(self)

    def groups_of(self, row: Model) -> Iterable[str]:
        """Return the groups of a row."""
        return self._names(self._groups_for_signal, instance=row)

    def receive(self, changes: Sequence[RowChange]) -> None:
        """Publish changes of rows to their groups."""
        for change in changes:
            try:
                self._publish(change)
            except Exception:
                logger.exception(
                    "Observer %s failed; the change of %s %s is dropped.",
                    self.name,
                    self.model._meta.label,
                    change.pk,
                )

    def _publish(self, change: RowChange) -> None:
        for kind, row, names in self._parts(change):
            if names:
                payload = as_json({"action": kind, **self._payload(row, kind)})
                for name in names:
                    groups.send(Event(self._event_type, name, payload))

    def _parts(self, change: RowChange) -> Iterator[tuple[Kind, Model, Sequence[str]]]:
        """Yield events and their groups; a group that a row leaves gets a ``DELETE``."""
        if not self.wants_before:
            yield change.kind, change.row, [*self.groups_of(change.row)]
            return
        before = change.before.groups[self] if change.before else frozenset()
        now = set() if change.kind == Kind.DELETE else {*self.groups_of(change.row)}
        if change.before:
            # The row as it was: this group may not see its new values.
            yield Kind.DELETE, change.before.row, sorted(before - now)
        yield Kind.UPDATE, change.row, sorted(before & now)
        yield Kind.CREATE, change.row, sorted(now - before)

    def _payload(self, row: Model, kind: Kind) -> dict[str, Any]:
        return {"body": self._body(row, kind, {})}

    def _body(self, row: Model, kind: Kind, context: dict[str, Any], **more: Any) -> Any:
        """Return the message; ``more`` is for the decorated serializer."""
        if self._serializer is not None:
            return self._serializer(self, row, kind, **more)
        if self._serializer_class is not None:
            return self._serializer_class(row, context=context).data
        return {"pk": row.pk}


class UserModelObserver(ModelObserver):
    """An observer with messages that depend on the user, made once for a user in each process."""

    _is_visible: Any = None

    def is_visible(self, function: Any) -> UserModelObserver:
        """Decorate a function that returns whether a ``user`` may see an ``instance``."""
        self._is_visible = function
        return self

    def _payload(self, row: Model, kind: Kind) -> dict[str, Any]:
        # A deleted row cannot be read again.
        is_over = kind == Kind.DELETE
        return {"pk": row.pk, "row": dump_row(row) if is_over else None}

    async def _message(self, consumer: LiveConsumer, event: dict[str, Any]) -> Any:
        payload, user = event["payload"], connection_of(consumer).user

        async def row() -> Model | None:
            return cast("Model | None", await database_sync_to_async(self._row)(payload))

        async def message() -> Any:
            found = await shared(payload, (self.name, "row"), row)
            return found and await database_sync_to_async(self._for_user)(found, payload, user)

        return await shared(payload, (self.name, getattr(user, "pk", None)), message)

    def _row(self, payload: Mapping[str, Any]) -> Model | None:
        if payload["row"] is not None:
            return load_row(self.model, payload["row"])
        # Replicas may not have the change yet.
        rows = self.model._base_manager.using(router.db_for_write(self.model))
        return rows.filter(pk=payload["pk"]).first()

    def _for_user(self, row: Model, payload: Mapping[str, Any], user: Any) -> Any:
        """Return the message for a user; ``None`` to send none."""
        if self._is_visible is not None and not self._is_visible(self, row, user):
            return None
        context = {"user": user, "request": request_of_user(user)}
        return self._body(row, Kind(payload["action"]), context, user=user)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _parameters(function: Any) -> frozenset[str] | None:
    """Return the names of a function's parameters; ``None`` if it has ``**kwargs``."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(parameter.name for parameter in parameters)


def _takes_position(handler: Any) -> bool:
    """Return whether a handler takes the message by position, whatever it calls it."""
    names = inspect.signature(handler).parameters
    positional = [name for name, one in names.items() if one.kind in _POSITIONAL]
    return len(positional) > 1 and "message" not in names


def _chosen(arguments: dict[str, Any], wanted: frozenset[str] | None) -> dict[str, Any]:
    if wanted is None:
        return arguments
    return {name: value for name, value in arguments.items() if name in wanted}
