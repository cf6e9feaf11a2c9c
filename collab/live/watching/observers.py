"""Observers: methods of a consumer that are told of signals, and of what becomes of rows.

    class Comments(LiveConsumer):
        @model_observer(Comment, serializer_class=CommentSerializer)
        async def comment_activity(self, message, action, subscribing_request_ids, **kwargs):
            for request_id in subscribing_request_ids:
                await self.reply(action, message, request_id=request_id)

        @action
        async def follow(self, request_id: int) -> None:
            await self.comment_activity.subscribe(request_id=request_id)

A process that changes rows makes one event of it for each group, whoever has subscribed; each
process with subscribers hands it to those. See :mod:`collab.live.watching.row_changes` for what is
told when.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.db import router
from django.db.models import Model
from django.dispatch import Signal

from collab.conf import get_settings
from collab.live.actions.requests import request_of_user
from collab.live.consumers import LiveConsumer
from collab.live.errors import CallError
from collab.live.events import events, groups
from collab.live.events.encoding import as_json
from collab.live.events.events import publish_internal
from collab.live.events.groups import Event
from collab.live.watching.row_changes import Kind, RowChange, watch

__all__ = ["BaseObserver", "ModelObserver", "Observer", "model_observer", "observer", "shared"]

logger = logging.getLogger("collab.live")

T = TypeVar("T")
AnyObserver = TypeVar("AnyObserver", bound="BaseObserver")

#: In events' payloads: what connections of this process have found out about it.
_SHARED = "shared"


def observer(signal: Signal, **kwargs: Any) -> Callable[[Any], Observer]:
    """Let a method be told of a signal; ``kwargs`` are those of ``signal.connect``.

    ``@name.serializer`` says what the method's ``message`` is, by default ``{}``.
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
    """Let a method be told what becomes of a model's rows.

    Args:
        model: whose rows.
        serializer_class: makes the method's ``message`` of a row; by default it is the ``pk``.
        many_to_many: changes of many-to-many relations are changes of the row.
        for_user: make the message for each user who has subscribed, who is in the serializer's
            context; ``@name.is_visible`` says who gets one at all.
    """

    def decorate(handler: Any) -> ModelObserver:
        kind = UserModelObserver if for_user else ModelObserver
        return kind(handler, model, serializer_class, many_to_many=many_to_many)

    return decorate


class BaseObserver(ABC):
    """What takes the place of the method that is decorated."""

    def __init__(self, handler: Any, name: str | None = None) -> None:
        if not inspect.iscoroutinefunction(handler):
            raise TypeError(f"{handler.__qualname__} observes, so it has to be async.")
        self._handler = handler
        self._wanted = _parameters(handler)
        #: The same in all processes.
        self.name = name or f"{handler.__module__}.{handler.__qualname__}"
        self._serializer: Any = None
        self._groups_for_signal: Any = None
        self._groups_for_consumer: Any = None
        #: Request ids of subscriptions by group; ``None`` stands for those without one.
        self._requests: WeakKeyDictionary[LiveConsumer, dict[str, dict[Any, None]]]
        self._requests = WeakKeyDictionary()
        self._is_watching = False
        # So that it is found as the method that handles the event.
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
        """Begin to observe, now that it is known how."""

    # Decorators.

    def serializer(self: AnyObserver, function: Any) -> AnyObserver:
        """Decorate what makes the message: of a row and what became of it, or of a signal."""
        self._serializer = function
        return self

    def groups_for_signal(self: AnyObserver, function: Any) -> AnyObserver:
        """Decorate what yields the groups to tell, of an ``instance`` or a signal."""
        self._groups_for_signal = function
        return self

    def groups_for_consumer(self: AnyObserver, function: Any) -> AnyObserver:
        """Decorate what yields the groups that a subscription hears, of its arguments."""
        self._groups_for_consumer = function
        return self

    def groups(self: AnyObserver, function: Any) -> AnyObserver:
        """Decorate what yields both."""
        return self.groups_for_signal(function).groups_for_consumer(function)

    # Subscriptions.

    async def subscribe(
        self, consumer: LiveConsumer, *args: Any, request_id: Any = None, **kwargs: Any
    ) -> list[str]:
        """Let a connection hear the groups that these arguments stand for; return them.

        Raises:
            CallError: 429, it has too many subscriptions.
        """
        names = self._names_for(consumer, args, kwargs)
        requests = self._of(consumer)
        if sum(map(len, requests.values())) + len(names) > get_settings().LIVE_MAX_SUBSCRIPTIONS:
            raise CallError(429, "Too many subscriptions; unsubscribe from one first.")
        for name in names:
            requests.setdefault(name, {})[request_id] = None
            await consumer._join_live_group(name)
        return names

    async def unsubscribe(
        self, consumer: LiveConsumer, *args: Any, request_id: Any = None, **kwargs: Any
    ) -> list[str]:
        """End the subscription of a request, or without a ``request_id`` all of these groups."""
        names = self._names_for(consumer, args, kwargs)
        for name in names:
            requests = self._of(consumer).get(name, {})
            if request_id is None:
                requests.clear()
            requests.pop(request_id, None)
            if not requests and self._of(consumer).pop(name, None) is not None:
                await consumer.remove_group(name)
        return names

    def request_ids(self, consumer: LiveConsumer, group: str) -> list[Any]:
        """Return the request ids of a connection's subscriptions of a group."""
        requests = self._of(consumer).get(group, {})
        return [request_id for request_id in requests if request_id is not None]

    def _of(self, consumer: LiveConsumer) -> dict[str, dict[Any, None]]:
        return self._requests.setdefault(consumer, {})

    def _names_for(
        self, consumer: LiveConsumer, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[str]:
        if self._groups_for_consumer is None:
            return [self._group_name()]
        found = self._groups_for_consumer(self, *args, consumer=consumer, **kwargs)
        return list(dict.fromkeys(map(self._group_name, found)))

    def _group_name(self, *group: Any) -> str:
        """Return the name of a group: no two are the same, whatever it is called."""
        name = json.dumps([self.name, *map(str, group)]).encode()
        return f"collab.observed:{hashlib.sha256(name).hexdigest()}"

    # Events.

    async def __call__(self, consumer: LiveConsumer, event: dict[str, Any]) -> None:
        """Take an event on behalf of a connection."""
        message = await self._message(consumer, event)
        if message is not None:
            await self._handle(consumer, event, message)

    async def _message(self, consumer: LiveConsumer, event: dict[str, Any]) -> Any:
        """Return what the method is told; ``None``: nothing."""
        return event["payload"]["body"]

    async def _handle(self, consumer: LiveConsumer, event: dict[str, Any], message: Any) -> None:
        arguments = {
            # What one connection does to it is no other's business.
            "message": _copied(message),
            "action": event["payload"].get("action"),
            "message_type": self._handler.__name__.replace("_", "."),
            "observer": self,
            "subscribing_request_ids": self.request_ids(consumer, event["group"]),
            "group": event["group"],
        }
        await self._handler(consumer, **_chosen(arguments, self._wanted))


class BoundObserver:
    """An observer as an attribute of a connection."""

    def __init__(self, observer: BaseObserver, consumer: LiveConsumer) -> None:
        self.observer = observer
        self._consumer = consumer

    async def subscribe(self, *args: Any, request_id: Any = None, **kwargs: Any) -> list[str]:
        """Hear from now on what is told; arguments go to ``groups_for_consumer``.

        Args:
            request_id: of the client's request, which the method gets with each event.

        Returns:
            The names of the groups.
        """
        return await self.observer.subscribe(self._consumer, *args, request_id=request_id, **kwargs)

    async def unsubscribe(self, *args: Any, request_id: Any = None, **kwargs: Any) -> list[str]:
        """Hear no more what was subscribed to with the same arguments.

        Args:
            request_id: only of this request; without it, all subscriptions of these groups end.
        """
        return await self.observer.unsubscribe(
            self._consumer, *args, request_id=request_id, **kwargs
        )


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
            self._tell(signal, *args, **kwargs)
        except Exception:
            # Who sends the signal has nothing to do with that.
            logger.exception("A signal could not be told to %s.", self.name)

    def _tell(self, signal: Signal, *args: Any, **kwargs: Any) -> None:
        make = self._serializer
        body = make(self, signal, *args, **kwargs) if make is not None else {}
        for group in self._groups(body, *args, **kwargs):
            # In a transaction at its end: what is rolled back has not happened.
            publish_internal(group, self._event_type, {"body": body})

    def _groups(self, body: Any, *args: Any, **kwargs: Any) -> Iterable[str]:
        if self._groups_for_signal is None:
            return [self._group_name()]
        return map(self._group_name, self._groups_for_signal(self, *args, message=body, **kwargs))


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
        """Rows come and go between the groups that the project has chosen."""
        return self._groups_for_signal is not None

    def _start(self) -> None:
        watch(self)

    def groups_of(self, row: Model) -> Iterable[str]:
        """Return the groups that are told of a row."""
        if self._groups_for_signal is None:
            return [self._group_name()]
        return map(self._group_name, self._groups_for_signal(self, instance=row))

    def receive(self, changes: Sequence[RowChange]) -> None:
        """Send what concerns each group."""
        for change in changes:
            try:
                self._tell(change)
            except Exception:
                logger.exception(
                    "A change of %s %s cannot be told to %s.",
                    self.model._meta.label,
                    change.pk,
                    self.name,
                )

    def _tell(self, change: RowChange) -> None:
        for kind, row, names in self._parts(change):
            if names:
                payload = as_json({"action": kind, **self._payload(row, kind)})
                for name in names:
                    groups.send(Event(self._event_type, name, payload))

    def _parts(self, change: RowChange) -> Iterator[tuple[Kind, Model, Sequence[str]]]:
        """Yield what is told to whom: who has seen a row before is told that it goes."""
        if not self.wants_before:
            yield change.kind, change.row, [*self.groups_of(change.row)]
            return
        before = change.before.groups[self] if change.before else frozenset()
        now = set() if change.kind == Kind.DELETE else {*self.groups_of(change.row)}
        if change.before:
            # As it was: what has become of it is not theirs to know any more.
            yield Kind.DELETE, change.before.row, sorted(before - now)
        yield Kind.UPDATE, change.row, sorted(before & now)
        yield Kind.CREATE, change.row, sorted(now - before)

    def _payload(self, row: Model, kind: Kind) -> dict[str, Any]:
        if self._serializer is not None:
            return {"body": self._serializer(self, row, kind)}
        if self._serializer_class is not None:
            return {"body": self._serializer_class(row).data}
        return {"body": {"pk": row.pk}}


class UserModelObserver(ModelObserver):
    """Makes messages for each user who has subscribed, once in each process."""

    _is_visible: Any = None

    def is_visible(self, function: Any) -> UserModelObserver:
        """Decorate what tells whether a ``user`` may see an ``instance``; others get nothing."""
        self._is_visible = function
        return self

    def _payload(self, row: Model, kind: Kind) -> dict[str, Any]:
        # Others cannot read it any more.
        is_over = kind == Kind.DELETE
        return {"pk": row.pk, "row": dump_row(row) if is_over else None}

    async def _message(self, consumer: LiveConsumer, event: dict[str, Any]) -> Any:
        payload, user = event["payload"], consumer.user

        async def row() -> Model | None:
            return cast("Model | None", await database_sync_to_async(self._row)(payload))

        async def message() -> Any:
            found = await shared(payload, (self.name, "row"), row)
            return found and await database_sync_to_async(self._for_user)(found, payload, user)

        return await shared(payload, (self.name, getattr(user, "pk", None)), message)

    def _row(self, payload: Mapping[str, Any]) -> Model | None:
        if payload["row"] is not None:
            return load_row(self.model, payload["row"])
        # Not by a replica, which may not have the change yet.
        rows = self.model._base_manager.using(router.db_for_write(self.model))
        return rows.filter(pk=payload["pk"]).first()

    def _for_user(self, row: Model, payload: Mapping[str, Any], user: Any) -> Any:
        """Return the message for a user; ``None``: he gets none."""
        if self._is_visible is not None and not self._is_visible(self, row, user):
            return None
        if self._serializer is not None:
            return self._serializer(self, row, Kind(payload["action"]), user=user)
        if self._serializer_class is not None:
            context = {"user": user, "request": request_of_user(user)}
            return self._serializer_class(row, context=context).data
        return {"pk": row.pk}


async def shared(
    payload: dict[str, Any], key: object, make: Callable[[], Coroutine[Any, Any, T]]
) -> T:
    """Return what ``make`` returns, or has returned to another who was told the same event.

    Args:
        payload: of the event; connections of a process have it in common.
        key: what is made; what depends on who asks belongs into it.
    """
    loop = asyncio.get_running_loop()
    found = payload.setdefault(_SHARED, {})
    if (loop, key) not in found:
        found[loop, key] = loop.create_task(make())
    task: Awaitable[T] = found[loop, key]
    # Who ends meanwhile does not end it for others.
    return await asyncio.shield(task)


def dump_row(row: Model) -> dict[str, Any]:
    """Return the fields of a row so that JSON can carry them."""
    return {
        field.attname: None if field.value_from_object(row) is None else field.value_to_string(row)
        for field in row._meta.concrete_fields
    }


def load_row(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Return a row of the fields that :func:`dump_row` has returned."""
    fields = model._meta.concrete_fields
    return model(**{field.attname: field.to_python(values[field.attname]) for field in fields})


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _parameters(function: Any) -> frozenset[str] | None:
    """Return the names of a function's parameters; ``None`` if it takes any."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(parameter.name for parameter in parameters)


def _chosen(arguments: dict[str, Any], wanted: frozenset[str] | None) -> dict[str, Any]:
    if wanted is None:
        return arguments
    return {name: value for name, value in arguments.items() if name in wanted}
