"""Automatic versions: at compaction, when a room empties, before a rewrite."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from channels.routing import URLRouter
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.test import override_settings
from django.urls import path
from django.utils import timezone
from pycrdt import Text

from collab import documents, history
from collab.conf import get_storage
from collab.engine.storing.document_store import rest_watchers
from collab.history import VersionKind
from collab.history.keeping.automatic import keep_at_rest, keep_before, start_keeping
from collab.testing import close_rooms, connect, use_memory_storage
from collab_storage.base import Storage
from collab_storage.memory import MemoryStorage
from tests.collab.test_commands import run
from tests.documents.test_operations import Consumer
from tests.harness.waiting import until
from tests.projects.documents import Archived

from .material import letters, write

application = URLRouter([path("ws/<path:room>", Consumer.as_asgi())])
NAME = "archived/a"


@pytest.fixture
def memory() -> Iterator[None]:
    with use_memory_storage():
        yield


@pytest.fixture
def hourly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Archived, "history", documents.History(every=3600))


def kinds(name: str = NAME) -> list[str]:
    return [version.kind for version in history.versions(name)]


def storage() -> MemoryStorage:
    found = get_storage()
    assert isinstance(found, MemoryStorage)
    return found


def kept_versions(name: str = NAME) -> list[str]:
    """Return the kinds of versions, the oldest first, without waiting."""
    document = storage()._documents.get(name)
    return [version.kind for version in document.versions] if document else []


@contextmanager
def served(**settings: object) -> Iterator[None]:
    with override_settings(
        COLLAB={"STORAGE": {"BACKEND": "collab_storage.memory.MemoryStorage"}, **settings}
    ):
        yield


# When.

opens_rooms = pytest.mark.django_db(transaction=True)


@opens_rooms
async def test_a_version_is_made_when_a_room_empties() -> None:
    with served(UNLOAD_DELAY=0.01):
        async with connect(application, f"/ws/{NAME}") as client:
            client.doc.get("text", type=Text).insert(0, "one")
            await client.wait_saved()
        await until(lambda: kept_versions() == ["auto"])
        async with connect(application, f"/ws/{NAME}"):
            pass
        await close_rooms()
        assert kept_versions() == ["auto"]


@opens_rooms
async def test_a_version_is_made_when_a_document_is_compacted() -> None:
    with served(UNLOAD_DELAY=60, COMPACT_AFTER=2, WRITE_DELAY=0):
        async with connect(application, f"/ws/{NAME}") as client:
            for letter in "abc":
                client.doc.get("text", type=Text).insert(0, letter)
                await client.wait_saved()
            await until(kept_versions)
        await close_rooms()


async def test_documents_without_a_policy_get_no_versions() -> None:
    with served(UNLOAD_DELAY=0.01):
        for name in ("plain", "unknown"):
            async with documents.aedit(name) as doc:
                doc.get("text", type=Text).insert(0, "one")
            await keep_at_rest(name)
            await keep_before(name, VersionKind.IMPORT)
            assert await history.aversions(name) == []


@opens_rooms
async def test_a_failure_is_logged_and_harms_no_user(
    memory: None, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    async def fail(name: str) -> None:
        raise ZeroDivisionError

    rest_watchers.insert(0, fail)
    request.addfinalizer(lambda: rest_watchers.remove(fail))
    with served(UNLOAD_DELAY=0.01), caplog.at_level(logging.ERROR, "collab.hub"):
        async with connect(application, f"/ws/{NAME}") as client:
            client.doc.get("text", type=Text).insert(0, "one")
            await client.wait_saved()
        await until(lambda: "could not be kept" in caplog.text)
        assert await documents.aexists(NAME)
    await close_rooms()


async def test_documents_that_are_gone_get_no_version(memory: None) -> None:
    await keep_at_rest(NAME)
    await keep_before(NAME, VersionKind.IMPORT)
    assert not await documents.aexists(NAME)


async def test_versions_are_made_no_more_often_than_the_policy_says(
    memory: None, hourly: None
) -> None:
    for text in ("one", "two"):
        async with documents.aedit(NAME) as doc:
            doc.get("text", type=Text).insert(0, text)
        await keep_at_rest(NAME)
    assert len(await history.aversions(NAME)) == 1


async def test_a_version_of_a_clock_that_was_ahead_keeps_no_others_from_being_made(
    memory: None, hourly: None
) -> None:
    async with documents.aedit(NAME) as doc:
        doc.get("text", type=Text).insert(0, "one")
    old = await history.acreate(NAME)
    ahead = replace(old, at=old.at + timedelta(days=365))
    storage()._documents[NAME].versions[:] = [ahead]
    async with documents.aedit(NAME) as doc:
        doc.get("text", type=Text).insert(0, "two")
    await keep_at_rest(NAME)
    assert len(await history.aversions(NAME)) == 2


async def test_versions_are_thinned_out_with_each_new_one(memory: None) -> None:
    async with documents.aedit(NAME) as doc:
        doc.get("text", type=Text).insert(0, "one")
    old = await history.acreate(NAME)
    storage()._documents[NAME].versions[:] = [
        replace(old, id=-number, at=old.at - timedelta(days=700, minutes=number))
        for number in (2, 1)
    ]
    async with documents.aedit(NAME) as doc:
        doc.get("text", type=Text).insert(0, "two")
    await keep_at_rest(NAME)
    ages = [datetime.now(UTC) - version.at for version in await history.aversions(NAME)]
    assert [age.days for age in ages] == [0, 700]


def test_watching_begins_once() -> None:
    before = [*rest_watchers]
    start_keeping()
    assert rest_watchers == before


class PlainStorage(Storage):
    """A storage that does not keep versions; none of its verbs is called."""

    load = create = append = replace = delete = rename = exists = marks = page = None  # type: ignore


def test_a_storage_without_versions_says_so() -> None:
    backend = f"{__name__}.PlainStorage"
    with override_settings(COLLAB={"STORAGE": {"BACKEND": backend}}):
        with pytest.raises(history.NoHistory, match="PlainStorage"):
            history.versions(NAME)
        assert history.prune(NAME) == 0


# Before a rewrite.


@pytest.mark.django_db
def test_a_version_is_made_before_the_content_is_replaced(memory: None) -> None:
    user = User.objects.create(username="ann")
    documents.replace(NAME, text="one", user=user)
    assert kinds() == []
    documents.replace(NAME, text="one and two", user=user)
    documents.replace(NAME, text="one and two", user=user)
    [version] = history.versions(NAME)
    assert (version.kind, version.made_by) == (VersionKind.REPLACE, str(user.pk))
    assert letters(history.read(NAME, version.id)) == "one"


@pytest.mark.django_db
def test_a_version_is_made_before_a_program_edits_the_content(memory: None) -> None:
    user = User.objects.create(username="ann")
    documents.replace(NAME, text="one and two")
    documents.edit_text(NAME, "two", "three", user=user)
    [version] = history.versions(NAME)
    assert (version.kind, version.made_by) == (VersionKind.REPLACE, str(user.pk))
    assert letters(history.read(NAME, version.id)) == "one and two"


def test_a_version_is_made_before_an_import(memory: None, tmp_path: Path) -> None:
    file = tmp_path / "new.txt"
    file.write_text("new")
    run("collab_import", NAME, file)
    assert kinds() == []
    file.write_text("newer")
    run("collab_import", NAME, file, "--replace")
    assert kinds() == ["import"]


# Commands.


@pytest.mark.usefixtures("memory")
class TestCommand:
    def test_versions_are_made_listed_and_restored(self) -> None:
        write(NAME, "one")
        assert "is the version of" in run("collab_versions", "create", NAME, "--title", "Fi\nrst")
        write(NAME, " two")
        run("collab_versions", "create", NAME)
        second, first = run("collab_versions", "list", NAME).splitlines()
        assert "auto" in second and "named" in first and "Fi\\nrst" in first
        undo = run("collab_versions", "restore", NAME, first.split()[0])
        assert letters(documents.read(NAME)) == "one"
        run(*undo.rpartition(": ")[2].replace("'", "").split())
        assert letters(documents.read(NAME)) == "one two"

    def test_times_are_in_the_time_zone_of_the_project(self) -> None:
        write(NAME, "one")
        at = history.create(NAME).at.astimezone(UTC)
        with timezone.override("Etc/GMT-14"):
            shown = run("collab_versions", "list", NAME)
        assert f"{at + timedelta(hours=14):%Y-%m-%d %H:%M:%S}" in shown

    def test_errors_are_reported(self) -> None:
        write(NAME, "one")
        with pytest.raises(CommandError, match="no version 7"):
            run("collab_versions", "restore", NAME, 7)
        with pytest.raises(CommandError, match="no document"):
            run("collab_versions", "create", "nothing")
        for action in ("list", "prune"):
            with pytest.raises(CommandError, match="no document 'nothing'"):
                run("collab_versions", action, "nothing")

    def test_pruning_follows_the_policies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        policy = documents.History(max_age=timedelta(days=1))
        monkeypatch.setattr(Archived, "history", policy)
        for name in (NAME, "archived/b", "plain"):
            write(name, "one")
            history.create(name)
            age(name)
        assert "1 versions of 1 " in run("collab_versions", "prune", NAME)
        assert "1 versions of 2 " in run("collab_versions", "prune", "--prefix", "archived/")
        assert run("collab_versions", "prune", verbosity=0) == ""
        assert [len(history.versions(name)) for name in (NAME, "plain")] == [0, 1]
        assert history.prune("plain", policy) == 1

    def test_compaction_makes_versions(self) -> None:
        write(NAME, "one")
        run("collab_compact", NAME)
        assert kinds() == ["auto"]


def age(name: str) -> None:
    """Make the versions of a document older than the policy of the test keeps them."""
    versions = storage()._documents[name].versions
    versions[:] = [replace(version, at=version.at - timedelta(days=900)) for version in versions]
