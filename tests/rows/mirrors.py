"""A board's document has its tasks and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet

from collab.mirror import ModelMirror, register

from .models import Note, Task

PREFIX = "board-"


def room_name(board_id: int) -> str:
    return f"{PREFIX}{board_id}"


def board_id(room_name: str) -> int | None:
    number = room_name.removeprefix(PREFIX)
    return int(number) if number != room_name and number.isdecimal() else None


@register(Task)
class TaskMirror(ModelMirror[Task]):
    fields: ClassVar[Sequence[str]] = (
        "id",
        "board",
        "owner",
        "title",
        "state",
        "done",
        "position",
        "due",
        "at",
        "estimate",
        "extra",
        "body",
        "labels",
    )
    writable_fields: ClassVar[Sequence[str]] = (
        "title",
        "state",
        "done",
        "position",
        "due",
        "at",
        "estimate",
        "extra",
        "body",
        "labels",
    )
    text_fields: ClassVar[Sequence[str]] = ("body",)
    map_name = "tasks"
    can_create = True
    can_delete = True

    def get_room_names(self, instance: Task) -> list[str]:
        return [room_name(instance.board_id)]

    def get_queryset(self, room_name: str) -> QuerySet[Task] | None:
        board = board_id(room_name)
        return None if board is None else Task.objects.filter(board=board)

    def get_initial(self, room_name: str, user: Any) -> dict[str, Any]:
        return {"board_id": board_id(room_name)}

    def has_write_permission(self, user: Any, instance: Task, changes: Mapping[str, Any]) -> bool:
        return "forbidden" not in changes.get("title", "")


@register(Note)
class NoteMirror(ModelMirror[Note]):
    fields = ("id", "text", "board")
    writable_fields = ("text",)
    can_create = True

    def get_initial(self, room_name: str, user: Any) -> dict[str, Any]:
        return {"board_id": board_id(room_name)}

    def get_room_names(self, instance: Note) -> list[str]:
        return [room_name(instance.board_id)]

    def get_queryset(self, room_name: str) -> QuerySet[Note] | None:
        board = board_id(room_name)
        return None if board is None else Note.objects.filter(board=board)
