"""Consumers of live channels that JavaScript clients are tried on."""

from __future__ import annotations

from asyncio import Event
from collections.abc import Mapping
from typing import Any, ClassVar, TypedDict

from django.db.models import QuerySet

from collab.access import Access
from collab.live import (
    CREATE,
    DELETE,
    SAVE,
    CallError,
    LiveConsumer,
    ModelSubscription,
    SubscriptionMixin,
    action,
    apublish,
    broadcast_notification,
    subscribable,
)
from tests.harness.app import query
from tests.projects.models import Client, Project, Task
from tests.projects.serializers import ProjectSerializer, StepSerializer, TaskSerializer

__all__ = ["Finder", "Plan", "Plans", "Talk"]


class Plan(LiveConsumer):
    """A project with all that belongs to it; nobody may make a title forbidden."""

    class Meta:
        state = ProjectSerializer()
        writable: ClassVar = {
            TaskSerializer: [SAVE, CREATE, DELETE],
            StepSerializer: [SAVE, CREATE],
        }

    async def has_permission(self, user: Any, **kwargs: Any) -> bool:
        return True

    @classmethod
    def can_save(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> bool:
        return "forbidden" not in data.get("title", "")

    can_create = can_save

    @classmethod
    def can_delete(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> bool:
        return "keep" not in instance.title


class Plans(LiveConsumer):
    """The projects of a client, and what only reads."""

    class Meta:
        state = ProjectSerializer(many=True)
        auto_update = True
        writable: ClassVar = {ProjectSerializer: [CREATE]}

    async def has_permission(self, user: Any, **kwargs: Any) -> bool:
        return True

    @classmethod
    def list_instances(cls, client: int) -> QuerySet[Project]:
        return Project.objects.filter(client=client).order_by("name")

    @classmethod
    def get_initial(cls, user: Any, serializer_class: Any, client: int) -> dict[str, Any]:
        return {"client_id": client}

    @classmethod
    def can_create(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> bool:
        return bool(data.get("name") != "forbidden")


class Finder(LiveConsumer):
    """The projects that one connection has searched for."""

    class Meta:
        state = ProjectSerializer(many=True)
        per_connection = True

    async def has_permission(self, user: Any, **kwargs: Any) -> bool:
        return True

    @classmethod
    def list_instances(cls) -> QuerySet[Project]:
        return Project.objects.none()

    @action
    async def search(self, client: int) -> None:
        await self.clear()
        async for project in Project.objects.filter(client=client):
            await self.add_instance(project)


@subscribable(Client)
class ClientSubscription(ModelSubscription[Client]):
    fields = ("id", "name")
    filter_fields = ("name",)

    def get_queryset(self, user: Any) -> QuerySet[Client]:
        return Client.objects.order_by("pk")


class Talk(SubscriptionMixin, LiveConsumer):
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
    async def unannotated(self):  # type: ignore[no-untyped-def]
        """Answer nothing to those who do not ask for it."""

    @action
    async def set_news(self, text: str) -> None:
        await self.set_runtime_var("news", text)

    @action
    async def refuse(self) -> None:
        raise CallError(409, ["Not now.", {"text": ["Not this."]}])

    @action
    def new_project(self, name: str, client: str) -> list[int]:
        """Make one with a task; return its key and its client's."""
        owner = Client.objects.create(name=client)
        project = Project.objects.create(name=name, client=owner)
        Task.objects.create(project=project, title="Paint")
        return [project.pk, owner.pk]

    @action
    def remove(self, client: int) -> None:
        Client.objects.filter(pk=client).get().delete()

    @action
    def rename(self, client: int, name: str) -> None:
        owner = Client.objects.get(pk=client)
        owner.name = name
        owner.save()

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
    async def subscribe_to_messages(self, room: int) -> str:
        return f"messages of room {room}"

    @action
    async def say(self, text: str) -> int:
        if not text:
            raise CallError(400, {"text": ["Say something."]})
        return len(text)

    @action
    async def push(self, text: str) -> int:
        for request_id, consumer in self.subscribers.items():
            await consumer.reply("update", data=text, request_id=request_id)
        return len(self.subscribers)
