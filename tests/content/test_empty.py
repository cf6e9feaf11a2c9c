"""Nothing as content: what it makes of an empty document, and of one that has something."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pycrdt import Doc

from collab.content import (
    BLOCKNOTE,
    MARKDOWN,
    PLAIN,
    PROSEMIRROR_BASIC,
    QUILL,
    REQUIRED,
    TIPTAP,
    Attribute,
    NodeType,
    Schema,
    blocks,
    from_json,
    from_text,
    replace,
    to_json,
    to_text,
)
from collab.content.writing import Format
from collab.exceptions import InvalidContent
from collab.protocol.yjs.updates import recording_updates

#: Content without anything, in the JSON of the editor.
NOTHING: dict[Schema, Any] = {
    TIPTAP: {"type": "doc", "content": []},
    PROSEMIRROR_BASIC: {"type": "doc"},
    BLOCKNOTE: [],
    QUILL: [],
    PLAIN: "",
    MARKDOWN: "",
}
every_schema = pytest.mark.parametrize("schema", NOTHING, ids=lambda schema: schema.name)
every_format = pytest.mark.parametrize("format", get_args(Format))


def nothing(schema: Schema, format: Format) -> Any:
    """Return content without anything in a format."""
    return NOTHING[schema] if format == "json" else ""


@every_schema
@every_format
def test_an_empty_document_stays_without_an_edit(schema: Schema, format: Format) -> None:
    doc: Doc[Any] = Doc()
    with recording_updates(doc) as updates:
        assert not replace(doc, None, nothing(schema, format), format=format, schema=schema)
    assert updates == []


@every_schema
@every_format
def test_a_document_becomes_what_its_editor_shows_of_an_empty_one(
    schema: Schema, format: Format
) -> None:
    doc: Doc[Any] = Doc()
    from_text(doc, None, "one\n\ntwo", schema)
    replace(doc, None, nothing(schema, format), format=format, schema=schema)
    assert to_text(doc, schema=schema) == ""
    if schema in (QUILL, PLAIN, MARKDOWN):
        assert to_json(doc, schema=schema) == NOTHING[schema]
    else:
        assert [block.type for block in blocks(doc, None, schema)] == ["paragraph"]
    with recording_updates(doc) as updates:
        replace(doc, None, nothing(schema, format), format=format, schema=schema)
    assert updates == []


@pytest.mark.parametrize("schema", [TIPTAP, BLOCKNOTE], ids=lambda schema: schema.name)
def test_the_last_block_is_removed(schema: Schema) -> None:
    doc: Doc[Any] = Doc()
    from_text(doc, None, "one", schema)
    blocks(doc, None, schema)[0].remove()
    assert [(block.type, block.text) for block in blocks(doc, None, schema)] == [("paragraph", "")]


def test_nothing_becomes_the_first_block_that_a_project_demands() -> None:
    title = NodeType(name="title", content="text*", html="h1")
    section = NodeType(name="section", content="section* title", html="section")
    page = TIPTAP.extend(nodes=[NodeType(name="doc", content="section+"), section, title])
    doc: Doc[Any] = Doc()
    from_json(doc, None, _page("one"), page)
    from_json(doc, None, {"type": "doc", "content": []}, page)
    assert to_json(doc, schema=page) == _page()


def _page(*texts: str) -> Any:
    title = {"type": "title", "content": [{"type": "text", "text": text} for text in texts]}
    if not texts:
        del title["content"]
    return {"type": "doc", "content": [{"type": "section", "content": [title]}]}


def test_nothing_is_refused_where_a_block_needs_a_value() -> None:
    needy = {"id": Attribute(default=REQUIRED)}
    page = TIPTAP.extend(
        nodes=[
            NodeType(name="doc", content="card+"),
            NodeType(name="card", content="text*", attributes=needy),
        ]
    )
    doc: Doc[Any] = Doc()
    from_json(doc, None, {"type": "doc", "content": [{"type": "card", "attrs": {"id": 1}}]}, page)
    with pytest.raises(InvalidContent, match="lacks the attribute 'id'"):
        from_json(doc, None, {"type": "doc", "content": []}, page)
