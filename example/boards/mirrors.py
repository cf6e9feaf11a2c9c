"""Which tasks are in which document, and what people may change of them there."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from rest_framework import serializers

from collab.mirror import ModelMirror, register
from pages.people import Person, person

from .models import ROOM_PREFIX, Task


class TaskSerializer(serializers.ModelSerializer[Task]):
    """What browsers know of a task, and what is checked when they change it."""

    author = serializers.SerializerMethodField()

    class Meta:
        model = Task
        fields = ("title", "description", "state", "position", "author")

    def get_author(self, task: Task) -> Person | None:
        """Return how the author looks."""
        return person(task.author) if task.author else None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Let nobody skip the column in the middle."""
        states = (self.instance and self.instance.state, attrs.get("state"))
        if states == (Task.State.TODO, Task.State.DONE):
            raise serializers.ValidationError("Nothing goes from “To do” straight to “Done”.")
        return attrs


@register(Task)
class TaskMirror(ModelMirror[Task]):
    """Puts the tasks of a board into a document of their own."""

    map_name = "tasks"
    serializer_class = TaskSerializer
    writable_fields = ("title", "description", "state", "position")
    text_fields = ("description",)
    can_create = can_delete = True

    def get_room_names(self, instance: Task) -> list[str]:
        """Return the document that a task is in."""
        return [ROOM_PREFIX + instance.board_id]

    def get_queryset(self, room_name: str) -> QuerySet[Task] | None:
        """Return the tasks that are in a document; those of pages have none."""
        slug = room_name.removeprefix(ROOM_PREFIX)
        if slug == room_name:
            return None
        return Task.objects.filter(board=slug).select_related("author")

    def get_initial(
        self, room_name: str, user: AbstractBaseUser | AnonymousUser
    ) -> Mapping[str, Any]:
        """Return what a new task has that its author does not choose."""
        return {"board_id": room_name.removeprefix(ROOM_PREFIX), "author": user}
