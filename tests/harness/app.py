"""The ASGI application that tests serve: a route for each kind of consumer they need.

``?user=7`` makes a connection that of the user with the primary key 7, as a login would.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import django
from django.core.asgi import get_asgi_application

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.contrib.auth.models import AnonymousUser, User  # noqa: E402
from django.urls import path  # noqa: E402
from pycrdt import Doc, Text  # noqa: E402

from collab.access import Access  # noqa: E402
from collab.consumers import YjsConsumer  # noqa: E402

__all__ = ["application"]

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


def query(scope: Scope) -> dict[str, str]:
    """Return the first value of each parameter in the URL's query."""
    return {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}


class QueryUser:
    """Middleware that believes the query about who connects."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        pk = query(scope).get("user")
        user = AnonymousUser() if pk is None else User(pk=int(pk), username=f"user {pk}")
        await self.app({**scope, "user": user}, receive, send)


class Guarded(YjsConsumer):
    """Gives the access in ``?access=``: ``none``, ``read`` or ``write``."""

    async def authorize(self) -> Access:
        return Access[query(self.scope).get("access", "none").upper()]


class Refusing(YjsConsumer):
    """Refuses everybody in ``connect``, with the close code in ``?code=`` if there is one."""

    async def connect(self) -> None:
        code = query(self.scope).get("code")
        await self.close(None if code is None else int(code))


class Seeded(YjsConsumer):
    """Fills new documents."""

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        doc.get("text", type=Text).insert(0, "seed")


class Broken(YjsConsumer):
    """Cannot open its documents."""

    async def make_ydoc(self) -> Doc[Any]:
        raise LookupError("broken")


class Echoing(YjsConsumer):
    """Sends updates back to who sent them."""

    echo_updates = True


class Unstored(YjsConsumer):
    """Keeps its rooms in memory."""

    storage = None


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": QueryUser(
            URLRouter(
                [
                    path("ws/<path:room>", YjsConsumer.as_asgi()),
                    path("guarded/<path:room>", Guarded.as_asgi()),
                    path("refusing/<path:room>", Refusing.as_asgi()),
                    path("seeded/<path:room>", Seeded.as_asgi()),
                    path("broken/<path:room>", Broken.as_asgi()),
                    path("echoing/<path:room>", Echoing.as_asgi()),
                    path("unstored/<path:room>", Unstored.as_asgi()),
                ]
            )
        ),
    }
)
