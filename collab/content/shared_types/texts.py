"""The layout of editors of one text: a shared text, as a delta or a string."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pycrdt import Doc, Text

from collab.content.schema import Layout, Letter, Schema
from collab.content.trees import Node, is_text, make_node, make_text

from .text_changes import Chunk, change_text, join_chunks, read_delta, text_letters

__all__ = ["TextLayout", "read_chunks", "write_text_root"]


class TextLayout(Layout):
    """Content that is one text; all of it is one line, whose formatting is one mark."""

    def change_lines(
        self, doc: Doc[Any], field: str, schema: Schema, change: Callable[[list[Node]], list[Node]]
    ) -> None:
        with doc.transaction():
            nodes = [_node(chunk) for chunk in read_chunks(doc, field)]
            write_text_root(doc, field, [_chunk(node) for node in change(nodes)])

    def letters(self, doc: Doc[Any], field: str) -> list[list[Letter]]:
        return [text_letters(doc.get(field, type=Text))]


def read_chunks(doc: Doc[Any], field: str) -> list[Chunk]:
    """Return the chunks of a root that is a text."""
    return join_chunks(read_delta(doc.get(field, type=Text)))


def _node(chunk: Chunk) -> Node:
    mark = {"type": "formatting", "attrs": dict(chunk.formatting)}
    if isinstance(chunk.value, str):
        return make_text(chunk.value, [mark])
    return make_node("embed", {"value": chunk.value}) | {"marks": [mark]}


def _chunk(node: Node) -> Chunk:
    value = node["text"] if is_text(node) else node["attrs"]["value"]
    return Chunk(value, node["marks"][0]["attrs"] if node.get("marks") else {})


def write_text_root(doc: Doc[Any], field: str, chunks: Sequence[Chunk]) -> None:
    """Give a root that is a text other content, by letters."""
    with doc.transaction():
        change_text([doc.get(field, type=Text)], [read_chunks(doc, field)], join_chunks(chunks))
