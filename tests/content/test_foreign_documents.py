"""Documents as no editor writes them, which any client can send: they are read, never a crash."""

from __future__ import annotations

import math
import random
from contextlib import suppress
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from collab.content import (
    BLOCKNOTE,
    LEXICAL,
    MARKDOWN,
    PLAIN,
    PROSEMIRROR_BASIC,
    QUILL,
    TIPTAP,
    Schema,
    replace,
    to_html,
    to_json,
)
from collab.content.jobs import render_update
from collab.content.writing import Format
from collab.exceptions import ContentError
from tests.storage.test_texts_in_arrays import FRAGMENT, NESTED, forged, update_of

SCHEMAS = (TIPTAP, PROSEMIRROR_BASIC, BLOCKNOTE, QUILL, LEXICAL, PLAIN, MARKDOWN)
FORMATS: tuple[Format, ...] = ("json", "html", "markdown", "text")
every_schema = pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)

NAMES = [
    *("", "text", "doc", "fragment", "embed", "script", "x-y", "root", "linebreak"),
    *(node.name for schema in (TIPTAP, BLOCKNOTE, PROSEMIRROR_BASIC) for node in schema.nodes),
    *("list", "listitem", "code", "link", "quote"),
]
KEYS = [
    *(key for schema in (TIPTAP, BLOCKNOTE) for node in schema.nodes for key in node.attributes),
    *("header", "list", "indent", "align", "code-block", "bold", "script", "image", "video"),
    *(f"__{key}" for key in ("type", "format", "style", "mode", "tag", "listType", "url", "start")),
]
VALUES = [
    *(None, True, False, 0, 1, -1, 7, 3.5, 10**9, 2.0**53, 1e300, math.nan, math.inf),
    *("", "x", "😀", "javascript:alert(1)", '"><script>', "red;background:url(x)", b"ab"),
    *("list", "paragraph", "link", "text", "heading", "h2", "h9", "ordered", "checked", "super"),
    *([], [-3, 1e9], [1, None, "x"], {}, {"a": 1}),
]
LETTERS = ["a", "é 😀", "\n", "<b>", "x\n\ny"]
MARKS = ["bold", "link", "code", "comment--1tiVU/zO", "textColor", "highlight", "ychange", *KEYS]
#: Shared types do not accept each value in each place.
REFUSED = (AttributeError, TypeError, ValueError)


class _Client:
    """A client that writes anything.

    Args:
        seed: of what it writes.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def update(self) -> bytes:
        """Return the update of a document with something in the root "root"."""
        doc: Doc[Any] = Doc()
        if self._random.random() < 0.6:
            self._elements(doc.get("root", type=XmlFragment), 0)
        else:
            self._text(doc.get("root", type=Text), 0)
        return doc.get_update()

    def _elements(self, parent: XmlFragment | XmlElement, depth: int) -> None:
        for _ in range(self._random.randint(1, 3)):
            if self._random.random() < 0.6 and depth < 6:
                element = parent.children.append(XmlElement(self._random.choice(NAMES)))
                self._set(element)
                self._elements(element, depth + 1)
            else:
                text = parent.children.append(XmlText())
                self._text(text, depth)
                self._set(text)

    def _values(self, keys: list[str]) -> dict[str, Any]:
        choice = self._random.choice
        return {choice(keys): choice(VALUES) for _ in range(self._random.randrange(4))}

    def _set(self, node: XmlElement | XmlText) -> None:
        for key, value in self._values(KEYS).items():
            with suppress(*REFUSED):
                node.attributes[key] = value

    def _text(self, text: Text | XmlText, depth: int) -> None:
        for _ in range(self._random.randrange(4)):
            with suppress(*REFUSED):
                self._part(text, depth)

    def _part(self, text: Text | XmlText, depth: int) -> None:
        marks = self._values(MARKS)
        match self._random.randrange(8):
            case 0:
                text.insert_embed(len(text), {"image": self._random.choice(VALUES)}, marks)
            case 1:
                text.insert_embed(len(text), self._values(KEYS), marks)
            case 2:
                text.insert_embed(len(text), Map(self._values(KEYS)))
            case 3:
                text.insert_embed(len(text), Array([1, "😀"]))
            case 4 if depth < 6:
                inner = XmlText()
                text.insert_embed(len(text), inner)
                self._set(inner)
                self._text(inner, depth + 1)
            case _:
                text.insert(
                    len(text), self._random.choice(["a", "é 😀", "\n", "<b>", "x\n\ny"]), marks
                )


@every_schema
@pytest.mark.parametrize("seed", range(25))
def test_any_document_is_read_in_every_format(schema: Schema, seed: int) -> None:
    update = _Client(seed).update()
    for format in FORMATS:
        with suppress(ContentError):
            found = render_update(update, "root", schema, format)
            assert format == "json" or "<script" not in found or schema in (PLAIN, MARKDOWN)


@pytest.mark.parametrize("schema", [*SCHEMAS[:4], *SCHEMAS[5:]], ids=lambda schema: schema.name)
@pytest.mark.parametrize("seed", range(25))
def test_any_document_gets_new_content(schema: Schema, seed: int) -> None:
    doc: Doc[Any] = Doc()
    doc.apply_update(_Client(seed).update())
    with suppress(ContentError):
        replace(doc, "root", "<p>a <b>c</b></p>", format="html", schema=schema)
        assert "a" in to_html(doc, "root", schema)


@every_schema
@pytest.mark.parametrize("update", [update for update, _ in NESTED])
def test_an_array_with_letters_is_read(schema: Schema, update: bytes) -> None:
    for format in FORMATS:
        render_update(update, "root", schema, format)


def test_a_fragment_among_nodes_is_kept_as_a_node() -> None:
    update = forged(update_of(XmlFragment, _two), old=6, new=FRAGMENT)
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    assert to_json(doc, "root") == {"type": "doc", "content": [{"type": "fragment"}, P]}
    assert to_html(doc, "root") == '<div data-node="fragment"></div><p></p>'
    replace(doc, "root", "<p>a</p>", format="html")
    assert to_html(doc, "root") == "<p>a</p>"


P = {"type": "paragraph"}


def _two(root: XmlFragment) -> None:
    root.children.append(XmlText("😀x"))
    root.children.append(XmlElement("paragraph"))


def test_a_cell_does_not_span_more_columns_than_in_browsers() -> None:
    doc: Doc[Any] = Doc()
    container = doc.get("document-store", type=XmlFragment).children.append(
        XmlElement("blockGroup", {}, [XmlElement("blockContainer", {"id": "1"})])
    )
    table = container.children[0].children.append(XmlElement("table"))
    row = table.children.append(XmlElement("tableRow"))
    cell = row.children.append(XmlElement("tableCell"))
    cell.attributes["colspan"] = 10**9
    [block] = to_json(doc, schema=BLOCKNOTE)
    assert block["content"]["columnWidths"] == [None]
