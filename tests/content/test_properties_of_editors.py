"""Promises that hold for any content of BlockNote and Quill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text, XmlElement, XmlFragment, XmlText

from collab.content import (
    BLOCKNOTE,
    QUILL,
    Schema,
    from_html,
    from_json,
    from_markdown,
    from_text,
    to_html,
    to_json,
    to_markdown,
    to_text,
)

from .strategies import block_lists, deltas
from .test_properties import synced, updates

#: The schema of each editor, and any content of it in its own JSON.
EDITORS: dict[str, tuple[Schema, st.SearchStrategy[Any]]] = {
    "blocknote": (BLOCKNOTE, block_lists),
    "quill": (QUILL, deltas),
}
of_editors = pytest.mark.parametrize("editor", EDITORS)
FORMATS: tuple[tuple[Callable[..., str], Callable[..., object]], ...] = (
    (to_html, from_html),
    (to_markdown, from_markdown),
    (to_text, from_text),
)


@of_editors
@settings(max_examples=25)
@given(data=st.data())
def test_any_content_of_an_editor_reads_as_it_was_written(editor: str, data: st.DataObject) -> None:
    schema, any_content = EDITORS[editor]
    value = data.draw(any_content)
    doc: Doc[Any] = Doc()
    from_json(doc, None, value, schema)
    assert to_json(doc, schema=schema) == value


@of_editors
@settings(max_examples=25)
@given(data=st.data())
def test_content_becomes_another_and_then_needs_no_edit(editor: str, data: st.DataObject) -> None:
    schema, any_content = EDITORS[editor]
    doc: Doc[Any] = Doc()
    for value in (data.draw(any_content), data.draw(any_content)):
        from_json(doc, None, value, schema)
        assert to_json(doc, schema=schema) == value
        assert updates(doc, lambda: from_json(doc, None, value, schema)) == []  # noqa: B023


@of_editors
@settings(max_examples=25)
@given(data=st.data())
def test_content_given_back_as_it_was_got_changes_nothing(editor: str, data: st.DataObject) -> None:
    schema, any_content = EDITORS[editor]
    doc: Doc[Any] = Doc()
    from_json(doc, None, data.draw(any_content), schema)
    for write, read in FORMATS:
        written = write(doc, schema=schema)
        assert updates(doc, lambda: read(doc, None, written, schema)) == []  # noqa: B023


@of_editors
@settings(max_examples=25)
@given(data=st.data())
def test_letters_that_two_type_meanwhile_elsewhere_stay(editor: str, data: st.DataObject) -> None:
    schema, any_content = EDITORS[editor]
    between, type_first, type_last, ends = TYPING[editor]
    before, after = between(data.draw(any_content)), between(data.draw(any_content))
    docs = [Doc[Any]() for _ in range(3)]
    server, *clients = docs
    from_json(server, None, before, schema)
    for client in clients:
        synced(server, client)
    for client, write in zip(clients, (type_first, type_last), strict=True):
        write(client)
    from_json(server, None, after, schema)
    for client in [*clients, *clients]:
        synced(server, client)
    found = to_json(server, schema=schema)
    assert ends(found) == ("type 😀 here.", "type 😀 here;")
    assert [to_json(doc, schema=schema) for doc in docs] == [found] * 3


def _paragraph(name: str, text: str) -> Any:
    return {"id": name, "type": "paragraph", "content": [{"type": "text", "text": text}]}


def _blocks_between(blocks: list[Any]) -> list[Any]:
    return [_paragraph("first", "type ."), *blocks, _paragraph("last", "type ;")]


def _type_into_block(index: int) -> Callable[[Doc[Any]], None]:
    def write(client: Doc[Any]) -> None:
        [group] = client.get("document-store", type=XmlFragment).children
        container = list(group.children)[index]
        assert isinstance(container, XmlElement)
        paragraph = container.children[0]
        assert isinstance(paragraph, XmlElement)
        text = paragraph.children[0]
        assert isinstance(text, XmlText)
        text.insert(len("type "), "😀 here")

    return write


def _block_ends(blocks: list[Any]) -> tuple[str, str]:
    first, last = ("".join(part["text"] for part in blocks[end]["content"]) for end in (0, -1))
    return first, last


def _delta_between(delta: list[Any]) -> list[Any]:
    return [{"insert": "type .\n"}, *delta, {"insert": "\ntype ;"}]


def _type_into_text(index: int) -> Callable[[Doc[Any]], None]:
    def write(client: Doc[Any]) -> None:
        text = client.get("quill", type=Text)
        text.insert(index % len(text), "😀 here", {})

    return write


def _delta_ends(delta: list[Any]) -> tuple[str, str]:
    letters = "".join(str(operation["insert"]) for operation in delta)
    return letters.split("\n")[0], letters.split("\n")[-1]


TYPING: dict[str, tuple[Callable[..., Any], ...]] = {
    "blocknote": (_blocks_between, _type_into_block(0), _type_into_block(-1), _block_ends),
    "quill": (_delta_between, _type_into_text(len("type ")), _type_into_text(-1), _delta_ends),
}
