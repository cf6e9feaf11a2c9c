"""Blocks of BlockNote, and the ProseMirror tree that they are in a document.

A block is ``{"id", "type", "props", "content", "children"}``. In the tree it is a
``blockContainer`` with the block's content and, for its children, a ``blockGroup``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from collab.content.schema import Schema
from collab.content.trees import (
    Mark,
    Node,
    children,
    column_span,
    document,
    is_text,
    make_lines,
    make_node,
    make_text,
    walk,
)
from collab.exceptions import InvalidContent

__all__ = ["Block", "block_text", "blocks_of", "column_widths", "tree_of"]

Block: TypeAlias = dict[str, Any]

#: Marks that are a style of text with a value of its own.
_VALUE = "stringValue"


# Blocks of a tree.


def blocks_of(tree: Node, schema: Schema) -> list[Block]:
    """Return the blocks of a ProseMirror tree."""
    reader = _Reader(schema)
    return [block for group in children(tree) for block in reader.group(group)]


class _Reader:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def group(self, group: Node) -> list[Block]:
        """Return the blocks of a group."""
        return [self.block(container) for container in children(group)]

    def block(self, container: Node) -> Block:
        """Return the block of a container."""
        parts = children(container)
        content = next((part for part in parts if part["type"] != "blockGroup"), None)
        if content is not None and is_text(content):
            content = make_node("paragraph", {}, [part for part in parts if is_text(part)])
        groups = [part for part in parts if part["type"] == "blockGroup"]
        block: Block = {
            "id": container.get("attrs", {}).get("id"),
            "type": content["type"] if content else "paragraph",
            "props": _present(content.get("attrs", {})) if content else {},
            "children": [block for group in groups for block in self.group(group)],
        }
        if content is None:
            return block
        if content["type"] == "table":
            block["content"] = self._table(content)
        elif self._schema.holds_text(content["type"]) or children(content):
            block["content"] = self._inline(children(content))
        return block

    def _inline(self, nodes: Sequence[Node]) -> list[Block]:
        found: list[Block] = []
        for node in nodes:
            if node["type"] == "hardBreak":
                self._break(found)
            elif is_text(node):
                self._text(node, found)
            else:
                item: Block = {"type": node["type"], "props": _present(node.get("attrs", {}))}
                if node.get("content"):
                    item["content"] = self._inline(children(node))
                found.append(item)
        return found

    def _break(self, found: list[Block]) -> None:
        """Add a line end; it is formatted as the letter before it."""
        last = found[-1] if found else None
        if last is not None and last["type"] == "link":
            last["content"][-1]["text"] += "\n"
        elif last is not None and last["type"] == "text":
            last["text"] += "\n"
        else:
            found.append({"type": "text", "text": "\n", "styles": {}})

    def _text(self, node: Node, found: list[Block]) -> None:
        marks = {mark["type"]: mark for mark in node.get("marks", ())}
        link = marks.pop("link", None)
        styles = {name: _style(mark) for name, mark in marks.items()}
        styled: Block = {"type": "text", "text": node["text"], "styles": styles}
        last: Block = found[-1] if found else {"type": None}
        if link is None:
            _add_styled(found, styled)
        elif last["type"] == "link" and last["href"] == link["attrs"]["href"]:
            _add_styled(last["content"], styled)
        else:
            href = link["attrs"]["href"]
            found.append({"type": "link", "href": href, "content": [styled]})

    def _table(self, table: Node) -> Block:
        rows = [children(row) for row in children(table)]
        headers = [[cell["type"] == "tableHeader" for cell in row] for row in rows]
        content: Block = {
            "type": "tableContent",
            "columnWidths": column_widths(rows),
            "rows": [{"cells": [self._cell(cell) for cell in row]} for row in rows],
        }
        header_rows = sum(bool(row) and all(row) for row in headers)
        columns = range(min(map(len, headers), default=0))
        header_columns = sum(all(row[index] for row in headers) for index in columns)
        if header_rows:
            content["headerRows"] = header_rows
        if header_columns:
            content["headerCols"] = header_columns
        return content

    def _cell(self, cell: Node) -> Block:
        props = {k: v for k, v in cell.get("attrs", {}).items() if k != "colwidth"}
        content: list[Block] = []
        for paragraph in children(cell):
            inline = self._inline(children(paragraph))
            last = content[-1] if content else {}
            first = inline[0] if inline else {}
            if last.get("styles") is not None and last["styles"] == first.get("styles"):
                last["text"] += f"\n{first['text']}"
                inline = inline[1:]
            content += inline
        return {"type": "tableCell", "content": content, "props": props}


def _add_styled(found: list[Block], styled: Block) -> None:
    last = found[-1] if found else None
    if last is not None and last["type"] == "text" and last["styles"] == styled["styles"]:
        last["text"] += styled["text"]
    else:
        found.append(styled)


def _present(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if value is not None}


def _style(mark: Mark) -> Any:
    return mark["attrs"][_VALUE] if _VALUE in mark.get("attrs", {}) else True


def column_widths(rows: Sequence[Sequence[Node]]) -> list[Any]:
    """Return the width of each column of a table; ``None`` for a column without one."""
    widths: list[Any] = []
    for cell in rows[0] if rows else ():
        given = cell.get("attrs", {})
        widths += given.get("colwidth") or [None] * column_span(given)
    return widths


def block_text(block: Block) -> str:
    """Return the letters of a block and of those below it."""
    content = block.get("content")
    rows = content["rows"] if isinstance(content, dict) else []
    cells = [cell for row in rows for cell in row["cells"]]
    below = map(block_text, block.get("children", ()))
    return " ".join(filter(None, [_text_of(content), *map(_text_of, cells), *below]))


def _text_of(content: Any) -> str:
    items = content.get("content") if isinstance(content, dict) else content
    if isinstance(items, str):
        return items
    return "".join(item.get("text") or _text_of(item) for item in items or ())


# A tree of blocks.


def tree_of(blocks: Any, schema: Schema, stored: Node) -> Node:
    """Return the ProseMirror tree of blocks.

    Args:
        blocks: the blocks.
        schema: of the tree.
        stored: the tree of the document. A block that is as it was there keeps its content, of
            which a block does not say all, such as single cells of a table that are headers.

    Raises:
        InvalidContent: it is not a list of blocks.
    """
    writer = _BlocksWriter(schema, stored)
    group = writer.group(_objects(blocks, "The content"))
    return document([group] if blocks else [])


def _objects(value: Any, place: str) -> list[Block]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidContent(f"{place} must be a list of objects, as BlockNote's JSON is.")
    return value


class _BlocksWriter:
    def __init__(self, schema: Schema, stored: Node) -> None:
        self._schema = schema
        #: The blocks of the document without children, and their content, by id.
        self._stored: dict[Any, tuple[Block, Node]] = {}
        reader = _Reader(schema)
        for node in walk(stored):
            if node["type"] == "blockContainer" and children(node):
                bare = node | {"content": children(node)[:1]}
                self._stored[node["attrs"].get("id")] = reader.block(bare), children(node)[0]

    def group(self, blocks: Iterable[Block]) -> Node:
        """Return the group of blocks."""
        return make_node("blockGroup", {}, [self._container(block) for block in blocks])

    def _container(self, block: Block) -> Node:
        inner = _objects(block.get("children") or [], "A block's children")
        known, content = self._stored.get(block.get("id"), (None, None))
        if content is None or known != block | {"children": []}:
            content = self._content(block)
        parts = [content, *([self.group(inner)] if inner else [])]
        identity = {"id": block["id"]} if block.get("id") is not None else {}
        return make_node("blockContainer", identity, parts)

    def _content(self, block: Block) -> Node:
        name = block.get("type", "paragraph")
        if not isinstance(name, str):
            raise InvalidContent("A block has a type that is not a string.")
        given = block.get("content")
        if isinstance(given, dict):
            return make_node(name, block.get("props"), self._rows(given))
        known = self._schema.node_types.get(name)
        inline = self._inline(given, is_code=known is not None and known.is_code)
        return make_node(name, block.get("props"), inline)

    def _inline(self, content: Any, *, is_code: bool = False) -> list[Node]:
        nodes: list[Node] = []
        for item in [content] if isinstance(content, str) else content or ():
            if isinstance(item, str):
                item = {"type": "text", "text": item}
            nodes += self._inline_item(_objects([item], "A block's content")[0], is_code)
        return nodes

    def _inline_item(self, item: Block, is_code: bool) -> list[Node]:
        match item.get("type"):
            case "text":
                return self._styled(item, is_code)
            case "link":
                link = {"type": "link", "attrs": {"href": item.get("href")}}
                return [_linked(node, link) for node in self._inline(item.get("content"))]
            case str() as name:
                return [make_node(name, item.get("props"), self._inline(item.get("content")))]
            case _:
                raise InvalidContent("A block's content has a part without a type.")

    def _styled(self, item: Block, is_code: bool) -> list[Node]:
        text, styles = item.get("text", ""), item.get("styles") or {}
        if not isinstance(text, str) or not isinstance(styles, dict):
            raise InvalidContent("A text of a block must have a string and an object of styles.")
        marks = [self._mark(name, value) for name, value in styles.items() if value]
        if is_code:
            return [make_text(text, marks)] if text else []
        return make_lines(text, marks)

    def _mark(self, name: str, value: Any) -> Mark:
        return {"type": name} if value is True else {"type": name, "attrs": {_VALUE: value}}

    def _rows(self, content: Block) -> list[Node]:
        rows = _objects(content.get("rows"), "The rows of a table")
        header_rows, header_columns = content.get("headerRows") or 0, content.get("headerCols") or 0
        widths = content.get("columnWidths") or []
        nodes: list[Node] = []
        for index, row in enumerate(rows):
            cells: list[Node] = []
            column = 0
            for position, cell in enumerate(row.get("cells") or []):
                is_header = index < header_rows or position < header_columns
                node = self._cell(cell, is_header, widths[column:])
                cells.append(node)
                column += column_span(node["attrs"])
            nodes.append(make_node("tableRow", {}, cells))
        return nodes

    def _cell(self, cell: Any, is_header: bool, widths: Sequence[Any]) -> Node:
        has_props = isinstance(cell, dict) and cell.get("type") == "tableCell"
        props = dict(cell.get("props") or {}) if has_props else {}
        inline = self._inline(cell.get("content") if has_props else cell)
        given = list(widths[: column_span(props)])
        if any(given):
            props["colwidth"] = given
        paragraph = make_node("tableParagraph", {}, inline)
        node = make_node("tableHeader" if is_header else "tableCell", props, [paragraph])
        return node | {"attrs": props}


def _linked(node: Node, link: Mark) -> Node:
    return node | {"marks": [*node.get("marks", ()), link]} if is_text(node) else node
