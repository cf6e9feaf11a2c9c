from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab import documents, history
from collab.history.keeping.restoring import restoration
from collab.history.keeping.split_letters import whole_letters
from collab.history.keeping.states import encode
from collab.history.present import Present
from collab.testing import use_memory_storage
from collab_storage.base import StoredDocument
from collab_storage.surrogates import SurrogatePairs
from collab_storage.updates import EMPTY_UPDATE, varuint
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
    _, update = restoration(present, [encode(then)], [])
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
    before, _ = restoration(present, [encode(then)], [])
    assert before == encode(doc.get_update())


# Halves of letters: Yjs makes two U+FFFD of a letter in which an edit falls.


def halved(update: bytes) -> bytes:
    """Return the update that deletes the second half of each emoji of client 7."""
    pairs = SurrogatePairs(lambda: [update])
    clocks = [clock for clock in range(1000) if (7, clock) in pairs.broken_by(deletion([clock]))]
    return deletion(clocks)


def deletion(clocks: Sequence[int]) -> bytes:
    parts = [varuint(number) for clock in clocks for number in (clock, 1)]
    return b"".join([b"\0\1", varuint(7), varuint(len(clocks)), *parts])


def test_an_emoji_that_an_edit_has_split_comes_back_whole() -> None:
    with use_memory_storage():
        documents.send_doc_update("doc", PAIR)
        whole = history.create("doc", "whole")
        documents.send_doc_update("doc", SPLIT)
        split = history.create("doc", "split")
        for version, text in ((whole, "a😀b"), (split, "a\ufffdX\ufffdb"), (whole, "a😀b")):
            assert letters(history.read("doc", version.id)) == text
            history.restore("doc", version.id)
            assert letters(documents.read("doc")) == text


def test_an_emoji_of_which_half_was_deleted_comes_back_whole() -> None:
    with use_memory_storage():
        documents.send_doc_update("doc", PAIR)
        whole = history.create("doc", "whole")
        documents.send_doc_update("doc", HALVED)
        assert letters(documents.read("doc")) == "a\ufffdb"
        history.restore("doc", whole.id)
        assert letters(documents.read("doc")) == "a😀b" == letters(history.read("doc", whole.id))


def fill_with_emojis(doc: Doc[Any]) -> None:
    node = XmlElement("p")
    doc.get("xml", type=XmlFragment).children.append(node)
    text = node.children.append(XmlText())
    text.insert(0, "x😀y")
    text.insert_embed(0, {"image": 1})
    text.format(2, 6, {"bold": True})
    doc.get("map", type=Map).update({"deep": Map({"text": Text("é😀 \ufffd\ufffd😀")}), "n": 1})
    doc.get("array", type=Array).extend([Text("q😀"), 1])
    doc.get("text", type=Text).insert(0, "😀 and 😀")


def test_emojis_come_back_whole_wherever_they_are_with_their_marks() -> None:
    with use_memory_storage():
        doc: Doc[Any] = Doc(client_id=7)
        fill_with_emojis(doc)
        documents.send_doc_update("doc", doc.get_update())
        whole = history.create("doc", "whole")
        then = content_of(documents.read("doc"))
        documents.send_doc_update("doc", halved(doc.get_update()))
        assert "😀" not in json.dumps(content_of(documents.read("doc")), ensure_ascii=False)
        history.restore("doc", whole.id)
        assert content_of(documents.read("doc")) == then


def test_letters_of_other_content_are_left_alone() -> None:
    """Roots that are of another type by now, as updates made by hand have them."""
    other, wanted = Doc[Any](), Doc[Any]()
    other.get("map", type=Map)["key"] = Map({"text": Map()})
    wanted.get("map", type=Map)["key"] = Map({"text": Text("😀"), "more": Text("😀")})
    empty = wanted.get("empty", type=Text)
    empty.insert(0, "x")
    del empty[0:1]
    wanted.get("text", type=Text).insert(0, "😀")
    update = whole_letters(other.get_update(), wanted.get_update())
    assert update == EMPTY_UPDATE
