"""System checks of mirrors: each names what is wrong and what to write instead."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Any, ClassVar

import pytest
from django.apps import apps
from django.contrib.admin import AdminSite, ModelAdmin, StackedInline
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet, UUIDField
from rest_framework import serializers

from collab.engine.hub import loader
from collab.mirror import ModelMirror, OwnRowsMirror, register
from collab.mirror import registry as options
from collab.mirror.checks import TAG, is_sound
from collab.mirror.writers.admin import MirroredModelAdmin, MirroredTabularInline
from tests.rows.models import Board, Label, Task


def found() -> list[CheckMessage]:
    """Return what all checks of the app say, as ``manage.py check`` would."""
    return run_checks(tags=[TAG])


def the_one() -> CheckMessage:
    [message] = found()
    assert message.hint
    return message


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_mirrors", [])


def test_the_mirrors_of_the_tests_are_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert options.mirrors()
    assert found() == []


class Drawn(Model):
    """Its primary key comes from its creator."""

    id = UUIDField(primary_key=True)

    class Meta:
        app_label = "nowhere"

    def __str__(self) -> str:
        return str(self.pk)


class Placed(ModelMirror[Any]):
    """Says in which documents its rows are."""

    def get_room_names(self, instance: Any) -> Sequence[str]:
        return ["first"]

    def get_queryset(self, room_name: str) -> QuerySet[Any] | None:
        return None


def declare(model: type[Model] = Task, /, **attributes: Any) -> None:
    """Register a mirror with these attributes."""
    register(model)(type("TheMirror", (Placed,), attributes))


def test_a_mirror_that_is_right() -> None:
    declare(
        fields=["id", "title", "body", "labels", "board_id", "get_state_display"],
        writable_fields=["title", "body", "labels"],
        text_fields=["title", "body"],
    )
    assert found() == []


# Rooms and names.


@pytest.mark.parametrize("method", ["get_room_names", "get_queryset"])
def test_a_mirror_that_does_not_say_where_its_rows_are(method: str) -> None:
    declare(fields=("id",), **{method: getattr(ModelMirror, method)})
    message = the_one()
    assert message.id == "collab.E007"
    assert message.msg.endswith(f"TheMirror does not override {method}().")
    assert message.obj is type(options.mirrors()[0])


@pytest.mark.parametrize("name", ["x" * 256, 5])
def test_a_map_name_that_cannot_be_kept(name: object) -> None:
    declare(fields=("id",), map_name=name)
    message = the_one()
    assert message.id == "collab.E008"
    assert "not a text of at most 255 characters" in message.msg


def test_a_map_name_of_the_greatest_length() -> None:
    declare(fields=("id",), map_name="x" * 255)
    declare(fields=("id",), map_name="y" * 255)
    assert found() == []


@pytest.mark.parametrize("name", ["", "tasks"])
def test_two_mirrors_of_one_map(name: str) -> None:
    declare(fields=("id",), map_name=name)
    declare(fields=("title",), map_name=name)
    assert [message.id for message in found()] == ["collab.E008"] * 2
    assert f"the map_name {name or 'rows.task'!r}, as another one" in found()[0].msg


def test_mirrors_of_two_models_in_one_map() -> None:
    declare(Task, fields=("id",), map_name="rows")
    declare(Board, fields=("id",), map_name="rows")
    assert {message.id for message in found()} == {"collab.E008"}


# Fields.


LISTS = ["fields", "writable_fields", "text_fields", "depends_on"]


@pytest.mark.parametrize("attribute", LISTS)
@pytest.mark.parametrize("value", ["title", ("title", 5), None, Task])
def test_a_list_of_fields_that_is_none(attribute: str, value: object) -> None:
    attributes: dict[str, Any] = {"fields": ("title",), attribute: value}
    declare(**attributes)
    message = the_one()
    assert message.id == "collab.E009"
    assert f"has {attribute} that are not a list of names: {value!r}" in message.msg


@pytest.mark.parametrize(
    ("attribute", "name", "hint"),
    [
        ("fields", "titel", "Did you mean 'title'?"),
        ("writable_fields", "titel", "Did you mean 'title'?"),
        ("writable_fields", "done", "There are title, body."),
        ("text_fields", "boddy", "Did you mean 'body'?"),
    ],
)
def test_a_field_that_there_is_not(attribute: str, name: str, hint: str) -> None:
    attributes: dict[str, Any] = {"fields": ("title", "body")}
    declare(**attributes | {attribute: (name, "title")})
    message = the_one()
    assert (message.id, message.hint) == ("collab.E009", hint)
    assert repr(name) in message.msg


@pytest.mark.parametrize("path", ["bord", "title", "board__nothing", "board__name"])
def test_a_relation_that_there_is_not(path: str) -> None:
    declare(fields=("title",), depends_on=("board", path))
    message = the_one()
    assert message.id == "collab.E009"
    assert f"has {path!r} in depends_on: Task has no relation {path!r}." in message.msg


# Serializers.


class TaskSerializer(serializers.ModelSerializer[Any]):
    nothing = serializers.CharField(write_only=True)
    board_name = serializers.CharField(source="board.name")
    labels: Any = serializers.StringRelatedField(many=True)
    everything = serializers.JSONField(source="*")
    number = serializers.SerializerMethodField()

    class Meta:
        model = Task
        fields: ClassVar = [
            *("id", "title", "done", "body", "estimate"),
            *("nothing", "board_name", "labels", "everything", "number"),
        ]
        read_only_fields: ClassVar = ["done"]

    def get_number(self, task: Task) -> int:
        return 1


def test_a_serializer_that_is_right() -> None:
    declare(
        serializer_class=TaskSerializer,
        writable_fields=("title", "body", "estimate"),
        text_fields=("body",),
    )
    assert found() == []


@pytest.mark.parametrize("sources", [{}, {"fields": ("id",), "serializer_class": TaskSerializer}])
def test_a_mirror_with_no_or_with_two_sources_of_its_fields(sources: dict[str, Any]) -> None:
    declare(**sources)
    assert the_one().id == "collab.E010"


def test_a_serializer_for_each_room_needs_no_other() -> None:
    def get_serializer_class(self: Any, room_name: str) -> type[Any]:
        return TaskSerializer

    declare(get_serializer_class=get_serializer_class, writable_fields=("title",))
    assert found() == []


class Plain(serializers.Serializer[Any]):
    title = serializers.CharField()


class OfLabels(serializers.ModelSerializer[Any]):
    class Meta:
        model = Label
        fields = "__all__"


class OfNothing(serializers.ModelSerializer[Any]):
    pass


@pytest.mark.parametrize(
    ("serializer", "problem"),
    [
        (Plain, "not a ModelSerializer"),
        (TaskSerializer(), "not a ModelSerializer"),
        (OfLabels, "OfLabels, which is not for its model"),
        (OfNothing, "OfNothing, which is not for its model"),
    ],
)
def test_a_serializer_of_another_kind(serializer: Any, problem: str) -> None:
    declare(serializer_class=serializer)
    message = the_one()
    assert message.id == "collab.E011"
    assert problem in message.msg


class Listless(serializers.ModelSerializer[Any]):
    class Meta:
        model = Task


class Misspelled(serializers.ModelSerializer[Any]):
    class Meta:
        model = Task
        fields = ("titel",)


@pytest.mark.parametrize(
    ("serializer", "hint"), [(Listless, "'fields' attribute"), (Misspelled, "`titel`")]
)
def test_a_serializer_that_does_not_work(serializer: Any, hint: str) -> None:
    declare(serializer_class=serializer, writable_fields=("title",))
    message = the_one()
    assert message.id == "collab.E011"
    assert message.hint is not None and hint in message.hint


# What clients may change.


@pytest.mark.parametrize("name", ["done", "labels", "number"])
def test_a_writable_field_that_is_read_only_in_the_serializer(name: str) -> None:
    declare(serializer_class=TaskSerializer, writable_fields=("title", name))
    message = the_one()
    assert message.id == "collab.E012"
    assert f"{name!r} in writable_fields, which is read-only in the serializer" in message.msg


def test_a_primary_key_that_is_writable() -> None:
    declare(fields=("id", "title"), writable_fields=("id",))
    assert the_one().id == "collab.E012"


class Nesting(serializers.ModelSerializer[Any]):
    class Labels(serializers.ModelSerializer[Any]):
        class Meta:
            model = Label
            fields = ("name",)

    labels = Labels(many=True)

    class Meta:
        model = Task
        fields = ("title", "labels")


@pytest.mark.parametrize(
    ("serializer", "name"),
    [(Nesting, "labels"), (TaskSerializer, "board_name"), (TaskSerializer, "everything")],
)
def test_a_writable_field_of_another_row(serializer: type[Any], name: str) -> None:
    declare(serializer_class=serializer, writable_fields=(name,))
    message = the_one()
    assert message.id == "collab.E012"
    assert "is not a column of the row itself" in message.msg
    assert message.hint is not None
    assert ("PrimaryKeyRelatedField" in message.hint) == (serializer is Nesting)


class ByKey(Nesting):
    label_ids = serializers.PrimaryKeyRelatedField[Label](
        source="labels", many=True, queryset=Label.objects.all()
    )

    class Meta:
        model = Task
        fields = ("title", "labels", "label_ids")


def test_rows_that_are_shown_nested_can_be_written_by_their_keys() -> None:
    declare(serializer_class=ByKey, writable_fields=("labels",))
    message = the_one()
    assert message.hint is not None
    assert message.hint.endswith(
        "Or let clients choose by key: add labels_ids = PrimaryKeyRelatedField("
        'source="labels", many=True, queryset=Label.objects.all()) to the serializer and its'
        " Meta.fields, and list 'labels_ids' in writable_fields."
    )


def test_keys_of_rows_that_are_shown_nested_are_writable() -> None:
    declare(serializer_class=ByKey, writable_fields=("label_ids",))
    assert found() == []


@pytest.mark.parametrize("name", ["estimate", "number", "labels"])
def test_a_text_field_that_is_no_text(name: str) -> None:
    declare(serializer_class=TaskSerializer, text_fields=("body", name))
    message = the_one()
    assert message.id == "collab.E013"
    assert repr(name) in message.msg


def test_a_field_that_is_not_shown_cannot_be_written() -> None:
    declare(serializer_class=TaskSerializer, writable_fields=("nothing",))
    assert the_one().id == "collab.E009"


# What owners see.


class Shared(OwnRowsMirror[Any]):
    """Says in which documents its rows are."""

    def get_shared_room_names(self, instance: Any) -> Sequence[str]:
        return ["first"]

    def get_shared_queryset(self, room_name: str) -> QuerySet[Any] | None:
        return None


def declare_own(**attributes: Any) -> None:
    """Register a mirror of rows that have owners."""
    register(Task)(type("TheMirror", (Shared,), {"fields": ("title",)} | attributes))


def test_a_mirror_for_owners_that_is_right() -> None:
    declare_own(
        own_fields=("body", "done"),
        writable_fields=("title",),
        own_writable_fields=("body", "title"),
        text_fields=("title", "body"),
    )
    declare_own(
        map_name="by serializers",
        fields=(),
        serializer_class=Nesting,
        own_serializer_class=TaskSerializer,
        own_writable_fields=("body",),
    )
    assert found() == []


@pytest.mark.parametrize(
    ("attributes", "id_", "text"),
    [
        ({"get_shared_queryset": OwnRowsMirror.get_shared_queryset}, "E007", "get_shared_queryset"),
        (
            {"get_shared_room_names": OwnRowsMirror.get_shared_room_names},
            "E007",
            "get_shared_room_names",
        ),
        ({"own_fields": "body"}, "E009", "own_fields that are not a list"),
        ({"own_writable_fields": None}, "E009", "own_writable_fields that are not a list"),
        ({"own_fields": ("boddy",)}, "E009", "'boddy'"),
        ({"writable_fields": ("body",), "own_fields": ("body",)}, "E009", "in writable_fields"),
        ({"own_writable_fields": ("body",)}, "E009", "in own_writable_fields"),
        ({"owner_field": "ownr"}, "E009", "owner_field 'ownr'"),
        ({"owner_field": "labels"}, "E009", "owner_field 'labels'"),
        ({"fields": ()}, "E010", "neither fields nor"),
        ({"own_serializer_class": TaskSerializer}, "E010", "both fields and an own_serializer"),
        (
            {"own_serializer_class": TaskSerializer, "fields": (), "own_fields": ("body",)},
            "E010",
            "own_serializer_class",
        ),
        ({"fields": (), "serializer_class": TaskSerializer}, "E010", "none for owners"),
        (
            {"fields": (), "serializer_class": TaskSerializer, "own_serializer_class": OfLabels},
            "E011",
            "has the own_serializer_class OfLabels, which is not for its model",
        ),
        ({"own_fields": ("id",), "own_writable_fields": ("id",)}, "E012", "own_writable_fields"),
        ({"own_fields": ("done",), "text_fields": ("done",)}, "E013", "'done'"),
        ({"own_writable_fields": ("title",), "can_create": True}, "E014", "no 'board'"),
    ],
)
def test_a_mirror_for_owners_that_cannot_work(
    attributes: dict[str, Any], id_: str, text: str
) -> None:
    declare_own(**attributes)
    messages = found()
    assert [message.id for message in messages if text in message.msg] == [f"collab.{id_}"]


# What a new row needs.


def test_new_rows_that_would_lack_something() -> None:
    declare(fields=("board", "title"), writable_fields=("title",), can_create=True)
    message = the_one()
    assert message.id == "collab.E014"
    assert message.msg.endswith("has can_create, but new rows would have no 'board'.")


def test_new_rows_that_clients_write_completely() -> None:
    declare(fields=("board", "title"), writable_fields=("board", "title"), can_create=True)
    assert found() == []


def test_new_rows_that_begin_with_what_clients_do_not_write() -> None:
    def get_initial(self: Any, room_name: str, user: Any) -> dict[str, Any]:
        return {"board_id": 1}

    declare(fields=("title",), writable_fields=(), can_create=True, get_initial=get_initial)
    assert found() == []


def test_clients_draw_the_uuids_of_new_rows() -> None:
    declare(Drawn, fields=("id",), can_create=True)
    assert found() == []


# Setting up.


@pytest.mark.parametrize("attributes", [{"fields": ("titel",)}, {"depends_on": ("bord",)}])
def test_a_wrong_mirror_does_not_keep_the_project_from_being_checked(
    attributes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "room_watchers", [])
    declare(**{"fields": ("title",), **attributes})
    apps.get_app_config("collab_mirror").ready()
    assert the_one().id == "collab.E009"
    assert not is_sound(options.mirrors()[0])


# Installation.


def test_an_app_with_mirrors_needs_the_app_of_mirrors(settings: Any) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "collab.mirror"]
    message = the_one()
    assert message.id == "collab.E006"
    assert message.msg.startswith("tests.rows.mirrors ")
    assert message.hint is not None and '"collab.mirror"' in message.hint


class Missing(MetaPathFinder):
    """Makes one module one that is not installed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == self.name:
            raise ModuleNotFoundError(name=fullname)


@pytest.mark.parametrize(
    ("missing", "error"),
    [("rest_framework", ImproperlyConfigured), ("rest_framework.utils", ModuleNotFoundError)],
)
def test_django_rest_framework_is_not_installed(
    missing: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.startswith(("rest_framework", "collab.mirror")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(missing), *sys.meta_path])
    with pytest.raises(error) as failure:
        import_module("collab.mirror")
    assert ("django-collab[rows]" in str(failure.value)) == (error is ImproperlyConfigured)


# Admin.


class PlainInline(StackedInline):  # type: ignore[type-arg]
    model = Task


class SoundInline(MirroredTabularInline):
    model = Task


class PlainAdmin(ModelAdmin):  # type: ignore[type-arg]
    inlines: ClassVar = [PlainInline, SoundInline]


@pytest.mark.parametrize("is_installed", [True, False])
def test_pages_of_the_admin_that_save_whole_rows(settings: Any, is_installed: bool) -> None:
    if not is_installed:
        settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if "admin" not in app]
    site = AdminSite("other")
    site.register(Task, PlainAdmin)
    site.register(Board, MirroredModelAdmin)
    # Projects that show users need not replace Django's own page of them.
    site.register(User, UserAdmin)
    declare(fields=("title",))
    declare(User, fields=("username",), map_name="users")
    messages = [message for message in found() if message.id == "collab.W020"]
    hints = [message.hint for message in messages]
    assert hints == [
        f"Derive it from collab.mirror.writers.admin.Mirrored{base}."
        for base in ("ModelAdmin", "StackedInline")
    ] * int(is_installed)
    # Django lists the site until the garbage collector has found it.
    site.unregister([Task, Board, User])
