"""The ASGI application that JavaScript clients are run against.

It is that of the tests, and beside it has what scripts cannot do from outside: see a token
checked, have others' access changed, and have rows saved.
"""

from __future__ import annotations

from asyncio import Event
from typing import ClassVar, TypedDict

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from collab.access import Access  # noqa: E402
from collab.consumers import YjsConsumer  # noqa: E402
from collab.documents import arecheck_access  # noqa: E402
from collab.live import CallError, LiveConsumer, action, apublish, broadcast_notification  # noqa: E402
from tests.harness.app import QueryUser, query  # noqa: E402
from tests.harness.app import application as harness  # noqa: E402
from tests.rows.mirrors import PREFIX  # noqa: E402
from tests.rows.models import Board, Task  # noqa: E402

__all__ = ["application"]


class Tokened(YjsConsumer):
    """Lets those in whose ``?token=`` is the one in ``?expected=``."""

    async def authorize(self) -> Access:
        given = query(self.scope)
        return Access.WRITE if given["token"] == given["expected"] else Access.NONE


class Granted(YjsConsumer):
    """Lets everybody do what was last granted to all."""

    granted: ClassVar[dict[str, Access]] = {}

    async def authorize(self) -> Access:
        return self.granted.get(self.make_room_name(), Access.WRITE)


class Grant(YjsConsumer):
    """Grants the members of a room what is in ``?access=``."""

    async def connect(self) -> None:
        room = self.make_room_name()
        Granted.granted[room] = Access[query(self.scope)["access"]]
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


class Talk(LiveConsumer):
    """Does what its clients call for; with a document if the URL has one."""

    class RuntimeState(TypedDict):
        calls: int
        news: str

    #: Who subscribes, over all connections: the consumer and the request's id.
    subscribers: ClassVar[dict[str | int | None, Talk]] = {}

    async def authorize(self) -> Access:
        """Refuse those who say so."""
        return Access.NONE if "refuse" in query(self.scope) else Access.WRITE

    async def on_connected(self) -> None:
        await self.set_runtime_var("calls", 0)
        await self.add_group(query(self.scope).get("group", "news"))

    async def on_disconnected(self) -> None:
        for request_id, consumer in [*self.subscribers.items()]:
            if consumer is self:
                del self.subscribers[request_id]

    @action
    async def echo(self, text: str, times: int = 1) -> str:
        await self.set_runtime_var("calls", self.runtime_state["calls"] + 1)
        return text * times

    @action
    async def set_news(self, text: str) -> None:
        await self.set_runtime_var("news", text)

    @action
    async def refuse(self) -> None:
        raise CallError(409, ["Not now.", {"text": ["Not this."]}])

    @action(detached=True)
    async def wait(self) -> None:
        await Event().wait()

    @action
    async def leave(self, code: int) -> None:
        await self.close(code)

    @action
    async def tell(self, group: str, text: str, replay: int = 0) -> None:
        await apublish(group, "told", {"text": text}, replay=replay)

    @action
    def notify(self, text: str) -> None:
        broadcast_notification({"text": text})

    @action
    async def subscribe_topic(self, topic: str, request_id: str) -> str:
        if topic == "closed":
            raise CallError(403, "Not for you.")
        self.subscribers[request_id] = self
        return f"about {topic}"

    @action
    async def unsubscribe_topic(self, topic: str, request_id: str) -> None:
        del self.subscribers[request_id]

    @action
    async def push(self, text: str) -> int:
        for request_id, consumer in self.subscribers.items():
            await consumer.reply("update", data=text, request_id=request_id)
        return len(self.subscribers)


routes = [
    path("talk/", Talk.as_asgi()),
    path("talk/<str:room>", Talk.as_asgi()),
    path("save/<path:room>", Save.as_asgi()),
    path("token/<path:room>", Tokened.as_asgi()),
    path("granted/<path:room>", Granted.as_asgi()),
    path("grant/<path:room>", Grant.as_asgi()),
    re_path("", harness.application_mapping["websocket"]),
]

application = ProtocolTypeRouter(
    {"http": harness.application_mapping["http"], "websocket": QueryUser(URLRouter(routes))}
)
