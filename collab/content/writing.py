"""Content into documents, with the smallest edit.

Equal parts keep their identity, a changed paragraph is changed by letters, and parts that a format
cannot say stays as it is, so that cursors, comments and concurrent typing survive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Literal, TypeAlias, get_args

from pycrdt import Doc

from .differences.carrying import carry_over
from .editors.tiptap import TIPTAP
from .formats.html_reader import read_html
from .formats.html_writer import write_html
from .formats.markdown_reader import read_markdown
from .formats.markdown_writer import write_markdown
from .formats.text_reader import read_text
from .formats.text_writer import write_text
from .report import Report
from .schema import Schema
from .trees import JSON, Node, children, document, walk
from .validation import check_value

__all__ = [
    "Format",
    "from_html",
    "from_json",
    "from_markdown",
    "from_text",
    "merge_value",
    "read_tree",
    "replace",
    "write_tree",
]

Format: TypeAlias = Literal["json", "html", "markdown", "text"]


def from_json(doc: Doc[Any], field: str | None, value: JSON, schema: Schema = TIPTAP) -> Report:
    """Give a document content in the JSON of its editor.

    Args:
        doc: the document.
        field: the name of the root; ``None`` for the schema's.
        value: the content.
        schema: of the editor.

    Raises:
        InvalidContent: the content does not fit the schema, so that an editor would delete it.
            Nothing is changed.
    """
    schema.layout.write(doc, field or schema.field, value, schema)
    return Report()


def from_html(doc: Doc[Any], field: str | None, value: str, schema: Schema = TIPTAP) -> Report:
    """Give a document content in HTML; scripts, styles and all that is foreign is dropped.

    Returns:
        A report of the parts that the schema lacks.
    """
    return _write(doc, field, value, schema, "html")


def from_markdown(doc: Doc[Any], field: str | None, value: str, schema: Schema = TIPTAP) -> Report:
    """Give a document content in Markdown of GitHub's flavour.

    Returns:
        A report of the parts that the schema lacks.
    """
    return _write(doc, field, value, schema, "markdown")


def from_text(doc: Doc[Any], field: str | None, value: str, schema: Schema = TIPTAP) -> Report:
    """Give a document content in plain text, with a blank line between paragraphs."""
    return _write(doc, field, value, schema, "text")


def replace(
    doc: Doc[Any],
    field: str | None,
    value: JSON,
    *,
    format: Format = "json",
    schema: Schema = TIPTAP,
) -> Report:
    """Give a document content in a format: "json", "html", "markdown" or "text"."""
    if format == "json":
        return from_json(doc, field, value, schema)
    if format not in get_args(Format):
        raise ValueError(f"{format!r} is not a format: {', '.join(get_args(Format))}.")
    return _write(doc, field, value, schema, format)


def _write(doc: Doc[Any], field: str | None, value: str, schema: Schema, format: Format) -> Report:
    layout, field = schema.layout, field or schema.field
    check_value(value, format)
    if format == layout.native:
        layout.write(doc, field, value, schema)
        return Report()
    with doc.transaction():
        old = layout.read(doc, field, schema)
        new, report = merge_value(old, value, schema, format)
        layout.write(doc, field, new, schema)
    return report


def merge_value(old: JSON, content: str, schema: Schema, format: Format) -> tuple[JSON, Report]:
    """Return the value of content in a format, with the old value's parts that the format lacks."""
    layout, inner = schema.layout, schema.layout.tree_schema(schema)
    before = layout.to_tree(old, schema)
    if content == write_tree(before, format, inner):
        return old, Report()
    names = {node["type"] for node in walk(before)} - inner.node_types.keys()
    wanted, dropped = read_tree(content, format, inner, names)

    def see(block: Node) -> Sequence[Node]:
        written = write_tree(document([block]), format, inner)
        if not written:
            return []
        return inner.complete(children(read_tree(written, format, inner, names)[0]))

    after = wanted | {"content": inner.complete(children(wanted))}
    carried = carry_over(before, after, see, inner, dropped)
    return layout.from_tree(carried, schema, old), Report(dropped)


def read_tree(
    value: str, format: Format, schema: Schema, foreign: Collection[str] = ()
) -> tuple[Node, Counter[str]]:
    """Return the tree of content in a format, and a report of the dropped parts."""
    match format:
        case "html":
            return read_html(value, schema, foreign)
        case "markdown":
            return read_markdown(value, schema, foreign)
        case _:
            return read_text(value, schema)


def write_tree(tree: Node, format: Format, schema: Schema) -> str:
    """Return a tree in a format."""
    writers = {"html": write_html, "markdown": write_markdown, "text": write_text}
    return writers[format](tree, schema)
