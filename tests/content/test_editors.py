"""The same documents in Python and in the editors' own JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from pycrdt import Doc

from collab.content import (
    BLOCKNOTE,
    LEXICAL,
    PROSEMIRROR_BASIC,
    QUILL,
    REQUIRED,
    TIPTAP,
    Attribute,
    MarkType,
    from_html,
    from_json,
    from_markdown,
    from_text,
    to_html,
    to_json,
    to_markdown,
    to_text,
)

from .editors import Corpus, canonical_html, comparable, load, made, recorded

COMMENT = MarkType(
    name="comment",
    attributes={"id": Attribute(default=REQUIRED), "resolved": Attribute(default=False)},
    overlaps=True,
)
FORMATS = ((to_html, from_html), (to_markdown, from_markdown), (to_text, from_text))


SCHEMAS = {
    "tiptap": TIPTAP,
    "basic": PROSEMIRROR_BASIC.extend(marks=[COMMENT]),
    "blocknote": BLOCKNOTE,
    "quill": QUILL,
    "lexical": LEXICAL,
}
#: What an editor calls its own JSON, in the corpus.
VALUES = {"blocknote": "blocks", "quill": "delta"}
WRITTEN = sorted(SCHEMAS.keys() - {"lexical"})


def of(*editors: str) -> pytest.MarkDecorator:
    """Parametrize a test with documents of editors: some recorded ones, and new ones."""
    return pytest.mark.parametrize(
        ("editor", "corpus"),
        [
            *(pytest.param(name, recorded, id=f"{name}-recorded") for name in editors),
            *(pytest.param(name, made, id=name, marks=pytest.mark.client) for name in editors),
        ],
    )


@of("tiptap", "basic")
def test_json_without_a_schema_is_that_of_the_binding(editor: str, corpus: Corpus) -> None:
    for document in corpus(editor)["documents"]:
        field = document["name"].split()[0]
        found = comparable(to_json(load(document), field))
        assert found == comparable(document["raw"]), document["name"]


@of(*SCHEMAS)
def test_json_is_that_of_the_editor(editor: str, corpus: Corpus) -> None:
    for document in corpus(editor)["documents"]:
        found = comparable(to_json(load(document), schema=SCHEMAS[editor]))
        expected = comparable(document[VALUES.get(editor, "json")])
        assert found == (joined(expected) if editor == "quill" else expected), document["name"]


def joined(delta: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a delta with neighbours of equal attributes made one."""
    found: list[dict[str, Any]] = []
    for operation in delta:
        both = [each["insert"] for each in (*found[-1:], operation)]
        is_same = found and found[-1].get("attributes") == operation.get("attributes")
        if is_same and all(isinstance(insert, str) for insert in both):
            found[-1] |= {"insert": "".join(both)}
        else:
            found.append(dict(operation))
    return found


@of(*WRITTEN)
def test_content_given_back_changes_nothing(editor: str, corpus: Corpus) -> None:
    schema = SCHEMAS[editor]
    for document in corpus(editor)["documents"]:
        doc, name = load(document), document["name"]
        value = to_json(doc, schema=schema)
        assert updates(doc, lambda: from_json(doc, None, value, schema)) == [], name  # noqa: B023
        for write, read in FORMATS:
            content = write(doc, schema=schema)
            assert updates(doc, lambda: read(doc, None, content, schema)) == [], name  # noqa: B023


@of(*WRITTEN)
def test_content_becomes_that_of_another_document(editor: str, corpus: Corpus) -> None:
    schema, documents = SCHEMAS[editor], corpus(editor)["documents"]
    for document, other in pairwise(documents):
        doc = load(document)
        from_json(doc, None, to_json(load(other), schema=schema), schema)
        value = to_json(doc, schema=schema)
        new: Doc[Any] = Doc()
        from_json(new, None, value, schema)
        assert to_json(new, schema=schema) == value, document["name"]


def updates(doc: Doc[Any], change: Callable[[], object]) -> list[bytes]:
    """Return the updates that a change makes."""
    made: list[bytes] = []
    subscription = doc.observe(lambda event: made.append(event.update))
    change()
    doc.unobserve(subscription)
    return made


@of("tiptap")
def test_html_is_that_of_the_editor(editor: str, corpus: Corpus) -> None:
    for document in corpus(editor)["documents"]:
        found = canonical_html(to_html(load(document)))
        assert found == canonical_html(document["html"]), document["name"]


@of("tiptap", "basic", "blocknote")
def test_the_table_says_the_same_as_the_schema_of_the_editor(editor: str, corpus: Corpus) -> None:
    outline, schema = corpus(editor)["outline"], SCHEMAS[editor]
    assert [
        {
            "name": node.name,
            "content": node.content,
            "groups": node.group.split(),
            "attributes": {key: without_required(each) for key, each in node.attributes.items()},
            "inline": node.is_inline,
            "marks": None if node.marks is None else list(node.marks),
        }
        for node in schema.nodes
    ] == outline["nodes"]
    assert [
        {
            "name": mark.name,
            "attributes": {key: without_required(each) for key, each in mark.attributes.items()},
            "overlaps": mark.overlaps,
        }
        for mark in schema.marks
    ] == outline["marks"]


def without_required(attribute: Attribute) -> Any:
    return None if attribute.default == REQUIRED else attribute.default


@pytest.mark.client
@pytest.mark.parametrize("editor", SCHEMAS)
def test_the_recorded_documents_are_those_that_the_editor_makes(editor: str) -> None:
    kept = recorded(editor)
    new = made(editor, len(kept["documents"]))
    if editor != "lexical":
        assert new == kept
