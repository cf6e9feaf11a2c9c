"""A stored document is changed once to what a new version of its type expects."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from collab.conf import Settings
from collab.engine.rules import DocumentRules
from collab.engine.storing.document_store import DocumentStore
from collab.engine.storing.upgrade import (
    mark_version,
    needs_upgrade,
    upgrade_stored,
)
from collab_storage.base import LogEntry
from collab_storage.compaction import apply_stored, compact
from tests.engine.fakes import HinderedStorage
from tests.harness.waiting import until
from tests.protocol.yjs.samples import content, insert, new_doc, text

NOTES = "notes"


class Upgrades(list[int]):
    """The versions that documents had, each of which is appended to its document."""

    async def upgrade(self, doc: Doc[Any], before: int) -> None:
        self.append(before)
        content(doc).insert(0, f"<{before}>")

    def rules(self, version: int | None = 2) -> DocumentRules:
        return DocumentRules(version, ("comment",), self.upgrade)


RULES = Upgrades().rules()


@pytest.fixture
def storage() -> HinderedStorage:
    return HinderedStorage()


async def append(storage: HinderedStorage, *updates: bytes) -> None:
    await storage.append([LogEntry(NOTES, update, datetime.now(UTC)) for update in updates])


async def stored_text(storage: HinderedStorage) -> str:
    stored = await storage.load(NOTES)
    assert stored is not None
    doc = new_doc()
    assert apply_stored(doc, stored) is not None
    return text(doc)


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_document_is_upgraded_once(storage: HinderedStorage, compacted: bool) -> None:
    upgrades = Upgrades()
    await append(storage, insert(new_doc(), "hello"))
    if compacted:
        assert await compact(storage, NOTES)
    for _ in range(2):
        await upgrade_stored(storage, NOTES, upgrades.rules())
    assert upgrades == [0]
    assert await stored_text(storage) == "<0>hello"
    await upgrade_stored(storage, NOTES, upgrades.rules(5))
    assert upgrades == [0, 2]
    assert await stored_text(storage) == "<2><0>hello"


async def test_of_several_processes_one_upgrades(storage: HinderedStorage) -> None:
    await append(storage, insert(new_doc(), "hello"))
    gate = storage.hold("replace")
    processes = [Upgrades() for _ in range(5)]
    upgrades = [
        asyncio.create_task(upgrade_stored(storage, NOTES, each.rules())) for each in processes
    ]
    await until(lambda: storage.calls["replace"] == len(upgrades))
    # Typed while the upgrades are under way.
    doc = new_doc()
    await append(storage, insert(doc, "typed"))
    gate.set()
    await asyncio.gather(*upgrades)
    assert all(each == [0] for each in processes)
    assert (await stored_text(storage)).count("<0>") == 1
    assert "typed" in await stored_text(storage)


async def test_updates_that_wait_for_others_survive(storage: HinderedStorage) -> None:
    doc = new_doc()
    first, second = insert(doc, "first"), insert(doc, "second", 5)
    await append(storage, insert(new_doc(), "hello"), second)
    await upgrade_stored(storage, NOTES, RULES)
    await append(storage, first)
    assert "firstsecond" in await stored_text(storage)


async def test_an_upgrade_that_fails_leaves_the_document_as_it_is(
    storage: HinderedStorage,
) -> None:
    async def fail(doc: Doc[Any], before: int) -> None:
        content(doc).insert(0, "half")
        raise LookupError("no such field")

    await append(storage, insert(new_doc(), "hello"))
    with pytest.raises(LookupError):
        await upgrade_stored(storage, NOTES, DocumentRules(2, (), fail))
    assert await stored_text(storage) == "hello"


async def test_there_is_nothing_to_upgrade_in_a_document_that_does_not_exist(
    storage: HinderedStorage,
) -> None:
    upgrades = Upgrades()
    await upgrade_stored(storage, NOTES, upgrades.rules())
    assert upgrades == []


async def test_a_document_of_the_present_version_is_loaded_once(
    storage: HinderedStorage, tmp_path: Path
) -> None:
    store = DocumentStore(storage, Settings(SPOOL_DIRECTORY=tmp_path))
    assert await store.load(NOTES, RULES) is None
    await append(storage, insert(new_doc(), "hello"))
    await upgrade_stored(storage, NOTES, RULES)
    before = storage.calls["load"]
    opened = await store.load(NOTES, RULES)
    assert opened is not None and storage.calls["load"] == before + 1
    await store.release()


def test_a_new_document_is_of_the_present_version() -> None:
    doc: Doc[Any] = Doc()
    mark_version(doc, RULES)
    assert not needs_upgrade(doc, RULES)
    assert needs_upgrade(doc, Upgrades().rules(3))


@pytest.mark.parametrize("rules", [None, Upgrades().rules(None)])
def test_without_versions_nothing_is_marked(rules: DocumentRules | None) -> None:
    doc: Doc[Any] = Doc()
    mark_version(doc, rules)
    assert doc.get_state() == b"\0"
    assert not needs_upgrade(doc, rules)


@pytest.mark.parametrize("written", ["x", None, {"a": 1}])
def test_a_version_that_is_no_number_is_none(written: object) -> None:
    doc: Doc[Any] = Doc()
    doc.get("__collab__", type=Map)["version"] = written
    assert needs_upgrade(doc, RULES)
    doc.get("text", type=Text)
