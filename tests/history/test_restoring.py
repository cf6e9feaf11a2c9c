from __future__ import annotations

from typing import Any

from pycrdt import Doc, Text

from collab import documents, history
from collab.history.keeping.restoring import restoration
from collab.history.keeping.states import encode
from collab.history.present import Present
from collab.testing import use_memory_storage
from collab_storage.base import StoredDocument
from tests.storage.yjs import HALVED, PAIR, SPLIT

from .material import changed, content_of, fill, letters


def docs(*changes: Any) -> tuple[Doc[Any], bytes, dict[str, Any]]:
    """Return a changed document, and state and content of it after the first change."""
    doc: Doc[Any] = Doc()
    then, content = b"", dict[str, Any]()
    for change in changes:
        change(doc)
        if not then:
            then, content = doc.get_update(), content_of(doc)
    return doc, then, content


def restore(doc: Doc[Any], then: bytes) -> bytes:
    present = Present("doc", StoredDocument(doc.get_update(), [], 1))
    update = restoration(present, [encode(then)], []).update
    if update:
        doc.apply_update(update)
    return update


def test_content_of_every_kind_is_as_it_was() -> None:
    doc, then, content = docs(fill, changed)
    assert content_of(doc) != content
    restore(doc, then)
    assert content_of(doc) == content


def test_a_restoration_can_be_undone_by_another() -> None:
    doc, then, _ = docs(fill, changed)
    changed_content, changed_state = content_of(doc), doc.get_update()
    restore(doc, then)
    restore(doc, changed_state)
    assert content_of(doc) == changed_content


def test_nothing_to_restore_is_no_update() -> None:
    doc, then, _ = docs(fill)
    assert restore(doc, then) == b""


def test_content_that_is_equal_already_is_no_update() -> None:
    doc, then, _ = docs(fill, lambda doc: doc.get("text", type=Text).insert(0, "x"))
    del doc.get("text", type=Text)[0:1]
    assert restore(doc, then) == b""


def test_an_edit_at_the_same_time_elsewhere_stays() -> None:
    doc, then, _ = docs(
        lambda doc: doc.get("text", type=Text).insert(0, "one two three"),
    )
    del doc.get("text", type=Text)[0:4]
    other: Doc[Any] = Doc()
    other.apply_update(doc.get_update())
    other.get("text", type=Text).insert(9, " and four")
    restore(doc, then)
    for one, another in ((doc, other), (other, doc)):
        one.apply_update(another.get_update())
    assert letters(doc) == letters(other) == "one two three and four"


def test_the_state_before_comes_with_it() -> None:
    doc, then, _ = docs(fill, changed)
    present = Present("doc", StoredDocument(doc.get_update(), [], 1))
    before = restoration(present, [encode(then)], []).before
    assert before == encode(doc.get_update())


def test_an_emoji_that_an_edit_has_split_comes_back_as_what_yjs_made_of_its_halves() -> None:
    with use_memory_storage():
        documents.send_doc_update("doc", PAIR)
        whole = history.create("doc", "whole")
        documents.send_doc_update("doc", SPLIT)
        split = history.create("doc", "split")
        # Each version reads as it did.
        assert letters(history.read("doc", whole.id)) == "a😀b"
        assert letters(history.read("doc", split.id)) == "a\ufffdX\ufffdb"
        # Undoing takes out the letter between; in Yjs, no edit makes the halves one letter again.
        history.restore("doc", whole.id)
        assert letters(documents.read("doc")) == "a\ufffd\ufffdb"
        history.restore("doc", split.id)
        assert letters(documents.read("doc")) == "a\ufffdX\ufffdb"


def test_an_emoji_of_which_half_was_deleted_comes_back_as_both_halves() -> None:
    with use_memory_storage():
        documents.send_doc_update("doc", PAIR)
        whole = history.create("doc", "whole")
        documents.send_doc_update("doc", HALVED)
        assert letters(documents.read("doc")) == "a\ufffdb"
        history.restore("doc", whole.id)
        assert letters(documents.read("doc")) == "a\ufffd\ufffdb"
        assert letters(history.read("doc", whole.id)) == "a😀b"
