"""Content out of documents, in every format."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc

from .editors.tiptap import TIPTAP
from .schema import Schema
from .shared_types.xml_reader import read_xml
from .trees import JSON
from .writing import Format, write_tree

__all__ = ["to_html", "to_json", "to_markdown", "to_text"]


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
    return schema.layout.read(doc, field or schema.field, schema)


def to_html(doc: Doc[Any], field: str | None = None, schema: Schema | None = None) -> str:
    """Return content as HTML that is safe to be put into a page."""
    return _write(doc, field, schema, "html")


def to_markdown(doc: Doc[Any], field: str | None = None, schema: Schema | None = None) -> str:
    """Return content as Markdown in GitHub's flavour."""
    return _write(doc, field, schema, "markdown")


def to_text(doc: Doc[Any], field: str | None = None, schema: Schema | None = None) -> str:
    """Return content as plain text."""
    return _write(doc, field, schema, "text")


def _write(doc: Doc[Any], field: str | None, schema: Schema | None, format: Format) -> str:
    schema = schema or TIPTAP
    layout = schema.layout
    value = layout.read(doc, field or schema.field, schema)
    if format == layout.native:
        return str(value)
    return write_tree(layout.to_tree(value, schema), format, layout.tree_schema(schema))
