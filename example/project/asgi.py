"""ASGI application: pages over HTTP, documents over websockets."""

import gc
import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
# Sets Django up, which the consumer's imports need.
django_application = get_asgi_application()
if settings.DEBUG:
    # In production the web server does it.
    django_application = ASGIStaticFilesHandler(django_application)

from boards.consumers import BoardConsumer  # noqa: E402
from dashboard.consumers import DashboardConsumer  # noqa: E402
from pages.consumers import PageConsumer  # noqa: E402

websocket_application = URLRouter(
    [
        path("ws/boards/<str:board>", BoardConsumer.as_asgi()),
        path("ws/live/dashboard", DashboardConsumer.as_asgi()),
        path("ws/<str:room>", PageConsumer.as_asgi()),
    ]
)

application = ProtocolTypeRouter(
    {
        "http": django_application,
        # Only this site's own pages may connect, as the users that they are logged in as.
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(websocket_application)),
    }
)

# What is there by now stays: Python need not look whether it is garbage, which would take a while.
gc.collect()
gc.freeze()
