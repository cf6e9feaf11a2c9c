"""Live channels: actions, events and state of a connection, with or without a document.

See :class:`LiveConsumer`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collab.live.actions.actions import action, detached
    from collab.live.events.events import (
        abroadcast_notification,
        apublish,
        broadcast_notification,
        broadcast_system_message,
        consumer,
        publish,
    )
    from collab.live.rest.generics import GenericAsyncAPIConsumer
    from collab.live.rest.instance_observers import ObserverModelInstanceMixin
    from collab.live.rest.views import view_as_consumer
    from collab.live.state.tables import CREATE, DELETE, SAVE, related_property
    from collab.live.watching.observers import model_observer, observer
    from collab.live.watching.subscription_mixin import SubscriptionMixin
    from collab.live.watching.subscriptions import ModelSubscription, subscribable

    from .consumers import LiveConsumer
    from .errors import CallError

__all__ = [
    "CREATE",
    "DELETE",
    "SAVE",
    "CallError",
    "GenericAsyncAPIConsumer",
    "LiveConsumer",
    "ModelSubscription",
    "ObserverModelInstanceMixin",
    "SubscriptionMixin",
    "abroadcast_notification",
    "action",
    "apublish",
    "broadcast_notification",
    "broadcast_system_message",
    "consumer",
    "detached",
    "model_observer",
    "observer",
    "publish",
    "related_property",
    "subscribable",
    "view_as_consumer",
]

#: Modules by name, imported on first use: models cannot be imported as early as this module.
_MODULES = {
    "CREATE": "state.tables",
    "DELETE": "state.tables",
    "SAVE": "state.tables",
    "CallError": "errors",
    "GenericAsyncAPIConsumer": "rest.generics",
    "LiveConsumer": "consumers",
    "ModelSubscription": "watching.subscriptions",
    "ObserverModelInstanceMixin": "rest.instance_observers",
    "SubscriptionMixin": "watching.subscription_mixin",
    "abroadcast_notification": "events.events",
    "action": "actions.actions",
    "apublish": "events.events",
    "broadcast_notification": "events.events",
    "broadcast_system_message": "events.events",
    "consumer": "events.events",
    "detached": "actions.actions",
    "model_observer": "watching.observers",
    "observer": "watching.observers",
    "publish": "events.events",
    "related_property": "state.tables",
    "subscribable": "watching.subscriptions",
    "view_as_consumer": "rest.views",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("rest_framework", "msgspec"):
            raise
        raise ImproperlyConfigured(
            f"collab.live needs {error.name}, which is not installed:"
            ' pip install "django-collab[live]".'
        ) from error
