from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab.protocol.yjs.formats import MAX_CHECKED_SIZE, changes_formats_only
from collab.protocol.yjs.updates import recording_updates
from collab_storage.updates import varuint

NAMES = ("comment", "comment--*")

Edit = Callable[[Doc[Any]], object]


def paragraph(doc: Doc[Any]) -> XmlText:
    element = doc.get("content", type=XmlFragment).children[0]
    assert isinstance(element, XmlElement)
    text = element.children[0]
    assert isinstance(text, XmlText)
    return text


def text(doc: Doc[Any]) -> Text:
    found: Text = doc.get("text", type=Text)
    return found


def bold(doc: Doc[Any]) -> None:
    paragraph(doc).format(0, 5, {"bold": True})


def comment(doc: Doc[Any]) -> None:
    paragraph(doc).format(2, 8, {"comment--1": {"thread": "x"}, "comment": {"id": 5}})


def new_doc(*edits: Edit) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    text(doc).insert(0, "hello world")
    doc.get("map", type=Map)["key"] = "value"
    doc.get("list", type=Array).append(1)
    root = doc.get("content", type=XmlFragment)
    root.children.append(XmlElement("paragraph", {"level": "1"}, [XmlText("hello world")]))
    for edit in edits:
        edit(doc)
    return doc


def is_comment(doc: Doc[Any], edit: Edit) -> bool:
    """Return whether the update of an edit is one of comments; ``doc`` has the edit then."""
    before = doc.get_update()
    with recording_updates(doc) as updates, doc.transaction():
        edit(doc)
    (update,) = updates
    return changes_formats_only(update, before, NAMES)


@pytest.mark.parametrize(
    "edit",
    [
        comment,
        lambda doc: text(doc).format(0, 5, {"comment": {"id": 1}}),
        lambda doc: paragraph(doc).format(0, 11, {"comment--other": True}),
    ],
)
def test_a_comment_is_added_and_removed(edit: Edit) -> None:
    doc = new_doc(bold)
    assert is_comment(doc, edit)
    removed = {"comment": None, "comment--1": None, "comment--other": None}

    def remove(doc: Doc[Any]) -> None:
        text(doc).format(0, 11, removed)
        paragraph(doc).format(0, 11, removed)

    assert is_comment(doc, remove)


@pytest.mark.parametrize(
    "edit",
    [
        bold,
        lambda doc: paragraph(doc).format(0, 5, {"comment": True, "bold": True}),
        lambda doc: paragraph(doc).format(0, 5, {"commentary": True}),
        lambda doc: paragraph(doc).insert(0, "x"),
        lambda doc: text(doc).insert(5, "!"),
        lambda doc: text(doc).clear(),
        lambda doc: doc.get("content", type=XmlFragment).children.append(XmlElement("p")),
        lambda doc: doc.get("map", type=Map).clear(),
        lambda doc: doc.get("map", type=Map).update({"comment": "x"}),
        lambda doc: doc.get("list", type=Array).append(2),
    ],
)
def test_everything_else_is_no_comment(edit: Edit) -> None:
    assert not is_comment(new_doc(comment), edit)


def test_a_format_that_is_not_a_comment_is_not_removed() -> None:
    doc = new_doc(bold)
    assert not is_comment(doc, lambda doc: paragraph(doc).format(0, 5, {"bold": None}))


def test_an_update_without_changes_is_a_comment() -> None:
    assert changes_formats_only(b"\0\0", new_doc().get_update(), NAMES)


def test_an_update_that_needs_others_is_no_comment() -> None:
    doc = new_doc()
    before = doc.get_update()
    text(doc).insert(0, "missing")
    with recording_updates(doc) as updates:
        text(doc).format(0, 4, {"comment": True})
    assert not changes_formats_only(updates[0], before, NAMES)


def test_a_format_in_place_of_a_value_of_a_map_is_no_comment() -> None:
    """An update that no client makes: a format with the key of a map."""
    doc = new_doc()
    key, name = b"\x03map", b"\x03key"
    content = b"\x07comment" + b"\x04true"
    # Of concurrent values the one of the highest client id wins.
    update = (
        b"\x01\x01" + varuint(2**53 - 1) + b"\x00" + b"\x26\x01" + key + name + content + b"\x00"
    )
    assert not changes_formats_only(update, doc.get_update(), NAMES)


def test_the_comments_of_a_large_document_are_not_checked() -> None:
    document = b"\0" * (MAX_CHECKED_SIZE + 1)
    assert not changes_formats_only(b"\0\0", document, NAMES)


def test_an_interrupt_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("collab.protocol.yjs.formats.apply", interrupt)
    with pytest.raises(KeyboardInterrupt):
        changes_formats_only(b"\0\0", b"\0\0", NAMES)


def test_embeds_and_formats_are_compared_piece_by_piece() -> None:
    doc = new_doc()
    text(doc).insert_embed(3, {"image": "x"}, {"width": "5"})
    assert is_comment(doc, lambda doc: text(doc).format(1, 6, {"comment": True}))


def test_a_document_that_cannot_be_read_takes_no_comment() -> None:
    assert not changes_formats_only(b"\0\0", b"\xff\xff", NAMES)
