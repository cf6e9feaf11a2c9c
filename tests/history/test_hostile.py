"""Versions under attack, and in the way of each other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from collab import documents, history
from collab.conf import get_storage
from collab.exceptions import DocumentNotFound
from collab.history import VersionKind
from collab.testing import use_memory_storage
from collab_storage.base import LogEntry
from collab_storage.memory import MemoryStorage
from collab_storage.updates import EMPTY_UPDATE
from collab_storage.versions import Version, VersionDraft

from .material import letters, write

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MINE, THEIRS = "archived/mine", "archived/theirs"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def staff() -> User:
    return User.objects.create(username="ann", is_staff=True)


def client_of(user: User, *, checks: bool = False) -> Client:
    client = Client(enforce_csrf_checks=checks)
    client.force_login(user)
    return client


def answers(client: Client, name: str, id: int, own: int) -> list[Any]:
    """Return the answers to all requests that name a version."""
    url, diff = f"/history/{name}/versions/{id}", f"/history/{name}/diff"
    json = "application/json"
    return [
        client.get(f"{url}/state"),
        client.post(f"{url}/restore", {}, content_type=json),
        client.patch(f"{url}/", {"title": "x"}, content_type=json),
        client.delete(f"{url}/"),
        client.get(diff, {"from": id}),
        client.get(diff, {"from": own, "to": id}),
        client.get(diff, {"from": id, "to": own}),
    ]


def test_a_version_of_another_document_is_found_in_no_way(staff: User) -> None:
    write(MINE, "mine")
    write(THEIRS, "theirs")
    own, foreign = history.create(MINE, "Mine").id, history.create(THEIRS, "Theirs").id
    found = answers(client_of(staff), MINE, foreign, own)
    assert [answer.status_code for answer in found] == [404] * len(found)
    for call in (history.read, history.restore, history.delete, history.diff):
        with pytest.raises(history.VersionNotFound):
            call(MINE, foreign)
    with pytest.raises(history.VersionNotFound):
        history.rename(MINE, foreign, "x")
    with pytest.raises(history.VersionNotFound):
        history.diff(MINE, own, foreign)
    assert [version.title for version in history.versions(THEIRS)] == ["Theirs"]
    assert letters(documents.read(MINE)) == "mine"


def test_no_change_comes_from_another_site(staff: User) -> None:
    write(MINE, "mine")
    id = history.create(MINE, "Mine").id
    write(MINE, " more")
    client = client_of(staff, checks=True)
    statuses = [answer.status_code for answer in answers(client, MINE, id, id)]
    assert statuses == [200, 403, 403, 403, 200, 200, 200]
    assert letters(documents.read(MINE)) == "mine more"
    assert [version.title for version in history.versions(MINE)] == ["Mine"]


@pytest.mark.parametrize("title", ["x" * 256, "a\0", "\ud83d", 7])
def test_titles_that_cannot_be_stored_are_refused(title: Any) -> None:
    write(MINE, "mine")
    id = history.create(MINE, "x" * 255).id
    with pytest.raises(history.InvalidTitle):
        history.create(MINE, title)
    with pytest.raises(history.InvalidTitle):
        history.rename(MINE, id, title)
    with pytest.raises(history.InvalidTitle):
        history.import_version(MINE, documents.read(MINE).get_update(), NOW, title=title)
    assert [version.title for version in history.versions(MINE)] == ["x" * 255]


def test_thousands_of_versions_come_in_pages(staff: User) -> None:
    with use_memory_storage():
        write(MINE, "mine")
        for number in range(1_000):
            history.create(MINE, f"{number}")
        expect_pages(staff)


def expect_pages(staff: User) -> None:
    """Check that all of 1,000 versions are listed, at most 200 at a time."""
    client, url, seen = client_of(staff), f"/history/{MINE}/versions/", list[str]()
    query: dict[str, str] = {}
    while True:
        answer = client.get(url, query).json()
        assert len(answer["versions"]) == 200
        seen += [version["title"] for version in answer["versions"]]
        if not answer["has_more"]:
            break
        query = {"before": answer["versions"][-1]["at"]}
    assert seen == [f"{number}" for number in reversed(range(1_000))]


class PrunedStorage(MemoryStorage):
    """Deletes all versions of a document once, between the reading of the newest and the adding."""

    pruned = False

    async def add_version(
        self, name: str, draft: VersionDraft, entries: Sequence[LogEntry] = ()
    ) -> Version:
        if draft.state.base is not None and not self.pruned:
            self.pruned = True
            await self.delete_versions(name, [each.id for each in await self.versions(name)])
        return await super().add_version(name, draft, entries)


@pytest.fixture
def pruned() -> Any:
    backend = f"{__name__}.{PrunedStorage.__name__}"
    with override_settings(COLLAB={"STORAGE": {"BACKEND": backend}}):
        yield


def long_text() -> str:
    """Return a text whose small changes are stored as differences."""
    return " ".join(str(number) for number in range(2_000))


@pytest.mark.usefixtures("pruned")
def test_a_version_is_whole_although_its_base_was_deleted_meanwhile() -> None:
    write("doc", long_text())
    history.create("doc", "First")
    write("doc", " more")
    version = history.create("doc", "Second")
    storage = get_storage()
    assert isinstance(storage, PrunedStorage) and storage.pruned
    assert history.versions("doc") == [version]
    assert letters(history.read("doc", version.id)) == f"{long_text()} more"


@pytest.mark.usefixtures("pruned")
def test_a_restoration_keeps_the_content_before_although_versions_were_deleted_meanwhile() -> None:
    write("doc", long_text())
    first = history.create("doc", "First")
    write("doc", " more")
    # The version that is restored is deleted, too, so it is not found at the second attempt.
    with pytest.raises(history.VersionNotFound):
        history.restore("doc", first.id)
    assert letters(documents.read("doc")) == f"{long_text()} more"
    again = history.create("doc", "Again")
    write("doc", " and more")
    before = history.restore("doc", again.id)
    assert before.kind == VersionKind.RESTORE
    assert letters(documents.read("doc")) == f"{long_text()} more"
    assert letters(history.read("doc", before.id)) == f"{long_text()} more and more"


class ReplacedStorage(MemoryStorage):
    """Deletes a document, and stores another of its name, before a restoration is added."""

    async def add_version(
        self, name: str, draft: VersionDraft, entries: Sequence[LogEntry] = ()
    ) -> Version:
        if draft.kind == VersionKind.RESTORE:
            await self.delete(name)
            await self.append([LogEntry(name, EMPTY_UPDATE, NOW)])
        return await super().add_version(name, draft, entries)


def test_a_restoration_leaves_a_new_document_of_the_name_alone() -> None:
    backend = f"{__name__}.{ReplacedStorage.__name__}"
    with override_settings(COLLAB={"STORAGE": {"BACKEND": backend}}):
        write("doc", "one")
        version = history.create("doc", "First")
        write("doc", " two")
        with pytest.raises(DocumentNotFound):
            history.restore("doc", version.id)
        assert letters(documents.read("doc")) == ""
        assert history.versions("doc") == []
