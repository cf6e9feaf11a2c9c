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
    from .layers import CREATE, DELETE, SAVE, related_property
    from .subscribing import SubscriptionMixin
    from .subscriptions import ModelSubscription, subscribable

__all__ = [
    "CREATE",
    "DELETE",
    "SAVE",
    "CallError",
    "LiveConsumer",
    "ModelSubscription",
    "SubscriptionMixin",
    "abroadcast_notification",
    "action",
    "apublish",
    "broadcast_notification",
    "broadcast_system_message",
    "consumer",
    "detached",
    "publish",
    "related_property",
    "subscribable",
]

#: Where the names are: this module is imported before models may be.
_MODULES = {
    "CREATE": "layers",
    "DELETE": "layers",
    "SAVE": "layers",
    "CallError": "errors",
    "LiveConsumer": "consumers",
    "ModelSubscription": "subscriptions",
    "SubscriptionMixin": "subscribing",
    "abroadcast_notification": "events",
    "action": "calls",
    "apublish": "events",
    "broadcast_notification": "events",
    "broadcast_system_message": "events",
    "consumer": "events",
    "detached": "calls",
    "publish": "events",
    "related_property": "layers",
    "subscribable": "subscriptions",
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
