"""Shared texts without formatting: plain, as CodeMirror and Monaco edit, and Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from pycrdt import Doc

from collab.content.formats.markdown_reader import read_markdown
from collab.content.formats.markdown_writer import write_markdown
from collab.content.formats.text_reader import read_text
from collab.content.formats.text_writer import write_text
from collab.content.schema import Schema
from collab.content.shared_types.text_changes import Chunk
from collab.content.shared_types.texts import TextLayout, read_chunks, write_text_root
from collab.content.trees import JSON, Node
from collab.content.validation import check_value
from collab.exceptions import InvalidContent

from .rich import RICH

__all__ = ["MARKDOWN", "PLAIN"]


class _StringLayout(TextLayout):
    """Content whose value is a string.

    Args:
        native: the format of the string.
        read: reads a tree in that format.
        write: writes a tree in it.
    """

    def __init__(
        self,
        native: str,
        read: Callable[[str, Schema], tuple[Node, Counter[str]]],
        write: Callable[[Node, Schema], str],
    ) -> None:
        self.native = native
        self._read_tree = read
        self._write_tree = write

    def tree_schema(self, schema: Schema) -> Schema:
        return RICH

    def read(self, doc: Doc[Any], field: str, schema: Schema) -> JSON:
        chunks = read_chunks(doc, field)
        return "".join(chunk.value for chunk in chunks if isinstance(chunk.value, str))

    def write(self, doc: Doc[Any], field: str, value: JSON, schema: Schema) -> None:
        if not isinstance(value, str):
            raise InvalidContent(f"The content of {schema.name!r} must be a string.")
        check_value(value, "text")
        write_text_root(doc, field, [Chunk(value, {})])

    def to_tree(self, value: JSON, schema: Schema) -> Node:
        tree, _ = self._read_tree(value, RICH)
        return tree | {"content": RICH.complete(tree["content"])}

    def from_tree(self, tree: Node, schema: Schema, old: JSON) -> JSON:
        return self._write_tree(tree, RICH)


_PLAIN = _StringLayout("text", read_text, write_text)
_MARKDOWN = _StringLayout("markdown", read_markdown, write_markdown)
PLAIN: Final = Schema(name="plain", field="text", nodes=(), marks=(), layout=_PLAIN)
MARKDOWN: Final = Schema(name="markdown", field="text", nodes=(), marks=(), layout=_MARKDOWN)
