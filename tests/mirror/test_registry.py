"""Defaults of a mirror that declares little, and its errors."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from collab.mirror import ModelMirror
from tests.rows.mirrors import TaskMirror
from tests.rows.models import Note, Task


class Bare(ModelMirror[Note]):
    """Declares nothing."""


def test_mirror_has_to_say_which_rows_are_where() -> None:
    with pytest.raises(NotImplementedError, match=r"Bare needs get_room_names\(\)"):
        Bare(Note).get_room_names(Note())
    with pytest.raises(NotImplementedError, match=r"Bare needs get_queryset\(\)"):
        Bare(Note).get_queryset("room")


def test_mirror_has_a_map_of_its_own_and_permits_writing_to_writers_of_the_document() -> None:
    mirror = Bare(Note)
    assert mirror.map_name == "rows.note"
    assert mirror.has_write_permission(AnonymousUser(), Note(), {})
    assert mirror.get_initial("room", AnonymousUser()) == {}
    assert mirror.paths() == []


def test_rows_come_from_where_they_are_written_unless_the_queryset_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def elsewhere(self: TaskMirror, room_name: str) -> QuerySet[Task]:
        return Task.objects.using("postgres")

    mirror = TaskMirror(Task)
    rows = mirror.rows("board-1")
    assert rows is not None and rows.db == "default"
    monkeypatch.setattr(TaskMirror, "get_queryset", elsewhere)
    rows = mirror.rows("board-1")
    assert rows is not None and rows.db == "postgres"
