"""Requests of clients overwrite nothing that they have not sent, or not read (I17)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from rest_framework.generics import ListAPIView, RetrieveUpdateAPIView
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from collab.mirror.writers.rest import ETagMixin, MirroredSerializerMixin
from tests.mirror.databases import kept_in, on_both
from tests.rows.models import Board, Label, Task

pytestmark = on_both


@pytest.fixture(autouse=True)
def _database(using: str) -> Iterator[None]:
    with kept_in(using):
        yield


class TaskSerializer(MirroredSerializerMixin):
    class Meta:
        model = Task
        fields: ClassVar = ["id", "title", "done", "body", "labels"]


class StrictSerializer(TaskSerializer):
    requires_match = True


class TaskView(ETagMixin, RetrieveUpdateAPIView):  # type: ignore[type-arg]
    authentication_classes = ()
    queryset = Task.objects.all()
    serializer_class = TaskSerializer


class TasksView(ETagMixin, ListAPIView):  # type: ignore[type-arg]
    authentication_classes = ()
    queryset = Task.objects.all()
    serializer_class = TaskSerializer


@pytest.fixture
def task(_database: None) -> Task:
    return Task.objects.create(board=Board.objects.create(), title="one", body="text")


def call(task: Task, method: str, data: Any = None, view: Any = None, **headers: str) -> Response:
    request = getattr(APIRequestFactory(), method)("/", data, format="json", headers=headers)
    answer: Response = (view or TaskView.as_view())(request, pk=task.pk)
    return answer


def test_fields_that_are_not_sent_are_left_alone(task: Task, monkeypatch: Any) -> None:
    get_object = TaskView.get_object

    def get_stale(self: TaskView) -> Any:
        found = get_object(self)
        Task.objects.update(done=True)
        return found

    monkeypatch.setattr(TaskView, "get_object", get_stale)
    label = Label.objects.create(name="l")
    assert call(task, "patch", {"title": "two", "labels": [label.pk]}).status_code == 200
    task.refresh_from_db()
    assert (task.title, task.done, list(task.labels.all())) == ("two", True, [label])


def test_a_version_that_is_not_the_present_one_is_refused(task: Task) -> None:
    whole = call(task, "get")
    Task.objects.update(body="theirs")
    refused = call(task, "put", whole.data | {"title": "two"}, **{"If-Match": whole["ETag"]})
    assert refused.status_code == 412
    assert "ETag" not in refused
    again = call(task, "get")
    assert again["ETag"] != whole["ETag"]
    saved = call(task, "put", again.data | {"title": "two"}, **{"If-Match": again["ETag"]})
    assert saved.status_code == 200
    assert saved["ETag"] == call(task, "get")["ETag"]
    task.refresh_from_db()
    assert (task.title, task.body) == ("two", "theirs")


def test_any_version_is_matched_by_an_asterisk(task: Task) -> None:
    assert call(task, "patch", {"title": "two"}, **{"If-Match": "*"}).status_code == 200


def test_a_version_may_be_required_of_whole_rows(task: Task) -> None:
    view = TaskView.as_view(serializer_class=StrictSerializer)
    data = call(task, "get").data
    assert call(task, "put", data, view).status_code == 428
    assert call(task, "patch", {"title": "two"}, view).status_code == 200
    etag = call(task, "get", view=view)["ETag"]
    assert call(task, "put", data, view, **{"If-Match": etag}).status_code == 200


def test_lists_have_no_version(task: Task) -> None:
    assert "ETag" not in TasksView.as_view()(APIRequestFactory().get("/"))


def test_a_serializer_may_be_used_without_a_request(task: Task) -> None:
    serializer = StrictSerializer(task, data={"title": "two"}, partial=True)
    serializer.is_valid(raise_exception=True)
    serializer.save()
    assert Task.objects.get().title == "two"
