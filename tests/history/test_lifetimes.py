"""Versions of a document through edits of several people, compactions, renames and restorations."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pytest
from asgiref.sync import async_to_sync
from channels.routing import URLRouter
from django.test import override_settings
from django.urls import path
from hypothesis import given, settings
from hypothesis import strategies as st

from collab import documents, history
from collab.conf import get_storage
from collab.testing import connect, use_memory_storage
from collab_storage.compaction import compact
from collab_storage.surrogates import SurrogatePairs
from collab_storage.updates import varuint
from tests.documents.test_operations import Consumer
from tests.storage.yjs import PAIR, SPLIT

from .test_random_histories import People, content_of

STEPS = ["edit", "edit", "edit", "version", "compact", "rename", "restore", "halve"]

application = URLRouter([path("ws/<str:room>", Consumer.as_asgi())])


def deletion(client: int, clock: int) -> bytes:
    """Return the update that deletes one letter, or half of it."""
    return b"\0\1" + varuint(client) + b"\1" + varuint(clock) + b"\1"


class Life:
    """A stored document that people edit, and the content that each version of it had."""

    def __init__(self, seed: int) -> None:
        self.people = People(seed)
        self.name = "doc 0"
        self.contents: dict[int, dict[str, Any]] = {}
        # An emoji whose halves are apart from the beginning.
        for update in (PAIR, SPLIT):
            documents.send_doc_update(self.name, update)
        self.receive()

    def receive(self) -> None:
        update = documents.read(self.name).get_update()
        for doc in self.people.docs:
            doc.apply_update(update)

    def edit(self) -> None:
        self.people.step()
        doc = self.people.meet()
        known = documents.read(self.name).get_state()
        documents.send_doc_update(self.name, doc.get_update(known))

    def halve(self) -> None:
        """Delete the second half of an emoji, if there is one."""
        update = documents.read(self.name).get_update()
        pairs = SurrogatePairs(lambda: [update])
        ids = [
            (client, clock)
            for client in (1, 2, 3)
            for clock in range(200)
            if pairs.broken_by(deletion(client, clock))
        ]
        if ids:
            documents.send_doc_update(self.name, deletion(*self.people.chance.choice(ids)))
            self.receive()

    def version(self) -> None:
        made = history.create(self.name, f"version {len(self.contents)}")
        self.contents[made.id] = content_of(documents.read(self.name))

    def compact(self) -> None:
        async_to_sync(compact)(get_storage(), self.name)

    def rename(self) -> None:
        new = f"doc {int(self.name.split()[1]) + 1}"
        documents.rename(self.name, new)
        self.name = new

    def restore(self) -> None:
        if self.contents:
            id = self.people.chance.choice([*self.contents])
            before = content_of(documents.read(self.name))
            made = history.restore(self.name, id)
            assert content_of(documents.read(self.name)) == self.contents[id]
            self.contents[made.id] = before
            self.receive()

    def check(self) -> None:
        """Check that each version reads as it did."""
        found = {version.id for version in history.versions(self.name)}
        assert found == self.contents.keys()
        for id, content in self.contents.items():
            assert content_of(history.read(self.name, id)) == content


@given(st.integers(0, 2**32), st.lists(st.sampled_from(STEPS), min_size=5, max_size=25))
def test_versions_read_as_they_did_whatever_becomes_of_the_document(
    seed: int, steps: list[str]
) -> None:
    with use_memory_storage():
        life = Life(seed)
        for step in steps:
            getattr(life, step)()
        life.check()


class ServedLife(Life):
    """A life in a file: rooms empty and are loaded anew, and processes end and begin."""

    def __init__(self, seed: int, directory: str) -> None:
        options = {"path": str(Path(directory) / "documents.sqlite3")}
        backend = "collab_storage.sqlite.SQLiteStorage"
        self._settings = {"STORAGE": {"BACKEND": backend, "OPTIONS": options}}
        self._process = ExitStack()
        self._start()
        super().__init__(seed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def _start(self) -> None:
        self._process.enter_context(override_settings(COLLAB=self._settings))

    def restart(self) -> None:
        """Begin anew with the file alone."""
        self._process.close()
        self._start()

    def member(self) -> None:
        """Edit in a room, which is closed when its only member leaves."""
        self.people.step()
        async_to_sync(self._join)(None)
        self.receive()

    def restore_for_member(self) -> None:
        """Restore a version while a member has the document open."""
        if self.contents:
            async_to_sync(self._join)(self.people.chance.choice([*self.contents]))
            self.receive()

    async def _join(self, restored: int | None) -> None:
        async with connect(application, f"/ws/{self.name}") as client:
            doc = self.people.meet()
            client.doc.apply_update(doc.get_update(client.doc.get_state()))
            await client.wait_saved()
            if restored is not None:
                before = content_of(client.doc)
                made = await history.arestore(self.name, restored)
                content = self.contents[restored]
                await client.wait_until(lambda: content_of(client.doc) == content)
                self.contents[made.id] = before


SERVED = [*STEPS, "member", "member", "restart", "restore_for_member"]


@pytest.mark.django_db(transaction=True)
@settings(max_examples=12)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(SERVED), min_size=5, max_size=20))
def test_versions_outlive_rooms_and_processes(seed: int, steps: list[str]) -> None:
    with TemporaryDirectory() as directory, ServedLife(seed, directory) as life:
        for step in steps:
            getattr(life, step)()
        life.restart()
        life.check()
