"""The ASGI application that JavaScript clients are run against.

It is that of the tests, and beside it has what scripts cannot do from outside: see a token
checked, have others' access changed, and have rows saved.
"""

from __future__ import annotations

from typing import Any, ClassVar

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path, re_path

from collab.access import Access
from collab.consumers import YjsConsumer
from collab.documents import arecheck_access
from tests.harness.app import QueryUser, query
from tests.harness.app import application as harness
from tests.rows.mirrors import PREFIX
from tests.rows.models import Board, Task

# The last, as importing it needs what the application of the tests has set up.
from django.contrib.auth.models import User  # isort: skip
from collab.live.tokens import TokenAuthMiddleware  # isort: skip
from .hocuspocus import Obeying, Tokens  # isort: skip
from .labels import Labels  # isort: skip
from .live import Finder, Plan, Plans, Talk  # isort: skip

__all__ = ["application"]


class Tokened(YjsConsumer):
    """Lets those in whose ``?token=`` is the one in ``?expected=``."""

    async def authorize(self) -> Access:
        given = query(self.scope)
        return Access.WRITE if given["token"] == given["expected"] else Access.NONE


class Granted(YjsConsumer):
    """Lets everybody do what was last granted to all; the last of several grants stays."""

    granted: ClassVar[dict[str, list[Access]]] = {}

    async def authorize(self) -> Access:
        grants = self.granted.get(self.make_room_name(), [Access.WRITE])
        return grants.pop(0) if len(grants) > 1 else grants[0]


class Grant(YjsConsumer):
    """Grants the members of a room what is in ``?access=``, one after another."""

    async def connect(self) -> None:
        room = self.make_room_name()
        Granted.granted[room] = [Access[name] for name in query(self.scope)["access"].split(",")]
        await arecheck_access(room)
        await self.accept()
        await self.close()


class Save(YjsConsumer):
    """Saves tasks of the board that the room is of, as any view would.

    The one with the title in ``?title=`` gets that in ``?now=``, or is deleted if there is none.
    Without ``?title=`` the board gets a new one.
    """

    async def connect(self) -> None:
        given = query(self.scope)
        name = self.make_room_name()
        board, _ = await Board.objects.aget_or_create(pk=int(name.removeprefix(PREFIX)))
        task = await board.tasks.filter(title=given.get("title")).afirst()
        if "now" in given:
            task = task or Task(board=board, body="Carefully.")
            task.title = given["now"]
            await task.asave()
        elif task is not None:
            await task.adelete()
        await self.accept()
        await self.close()


def user_of(token: str) -> User | None:
    return User(pk=1, username="ann") if token == "secret" else None


private: Any = TokenAuthMiddleware(YjsConsumer.as_asgi(), user_of, first_frame=True)

routes = [
    path("hocuspocus", Tokens.as_asgi()),
    path("obeying/<path:room>", Obeying.as_asgi()),
    path("labels/", Labels.as_asgi()),
    path("plan/<int:project>", Plan.as_asgi()),
    path("plans/<int:client>", Plans.as_asgi()),
    path("search/", Finder.as_asgi()),
    path("talk/", Talk.as_asgi()),
    path("talk/<str:room>", Talk.as_asgi()),
    path("save/<path:room>", Save.as_asgi()),
    path("token/<path:room>", Tokened.as_asgi()),
    path("private/<path:room>", private),
    path("granted/<path:room>", Granted.as_asgi()),
    path("grant/<path:room>", Grant.as_asgi()),
    re_path("", harness.application_mapping["websocket"]),
]

application = ProtocolTypeRouter(
    {"http": harness.application_mapping["http"], "websocket": QueryUser(URLRouter(routes))}
)
