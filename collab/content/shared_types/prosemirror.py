"""The layout of ProseMirror editors: an XML element for each node."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, cast

from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from collab.content.schema import BlockFacts, Layout, Schema
from collab.content.trees import JSON, Node, children, document, inline_text, is_text

from .xml_reader import read_xml
from .xml_writer import write_xml

__all__ = ["ProseMirrorLayout", "change_xml_lines"]


class ProseMirrorLayout(Layout):
    """Content whose value is its tree."""

    def read(self, doc: Doc[Any], field: str, schema: Schema) -> JSON:
        return read_xml(doc, field, schema)

    def to_tree(self, value: JSON, schema: Schema) -> Node:
        tree: Node = value
        return tree

    def from_tree(self, tree: Node, schema: Schema) -> JSON:
        return tree

    def write(self, doc: Doc[Any], field: str, value: JSON, schema: Schema) -> None:
        write_xml(doc, field, value, schema)

    def change_lines(
        self, doc: Doc[Any], field: str, schema: Schema, change: Callable[[list[Node]], list[Node]]
    ) -> None:
        change_xml_lines(doc, field, schema, change)

    children_key = "content"

    def wrap_blocks(self, blocks: list[JSON]) -> JSON:
        return document(blocks)

    def unwrap_blocks(self, value: JSON) -> list[JSON]:
        return children(value)

    def describe_block(self, block: JSON) -> BlockFacts:
        identity = (block.get("attrs") or {}).get("id")
        return BlockFacts(block["type"], identity, inline_text(block))

    def anchors(self, doc: Doc[Any], field: str) -> dict[tuple[int, ...], Hashable]:
        return dict(_anchors(doc.get(field, type=XmlFragment), ()))


def _anchors(
    parent: XmlFragment | XmlElement, path: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Hashable]]:
    """Yield the elements in an element by their path among nodes."""
    index = 0
    for child in parent.children:
        if not isinstance(child, XmlElement):
            # A text; each of its chunks is a node.
            index += len(cast(XmlText, child).diff())
            continue
        yield (*path, index), child
        yield from _anchors(child, (*path, index))
        index += 1


def change_xml_lines(
    doc: Doc[Any], field: str, schema: Schema, change: Callable[[list[Node]], list[Node]]
) -> None:
    """Change the lines of text in shared XML."""

    def changed(node: Node) -> Node:
        inner = children(node)
        if any(is_text(child) for child in inner):
            return node | {"content": change(inner)}
        return node | {"content": [changed(child) for child in inner]} if inner else node

    with doc.transaction():
        tree = read_xml(doc, field, schema)
        if (wanted := changed(tree)) != tree:
            write_xml(doc, field, wanted, schema)
