"""pycrdt-websocket's consumer in a project of Channels, as an ASGI application."""

from __future__ import annotations

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

LAYER = {
    "BACKEND": "channels.layers.InMemoryChannelLayer",
    # With the 100 messages of the default it loses updates as soon as many write.
    "CONFIG": {"capacity": 1_000_000},
}
settings.configure(
    INSTALLED_APPS=["channels"], CHANNEL_LAYERS={"default": LAYER}, ALLOWED_HOSTS=["*"]
)
django.setup()

# Installed in an environment of its own.
from pycrdt.websocket.django_channels_consumer import (  # noqa: E402
    YjsConsumer,
)

application = ProtocolTypeRouter(
    {"websocket": URLRouter([path("<str:room>", YjsConsumer.as_asgi())])}
)
