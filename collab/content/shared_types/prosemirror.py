"""The layout of ProseMirror editors: an XML element for each node."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import groupby
from typing import Any, cast

from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from collab.content.schema import BlockFacts, Layout, Letter, Schema
from collab.content.trees import JSON, Node, children, document, inline_text, is_text

from .text_changes import text_letters
from .xml_reader import read_texts, read_xml
from .xml_writer import write_xml

__all__ = ["ProseMirrorLayout", "XmlLayout"]


class XmlLayout(Layout):
    """Content in shared XML; an element with text in it is a line."""

    def change_lines(
        self, doc: Doc[Any], field: str, schema: Schema, change: Callable[[list[Node]], list[Node]]
    ) -> None:
        def changed(node: Node) -> Node:
            inner = children(node)
            if any(is_text(child) for child in inner):
                return node | {"content": change(inner)}
            return node | {"content": [changed(child) for child in inner]} if inner else node

        with doc.transaction():
            tree = read_xml(doc, field, schema)
            if (wanted := changed(tree)) != tree:
                write_xml(doc, field, wanted, schema)

    def letters(self, doc: Doc[Any], field: str) -> list[list[Letter]]:
        return list(_lines(doc.get(field, type=XmlFragment)))


def _lines(parent: XmlFragment | XmlElement) -> Iterator[list[Letter]]:
    """Yield the letters of the lines in an element, or of the line that it is."""
    inner = list(parent.children)
    texts = [child for child in inner if isinstance(child, XmlText)]
    if any(isinstance(value, str) for text in texts for value, _ in text.diff()):
        yield [
            letter
            for child in inner
            for letter in (text_letters(child) if isinstance(child, XmlText) else [_ELEMENT])
        ]
        return
    for element in (child for child in inner if isinstance(child, XmlElement)):
        yield from _lines(element)


_ELEMENT = Letter(None, 0, 0)


class ProseMirrorLayout(XmlLayout):
    """Content whose value is its tree."""

    def read(self, doc: Doc[Any], field: str, schema: Schema) -> JSON:
        return read_xml(doc, field, schema)

    def to_tree(self, value: JSON, schema: Schema) -> Node:
        tree: Node = value
        return tree

    def from_tree(self, tree: Node, schema: Schema, old: JSON) -> JSON:
        return tree

    def write(self, doc: Doc[Any], field: str, value: JSON, schema: Schema) -> None:
        write_xml(doc, field, value, schema)

    children_key = "content"

    def wrap_blocks(self, blocks: list[JSON]) -> JSON:
        return document(blocks)

    def unwrap_blocks(self, value: JSON) -> list[JSON]:
        return children(value)

    def describe_block(self, block: JSON) -> BlockFacts:
        identity = (block.get("attrs") or {}).get("id")
        return BlockFacts(block["type"], identity, inline_text(block))

    def anchors(self, doc: Doc[Any], field: str, schema: Schema) -> dict[tuple[int, ...], Hashable]:
        return dict(_anchors(doc.get(field, type=XmlFragment), (), schema))


def _anchors(
    parent: XmlFragment | XmlElement, path: tuple[int, ...], schema: Schema
) -> Iterator[tuple[tuple[int, ...], Hashable]]:
    """Yield the elements in an element by their path among nodes."""
    index = 0
    for is_texts, group in groupby(parent.children, lambda child: isinstance(child, XmlText)):
        if is_texts:
            texts = [node for text in group for node in read_texts(cast(XmlText, text))]
            index += len(schema.complete(texts))
            continue
        for element in cast(Iterable[XmlElement], group):
            yield (*path, index), element
            yield from _anchors(element, (*path, index), schema)
            index += 1
