"""Live channels: calls, events and state of a connection, beside its document or without one.

See :class:`LiveConsumer`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from .calls import action, detached
    from .consumers import LiveConsumer
    from .errors import CallError
    from .events import (
        abroadcast_notification,
        apublish,
        broadcast_notification,
        broadcast_system_message,
        consumer,
        publish,
    )
    from .generics import GenericAsyncAPIConsumer
    from .instances import ObserverModelInstanceMixin
    from .layers import CREATE, DELETE, SAVE, related_property
    from .observers import model_observer, observer
    from .subscribing import SubscriptionMixin
    from .subscriptions import ModelSubscription, subscribable
    from .views import view_as_consumer

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

#: Where the names are: this module is imported before models may be.
_MODULES = {
    "CREATE": "layers",
    "DELETE": "layers",
    "SAVE": "layers",
    "CallError": "errors",
    "GenericAsyncAPIConsumer": "generics",
    "LiveConsumer": "consumers",
    "ModelSubscription": "subscriptions",
    "ObserverModelInstanceMixin": "instances",
    "SubscriptionMixin": "subscribing",
    "abroadcast_notification": "events",
    "action": "calls",
    "apublish": "events",
    "broadcast_notification": "events",
    "broadcast_system_message": "events",
    "consumer": "events",
    "detached": "calls",
    "model_observer": "observers",
    "observer": "observers",
    "publish": "events",
    "related_property": "layers",
    "subscribable": "subscriptions",
    "view_as_consumer": "views",
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
