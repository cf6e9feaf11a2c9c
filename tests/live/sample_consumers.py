"""Consumers and serializers of every kind that TypeScript is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, TypedDict, TypeVar

import msgspec
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django.contrib.auth.models import User
from django.urls import path, re_path, register_converter
from rest_framework import serializers

from collab.live import LiveConsumer, SubscriptionMixin, action
from tests.projects.shapes import Deadline
from tests.rows.models import Label, Task

__all__ = ["Desk", "EverythingSerializer", "Room", "application"]

T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Mixed(Enum):
    """Which msgspec does not take."""

    ONE = 1
    TWO = "two"


@dataclass
class Stroke:
    """It refers to itself."""

    colour: Colour
    width: float = 1.0
    before: Stroke | None = None


@dataclass
class Page(Generic[T]):
    items: list[T]
    total: int


class Circle(msgspec.Struct, tag="circle", omit_defaults=True):
    radius: float
    label: str = ""


class Square(msgspec.Struct, tag="square"):
    side: float


class Point(NamedTuple):
    x: int
    y: int


class Options(TypedDict, total=False):
    at: datetime
    odd_name: Annotated[int, msgspec.Meta(ge=0, title="odd")]


class Desk(LiveConsumer):
    """Has no document."""

    class RuntimeState(TypedDict):
        unread: int
        chosen: list[str] | None

    @action
    async def draw(self, stroke: Stroke, on_page: int = 1) -> Page[Stroke]:
        """Draw a line."""
        return Page([stroke], on_page)

    @action
    async def move(
        self, to: Point, new: bool = False, *, by: Literal["hand", "mouse", None]
    ) -> tuple[Point, ...]:
        return (to, to)

    @action
    async def add(self, shape: Circle | Square) -> Circle:
        return Circle(1)

    @action
    async def choose(self, options: Options, days: set[date], price: Decimal | None = None) -> None:
        """Choose what */ is not the end of a comment."""

    @action
    async def guess(self, what: object | None, why: Mixed, state: Task.State) -> Deadline:
        return Deadline(days=1)

    @action
    async def open_session(self, pair: tuple[int, str]) -> tuple[dict[str, list[int]], int]:
        return {}, 201

    @action
    async def call(self, user: User, anything: Any = None, **kwargs: Any):  # type: ignore[no-untyped-def]
        return None

    @action(detached=True)
    async def subscribe_to_lines(self, colour: Colour, width: int = 1) -> int:
        return 1

    @action
    async def unsubscribe_to_lines(self) -> None:
        pass

    @action
    async def unsubscribe_all(self) -> None:
        pass


class Room(LiveConsumer):
    """Has a document, by its URL."""


class Watcher(SubscriptionMixin, LiveConsumer):
    """Lets its clients watch what is registered."""


class Named(LiveConsumer):
    """Has a document, by its own name."""

    def make_room_name(self) -> str:
        return "named"


class Studio(LiveConsumer):
    """At a URL of which little is known."""


class StudioConsumer(LiveConsumer):
    """Would be a channel of the same name."""


class Year:
    """A converter that somebody has written."""

    regex = "[0-9]{4}"

    def to_python(self, value: str) -> date:
        return date(int(value), 1, 1)

    def to_url(self, value: date) -> str:
        return str(value.year)


register_converter(Year, "year")


class LabelSerializer(serializers.ModelSerializer[Label]):
    class Meta:
        model = Label
        fields = ("id", "name")


class Shouted(serializers.Field[Any, Any, Any, Any]):
    """A field that somebody has written."""

    def to_representation(self, value: Any) -> list[str]:
        return [str(value).upper()]


class EverythingSerializer(serializers.ModelSerializer[Task]):
    labels = LabelSerializer(many=True)
    first = LabelSerializer(read_only=True, allow_null=True, source="first_label")
    board_name = serializers.CharField(source="board.name", read_only=True)
    owner_name = serializers.CharField(source="owner.username", read_only=True)
    label_ids = serializers.PrimaryKeyRelatedField(
        source="labels", many=True, queryset=Label.objects.all()
    )
    label_names: Any = serializers.SlugRelatedField(
        source="labels", many=True, read_only=True, slug_field="name"
    )
    length = serializers.SerializerMethodField()
    secret = serializers.CharField(write_only=True)
    user = serializers.HiddenField(default=serializers.CurrentUserDefault())
    rating = serializers.ChoiceField(choices=[(1, "bad"), (2, "good")], allow_null=True)
    tags = serializers.MultipleChoiceField(choices=["a", "b"])
    scores = serializers.DictField(child=serializers.FloatField(allow_null=True))
    shouted = Shouted(source="title", read_only=True)
    number = serializers.DecimalField(4, 2, coerce_to_string=False)
    picture = serializers.FileField(read_only=True)

    class Meta:
        model = Task
        fields: ClassVar = [
            "id", "board", "board_name", "owner", "owner_name", "title", "state", "done",
            "position", "due", "at", "estimate", "extra", "labels", "first", "label_ids",
            "label_names", "length", "secret", "user", "rating", "tags", "scores", "shouted",
            "number", "picture",
        ]  # fmt: skip
        read_only_fields = ("due",)

    def get_length(self, task: Task) -> int | None:
        return len(task.title)


class OddSerializer(serializers.Serializer[Any]):
    """Of no model, with fields that tell little."""

    pk = serializers.PrimaryKeyRelatedField[Any](read_only=True)
    mood = serializers.ChoiceField(choices=["good"], allow_blank=True)
    any = serializers.ChoiceField(choices=[])
    by_uuid = serializers.PrimaryKeyRelatedField(
        queryset=Label.objects.all(), pk_field=serializers.UUIDField(), many=True
    )
    anything = serializers.ReadOnlyField()
    broken = serializers.SerializerMethodField()
    missing = serializers.SerializerMethodField(method_name="nothing")

    def get_broken(self, value: Any) -> Missing:  # type: ignore[name-defined]  # noqa: F821
        return None


class ReadSerializer(serializers.ModelSerializer[Task]):
    """Shows what a model has, as it is."""

    state = serializers.ReadOnlyField()
    done = serializers.ReadOnlyField()
    extra = serializers.ReadOnlyField()
    str = serializers.ReadOnlyField(source="__str__")
    labels = serializers.ReadOnlyField()
    owner_id = serializers.ReadOnlyField()
    position = serializers.ModelField(Task._meta.get_field("position"))

    class Meta:
        model = Task
        fields = ("state", "done", "extra", "str", "labels", "owner_id", "position")


routes = [
    path("desk/<int:pk>/<slug:page_name>/", Desk.as_asgi()),
    re_path(r"^rooms/(?P<room>\w+)$", Room.as_asgi()),
    re_path(r"^other/(\w+)/", URLRouter([path("<year:at>", Studio.as_asgi())])),
    path("watch", Watcher.as_asgi()),
    path("other/", URLRouter([path("named", Named.as_asgi()), path("again", Desk.as_asgi())])),
]
inner = OriginValidator(AuthMiddlewareStack(URLRouter(routes)), ["*"])
application = ProtocolTypeRouter({"websocket": URLRouter([path("ws/", inner)])})
