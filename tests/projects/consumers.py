"""Consumers with states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from channels.routing import URLRouter
from django.db.models import QuerySet
from django.urls import path

from collab.live import CREATE, DELETE, SAVE, LiveConsumer, action

from .models import Comment, Draft, Project, Step, Task
from .serializers import (
    BriefProjectSerializer,
    CommentSerializer,
    DiscussedTaskSerializer,
    DraftSerializer,
    PinSerializer,
    ProjectSerializer,
    StepSerializer,
    TaskSerializer,
)


class ForThoseLoggedIn(LiveConsumer):
    """Opens its documents to all users who are logged in."""

    async def has_permission(self, user: Any, **kwargs: Any) -> bool:
        return bool(user and user.is_authenticated)


class ProjectLive(ForThoseLoggedIn):
    """A project with all that belongs to it, which staff may change."""

    class Meta:
        state = ProjectSerializer()
        writable: ClassVar = {
            TaskSerializer: [SAVE, CREATE, DELETE],
            StepSerializer: [SAVE, CREATE],
        }

    @classmethod
    def can_save(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> bool:
        return bool(user.is_staff)

    @classmethod
    async def can_create(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> bool:
        return bool(user.is_staff)

    @classmethod
    def can_delete(cls, user: Any, instance: Task | Step, data: Mapping[str, Any]) -> bool:
        return bool(user.is_staff) and "keep" not in str(instance)


class ProjectList(ForThoseLoggedIn):
    """The projects of a client, in the order of their names; new ones enter by themselves."""

    class Meta:
        state = ProjectSerializer(many=True)
        auto_update = True
        writable: ClassVar = {ProjectSerializer: [CREATE]}

    @classmethod
    def list_instances(cls, client: int) -> QuerySet[Project]:
        return Project.objects.filter(client=client).order_by("name")

    @classmethod
    def is_visible(cls, instance: Project, client: int) -> bool:
        return instance.client_id == client

    @classmethod
    def get_initial(cls, user: Any, serializer_class: Any, client: int) -> Mapping[str, Any]:
        return {"client_id": client}

    @classmethod
    def can_create(cls, user: Any, instance: Any, data: Mapping[str, Any]) -> bool:
        return True


class Shelf(ForThoseLoggedIn):
    """Projects whose names begin with a star, as their primary keys; and those that were added."""

    class Meta:
        state = BriefProjectSerializer(many=True)

    @staticmethod
    async def list_instances() -> list[int]:
        found = Project.objects.filter(name__startswith="*").order_by("-pk")
        return [pk async for pk in found.values_list("pk", flat=True)]


class Search(ForThoseLoggedIn):
    """The projects that the client of a connection has searched for last."""

    class Meta:
        state = BriefProjectSerializer(many=True)
        per_connection = True

    @classmethod
    def list_instances(cls, client: int) -> QuerySet[Project]:
        return Project.objects.none()

    @action
    async def search(self, text: str, client: int) -> int:
        await self.clear()
        found = Project.objects.filter(name__contains=text, client=client).order_by("name")
        async for project in found:
            await self.add_instance(project)
        return await found.acount()


class Discussion(ForThoseLoggedIn):
    """A task with the comments of who has it open."""

    class Meta:
        state = DiscussedTaskSerializer()
        writable: ClassVar = {CommentSerializer: [SAVE, CREATE, DELETE]}

    @classmethod
    def can_create(cls, user: Any, instance: Comment, data: Mapping[str, Any]) -> bool:
        return bool(instance.user_id == user.pk)

    can_save = can_delete = can_create


class Pin(ForThoseLoggedIn):
    """An attachment, with what it belongs to for who has written that."""

    class Meta:
        state = PinSerializer()


class Drafts(ForThoseLoggedIn):
    """The drafts of who has it open."""

    class Meta:
        state = DraftSerializer(many=True)
        auto_update = True

    @classmethod
    def list_instances(cls, user: Any) -> QuerySet[Draft]:
        return Draft.objects.exclude(text=user.username)


class Desk(LiveConsumer):
    """A project's name, for each user by himself; asked in a thread."""

    class Meta:
        state = BriefProjectSerializer()
        per_user = True

    def has_permission(self, user: Any, project: int) -> bool:
        return Project.objects.filter(pk=project).exclude(name="hidden").exists()


application = URLRouter(
    [
        path("ws/projects/<int:project>", ProjectLive.as_asgi()),
        path("ws/clients/<int:client>", ProjectList.as_asgi()),
        path("ws/shelf", Shelf.as_asgi()),
        path("ws/search/<int:client>", Search.as_asgi()),
        path("ws/tasks/<str:task>", Discussion.as_asgi()),
        path("ws/drafts", Drafts.as_asgi()),
        path("ws/desk/<int:project>", Desk.as_asgi()),
    ]
)
