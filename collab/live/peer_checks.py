"""System checks: code that comes from RxDjango or djangochannelsrestframework and is not heard."""

from __future__ import annotations

from collections.abc import Mapping

from channels.routing import get_default_application
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from collab.engine.connections.routes import consumers, full_name, source_of
from collab.live.consumers import LiveConsumer

__all__ = ["check_peer_hooks", "check_peer_modules", "check_peer_settings"]

#: ``manage.py check --tag collab`` runs these with the others of the project.
TAG = "collab"

#: Settings of the peers, and the remedy for each.
_SETTINGS: Mapping[str, str] = {
    "DJANGO_CHANNELS_REST_API": "Set permission_classes and pagination_class on a base class of"
    " your consumers.",
    "MONGO_STATE_DB": "States are documents in the database: remove it.",
    "MONGO_URL": "States are documents in the database: remove it.",
    "RXDJANGO_SYSTEM_CHANNEL": "Call broadcast_system_message() of collab.live: remove it.",
    "RX_CACHE_TTL": "States are not cached: remove it.",
    "RX_FRONTEND_DIR": 'Set COLLAB["LIVE_FRONTEND_DIR"].',
    "RX_WEBSOCKET_URL": "Give the client the URL: remove it.",
}
#: Methods of the peers, and of Channels' JSON consumers, that are never called here.
_HOOKS: Mapping[str, str] = {
    "clear_cache": "States are not cached: remove it.",
    "decode_json": "A request is JSON as the documentation has it; write an @action.",
    "encode_json": "An answer is JSON as the documentation has it; return other data.",
    "get_action_name": 'A request names its action in "action": remove it.',
    "get_cache_ttl": "States are not cached: remove it.",
    "handle_action": "Override check_permissions() or handle_exception().",
    "on_connect": "Rename it on_connected(self).",
    "on_disconnect": "Rename it on_disconnected(self).",
    "receive_json": "Write an @action for each kind of request.",
    "serialize_instance": "Override to_representation() of the serializer.",
}
#: Packages of the peers: while one is installed as an app, its settings and modules are its own.
_RXDJANGO = "rxdjango"


@register(TAG)
def check_peer_settings(**kwargs: object) -> list[CheckMessage]:
    """Check that no setting of a peer is left that would be ignored (E019)."""
    found = [name for name in _SETTINGS if hasattr(settings, name)]
    if apps.is_installed(_RXDJANGO):
        found = [name for name in found if name == "DJANGO_CHANNELS_REST_API"]
    return [
        Error(f"The setting {name} is not read.", hint=_SETTINGS[name], id="collab.E019")
        for name in found
    ]


@register(TAG)
def check_peer_modules(**kwargs: object) -> list[CheckMessage]:
    """Check that no app declares consumers in RxDjango's module ``channels`` (E020)."""
    if apps.is_installed(_RXDJANGO):
        return []
    return [
        Error(
            f"{app.name}.channels is not imported, so that its consumers declare no state.",
            hint=f"Rename it {app.name}.consumers.",
            id="collab.E020",
        )
        for app in apps.get_app_configs()
        if any(word in source_of(app, "channels") for word in ("rxdjango", "collab.live"))
    ]


@register(TAG)
def check_peer_hooks(**kwargs: object) -> list[CheckMessage]:
    """Check that no consumer in the routing overrides a method that is never called (E021)."""
    return [
        Error(
            f"{full_name(consumer)}.{name}() is never called.",
            hint=hint,
            obj=consumer,
            id="collab.E021",
        )
        for consumer in _consumers()
        for name, hint in _HOOKS.items()
        if hasattr(consumer, name) and not hasattr(LiveConsumer, name)
    ]


def _consumers() -> list[type[LiveConsumer]]:
    """Return the live consumers in the routing, as far as it can be imported."""
    try:
        application = get_default_application()
    except ImproperlyConfigured:
        # Another check says so.
        return []
    return consumers(LiveConsumer, application)
