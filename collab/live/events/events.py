"""Events: what server code tells the connections of a group, from anywhere.

They are told once at most; those that are kept (``replay``) have numbers, and who comes later, or
comes back, gets those that it has missed.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import router, transaction
from django.db.models import F

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

#: The group that all connections of all LiveConsumers are in.
EVERYBODY = "collab.everybody"
#: Types of events that are told to clients as frames of their own.
NOTIFICATION = "collab.notification"
SYSTEM = "collab.system"

#: Attribute of a method.
_MARK = "_collab_event"


def user_group(user_id: str) -> str:
    """Return the group of a user's connections; ``user_id`` is the primary key as text."""
    return f"collab.user.{user_id}"


def consumer(event_type: str) -> Callable[[F_], F_]:
    """Let an async method of a ``LiveConsumer`` take events of a type, in place of its client.

    It is called with a dictionary: ``type``, ``group``, ``payload`` and ``number``; or if the
    event was sent by a channel layer's ``group_send``, with what was sent.

    Raises:
        TypeError: the method is not async.
    """

    def mark(function: F_) -> F_:
        if inspect.isfunction(function) and not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__} takes events, so write async def.")
        setattr(function, _MARK, event_type)
        return function

    return mark


def handlers_of(consumer_class: type) -> Mapping[str, Callable[..., Any]]:
    """Return the methods of a consumer class that take events, by the events' types."""
    return _marked(consumer_class)


@cache
def _marked(consumer_class: type) -> dict[str, Callable[..., Any]]:
    functions = [inspect.getattr_static(consumer_class, name) for name in dir(consumer_class)]
    return {
        getattr(function, _MARK): function for function in functions if hasattr(function, _MARK)
    }


def publish(group: str, event_type: str, payload: Any = None, *, replay: int = 0) -> None:
    """Tell the connections of a group something; in a transaction, when it is committed.

    Args:
        group: which connections join by ``add_group``; any text up to 255 characters that does
            not begin with ``collab.``.
        event_type: what the event is called; the same holds for it.
        payload: what REST framework can render as JSON.
        replay: keep the last so many events of the group for those who join later.

    Raises:
        ValueError: the group or the event cannot be called so.
        SynchronousOnlyOperation: it is to be kept, and the caller runs in an event loop.
    """
    publish_internal(check_name(group), check_name(event_type), payload, replay)


async def apublish(group: str, event_type: str, payload: Any = None, *, replay: int = 0) -> None:
    """Tell the connections of a group something; see :func:`publish`.

    An event that is not kept is told at once: code that runs in an event loop is in no transaction.
    """
    if replay:
        await sync_to_async(publish)(group, event_type, payload, replay=replay)
    else:
        publish(group, event_type, payload)


def publish_internal(group: str, event_type: str, payload: Any, replay: int = 0) -> None:
    """Do as :func:`publish` does, with whatever names."""
    # Now: who changes the payload afterwards does not change what is sent.
    tell = partial(_tell, Event(event_type, group, as_json(payload)), replay)
    if _is_in_event_loop():
        if replay:
            raise SynchronousOnlyOperation("Events are kept in the database: await apublish(...).")
        tell()
    elif transaction.get_connection(using := router.db_for_write(KeptEvent)).in_atomic_block:
        transaction.on_commit(tell, using=using, robust=True)
    else:
        tell()


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _tell(event: Event, replay: int) -> None:
    if replay:
        event.number = _keep(event, replay)
    send(event)


def _keep(event: Event, replay: int) -> int:
    """Store an event, of which the group keeps the last ``replay``; return its number."""
    using = router.db_for_write(KeptEvent)
    groups = EventGroup.objects.using(using)
    events = KeptEvent.objects.using(using)
    # A transaction of its own: while it lasts, others wait who publish to the group.
    with transaction.atomic(using):
        group, _ = groups.get_or_create(name=event.group)
        groups.filter(pk=group.pk).update(number=F("number") + 1)
        number = groups.values_list("number", flat=True).get(pk=group.pk)
        events.create(group=group, number=number, type=event.type, json=event.json)
        events.filter(group=group, number__lte=number - replay).delete()
    return number


def kept_events(group: str, after: int = 0) -> list[Event]:
    """Return the events of a group that are kept, beyond the number ``after``, in their order."""
    kept = KeptEvent.objects.using(router.db_for_write(KeptEvent))
    kept = kept.filter(group__name=group, number__gt=after).order_by("number")
    return [
        Event(event_type, group, json, number)
        for event_type, json, number in kept.values_list("type", "json", "number")
    ]


# Notifications.


def broadcast_notification(payload: Any, *, user: Any = None, group: str | None = None) -> None:
    """Show something to people: those of a group, a user's connections, or everybody.

    Args:
        payload: what REST framework can render as JSON.
        user: a user, or the primary key of one.
        group: which connections join by ``add_group``.
    """
    publish_internal(_addressed(user, group), NOTIFICATION, payload)


async def abroadcast_notification(
    payload: Any, *, user: Any = None, group: str | None = None
) -> None:
    """Show something to people; see :func:`broadcast_notification`."""
    broadcast_notification(payload, user=user, group=group)


def broadcast_system_message(source: str, message: str, *, level: str = "system") -> None:
    """Show a message of the system to everybody.

    Args:
        source: whom it is from.
        message: the text.
        level: ``"system"`` or ``"maintenance"``.
    """
    publish_internal(EVERYBODY, SYSTEM, {"level": level, "source": source, "message": message})


def _addressed(user: Any, group: str | None) -> str:
    if user is not None:
        return user_group(str(getattr(user, "pk", user)))
    return EVERYBODY if group is None else check_name(group)
