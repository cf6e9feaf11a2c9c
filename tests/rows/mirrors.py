"""A board's document has its tasks and notes; others show what rows can be made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers

from collab.mirror import ModelMirror, OwnRowsMirror, register, split_room_name

from .models import Card, FamousTeam, Match, Note, Person, Place, Recipe, Shop, Task, Team

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


@register(Card)
class CardMirror(OwnRowsMirror[Card]):
    """Rows of which others than their owners see a part."""

    map_name = "cards"
    fields: ClassVar[Sequence[str]] = ("id", "title", "done")
    own_fields: ClassVar[Sequence[str]] = ("diary", "salary")
    writable_fields = ("done",)
    own_writable_fields = ("title", "diary", "salary")
    text_fields = ("diary",)
    can_create = True
    can_delete = True

    def get_shared_room_names(self, instance: Card) -> list[str]:
        return [f"cards-{instance.board_id}"]

    def get_shared_queryset(self, room_name: str) -> QuerySet[Card] | None:
        kind, _, number = room_name.partition("-")
        if kind != "cards" or not number.isdecimal():
            return None
        return Card.objects.filter(board=int(number))

    def get_initial(self, room_name: str, user: Any) -> dict[str, Any]:
        shared, _ = split_room_name(room_name)
        return {"board_id": shared.removeprefix("cards-"), "owner_id": user.pk}


@register(Shop)
class ShopMirror(ModelMirror[Shop]):
    """Rows of a model that inherits from another."""

    fields: ClassVar[Sequence[str]] = ("name", "street")

    def get_room_names(self, instance: Shop) -> list[str]:
        return ["town"]

    def get_queryset(self, room_name: str) -> QuerySet[Shop] | None:
        return Shop.objects.all() if room_name == "town" else None


@register(Place)
class PlaceMirror(ModelMirror[Place]):
    """Rows of a model that another inherits from."""

    fields: ClassVar[Sequence[str]] = ("name",)

    def get_room_names(self, instance: Place) -> list[str]:
        return ["town"]

    def get_queryset(self, room_name: str) -> QuerySet[Place] | None:
        return Place.objects.all() if room_name == "town" else None


class PersonSerializer(serializers.ModelSerializer[Person]):
    class Meta:
        model = Person
        fields: ClassVar[Sequence[str]] = ("name",)


class TeamSerializer(serializers.ModelSerializer[Team]):
    leader = PersonSerializer(read_only=True)
    leader_id = serializers.PrimaryKeyRelatedField[Person](source="leader", read_only=True)
    people = serializers.StringRelatedField[Person](source="members", many=True)
    places = serializers.SlugRelatedField[Match](
        source="match_set", many=True, read_only=True, slug_field="place"
    )
    home = serializers.SerializerMethodField()

    class Meta:
        model = Team
        fields: ClassVar[Sequence[str]] = (
            "name",
            "leader",
            "leader_id",
            "people",
            "places",
            "home",
        )

    def get_home(self, team: Team) -> str | None:
        return team.leader.home.name if team.leader and team.leader.home else None


@register(FamousTeam)
class TeamMirror(ModelMirror[FamousTeam]):
    """Rows whose values come from many others; the model is a proxy."""

    serializer_class = TeamSerializer
    depends_on: ClassVar[Sequence[str]] = ("leader__home",)

    def get_room_names(self, instance: FamousTeam) -> list[str]:
        return instance.room_names()

    def get_queryset(self, room_name: str) -> QuerySet[FamousTeam] | None:
        return FamousTeam.objects.exclude(name="") if room_name == "famous" else None


@register(Recipe)
class RecipeMirror(ModelMirror[Recipe]):
    fields = ("title", "text")
    writable_fields = ("title", "text")
    text_fields = ("text",)

    def get_room_names(self, instance: Recipe) -> list[str]:
        return ["kitchen"]

    def get_queryset(self, room_name: str) -> QuerySet[Recipe] | None:
        return Recipe.objects.all() if room_name == "kitchen" else None
