"""Events: messages from server code anywhere to the connections of a group.

An event is delivered at most once. Events that are kept (``replay``) have numbers, and a client
that connects later, or again, gets those that it missed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import router, transaction
from django.db.models import F

from collab.engine.runtime.per_loop import is_in_event_loop
from collab.live.events.encoding import as_json
from collab.live.events.groups import Event, check_name, send
from collab.live.models import EventGroup, KeptEvent

__all__ = [
    "EVERYBODY",
    "NOTIFICATION",
    "SYSTEM",
    "abroadcast_notification",
    "apublish",
    "broadcast_notification",
    "broadcast_system_message",
    "consumer",
    "handlers_of",
    "kept_events",
    "publish",
    "publish_internal",
    "user_group",
]

F_ = TypeVar("F_", bound=Callable[..., Any])

#: The group of all connections of all LiveConsumers.
EVERYBODY = "collab.everybody"
#: Types of events that have frames of their own.
NOTIFICATION = "collab.notification"
SYSTEM = "collab.system"

#: Attribute of a method.
_MARK = "_collab_event"


def user_group(user_id: str) -> str:
    """Return the group of a user's connections; ``user_id`` is the primary key as text."""
    return f"collab.user.{user_id}"


def consumer(event_type: str) -> Callable[[F_], F_]:
    """Make an async method of a ``LiveConsumer`` handle events of a type instead of the client.

    It is called with a dictionary: ``type``, ``group``, ``payload`` and ``number``; for an event
    sent with a channel layer's ``group_send``, with that event.

    Raises:
        TypeError: the method is not async.
    """

    def mark(function: F_) -> F_:
        if inspect.isfunction(function) and not iscoroutinefunction(function):
            raise TypeError(f"{function.__name__} handles events: write async def.")
        setattr(function, _MARK, event_type)
        return function

    return mark


def handlers_of(consumer_class: type) -> Mapping[str, Callable[..., Any]]:
    """Return the event handlers of a consumer class by event type."""
    return _marked(consumer_class)


@cache
def _marked(consumer_class: type) -> dict[str, Callable[..., Any]]:
    functions = [inspect.getattr_static(consumer_class, name) for name in dir(consumer_class)]
    return {
        getattr(function, _MARK): function for function in functions if hasattr(function, _MARK)
    }


def publish(group: str, event_type: str, payload: Any = None, *, replay: int = 0) -> None:
    """Publish an event to the connections of a group; in a transaction, after its commit.

    Args:
        group: connections join it with ``add_group``; a text of at most 255 characters that does
            not begin with ``collab.``.
        event_type: the name of the event; the same rules apply.
        payload: any value that REST framework can render as JSON.
        replay: number of the group's latest events to keep for connections that join later.

    Raises:
        ValueError: the name of the group or the event is not valid.
        SynchronousOnlyOperation: ``replay`` is set in code that runs in an event loop.
    """
    publish_internal(check_name(group), check_name(event_type), payload, replay)


async def apublish(group: str, event_type: str, payload: Any = None, *, replay: int = 0) -> None:
    """Publish an event to the connections of a group; see :func:`publish`.

    Without ``replay`` it is sent at once: code in an event loop is not in a transaction.
    """
    if replay:
        await sync_to_async(publish)(group, event_type, payload, replay=replay)
    else:
        publish(group, event_type, payload)


def publish_internal(group: str, event_type: str, payload: Any, replay: int = 0) -> None:
    """Publish like :func:`publish`, without checking names."""
    # Encoded now, so that later changes to the payload have no effect.
    send_event = partial(_send, Event(event_type, group, as_json(payload)), replay)
    if is_in_event_loop():
        if replay:
            raise SynchronousOnlyOperation("replay uses the database: await apublish(...).")
        send_event()
    elif transaction.get_connection(using := router.db_for_write(KeptEvent)).in_atomic_block:
        transaction.on_commit(send_event, using=using, robust=True)
    else:
        send_event()


def _send(event: Event, replay: int) -> None:
    if replay:
        event.number = _keep(event, replay)
    send(event)


def _keep(event: Event, replay: int) -> int:
    """Store an event, keep the group's last ``replay`` events, and return its number."""
    using = router.db_for_write(KeptEvent)
    groups = EventGroup.objects.using(using)
    events = KeptEvent.objects.using(using)
    # A short transaction of its own, as it blocks other publishers to the group.
    with transaction.atomic(using):
        group, _ = groups.get_or_create(name=event.group)
        groups.filter(pk=group.pk).update(number=F("number") + 1)
        number = groups.values_list("number", flat=True).get(pk=group.pk)
        events.create(group=group, number=number, type=event.type, json=event.json)
        events.filter(group=group, number__lte=number - replay).delete()
    return number


def kept_events(group: str, after: int = 0) -> list[Event]:
    """Return the kept events of a group with numbers above ``after``, in order."""
    kept = KeptEvent.objects.using(router.db_for_write(KeptEvent))
    kept = kept.filter(group__name=group, number__gt=after).order_by("number")
    return [
        Event(event_type, group, json, number)
        for event_type, json, number in kept.values_list("type", "json", "number")
    ]


# Notifications.


def broadcast_notification(payload: Any, *, user: Any = None, group: str | None = None) -> None:
    """Send a notification to a user's connections, to a group, or by default to all connections.

    Args:
        payload: any value that REST framework can render as JSON.
        user: a user, or a user's primary key.
        group: connections join it with ``add_group``.
    """
    publish_internal(_addressed(user, group), NOTIFICATION, payload)


async def abroadcast_notification(
    payload: Any, *, user: Any = None, group: str | None = None
) -> None:
    """Send a notification; see :func:`broadcast_notification`."""
    broadcast_notification(payload, user=user, group=group)


def broadcast_system_message(source: str, message: str, *, level: str = "system") -> None:
    """Send a system message to all connections.

    Args:
        source: the sender's name.
        message: the text.
        level: ``"system"`` or ``"maintenance"``.
    """
    publish_internal(EVERYBODY, SYSTEM, {"level": level, "source": source, "message": message})


def _addressed(user: Any, group: str | None) -> str:
    if user is not None:
        return user_group(str(getattr(user, "pk", user)))
    return EVERYBODY if group is None else check_name(group)
