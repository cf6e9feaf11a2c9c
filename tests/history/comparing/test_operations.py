"""Versions compared by name, here and in a process of their own."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from pycrdt import Text

from collab import content, documents, history
from collab.exceptions import DocumentNotFound
from collab.testing import use_memory_storage
from tests.history.material import write

NAME = "archived/a"
ANN = SimpleNamespace(pk=1)


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    with use_memory_storage():
        yield


def test_two_versions_and_the_present_are_compared() -> None:
    write(NAME, "one")
    first = history.create(NAME, "First")
    write(NAME, " two", ANN)
    second = history.create(NAME, "Second")
    write(NAME, " three")
    between = history.diff(NAME, first.id, second.id)
    assert [piece.text for piece in between.changes[0].pieces] == ["one", " two"]
    assert between.users == ["1"]
    now = async_to_sync(history.adiff)(NAME, first.id)
    assert [(p.text, p.by) for p in now.changes[0].pieces] == [
        ("one", None),
        (" two", "1"),
        (" three", None),
    ]
    back = history.diff(NAME, second.id, first.id)
    assert [piece.kind.value for piece in back.changes[0].pieces] == ["kept", "removed"]
    assert history.diff(NAME, first.id, first.id).changes == []


def test_a_document_without_a_type_is_compared() -> None:
    write("doc", "one")
    first = history.create("doc")
    write("doc", "\ntwo")
    assert "two</ins>" in history.diff("doc", first.id).html


def test_a_large_document_is_compared_in_a_process_of_its_own() -> None:
    line = "some words of a line\n"
    write(NAME, line * 5_000)
    first = history.create(NAME)
    with documents.edit(NAME, user=ANN) as doc:
        doc.get("text", type=Text).insert(0, "new\n")
    [change] = history.diff(NAME, first.id).changes
    assert (change.kind.value, change.pieces[0].by) == ("added", "1")


def test_a_schema_of_the_project_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = content.TIPTAP.extend(name="ours", field="body")
    monkeypatch.setattr(documents.type_of(NAME), "content", ours)
    documents.replace(NAME, markdown="one")
    first = history.create(NAME)
    documents.replace(NAME, markdown="one *two*")
    assert "<em>" in history.diff(NAME, first.id).html


def test_versions_that_do_not_exist_are_not_compared() -> None:
    write(NAME, "one")
    first = history.create(NAME)
    write("archived/b", "two")
    other = history.create("archived/b")
    for ids in ((first.id, other.id), (other.id,), (10**30,)):
        with pytest.raises(history.VersionNotFound):
            history.diff(NAME, *ids)
    with pytest.raises((history.VersionNotFound, DocumentNotFound)):
        history.diff("archived/none", first.id)
