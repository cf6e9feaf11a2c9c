"""A user's changes of a row are saved, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DataError, OperationalError, ProgrammingError, connection
from django.db.models import Model, ProtectedError, QuerySet
from django.db.models.signals import post_save, pre_delete, pre_save
from rest_framework import exceptions as rest
from rest_framework import serializers

from collab.mirror import ModelMirror, current_user
from collab.mirror.incoming.saving import ROW, Problem, Refused, Saving
from collab.mirror.retry import is_outage
from collab.mirror.rows.values import Odd
from collab_storage.exceptions import StorageUnavailable
from tests.rows.mirrors import NoteMirror, TaskMirror
from tests.rows.models import Board, Note, Task

pytestmark = pytest.mark.django_db

ANN = User(pk=1, username="ann")
NOT_SAVED = Problem(500, ("The server cannot save this.",))


@pytest.fixture
def board(db: None) -> Board:
    return Board.objects.create(name="b")


@pytest.fixture
def task(board: Board) -> Task:
    return Task.objects.create(board=board, title="one", body="text")


def saving(mirror: ModelMirror[Any] | None = None, **options: Any) -> Saving:
    room = f"board-{Board.objects.get().pk}"
    return Saving(mirror or TaskMirror(Task), room, ANN, **options)


def with_serializer(serializer: type[serializers.ModelSerializer[Any]]) -> ModelMirror[Any]:
    class Mirror(TaskMirror):
        serializer_class = serializer

    return Mirror(Task)


class TaskSerializer(serializers.ModelSerializer[Task]):
    class Meta:
        model = Task
        fields: Sequence[str] = TaskMirror.fields


def raising(error: Exception) -> Callable[..., None]:
    def handle(**kwargs: Any) -> None:
        raise error

    return handle


def problem_of(problems: Mapping[str, Problem], name: str) -> tuple[int, list[str]]:
    return problems[name].status, list(problems[name].reasons)


def test_valid_fields_are_saved_and_the_others_are_not(task: Task) -> None:
    changes = {"title": "x" * 101, "done": True, "position": "?", "id": 5, "due": Odd.MISSING}
    problems = saving().update(task, changes)
    assert problems.keys() == {"title", "position", "id", "due"}
    task.refresh_from_db()
    assert (task.title, task.done) == ("one", True)


def test_fields_that_contradict_each_other_are_all_refused(task: Task) -> None:
    class Serializer(TaskSerializer):
        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            if attrs.get("done") and attrs.get("state") == "open":
                raise serializers.ValidationError("Either done or open.")
            return attrs

    changes = {"done": True, "state": "open", "position": "?"}
    problems = saving(with_serializer(Serializer)).update(task, changes)
    assert problem_of(problems, "done") == problem_of(problems, "state")
    assert problem_of(problems, "done") == (400, ["Either done or open."])
    assert problems["position"] != problems["done"]


def test_permission_is_checked_with_valid_values(task: Task) -> None:
    asked = []

    class Mirror(TaskMirror):
        def has_write_permission(
            self, user: Any, instance: Task, changes: Mapping[str, Any]
        ) -> bool:
            asked.append((user, instance.title, dict(changes)))
            return False

    changes = {"title": " two ", "position": "3"}
    problems = saving(Mirror(Task)).update(task, changes)
    assert asked == [(ANN, "one", {"title": "two", "position": 3})]
    assert problem_of(problems, "title") == (403, ["You may not do this."])


def test_fields_of_other_names_than_the_models_are_saved(task: Task) -> None:
    class Serializer(TaskSerializer):
        name = serializers.CharField(source="title")

        class Meta(TaskSerializer.Meta):
            fields = ("name", "done")

    class Mirror(TaskMirror):
        serializer_class = Serializer
        writable_fields = ("name",)
        text_fields = ()

        def has_write_permission(self, user: Any, instance: Task, changes: Any) -> bool:
            return bool(changes == {"name": "two"})

    assert saving(Mirror(Task)).update(task, {"name": "two"}) == {}
    task.refresh_from_db()
    assert task.title == "two"


def test_a_serializer_that_saves_in_its_own_way_does_so(task: Task) -> None:
    class Serializer(TaskSerializer):
        def update(self, instance: Task, validated_data: dict[str, Any]) -> Task:
            instance.title = validated_data["title"] + "!"
            instance.save()
            return instance

    assert saving(with_serializer(Serializer)).update(task, {"title": "two"}) == {}
    task.refresh_from_db()
    assert task.title == "two!"


def test_an_attribute_that_is_no_field_of_the_model_is_set_before_all_is_saved(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shout(task: Task, word: str) -> None:
        task.title = word.upper()

    monkeypatch.setattr(Task, "word", property(lambda task: "", shout), raising=False)

    class Serializer(TaskSerializer):
        word = serializers.CharField()

        class Meta(TaskSerializer.Meta):
            fields = ("word",)

    class Mirror(TaskMirror):
        serializer_class = Serializer
        writable_fields = ("word",)
        text_fields = ()

    assert saving(Mirror(Task)).update(task, {"word": "two"}) == {}
    task.refresh_from_db()
    assert task.title == "TWO"


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ValidationError("No."), Problem(400, ("No.",))),
        (ValidationError({"title": ["No."]}), Problem(400, ("No.",))),
        (
            rest.ValidationError({"title": {"a": ["No.", "Never."]}}),
            Problem(400, ("No.", "Never.")),
        ),
        (rest.ValidationError(["No."]), Problem(400, ("No.",))),
        (PermissionDenied("secret"), Problem(403, ("You may not do this.",))),
        (rest.PermissionDenied("secret"), Problem(403, ("You may not do this.",))),
        (DataError("secret"), Problem(400, ("This contradicts other data.",))),
        (ProgrammingError("secret"), NOT_SAVED),
        (OperationalError("secret"), NOT_SAVED),
    ],
)
def test_errors_of_saving_are_reported_without_secrets(
    task: Task, error: Exception, problem: Problem
) -> None:
    handler = raising(error)
    pre_save.connect(handler, sender=Task)
    try:
        problems = saving().update(task, {"title": "two"})
    finally:
        pre_save.disconnect(handler, sender=Task)
    assert problems == {"title": problem}
    task.refresh_from_db()
    assert task.title == "one"


def test_a_fault_of_the_projects_code_is_logged(
    task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    handler = raising(LookupError("secret"))
    post_save.connect(handler, sender=Task)
    try:
        problems = saving().update(task, {"title": "two"})
    finally:
        post_save.disconnect(handler, sender=Task)
    assert problems == {"title": NOT_SAVED}
    assert "Row could not be saved" in caplog.text
    assert current_user() is None
    task.refresh_from_db()
    assert task.title == "one"


@pytest.mark.parametrize("error", [OperationalError("deadlock"), StorageUnavailable("away")])
def test_temporary_errors_are_raised_to_callers_that_retry(task: Task, error: Exception) -> None:
    assert is_outage(error)
    handler = raising(error)
    pre_save.connect(handler, sender=Task)
    try:
        with pytest.raises(type(error)):
            saving(patient=True).update(task, {"title": "two"})
    finally:
        pre_save.disconnect(handler, sender=Task)


def test_a_text_keeps_its_spaces(task: Task) -> None:
    assert saving().update(task, {"body": "a word ", "title": "a word "}) == {}
    task.refresh_from_db()
    assert (task.body, task.title) == ("a word ", "a word")


def test_a_row_that_others_need_is_not_deleted(board: Board) -> None:
    note = Note.objects.create(board=board, text="a")

    class Mirror(NoteMirror):
        can_delete = True

    handler = raising(ProtectedError("secret", {note}))
    pre_delete.connect(handler, sender=Note)
    try:
        with pytest.raises(Refused) as refused:
            saving(Mirror(Note)).delete(note)
    finally:
        pre_delete.disconnect(handler, sender=Note)
    assert refused.value.problems == {ROW: Problem(400, ("Other rows depend on this one.",))}
    assert Note.objects.exists()


def test_a_row_is_not_deleted_without_permission(board: Board) -> None:
    note = Note.objects.create(board=board, text="a")

    class Mirror(NoteMirror):
        can_delete = True

        def has_write_permission(self, user: Any, instance: Model, changes: Any) -> bool:
            return bool(changes)

    for mirror, reason in (
        (NoteMirror(Note), "You may not remove rows."),
        (Mirror(Note), "You may not do this."),
    ):
        with pytest.raises(Refused) as refused:
            saving(mirror).delete(note)
        assert refused.value.problems == {ROW: Problem(403, (reason,))}


def test_a_row_that_would_be_elsewhere_is_not_created(board: Board) -> None:
    elsewhere = Board.objects.create(name="elsewhere")

    class Mirror(NoteMirror):
        def get_initial(self, room_name: str, user: Any) -> dict[str, Any]:
            return {"board": elsewhere}

    class Homeless(Mirror):
        def get_queryset(self, room_name: str) -> QuerySet[Note] | None:
            return None

    for mirror in (Mirror(Note), Homeless(Note)):
        with pytest.raises(Refused) as refused:
            Saving(mirror, f"board-{board.pk}", ANN).create(str(uuid4()), {"text": "a"}, {})
        assert problem_of(refused.value.problems, ROW) == (
            403,
            ["The new row does not belong here."],
        )
    assert not Note.objects.exists()


def test_rows_are_not_added_where_that_is_not_allowed(board: Board) -> None:
    class Mirror(NoteMirror):
        can_create = False

    with pytest.raises(Refused) as refused:
        saving(Mirror(Note)).create(str(uuid4()), {"text": "a"}, {})
    assert problem_of(refused.value.problems, ROW) == (403, ["You may not add rows."])


def test_hidden_fields_fill_themselves(board: Board) -> None:
    class Serializer(TaskSerializer):
        state = serializers.HiddenField(default="done")

    row, problems = saving(with_serializer(Serializer)).create(str(uuid4()), {"title": "new"}, {})
    assert problems == {}
    assert Task.objects.get(pk=row.pk).state == "done"


def test_all_queries_are_of_the_change_alone(
    task: Task, django_assert_max_num_queries: Any
) -> None:
    mirror = saving()
    with django_assert_max_num_queries(3) as queries:
        mirror.update(task, {"title": "two"})
    updates = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert len(updates) == 1
    assert '"position"' not in updates[0]
    assert connection.in_atomic_block


def test_values_that_others_may_not_change_are_left_out_of_a_new_row(board: Board) -> None:
    class Mirror(TaskMirror):
        def has_write_permission(self, user: Any, instance: Task, changes: Any) -> bool:
            return bool(user is ANN)

    saving = Saving(Mirror(Task), f"board-{board.pk}", ANN)
    values = {"title": "new", "position": 3, "done": True}
    row, problems = saving.create(str(uuid4()), values, {"position": User(username="bob")})
    assert (row.title, row.position, row.done) == ("new", 0, True)  # type: ignore[attr-defined]
    assert {name: problem.status for name, problem in problems.items()} == {"position": 403}


# Rows that are shown nested, and fields of new rows.


class OwnerSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("username",)


class OwnedSerializer(serializers.ModelSerializer[Task]):
    owner = OwnerSerializer(read_only=True)
    owner_id = serializers.PrimaryKeyRelatedField[User](
        source="owner", queryset=User.objects.all(), allow_null=True, required=False
    )

    class Meta:
        model = Task
        fields: Sequence[str] = ("title", "board", "owner", "owner_id")


class OwnedMirror(TaskMirror):
    serializer_class = OwnedSerializer
    writable_fields = ("title", "board", "owner_id")


def test_a_row_that_is_shown_nested_is_chosen_by_its_key(task: Task) -> None:
    ann = User.objects.create(username="ann")
    mirror = OwnedMirror(Task)
    assert saving(mirror).update(task, {"owner_id": ann.pk}) == {}
    task.refresh_from_db()
    (values,) = mirror.values([task], "")
    assert (values["owner"], values["owner_id"]) == ({"username": "ann"}, ann.pk)
    problems = saving(mirror).update(task, {"owner": {"username": "bob"}})
    assert problems["owner"].status == 403


def test_no_field_of_a_new_row_is_dropped_without_a_problem(board: Board) -> None:
    other, ann = Board.objects.create(name="other"), User.objects.create(username="ann")
    values = {"title": "new", "board": other.pk, "owner_id": ann.pk, "owner": {"username": "x"}}
    room = f"board-{board.pk}"
    row, problems = Saving(OwnedMirror(Task), room, ANN).create(str(uuid4()), values, {})
    assert isinstance(row, Task)
    assert (row.board, row.owner, row.title) == (board, ann, "new")
    assert {name: problem.status for name, problem in problems.items()} == {
        "board": 403,
        "owner": 403,
    }


def test_a_field_that_the_server_chooses_need_not_be_sent(board: Board) -> None:
    row, problems = saving(OwnedMirror(Task)).create(str(uuid4()), {"title": "new"}, {})
    assert isinstance(row, Task)
    assert (row.board, problems) == (board, {})
