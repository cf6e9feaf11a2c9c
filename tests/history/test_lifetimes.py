"""Versions of a document through edits of several people, compactions, renames and restorations."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from hypothesis import given
from hypothesis import strategies as st

from collab import documents, history
from collab.conf import get_storage
from collab.testing import use_memory_storage
from collab_storage.compaction import compact
from tests.storage.yjs import PAIR, SPLIT

from .test_random_histories import People, content_of

STEPS = ["edit", "edit", "edit", "version", "compact", "rename", "restore"]


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
