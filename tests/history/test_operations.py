"""Versions as server code uses them, with members and without, on each storage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from channels.routing import URLRouter
from django.contrib.auth.models import User
from django.db import transaction
from django.test import override_settings
from django.urls import path
from pycrdt import Text

from collab import documents, history
from collab.conf import get_storage
from collab.exceptions import DocumentNotFound
from collab.history import VersionKind, VersionNotFound
from collab.testing import close_rooms, connect, use_memory_storage
from collab_storage.models import VersionBlob
from collab_storage.subprocesses import run_job
from tests.documents.test_operations import HINDERED, Consumer, type_unstored

from .material import changed, content_of, fill, letters, write

application = URLRouter([path("ws/<str:room>", Consumer.as_asgi())])


@pytest.fixture(params=["orm", "sqlite", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    if request.param == "memory":
        with use_memory_storage():
            yield
        return
    options = {"path": str(tmp_path / "documents.sqlite3")}
    chosen: dict[str, dict[str, Any]] = {
        "orm": {"BACKEND": "collab_storage.orm.ORMStorage"},
        "sqlite": {"BACKEND": "collab_storage.sqlite.SQLiteStorage", "OPTIONS": options},
    }
    with override_settings(COLLAB={"STORAGE": chosen[request.param]}):
        yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("storage")
class TestOnEachStorage:
    def test_a_version_reads_as_the_document_did(self) -> None:
        write("doc", "one")
        version = history.create("doc", "First")
        write("doc", " two")
        assert letters(history.read("doc", version.id)) == "one"
        assert letters(documents.read("doc")) == "one two"
        assert history.versions("doc") == [version]
        assert (version.title, version.kind, version.edits) == ("First", VersionKind.NAMED, 3)

    def test_a_restored_document_has_the_content_of_the_version(self) -> None:
        with documents.edit("doc") as doc:
            fill(doc)
        version = history.create("doc", "First")
        with documents.edit("doc") as doc:
            changed(doc)
        now = content_of(documents.read("doc"))
        before = history.restore("doc", version.id)
        assert content_of(documents.read("doc")) == content_of(history.read("doc", version.id))
        assert (before.kind, before.restored_from) == (VersionKind.RESTORE, version.id)
        history.restore("doc", before.id)
        assert content_of(documents.read("doc")) == now

    def test_versions_are_named_and_deleted(self) -> None:
        write("doc", "one")
        version = history.create("doc")
        assert version.kind == VersionKind.AUTO
        history.rename("doc", version.id, "Name")
        [named] = history.versions("doc", named=True)
        assert (named.title, named.kind) == ("Name", VersionKind.NAMED)
        history.delete("doc", version.id)
        assert history.versions("doc") == []

    def test_a_version_that_is_not_there(self) -> None:
        write("doc", "one")
        calls: list[Callable[[], object]] = [
            lambda: history.read("doc", 7),
            lambda: history.restore("doc", 7),
            lambda: history.rename("doc", 7, "x"),
            lambda: history.delete("doc", 7),
        ]
        for call in calls:
            with pytest.raises(VersionNotFound, match="7 of the document 'doc'"):
                call()

    def test_a_document_that_is_not_there(self) -> None:
        with pytest.raises(DocumentNotFound):
            history.create("doc")
        with pytest.raises(DocumentNotFound):
            history.restore("doc", 7)
        assert history.versions("doc") == []

    def test_an_unchanged_document_gets_no_other_version(self) -> None:
        write("doc", "one")
        version = history.create("doc")
        assert history.create("doc") == version
        assert history.restore("doc", version.id).id == version.id
        [kept] = history.versions("doc")
        assert kept.kind == VersionKind.RESTORE

    def test_versions_go_with_the_document(self) -> None:
        write("doc", "one")
        version = history.create("doc")
        documents.rename("doc", "moved")
        assert history.versions("moved") == [version]
        assert letters(history.read("moved", version.id)) == "one"
        documents.delete("moved")
        assert history.versions("moved") == []

    def test_versions_are_chosen_by_time(self) -> None:
        write("doc", "one")
        version = history.create("doc")
        later = version.at + timedelta(seconds=1)
        assert history.versions("doc", since=later) == []
        assert history.versions("doc", before=later, limit=1) == [version]

    async def test_each_function_has_an_async_twin(self) -> None:
        async with documents.aedit("doc") as doc:
            doc.get("text", type=Text).insert(0, "one")
        version = await history.acreate("doc", "First")
        assert await history.aversions("doc") == [version]
        assert letters(await history.aread("doc", version.id)) == "one"
        async with documents.aedit("doc") as doc:
            doc.get("text", type=Text).insert(0, "no ")
        before = await history.arestore("doc", version.id)
        assert letters(await documents.aread("doc")) == "one"
        await history.arename("doc", before.id, "Before")
        await history.adelete("doc", version.id)
        assert [found.title for found in await history.aversions("doc")] == ["Before"]


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    def test_a_rollback_takes_versions_and_restorations(self) -> None:
        write("doc", "one")
        version = history.create("doc", "First")
        write("doc", " two")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            history.create("doc", "Second")
            history.restore("doc", version.id)
            assert letters(documents.read("doc")) == "one"
            raise ZeroDivisionError
        assert history.versions("doc") == [version]
        assert letters(documents.read("doc")) == "one two"

    def test_the_user_is_recorded(self) -> None:
        user = User.objects.create(username="ann")
        write("doc", "one")
        version = history.create("doc", "First", user=user)
        write("doc", " two")
        before = history.restore("doc", version.id, user=user)
        assert version.made_by == before.made_by == str(user.pk)


async def test_members_see_a_restoration_as_an_edit() -> None:
    with use_memory_storage():
        async with connect(application, "/ws/doc") as one, connect(application, "/ws/doc") as two:
            one.doc.get("text", type=Text).insert(0, "one")
            await two.wait_until(lambda: letters(two.doc) == "one")
            version = await history.acreate("doc", "First")
            one.doc.get("text", type=Text).insert(3, " two")
            await two.wait_until(lambda: letters(two.doc) == "one two")
            await history.arestore("doc", version.id)
            await one.wait_until(lambda: letters(one.doc) == "one")
            await two.wait_until(lambda: letters(two.doc) == "one")
            one.doc.get("text", type=Text).insert(0, "still ")
            await two.wait_until(lambda: letters(two.doc) == "still one")
        await close_rooms()


@override_settings(COLLAB={"STORAGE": HINDERED})
async def test_a_version_has_what_members_have_typed_a_moment_ago() -> None:
    async with connect(application, "/ws/doc") as client:
        await type_unstored(client)
        version = await history.acreate("doc", "First")
        assert letters(await history.aread("doc", version.id)) == "typed"
    await close_rooms()


@override_settings(COLLAB={"STORAGE": HINDERED})
async def test_updates_that_a_restoration_builds_on_are_stored_with_it() -> None:
    async with documents.aedit("doc") as doc:
        doc.get("text", type=Text).insert(0, "kept ")
    version = await history.acreate("doc", "First")
    async with connect(application, "/ws/doc") as client:
        await type_unstored(client)
        await history.arestore("doc", version.id)
        stored = await get_storage().load("doc")
        assert stored is not None
        assert letters(await history.aread("doc", version.id)) == "kept "
    await close_rooms()


async def test_large_documents_are_read_in_another_process() -> None:
    assert await run_job(10, os.getpid) == os.getpid()
    assert await run_job(10**6, os.getpid) != os.getpid()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("storage", ["orm"], indirect=True)
@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("whole", [True, False])
def test_a_version_whose_state_is_deleted_meanwhile_is_not_there(whole: bool) -> None:
    write("doc", token_hex(2000))
    history.create("doc")
    write("doc", " two")
    version = history.create("doc")
    states = VersionBlob.objects.filter(base=None) if whole else VersionBlob.objects.all()
    assert states.delete()[0] == (1 if whole else 2)
    with pytest.raises(VersionNotFound):
        history.read("doc", version.id)
