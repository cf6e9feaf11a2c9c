"""System checks of states: each names what is wrong and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured
from rest_framework import serializers

from collab.live import CREATE, DELETE, SAVE, LiveConsumer
from collab.live.state import declared_state as state
from collab.live.state import state_mirrors as following_module
from collab.mirror import registry as options
from collab.mirror import row_signals
from collab.mirror.outgoing import signals
from tests.projects.consumers import ForThoseLoggedIn
from tests.projects.models import Project, Step, Task
from tests.projects.serializers import (
    BriefProjectSerializer,
    ProjectSerializer,
    TagSerializer,
    TaskSerializer,
)


def found() -> list[CheckMessage]:
    """Return what all checks of the app say, as ``manage.py check`` would."""
    return run_checks(tags=["collab"])


def the_one() -> CheckMessage:
    [message] = found()
    assert message.hint
    return message


def test_the_states_of_the_tests_are_sound() -> None:
    assert state.states()
    assert found() == []


@pytest.fixture
def alone() -> Iterator[None]:
    """Forget afterwards what the test declares, and meanwhile what others have."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(state, "_states", {})
        monkeypatch.setattr(options, "_mirrors", [*options.mirrors()])
        monkeypatch.setattr(following_module, "_registered", {**following_module._registered})
        monkeypatch.setattr(signals, "_connected", [*signals._connected])
        monkeypatch.setattr(row_signals, "_followers", [*row_signals._followers])
        yield
    row_signals.connect_all()


class Sound(ForThoseLoggedIn):
    """Answers all that it may be asked."""

    @classmethod
    def list_instances(cls, **kwargs: Any) -> Any:
        return Project.objects.all()

    @classmethod
    def can_create(cls, user: Any, instance: Any, data: Any) -> bool:
        return True

    can_save = can_delete = can_create


@pytest.mark.usefixtures("alone")
def test_a_state_needs_has_permission() -> None:
    class Closed(LiveConsumer):
        class Meta:
            state = BriefProjectSerializer()

    message = the_one()
    assert message.id == "collab.E015"
    assert "Closed has no has_permission()" in message.msg


@pytest.mark.usefixtures("alone")
def test_a_list_needs_list_instances() -> None:
    class Unlisted(ForThoseLoggedIn):
        class Meta:
            state = BriefProjectSerializer(many=True)

    assert the_one().id == "collab.E016"
    with pytest.raises(NotImplementedError, match="list_instances"):
        Unlisted.list_instances()


@pytest.mark.usefixtures("alone")
def test_rules_without_a_connection_are_class_methods() -> None:
    class Bound(ForThoseLoggedIn):
        class Meta:
            state = BriefProjectSerializer(many=True)

        def list_instances(self, **kwargs: Any) -> Any:  # type: ignore[override]
            return Project.objects.all()

    message = the_one()
    assert message.id == "collab.E016"
    assert "list_instances() that is not a class method" in message.msg


def class_of(writable_: Any, many: bool = False, base: type = Sound) -> type:
    """Return a consumer of projects whose clients may change something."""

    class Meta:
        state = ProjectSerializer(many=many)
        writable: ClassVar = writable_

    return type("Made", (base,), {"Meta": Meta, "__module__": __name__})


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    "writable",
    [
        {BriefProjectSerializer: [SAVE]},
        {TaskSerializer: ["steal"]},
        {"TaskSerializer": [SAVE]},
    ],
)
def test_writable_serializers_are_part_of_the_state(writable: Any) -> None:
    class_of(writable)
    assert the_one().id == "collab.E017"


@pytest.mark.usefixtures("alone")
def test_operations_of_clients_need_a_rule() -> None:
    class_of({TaskSerializer: [SAVE, DELETE]}, base=ForThoseLoggedIn)
    messages = found()
    assert [message.id for message in messages] == ["collab.E017"] * 2
    assert "can_delete" in str(messages[0].hint)


@pytest.mark.usefixtures("alone")
def test_new_rows_need_a_writable_parent() -> None:
    class_of({TaskSerializer: [CREATE], ProjectSerializer: [CREATE]}, many=True)
    assert found() == []
    class_of({TagSerializer: [CREATE]})
    message = the_one()
    assert message.id == "collab.E018"
    assert "Remove CREATE" in str(message.hint)


class BareStepSerializer(serializers.ModelSerializer[Step]):
    class Meta:
        model = Step
        fields = ("id", "name")


class StepsSerializer(serializers.ModelSerializer[Task]):
    steps = BareStepSerializer(many=True)

    class Meta:
        model = Task
        fields = ("id", "steps")


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("many", [True, False])
def test_the_one_root_row_of_a_document_need_not_be_named(many: bool) -> None:
    class Steps(Sound):
        class Meta:
            state = StepsSerializer(many=many)
            writable: ClassVar = {BareStepSerializer: [CREATE]}

    if many:
        assert "'task'" in str(the_one().hint)
    else:
        assert found() == []


# What cannot even be declared.


def declare(serializer: Any) -> None:
    meta = type("Meta", (), {"state": serializer})
    type("Declared", (Sound,), {"Meta": meta, "__module__": __name__})


class Lost(serializers.ModelSerializer[Project]):
    things = TaskSerializer(many=True, source="pk")

    class Meta:
        model = Project
        fields = ("things",)


class Round(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = ("id", "tasks")


class RoundTask(serializers.ModelSerializer[Task]):
    project = Round()

    class Meta:
        model = Task
        fields = ("project",)


# As a class cannot be named in itself.
vars(Round)["_declared_fields"]["tasks"] = RoundTask(many=True)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("serializer", "reason"),
    [
        (ProjectSerializer, "is not an instance of a ModelSerializer"),
        (serializers.Serializer(), "is not an instance of a ModelSerializer"),
        (Lost(), "Lost.things is not a relation of Project.*@related_property"),
        (Round(), "Round is nested in itself"),
    ],
)
def test_declarations_that_cannot_be_followed_are_refused(serializer: Any, reason: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=reason):
        declare(serializer)


def make(name: str, module: str, serializer: Callable[[], Any]) -> None:
    meta = type("Meta", (), {"state": serializer()})
    type(name, (Sound,), {"Meta": meta, "__module__": module, "__qualname__": name})


@pytest.mark.usefixtures("alone")
def test_only_a_list_can_be_that_of_a_connection() -> None:
    with pytest.raises(ImproperlyConfigured, match="per_connection is for lists"):

        class One(Sound):
            class Meta:
                state = BriefProjectSerializer()
                per_connection = True


@pytest.mark.usefixtures("alone")
def test_names_are_unique() -> None:
    make("Twice", "tests.projects.one", BriefProjectSerializer)
    make("Twice", "tests.projects.one", BriefProjectSerializer)
    with pytest.raises(ImproperlyConfigured, match="Two consumers"):
        make("Twice", "tests.projects.two", BriefProjectSerializer)
    attributes = {"__module__": "tests.projects.other"}
    other = type("TagSerializer", (TagSerializer,), attributes)
    with pytest.raises(ImproperlyConfigured, match="Two serializers"):
        make("Other", "tests.projects.one", other)
