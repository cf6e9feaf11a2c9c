"""Content out of documents, in every format."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc

from .editors.tiptap import TIPTAP
from .schema import Schema
from .shared_types.xml_reader import read_xml
from .trees import JSON
from .writing import Format, write_tree

__all__ = ["render", "to_html", "to_json", "to_markdown", "to_text"]


def to_json(doc: Doc[Any], field: str | None = None, schema: Schema | None = None) -> JSON:
    """Return content as its editor has it in JSON.

    Args:
        doc: the document.
        field: the name of the root; by default the schema's.
        schema: of the editor; without one, the result is ProseMirror's JSON with the attributes
            and marks just as they are stored.
    """
    if schema is None:
        return read_xml(doc, field or "prosemirror")
    return render(doc, field, schema, "json")


def to_html(doc: Doc[Any], field: str | None = None, schema: Schema | None = None) -> str:
    """Return content as HTML that is safe to be put into a page."""
    return str(render(doc, field, schema or TIPTAP, "html"))


def to_markdown(doc: Doc[Any], field: str | None = None, schema: Schema | None = None) -> str:
    """Return content as Markdown in GitHub's flavour."""
    return str(render(doc, field, schema or TIPTAP, "markdown"))


def to_text(doc: Doc[Any], field: str | None = None, schema: Schema | None = None) -> str:
    """Return content as plain text."""
    return str(render(doc, field, schema or TIPTAP, "text"))


def render(doc: Doc[Any], field: str | None, schema: Schema, format: Format) -> JSON:
    """Return content in a format: "json", "html", "markdown" or "text"."""
    layout = schema.layout
    value = layout.read(doc, field or schema.field, schema)
    if format in ("json", layout.native):
        return value
    return write_tree(layout.to_tree(value, schema), format, layout.tree_schema(schema))
