"""The same documents in Python and in the editors' own JavaScript."""

from __future__ import annotations

import pytest

from collab.content import TIPTAP, Schema, to_html, to_json

from .editors import canonical_html, comparable, corpus, load

pytestmark = pytest.mark.client


@pytest.mark.parametrize("editor", ["tiptap", "basic"])
def test_json_without_a_schema_is_that_of_the_binding(editor: str) -> None:
    for document in corpus(editor)["documents"]:
        field = document["name"].split()[0]
        found = comparable(to_json(load(document), field))
        assert found == comparable(document["raw"]), document["name"]


@pytest.mark.parametrize(("editor", "schema"), [("tiptap", TIPTAP)])
def test_json_is_that_of_the_editor(editor: str, schema: Schema) -> None:
    for document in corpus(editor)["documents"]:
        found = comparable(to_json(load(document), schema=schema))
        assert found == comparable(document["json"]), document["name"]


@pytest.mark.parametrize(("editor", "schema"), [("tiptap", TIPTAP)])
def test_html_is_that_of_the_editor(editor: str, schema: Schema) -> None:
    for document in corpus(editor)["documents"]:
        found = canonical_html(to_html(load(document), schema=schema))
        assert found == canonical_html(document["html"]), document["name"]


@pytest.mark.parametrize(("editor", "schema"), [("tiptap", TIPTAP)])
def test_the_table_says_the_same_as_the_schema_of_the_editor(editor: str, schema: Schema) -> None:
    outline = corpus(editor)["outline"]
    assert [
        {
            "name": node.name,
            "content": node.content,
            "groups": node.group.split(),
            "attributes": {key: value.default for key, value in node.attributes.items()},
            "inline": node.is_inline,
            "marks": None if node.marks is None else list(node.marks),
        }
        for node in schema.nodes
    ] == outline["nodes"]
    assert [
        {
            "name": mark.name,
            "attributes": {key: value.default for key, value in mark.attributes.items()},
            "overlaps": mark.overlaps,
        }
        for mark in schema.marks
    ] == outline["marks"]
