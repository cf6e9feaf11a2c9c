"""The ASGI application that tests serve: a route for each kind of consumer they need.

``?user=7`` makes a connection that of the user with the primary key 7, as a login would.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs

import django
from django.core.asgi import get_asgi_application

django.setup(set_prefix=False)

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth.models import AnonymousUser, User  # noqa: E402
from django.urls import path  # noqa: E402
from pycrdt import Doc, Text  # noqa: E402

from collab.access import Access  # noqa: E402
from collab.consumers import YjsConsumer  # noqa: E402
from collab.hocuspocus import HocuspocusConsumer  # noqa: E402
from collab.live import LiveConsumer, action, publish  # noqa: E402
from tests.projects.consumers import ProjectList, ProjectLive  # noqa: E402

__all__ = ["application"]

for _path, _value in settings.CONSTANTS.items():
    _module, _, _name = _path.rpartition(".")
    setattr(import_module(_module), _name, _value)

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


def query(scope: Scope) -> dict[str, str]:
    """Return the first value of each parameter in the URL's query."""
    return {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}


class QueryUser:
    """Middleware that believes the query about who connects."""

    def __init__(self, app: App) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
        # The benchmark's clients have none, and parsing it would be a part of each join.
        pk = query(scope).get("user") if scope["query_string"] else None
        scope["user"] = AnonymousUser() if pk is None else User(pk=int(pk), username=f"user {pk}")
        return self.app(scope, receive, send)


class Guarded(YjsConsumer):
    """Gives the access in ``?access=``: ``none``, ``read`` or ``write``."""

    async def authorize(self) -> Access:
        return Access[query(self.scope).get("access", "none").upper()]


class Account(YjsConsumer):
    """Gives the access that is written in the user's row, as his last name."""

    async def authorize(self) -> Access:
        user = await User.objects.filter(pk=self.scope["user"].pk).afirst()
        return Access.NONE if user is None else Access[user.last_name.upper()]


class LoggedIn(YjsConsumer):
    """Takes everybody who is logged in."""

    async def authorize(self) -> Access:
        return Access.NONE if self.scope["user"].is_anonymous else Access.WRITE


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


class Live(LiveConsumer):
    """Lets clients hear of groups, and tell them something."""

    @action
    async def listen(self, group: str) -> None:
        await self.add_group(group)

    @action
    def tell(self, group: str, payload: Any, replay: int = 0) -> None:
        publish(group, "told", payload, replay=replay)


consumers = URLRouter(
    [
        # The first, as in a project that has documents only: each route before it costs time.
        path("ws/<path:room>", YjsConsumer.as_asgi()),
        path("live/", Live.as_asgi()),
        path("projects/<int:project>", ProjectLive.as_asgi()),
        path("clients/<int:client>", ProjectList.as_asgi()),
        path("live/<path:room>", Live.as_asgi()),
        path("account/<path:room>", Account.as_asgi()),
        path("guarded/<path:room>", Guarded.as_asgi()),
        path("refusing/<path:room>", Refusing.as_asgi()),
        path("seeded/<path:room>", Seeded.as_asgi()),
        path("broken/<path:room>", Broken.as_asgi()),
        path("echoing/<path:room>", Echoing.as_asgi()),
        path("unstored/<path:room>", Unstored.as_asgi()),
        path("addressed/<path:room>", HocuspocusConsumer.as_asgi()),
    ]
)
by_query = QueryUser(consumers)
by_session: App = AuthMiddlewareStack(URLRouter([path("session/<path:room>", LoggedIn.as_asgi())]))


def by_path(scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
    """Choose the user by session, or by the query that names one."""
    middleware = by_session if scope["path"].startswith("/session/") else by_query
    return middleware(scope, receive, send)


application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": by_path})

# As docs/deployment.md advises.
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 5, 5)
