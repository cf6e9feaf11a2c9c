"""Documents of tasks, and the changes that users may make there."""

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
    """The fields of a task in browsers, and the validation of their changes."""

    author = serializers.SerializerMethodField()

    class Meta:
        model = Task
        fields = ("title", "description", "state", "position", "author")

    def get_author(self, task: Task) -> Person | None:
        """Return the name and colour of the author."""
        return person(task.author) if task.author else None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse to skip the column in the middle."""
        states = (self.instance and self.instance.state, attrs.get("state"))
        if states == (Task.State.TODO, Task.State.DONE):
            raise serializers.ValidationError("Nothing goes from “To do” straight to “Done”.")
        return attrs


@register(Task)
class TaskMirror(ModelMirror[Task]):
    """Puts the tasks of each board into a document."""

    map_name = "tasks"
    serializer_class = TaskSerializer
    writable_fields = ("title", "description", "state", "position")
    text_fields = ("description",)
    can_create = can_delete = True

    def get_room_names(self, instance: Task) -> list[str]:
        """Return the document of a task."""
        return [ROOM_PREFIX + instance.board_id]

    def get_queryset(self, room_name: str) -> QuerySet[Task] | None:
        """Return the tasks of a document; documents of pages have none."""
        slug = room_name.removeprefix(ROOM_PREFIX)
        if slug == room_name:
            return None
        return Task.objects.filter(board=slug).select_related("author")

    def get_initial(
        self, room_name: str, user: AbstractBaseUser | AnonymousUser
    ) -> Mapping[str, Any]:
        """Return attributes of a new task that its author does not choose."""
        return {"board_id": room_name.removeprefix(ROOM_PREFIX), "author": user}
