"""Blocks of BlockNote as trees in which lists are nodes, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from collab.content.formats.markdown_inline import mention_text
from collab.content.trees import (
    Mark,
    Node,
    children,
    column_span,
    inline_text,
    is_text,
    make_lines,
    make_node,
    make_text,
)

from .blocks import Block, column_widths

__all__ = ["KNOWN_BLOCKS", "blocks_in", "nodes_of"]

#: Blocks that are items: the list they are in, and the node that they are.
_ITEMS = {
    "bulletListItem": ("bulletList", "listItem"),
    "numberedListItem": ("orderedList", "listItem"),
    "checkListItem": ("taskList", "taskItem"),
    "toggleListItem": ("toggleList", "toggleItem"),
}
_LISTS = {kind: name for name, (kind, _) in _ITEMS.items()}
#: Blocks that are one node with the same text.
_LINES = {"paragraph": "paragraph", "heading": "heading", "codeBlock": "codeBlock"}
_MEDIA = ("image", "video", "audio", "file")
#: Properties of blocks, the attributes that they are, and the value that goes without saying.
_LOOK = (
    ("textColor", "textColor", "default"),
    ("backgroundColor", "backgroundColor", "default"),
    ("textAlignment", "textAlign", "left"),
)
_FILE = (
    ("url", "src", ""),
    ("caption", "caption", ""),
    ("previewWidth", "width", None),
    ("showPreview", "showPreview", True),
)
#: The blocks that are something else in a tree.
KNOWN_BLOCKS = frozenset({*_ITEMS, *_LINES, *_MEDIA, "quote", "divider", "table"})
_STYLES = ("bold", "italic", "underline", "strike", "code")
_COLORS = ("textColor", "backgroundColor")


# A tree of blocks.


def nodes_of(blocks: Iterable[Block]) -> list[Node]:
    """Return the nodes of blocks."""
    nodes: list[Node] = []
    last = ""
    for block in blocks:
        kind, props = block["type"], block["props"]
        inner = nodes_of(block["children"])
        if kind in _ITEMS:
            name, item = _ITEMS[kind]
            start = {"start": props["start"]} if props.get("start") is not None else {}
            if last != kind or start:
                nodes.append(make_node(name, start))
            nodes[-1].setdefault("content", []).append(_item(item, block, inner))
        else:
            nodes.append(_node(block))
            nodes += [make_node("nested", {}, inner)] if inner else []
        last = kind
    return nodes


def _item(name: str, block: Block, inner: Sequence[Node]) -> Node:
    look = _renamed(block["props"], _LOOK)
    align = {"textAlign": look.pop("textAlign")} if "textAlign" in look else {}
    checked = {"checked": block["props"].get("checked")} if name == "taskItem" else {}
    paragraph = make_node("paragraph", align, _inline(_content(block)))
    return make_node(name, _identity(block) | look | checked, [paragraph, *inner])


def _node(block: Block) -> Node:
    kind, props = block["type"], block["props"]
    look = _identity(block) | _renamed(props, _LOOK)
    if kind == "codeBlock":
        code = _code(_content(block))
        language = {"language": props.get("language")}
        return make_node(kind, look | language, [make_text(code)] if code else [])
    if kind in _LINES:
        kept = {key: props[key] for key in ("level", "isToggleable") if key in props}
        return make_node(_LINES[kind], look | kept, _inline(_content(block)))
    if kind == "quote":
        return make_node("blockquote", look, [make_node("paragraph", {}, _inline(_content(block)))])
    if kind == "divider":
        return make_node("horizontalRule", look)
    if kind in _MEDIA:
        name = {"alt" if kind == "image" else "name": props.get("name") or None}
        return make_node(kind, look | _renamed(props, _FILE) | name)
    if kind == "table":
        return make_node("table", look, _rows(block["content"]))
    return make_node(kind, _identity(block) | props, _inline(_content(block)))


def _content(block: Block) -> Sequence[Block]:
    """Return the inline content of a block, or of an inline node; other content is none."""
    content = block.get("content")
    return content if isinstance(content, list) else []


def _code(content: Sequence[Block]) -> str:
    """Return the letters of a code block, without the look that they have in BlockNote."""
    return "".join(str(item.get("text", "")) or _code(_content(item)) for item in content)


def _identity(block: Block) -> dict[str, Any]:
    return {"id": block["id"]} if block["id"] is not None else {}


def _renamed(props: Mapping[str, Any], table: Iterable[tuple[str, str, Any]]) -> dict[str, Any]:
    return {
        attribute: props[prop]
        for prop, attribute, usual in table
        if prop in props and props[prop] != usual
    }


def _rows(content: Block) -> list[Node]:
    header_rows, header_columns = content.get("headerRows", 0), content.get("headerCols", 0)
    widths = content["columnWidths"]
    rows: list[Node] = []
    for index, row in enumerate(content["rows"]):
        cells: list[Node] = []
        column = 0
        for position, cell in enumerate(row["cells"]):
            props = cell["props"]
            span = column_span(props)
            look = _renamed(props, _LOOK)
            given = widths[column : column + span] if index == 0 else []
            attributes = {
                "colspan": span,
                "rowspan": props.get("rowspan", 1),
                "align": look.pop("textAlign", None),
                **({"colwidth": given} if any(given) else {}),
                **look,
            }
            is_header = index < header_rows or position < header_columns
            paragraph = make_node("paragraph", {}, _inline(cell["content"]))
            name = "tableHeader" if is_header else "tableCell"
            cells.append(make_node(name, attributes, [paragraph]))
            column += span
        rows.append(make_node("tableRow", {}, cells))
    return rows


def _inline(content: Iterable[Block]) -> list[Node]:
    nodes: list[Node] = []
    for item in content:
        if item["type"] == "link":
            link = {"type": "link", "attrs": {"href": item.get("href")}}
            for node in _inline(_content(item)):
                nodes.append(node | {"marks": [link, *node.get("marks", ())]})
        elif item["type"] == "text":
            nodes += _styled(item)
        else:
            inner = _inline(_content(item))
            nodes.append(make_node(item["type"], item["props"], inner))
    return nodes


def _styled(item: Block) -> list[Node]:
    marks: list[Mark] = [
        {"type": name} if value is True else {"type": name, "attrs": {"value": value}}
        for name, value in item["styles"].items()
    ]
    return make_lines(item["text"], marks)


# Blocks of a tree.


def blocks_in(nodes: Iterable[Node]) -> list[Block]:
    """Return the blocks that nodes are."""
    blocks: list[Block] = []
    for node in nodes:
        kind = node["type"]
        if kind == "nested" and blocks:
            blocks[-1]["children"] += blocks_in(children(node))
        elif kind == "nested":
            blocks += blocks_in(children(node))
        elif kind in _LISTS:
            start = node.get("attrs", {}).get("start", 1)
            for index, item in enumerate(children(node)):
                block = _item_block(_LISTS[kind], item)
                if kind == "orderedList" and index == 0 and start != 1:
                    block["props"]["start"] = start
                blocks.append(block)
        else:
            blocks.append(_block(node))
    return blocks


def _new(kind: str, node: Node, table: Iterable[tuple[str, str, Any]] = _LOOK) -> Block:
    given = node.get("attrs", {})
    props = {
        prop: given[attribute]
        for prop, attribute, usual in table
        if given.get(attribute, usual) not in (None, usual)
    }
    return {"id": given.get("id"), "type": kind, "props": props, "children": []}


def _item_block(kind: str, item: Node) -> Block:
    block = _new(kind, item)
    paragraph, *rest = children(item)
    block["props"] |= _new(kind, paragraph)["props"]
    if kind == "checkListItem":
        block["props"]["checked"] = item.get("attrs", {}).get("checked") is True
    return block | {"content": _inline_content(children(paragraph)), "children": blocks_in(rest)}


def _block(node: Node) -> Block:
    kind, given = node["type"], node.get("attrs", {})
    if kind in _LINES:
        block = _new(kind, node)
        names = {"heading": ("level", "isToggleable"), "codeBlock": ("language",)}
        for name in names.get(kind, ()):
            if given.get(name) is not None:
                block["props"][name] = given[name]
        if kind == "codeBlock":
            text = inline_text(node)
            return block | {
                "content": [{"type": "text", "text": text, "styles": {}}] if text else []
            }
        return block | {"content": _inline_content(children(node))}
    if kind == "blockquote":
        return _quote(node)
    if kind == "horizontalRule":
        return _new("divider", node, ())
    if kind in _MEDIA:
        block = _new(kind, node, (*_LOOK, *_FILE))
        name = given.get("alt" if kind == "image" else "name")
        block["props"] |= {"name": name} if name else {}
        if given.get("showPreview") is False:
            block["props"]["showPreview"] = False
        return block
    if kind == "table":
        return _new("table", node, _LOOK[:1]) | {"content": _table_content(node)}
    block = _new(kind, node, ()) | {"content": _inline_content(children(node))}
    block["props"] = {key: value for key, value in given.items() if key != "id"}
    return block


def _quote(node: Node) -> Block:
    """Return the block of a quote: its paragraphs are lines, other blocks are below it."""
    lines: list[Node] = []
    below: list[Node] = []
    for child in children(node):
        if child["type"] == "paragraph" and not below:
            lines += [make_node("hardBreak")] if lines else []
            lines += children(child)
        else:
            below.append(child)
    block = _new("quote", node, _LOOK[:2])
    return block | {"content": _inline_content(lines), "children": blocks_in(below)}


def _table_content(table: Node) -> Block:
    rows = [children(row) for row in children(table)]
    headers = [[cell["type"] == "tableHeader" for cell in row] for row in rows]
    header_rows = next((i for i, row in enumerate(headers) if not all(row)), len(headers))
    shortest = min(map(len, headers), default=0)
    is_column = [all(row[index] for row in headers[header_rows:]) for index in range(shortest)]
    has_body = header_rows < len(headers)
    header_columns = next((i for i, each in enumerate(is_column) if not each), shortest)
    content: Block = {
        "type": "tableContent",
        "columnWidths": column_widths(rows),
        "rows": [{"cells": [_cell_block(cell) for cell in row]} for row in rows],
    }
    content |= {"headerRows": header_rows} if header_rows else {}
    return content | ({"headerCols": header_columns} if header_columns and has_body else {})


def _cell_block(cell: Node) -> Block:
    given = cell.get("attrs", {})
    props = _new("tableCell", cell)["props"]
    props |= {"colspan": given.get("colspan", 1), "rowspan": given.get("rowspan", 1)}
    if given.get("align") is not None:
        props["textAlignment"] = given["align"]
    lines: list[Node] = []
    for block in children(cell):
        lines += [make_node("hardBreak")] if lines else []
        lines += (
            children(block) if block["type"] in _LINES else [make_text(inline_text(block) or " ")]
        )
    return {"type": "tableCell", "props": props, "content": _inline_content(lines)}


def _inline_content(nodes: Iterable[Node]) -> list[Block]:
    content: list[Block] = []
    for node in nodes:
        marks = {mark["type"]: mark.get("attrs", {}) for mark in node.get("marks", ())}
        link = marks.get("link")
        if is_text(node) or node["type"] in ("hardBreak", "mention"):
            item: Block = {"type": "text", "text": _letters(node), "styles": _styles(marks)}
        else:
            inner = _inline_content(children(node))
            item = {"type": node["type"], "props": node.get("attrs", {}), "content": inner}
        if link is not None and item["type"] == "text":
            item = {"type": "link", "href": link.get("href"), "content": [item]}
        content.append(item)
    return content


def _letters(node: Node) -> str:
    if node["type"] == "hardBreak":
        return "\n"
    return str(node["text"]) if is_text(node) else mention_text(node.get("attrs", {}))


def _styles(marks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    styles: dict[str, Any] = {name: True for name in _STYLES if name in marks}
    return styles | {name: marks[name]["value"] for name in _COLORS if name in marks}
