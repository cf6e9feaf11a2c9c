"""Everyday texts: as the editors' own libraries read them, and as they write them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from pycrdt import Doc

from collab.content import (
    BLOCKNOTE,
    TIPTAP,
    Schema,
    from_html,
    from_json,
    from_markdown,
    to_html,
    to_json,
    to_markdown,
)
from collab.content.editors.rich import RICH
from collab.content.formats.markdown_reader import read_markdown

from .editors import canonical_html, comparable, made, recorded

SCHEMAS = {"tiptap": TIPTAP, "blocknote": BLOCKNOTE}
DOCUMENTS = recorded("everyday")["documents"]
#: BlockNote keeps a space at the beginning of the line after such a break.
WITH_A_SPACE = ("blocknote", "one  \ntwo")
#: Elements that BlockNote does not write, or that say nothing.
FRAME = {"col", "colgroup", "div", "input", "label", "p", "span", "tbody"}
SHOWN = {"alt", "href", "src", "start"}


def of_editors(documents: list[dict[str, Any]]) -> pytest.MarkDecorator:
    """Parametrize a test with documents, for each editor."""
    return pytest.mark.parametrize(
        ("editor", "document"),
        [
            pytest.param(editor, document, id=f"{editor}-{document['name'][:30]}")
            for editor in SCHEMAS
            for document in documents
        ],
    )


def written(value: Any, schema: Schema) -> Doc[Any]:
    """Return a document of an editor's JSON."""
    doc: Doc[Any] = Doc()
    from_json(doc, None, value, schema)
    return doc


def without_ids(value: Any) -> Any:
    """Return JSON without ids, which each library makes anew, and without nulls."""
    if isinstance(value, list):
        return [without_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: without_ids(item) for k, item in value.items() if k != "id" and item is not None}


@of_editors(DOCUMENTS)
def test_html_and_markdown_are_read_as_the_editor_reads_them(
    editor: str, document: dict[str, Any]
) -> None:
    doc: Doc[Any] = Doc()
    read = from_html if document["kind"] == "html" else from_markdown
    assert not read(doc, None, document["name"], SCHEMAS[editor])
    found = to_json(doc, schema=SCHEMAS[editor])
    expected = deepcopy(document[editor]["json"])
    if editor == "tiptap":
        expected = expected | {"content": TIPTAP.complete(expected["content"])}
    if (editor, document["name"]) == WITH_A_SPACE:
        expected[0]["content"][0]["text"] = "one\ntwo"
    assert without_ids(comparable(found)) == without_ids(comparable(expected))


@of_editors(DOCUMENTS)
def test_markdown_means_the_same_as_that_of_the_editor(
    editor: str, document: dict[str, Any]
) -> None:
    doc = written(document[editor]["json"], SCHEMAS[editor])
    found, _ = read_markdown(to_markdown(doc, schema=SCHEMAS[editor]), RICH)
    expected, _ = read_markdown(document[editor]["markdown"], RICH)
    assert found == expected


@of_editors(DOCUMENTS)
def test_html_is_that_of_the_editor_but_for_what_blocknote_keeps_for_itself(
    editor: str, document: dict[str, Any]
) -> None:
    html = to_html(written(document[editor]["json"], SCHEMAS[editor]), schema=SCHEMAS[editor])
    found, expected = canonical_html(html), canonical_html(document[editor]["html"])
    if editor == "blocknote":
        found, expected = bare(found), bare(expected)
    assert found == expected


def bare(events: list[Any]) -> list[Any]:
    """Return HTML without attributes and elements for BlockNote alone."""
    kept: list[Any] = []
    for event in events:
        match event:
            case str() if event[1:] not in FRAME:
                kept.append(event)
            case (tag, attributes) if tag not in FRAME:
                shown = [(name, value) for name, value in attributes if name in SHOWN]
                kept.append((tag, shown))
            case [text]:
                kept.append([text])
    return kept


@pytest.mark.client
def test_the_recorded_words_are_those_of_the_libraries() -> None:
    assert without_ids(made("everyday", 1)["documents"]) == without_ids(DOCUMENTS)
