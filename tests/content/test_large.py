"""A document of 10,000 paragraphs, which two editors have written at once."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc

from collab.content import (
    TIPTAP,
    edit_text,
    from_html,
    from_json,
    from_markdown,
    to_html,
    to_json,
    to_markdown,
)
from collab.content.trees import inline_text
from collab.protocol.yjs.updates import recording_updates

from .editors import canonical_html, comparable, load, made

pytestmark = pytest.mark.client
#: Bytes that an edit of a paragraph takes at most.
SMALL = 200


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as JavaScript stores it, and what it says of it."""
    [found] = made("large", 1)["documents"]
    document: dict[str, Any] = found
    return document


def test_a_large_document_is_that_of_the_editor(document: dict[str, Any]) -> None:
    doc = load(document)
    assert comparable(to_json(doc, schema=TIPTAP)) == comparable(document["json"])
    assert canonical_html(to_html(doc)) == canonical_html(document["html"])


def test_a_large_document_given_back_changes_nothing(document: dict[str, Any]) -> None:
    doc = load(document)
    with recording_updates(doc) as updates:
        from_json(doc, None, to_json(doc, schema=TIPTAP))
        from_html(doc, None, to_html(doc))
        from_markdown(doc, None, to_markdown(doc))
    assert updates == []


def test_a_change_of_a_large_document_is_as_small_as_the_change(document: dict[str, Any]) -> None:
    doc = load(document)
    value = to_json(doc, schema=TIPTAP)
    index = max(range(len(value["content"])), key=lambda i: len(inline_text(value["content"][i])))
    text = inline_text(value["content"][index])
    value["content"][index]["content"] = [{"type": "text", "text": f"{text} more"}]
    with recording_updates(doc) as updates:
        from_json(doc, None, value)
        markdown = to_markdown(doc)
        from_markdown(doc, None, f"{markdown}\nThe end\n")
        edit_text(doc, None, "The end", "The end.")
    assert max(map(len, updates)) < SMALL + len(text.encode())
    assert to_markdown(doc) == f"{markdown}\nThe end.\n"


def test_a_large_document_is_written(document: dict[str, Any]) -> None:
    doc: Doc[Any] = Doc()
    from_json(doc, None, document["json"])
    assert comparable(to_json(doc, schema=TIPTAP)) == comparable(document["json"])
