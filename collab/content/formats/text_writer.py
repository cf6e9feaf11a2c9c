"""Plain text from trees: for search, for mails, for counting words."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from collab.content.schema import Schema
from collab.content.trees import Node, children, inline_text, is_text

from .markdown_inline import list_start, mention_text

__all__ = ["write_text"]


def write_text(tree: Node, schema: Schema) -> str:
    """Return the text of the content of a tree's top node.

    A blank line is between blocks, items of lists have marks, cells of tables are apart by tabs.
    """
    return _TextWriter(schema).blocks(children(tree))


class _TextWriter:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def blocks(self, nodes: Iterable[Node], between: str = "\n\n") -> str:
        """Return the text of blocks."""
        written: list[str] = []
        for is_line, group in groupby(nodes, self._schema.is_inline):
            if is_line:
                written.append("".join(map(self._inline, group)))
            else:
                written += map(self._block, group)
        return between.join(filter(None, written))

    def _inline(self, node: Node) -> str:
        if is_text(node):
            return str(node["text"])
        values = self._schema.attributes_of(node)
        known = self._schema.node_types.get(node["type"])
        if known is not None and known.text is not None:
            return known.text(values, inline_text(node))
        match self._schema.kind_of(node):
            case "hardBreak":
                return "\n"
            case "image":
                return str(values.get("alt") or "")
            case "mention":
                return mention_text(values)
            case _:
                return inline_text(node)

    def _block(self, node: Node) -> str:
        known = self._schema.node_types.get(node["type"])
        if known is not None and known.text is not None:
            return known.text(self._schema.attributes_of(node), self.blocks(children(node)))
        match self._schema.kind_of(node):
            case "bulletList" | "taskList" | "orderedList":
                return self._list(node)
            case "table":
                return "\n".join(map(self._row, children(node)))
            case "image":
                return str(self._schema.attributes_of(node).get("alt") or "")
            case _:
                return self.blocks(children(node))

    def _list(self, node: Node) -> str:
        start = list_start(self._schema.attributes_of(node))
        number = start if isinstance(start, int) else 1
        is_ordered = self._schema.kind_of(node) == "orderedList"
        return "\n".join(
            self._item(item, f"{number + index}. " if is_ordered else "- ")
            for index, item in enumerate(children(node))
        )

    def _item(self, item: Node, sign: str) -> str:
        if self._schema.kind_of(item) == "taskItem":
            checked = self._schema.attributes_of(item).get("checked") is True
            sign += "[x] " if checked else "[ ] "
        indent = " " * len(sign)
        return sign + self.blocks(children(item), "\n").replace("\n", f"\n{indent}")

    def _row(self, row: Node) -> str:
        cells = (self.blocks(children(cell), " ").replace("\n", " ") for cell in children(row))
        return "\t".join(cells)
