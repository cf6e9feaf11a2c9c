"""The authors of unchecked changes are in the storage's log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from pycrdt import Map, Text

from collab import documents
from collab.conf import get_storage
from collab.engine.hub.working_copies import store_update
from collab.mirror.incoming.attribution import authors
from collab.mirror.incoming.row_edits import Differences
from collab.mirror.incoming.unchecked import unchecked
from collab.mirror.outgoing.writing import reconcile
from collab_storage.base import LogEntry
from collab_storage.compaction import compact
from collab_storage.updates import merge
from tests.mirror.databases import kept_in, on_both
from tests.rows.mirrors import TaskMirror, room_name
from tests.rows.models import Board, Task

NEW = "11111111-1111-4111-8111-111111111111"


class Site:
    """A document with one task, which several people have changed."""

    def __init__(self) -> None:
        self.task = Task.objects.create(board=Board.objects.create(), title="one", body="text")
        self.name = room_name(self.task.board_id)
        self.key = str(self.task.pk)
        self.ann, self.bob = (User.objects.create(username=name) for name in ("ann", "bob"))
        reconcile(self.name)

    def update(self, change: Callable[[Map[Any]], object]) -> bytes:
        """Return what ``change`` makes of the map of tasks, in a client of its own."""
        doc = documents.read(self.name)
        state = doc.get_state()
        change(doc.get("tasks", type=Map))
        return doc.get_update(state)

    def store(self, update: bytes, user: object) -> None:
        async_to_sync(store_update)(self.name, update, user)

    def change(self, user: object, change: Callable[[Map[Any]], object]) -> None:
        self.store(self.update(change), user)

    def set(self, user: object, **values: Any) -> None:
        self.change(
            user, lambda rows: [rows[self.key].__setitem__(*item) for item in values.items()]
        )

    def found(self) -> Differences:
        return unchecked(self.name, [TaskMirror(Task)])

    def authors(self) -> dict[str, dict[str, Any]]:
        """Return who has changed what is not checked, by key and field."""
        return {key: names for (_, key), names in authors(self.name, self.found()).items()}


@on_both
def test_every_author_of_a_change_is_known(using: str) -> None:
    with kept_in(using):
        site = Site()
        site.set(site.ann, title="two", done=True)
        site.set(site.bob, title="three")
        site.change(site.bob, lambda rows: rows[site.key]["body"].insert(0, "more "))
        site.change(site.ann, lambda rows: rows.update({NEW: Map({"title": "new"})}))
        assert site.authors() == {
            site.key: {"title": site.bob, "done": site.ann, "body": site.bob},
            NEW: {"": site.ann},
        }


@on_both
def test_a_row_is_whose_who_has_removed_or_replaced_it(using: str) -> None:
    with kept_in(using):
        site = Site()
        site.set(site.ann, title="two", done=True)
        values = {"title": "three", "body": Text("text")}
        site.change(site.bob, lambda rows: rows.update({site.key: Map(values)}))
        assert set(site.authors()[site.key].values()) == {site.bob}
        site.change(site.ann, lambda rows: rows.pop(site.key))
        assert site.authors() == {site.key: {"": site.ann}}


@on_both
def test_changes_of_the_server_are_not_attributed_to_an_earlier_author(using: str) -> None:
    with kept_in(using):
        site = Site()
        site.change(site.ann, lambda rows: rows[site.key]["body"].insert(0, "more "))
        Task.objects.get().save()
        site.task.body = "text!"
        site.task.save()
        assert site.authors() == {site.key: {"body": site.ann}}


@on_both
def test_an_update_stored_with_rows_first_is_attributed_to_its_sender(using: str) -> None:
    with kept_in(using):
        site = Site()
        before = site.update(lambda rows: rows[site.key].update({"position": 3}))
        doc = documents.read(site.name)
        doc.apply_update(before)
        state = doc.get_state()
        doc.get("tasks", type=Map)[site.key]["title"] = "two"
        typed, state = doc.get_update(state), doc.get_state()
        doc.get("tasks", type=Map)[site.key]["state"] = "done"
        more = doc.get_update(state)
        by_server = site.update(lambda rows: rows[site.key].update({"done": True}))
        site.store(before, site.bob)
        # As rows are written while a member types: its change is in there, and comes once more.
        site.store(merge([typed, by_server]), None)
        site.store(typed, site.ann)
        site.store(more, site.ann)
        of_ann = dict.fromkeys(["title", "state"], site.ann)
        assert site.authors() == {site.key: {**of_ann, "position": site.bob}}


@on_both
def test_changes_of_anonymous_users_are_attributed_to_no_user(using: str) -> None:
    with kept_in(using):
        site = Site()
        site.set(site.ann, title="two", done=True)
        site.set(None, title="three")
        assert site.authors() == {site.key: {"done": site.ann}}


@on_both
def test_changes_of_deleted_users_are_attributed_to_no_user(using: str) -> None:
    with kept_in(using):
        site = Site()
        site.set(site.ann, title="two")
        site.ann.delete()
        entry = LogEntry(
            site.name,
            site.update(lambda rows: rows[site.key].update({"done": True})),
            datetime.now(UTC),
            "guest:7",
        )
        async_to_sync(get_storage().append)([entry])
        assert site.found() == {("tasks", site.key): {"title", "done"}}
        assert site.authors() == {}


@on_both
def test_changes_that_the_log_no_longer_has_are_attributed_to_no_user(using: str) -> None:
    with kept_in(using):
        site = Site()
        site.set(site.ann, title="two")
        async_to_sync(compact)(get_storage(), site.name)
        site.set(site.bob, done=True)
        assert site.authors() == {site.key: {"done": site.bob}}
        found = site.found()
        documents.delete(site.name)
        assert authors(site.name, found) == {}


@pytest.mark.django_db(transaction=True)
def test_a_document_that_cannot_be_read_does_not_hinder_the_check(
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = LogEntry("board-1", b"nonsense", datetime.now(UTC), "7")
    async_to_sync(get_storage().append)([entry])
    assert authors("board-1", {("tasks", "1"): {"title"}}) == {}
    assert "Authors of row edits could not be determined" in caplog.text


def test_no_authors_are_looked_up_if_no_changes_are_found() -> None:
    assert authors("board-1", {}) == {}
