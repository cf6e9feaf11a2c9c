"""Serializers are made once where that shows each row as a new one would, and nowhere else."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from rest_framework import serializers
from rest_framework.serializers import ModelSerializer

from collab.mirror.rows.serialized import plain_serializer, serialized
from tests.rows.models import Task

_DATA = {"room_name": "board-1"}


class _TaskSerializer(ModelSerializer[Any]):
    number = serializers.IntegerField(source="position")

    class Meta:
        model = Task
        fields = ("title", "number", "owner", "state", "done", "due", "at", "estimate", "extra")

    def validate_title(self, value: str) -> str:
        return value

    def create(self, validated_data: Any) -> Any:
        return Task(**validated_data)


class _WithLabels(_TaskSerializer):
    places = serializers.ListField(child=serializers.IntegerField(), source="extra.places")

    class Meta(_TaskSerializer.Meta):
        fields = ("labels", "places")  # type: ignore[assignment]


def a_task(**values: Any) -> Task:
    return Task(
        title="one",
        position=3,
        due=date(2026, 1, 2),
        at=datetime(2026, 1, 2, 3, tzinfo=UTC),
        estimate=Decimal("1.50"),
        extra={"places": [1]},
        **values,
    )


def test_fields_of_a_plain_serializer_are_made_once() -> None:
    assert plain_serializer(_TaskSerializer) is plain_serializer(_TaskSerializer) is not None
    assert plain_serializer(_WithLabels) is not None
    assert plain_serializer(_TaskSerializer) is not plain_serializer(_WithLabels)


@pytest.mark.parametrize("row", [a_task(), a_task(owner_id=5), Task(title="")])
def test_plain_serializer_shows_a_row_as_a_new_one(row: Task) -> None:
    (found,) = serialized(_TaskSerializer, [row], _DATA)
    assert found == _TaskSerializer(row).data
    assert serialized(_TaskSerializer, [], _DATA) == []


# Those that are made for each reading.


class _Counter(_TaskSerializer):
    def to_representation(self, instance: Any) -> Any:
        self.seen = getattr(self, "seen", 0) + 1
        return {"seen": self.seen, "room": self.context["room_name"]}


class _Mixin:
    def get_fields(self) -> dict[str, Any]:
        return {}


class _Mixed(_TaskSerializer, _Mixin):
    pass


class _Method(ModelSerializer[Any]):
    title = serializers.SerializerMethodField()

    class Meta:
        model = Task
        fields = ("title",)

    def get_title(self, task: Task) -> str:
        return task.title.upper()


class _MethodOfAnother(ModelSerializer[Any]):
    title = serializers.SerializerMethodField(method_name="validate")

    class Meta:
        model = Task
        fields = ("title",)

    def validate(self, attrs: Any) -> Any:
        return "validated"


class _Upper(serializers.CharField):
    def to_representation(self, value: Any) -> str:
        return str(value).upper()


class _Custom(ModelSerializer[Any]):
    title = _Upper()

    class Meta:
        model = Task
        fields = ("title",)


class _CustomChild(ModelSerializer[Any]):
    extra = serializers.ListField(child=_Upper())

    class Meta:
        model = Task
        fields = ("extra",)


class _Keyed(ModelSerializer[Any]):
    owner = serializers.PrimaryKeyRelatedField[Any](read_only=True, pk_field=_Upper())

    class Meta:
        model = Task
        fields = ("owner",)


class _Related(ModelSerializer[Any]):
    labels = serializers.StringRelatedField[Any](many=True)

    class Meta:
        model = Task
        fields = ("labels",)


class _Listed(_TaskSerializer):
    class Meta(_TaskSerializer.Meta):
        list_serializer_class = serializers.ListSerializer


class _Default(ModelSerializer[Any]):
    nothing = serializers.CharField(default=lambda: "made")

    class Meta:
        model = Task
        fields: ClassVar = ["nothing"]


OTHERS: list[type[ModelSerializer[Any]]] = [
    *(_Counter, _Mixed, _Method, _MethodOfAnother, _Custom, _CustomChild, _Keyed, _Related),
    *(_Listed, _Default),
]


@pytest.mark.parametrize("serializer", OTHERS, ids=lambda each: each.__name__)
def test_serializer_with_code_is_made_for_each_reading(
    serializer: type[ModelSerializer[Any]],
) -> None:
    assert plain_serializer(serializer) is None


def test_state_of_a_serializer_with_code_does_not_outlive_a_reading() -> None:
    for _ in range(2):
        found = serialized(_Counter, [a_task(), a_task()], _DATA)
        assert found == [{"seen": 1, "room": "board-1"}, {"seen": 2, "room": "board-1"}]
