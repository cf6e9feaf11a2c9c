"""The ASGI application of a project, in one line::

    application = get_application()

``mysite/asgi.py`` sets ``DJANGO_SETTINGS_MODULE`` before it, as in every project.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path, re_path
from django.utils.module_loading import import_string

from collab.wire import CloseCode

__all__ = ["get_application"]

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


def get_application(
    websockets: str | Sequence[Any] | None = None, http: Sequence[Any] = ()
) -> ProtocolTypeRouter:
    """Set Django up, and return an application with pages over HTTP and documents over websockets.

    Websockets are open to pages of the hosts in ``ALLOWED_HOSTS`` only, and have the session's
    user; one whose path no route matches is closed with 4404. While ``DEBUG``, static files are
    served. Routes are below ``FORCE_SCRIPT_NAME``, if the project has one, as those of Django.

    Args:
        websockets: routes, each made with Django's ``path()``, or the dotted path of a list of
            them, such as ``"notes.routing.websocket_urlpatterns"``, imported once Django is set up.
            By default ``path("ws/<path:room>", YjsConsumer.as_asgi())``, which serves every
            document type.
        http: routes to ASGI applications that are asked before Django.
    """
    django_application: Any = get_asgi_application()
    # Importing consumers needs Django to be set up.
    from collab.consumers import YjsConsumer

    if websockets is None:
        websockets = [path("ws/<path:room>", YjsConsumer.as_asgi())]
    elif isinstance(websockets, str):
        websockets = import_string(websockets)
    if settings.DEBUG and "django.contrib.staticfiles" in settings.INSTALLED_APPS:
        from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

        django_application = ASGIStaticFilesHandler(django_application)
    unknown: Any = close_unknown
    routes = URLRouter([*websockets, re_path(r"", unknown)])
    return ProtocolTypeRouter(
        {
            "http": below_script_name(URLRouter([*http, re_path(r"", django_application)])),
            "websocket": below_script_name(
                AllowedHostsOriginValidator(AuthMiddlewareStack(routes))
            ),
            "lifespan": lifespan,
        }
    )


def below_script_name(application: Any) -> Any:
    """Return an application whose routes are below ``FORCE_SCRIPT_NAME``, if there is one.

    A proxy may have removed it from the path, or the server may know it as ``root_path``.
    """
    prefix = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    if not prefix:
        return application

    async def route(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if not scope.get("root_path") and scope["path"].startswith(f"{prefix}/"):
            scope = {**scope, "root_path": prefix}
        await application(scope, receive, send)

    return route


async def close_unknown(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Close a websocket whose path no route matches: with 4404, or with HTTP 403.

    :class:`~collab.engine.serving.handshake.Handshake` says which client gets which.
    """
    from collab.engine.serving.handshake import Handshake

    await receive()
    reason = "No document is served at this address."
    await Handshake(scope, send).close(CloseCode.NOT_FOUND, reason)


async def lifespan(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Deliver changes from the start on, and store unsaved updates at the end."""
    from collab.documents.changes.recorder import start_delivering
    from collab.engine.hub.current import end_serving

    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            start_delivering()
            await send({"type": "lifespan.startup.complete"})
        else:
            await end_serving()
            await send({"type": "lifespan.shutdown.complete"})
            return
