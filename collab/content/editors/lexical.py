"""Lexical: its value is the JSON of its editor state. Its documents are read, not written.

A node is a shared text with the node's properties as attributes, its children are embedded in it,
and a text node is a map of properties before the letters themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn

from pycrdt import Doc, Map, Text, XmlElement, XmlText

from collab.content.schema import Layout, Schema
from collab.content.shared_types.values import plain
from collab.content.shared_types.xml_reader import attributes
from collab.content.trees import (
    JSON,
    MAX_DEPTH,
    Mark,
    Node,
    document,
    make_node,
    make_text,
)
from collab.exceptions import ContentError

from .rich import RICH

__all__ = ["LEXICAL"]

_PREFIX = "__"
_ALIGNMENTS = ("", "left", "center", "right", "justify", "start", "end")
#: The type of a node that does not say it.
_UNKNOWN = "unknown"
_MODES = ("normal", "token", "segmented")
#: Marks by the bit of a text's format.
_BITS = (
    *("bold", "italic", "strike", "underline", "code", "subscript", "superscript", "highlight"),
)
_LISTS = {"bullet": "bulletList", "number": "orderedList", "check": "taskList"}
_STYLES = {"color": "textColor", "background-color": "backgroundColor"}
_STYLES |= {"font-family": "font", "font-size": "size"}
#: Properties that are not in the JSON of a node of that type, or are written in another way.
_NOT_JSON = {"dir", "format", "indent", "style", "textFormat", "textStyle", "type"}

_IMAGE = replace(
    RICH.node_types["image"], group="inline", is_inline=True, html="img", markdown=None
)
_TREE: Final[Schema] = RICH.extend(nodes=[_IMAGE], name="lexical-tree")


class _LexicalLayout(Layout):
    """Content whose value is an editor state."""

    def tree_schema(self, schema: Schema) -> Schema:
        return _TREE

    def read(self, doc: Doc[Any], field: str, schema: Schema) -> JSON:
        with doc.transaction():
            root = doc.get(field, type=Text)
            properties = {"type": "root", "children": list(_children(root, 0, 1))}
        return {"root": _element(properties, {}, 0)}

    def to_tree(self, value: JSON, schema: Schema) -> Node:
        return document(_TREE.complete(_blocks(value["root"]["children"])))

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ContentError("Documents of Lexical can be read, not written.")

    from_tree = write = change_lines = letters = _refuse


# The JSON of shared types.


def _children(shared: Text | XmlText, lists: int, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the JSON of the content of a node; ``lists`` are around it."""
    if depth > MAX_DEPTH:
        raise ContentError(f"The document has more than {MAX_DEPTH} nodes inside each other.")
    text: dict[str, Any] | None = None
    for value, _ in shared.diff():
        if isinstance(value, str):
            if text is not None:
                text["text"] += value
            continue
        if text is not None:
            yield text
        text = None
        if isinstance(value, Map):
            text = _leaf(_bare(plain(value)))
        elif isinstance(value, XmlText):
            properties = _bare(attributes(value))
            is_list = properties["type"] == "list"
            inner = list(_children(value, lists + is_list, depth + 1))
            yield _element({"type": properties["type"], "children": inner}, properties, lists)
        elif isinstance(value, XmlElement):
            yield {**_bare(attributes(value)), "version": 1}
    if text is not None:
        yield text


def _bare(properties: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        key.removeprefix(_PREFIX): value
        for key, value in properties.items()
        if key.startswith(_PREFIX)
    }
    kind = found.get("type")
    return found | {"type": kind if isinstance(kind, str) else _UNKNOWN}


def _leaf(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of a text, whose letters follow, or of a line break."""
    if "mode" not in properties:
        return {**properties, "version": 1, "text": ""}
    return {**properties, "mode": _named(_MODES, properties["mode"]), "text": "", "version": 1}


def _named(names: Sequence[str], number: Any) -> str:
    """Return the name that a number stands for; the first if it stands for none."""
    return names[number] if isinstance(number, int) and 0 < number < len(names) else names[0]


def _element(node: dict[str, Any], properties: Mapping[str, Any], lists: int) -> dict[str, Any]:
    """Return the JSON of a node that has children."""
    kind, given = node["type"], properties.get("format")
    own = {key: value for key, value in properties.items() if key not in _NOT_JSON}
    for child in node["children"]:
        if child["type"] == "linebreak":
            child.pop("text", None)
    node |= own | {
        "direction": properties.get("dir"),
        "format": _named(_ALIGNMENTS, given),
        "indent": max(lists - 1, 0) if kind == "listitem" else properties.get("indent", 0),
        "version": 1,
    }
    if kind == "link":
        node |= {key: own.get(key) for key in ("rel", "target", "title")}
    texts: list[dict[str, Any]] = [each for each in node["children"] if each["type"] == "text"]
    text = texts[0] if texts else {}
    for key, of_text, usual in (("textFormat", "format", 0), ("textStyle", "style", "")):
        if kind == "paragraph":
            # A paragraph without a format for new text has that of its first text.
            node[key] = properties.get(key) or text.get(of_text, usual)
        elif properties.get(key, usual) != usual:
            node[key] = properties[key]
    if kind == "list" and own.get("listType") == "check":
        for item in node["children"]:
            item.setdefault("checked", False)
    return node


# A tree of the JSON.


def _blocks(nodes: Iterable[Mapping[str, Any]]) -> list[Node]:
    return [_block(node) for node in nodes]


def _block(node: Mapping[str, Any]) -> Node:
    kind, inner = node["type"], node.get("children", ())
    align = {"textAlign": node["format"]} if node.get("format") in _ALIGNMENTS[1:] else {}
    match kind:
        case "heading":
            level = int(re.sub(r"\D", "", str(node.get("tag"))) or 1)
            return make_node("heading", align | {"level": level}, _inline(inner))
        case "quote":
            return make_node("blockquote", {}, [make_node("paragraph", align, _inline(inner))])
        case "list":
            return _list(node)
        case "code":
            return _code(node)
        case "horizontalrule":
            return make_node("horizontalRule")
        case "table":
            return make_node("table", {}, [_row(row) for row in inner])
        case "paragraph":
            return make_node("paragraph", align, _inline(inner))
        case _:
            return _unknown(node)


def _unknown(node: Mapping[str, Any]) -> Node:
    given = {key: node[key] for key in sorted(node) if key not in ("type", "children", "version")}
    inner = node.get("children", ())
    is_line = any(child["type"] in ("text", "linebreak", "link") for child in inner)
    # Letters are in a node of their own.
    name = _UNKNOWN if node["type"] == "text" else node["type"]
    return make_node(name, given, _inline(inner) if is_line else _blocks(inner))


def _list(node: Mapping[str, Any]) -> Node:
    name = _LISTS.get(node.get("listType", ""), "bulletList")
    start = {"start": node["start"]} if name == "orderedList" and "start" in node else {}
    items: list[Node] = []
    for item in node.get("children", ()):
        inner = item.get("children", [])
        if items and inner and all(child["type"] == "list" for child in inner):
            # A list below an item is in an item of its own.
            items[-1]["content"] += _blocks(inner)
            continue
        lists = [child for child in inner if child["type"] == "list"]
        line = [child for child in inner if child["type"] != "list"]
        paragraph = make_node("paragraph", {}, _inline(line))
        checked = {"checked": item.get("checked") is True} if name == "taskList" else {}
        kind = "taskItem" if name == "taskList" else "listItem"
        items.append(make_node(kind, checked, [paragraph, *_blocks(lists)]))
    return make_node(name, start, items)


def _code(node: Mapping[str, Any]) -> Node:
    code = "".join(
        "\n" if child["type"] == "linebreak" else str(child.get("text", ""))
        for child in node.get("children", ())
    )
    language = {"language": node["language"]} if node.get("language") else {}
    return make_node("codeBlock", language, [make_text(code)] if code else [])


def _row(row: Mapping[str, Any]) -> Node:
    cells = [
        make_node(
            "tableHeader" if cell.get("headerState") else "tableCell",
            {"colspan": cell.get("colSpan", 1), "rowspan": cell.get("rowSpan", 1)},
            _blocks(cell.get("children", ())),
        )
        for cell in row.get("children", ())
    ]
    return make_node("tableRow", {}, cells)


def _inline(nodes: Iterable[Mapping[str, Any]], marks: Sequence[Mark] = ()) -> list[Node]:
    found: list[Node] = []
    for node in nodes:
        match node["type"]:
            case "linebreak":
                found.append(make_node("hardBreak"))
            case "link" | "autolink":
                keys = (("href", "url"), ("target", "target"), ("rel", "rel"), ("title", "title"))
                link = {"type": "link", "attrs": {name: node.get(key) for name, key in keys}}
                found += _inline(node.get("children", ()), [*marks, link])
            case "image":
                image = {"src": node.get("src"), "alt": node.get("altText") or None}
                found.append(make_node("image", image))
            case _ if isinstance(node.get("text"), str):
                text = node["text"]
                found += [make_text(text, [*marks, *_text_marks(node)])] if text else []
            case _:
                found.append(_unknown(node))
    return found


def _text_marks(node: Mapping[str, Any]) -> Iterator[Mark]:
    given = node.get("format")
    bits = given if isinstance(given, int) else 0
    yield from ({"type": name} for bit, name in enumerate(_BITS) if bits >> bit & 1)
    for declaration in str(node.get("style") or "").split(";"):
        name, _, value = declaration.partition(":")
        if name.strip() in _STYLES and value.strip():
            yield {"type": _STYLES[name.strip()], "attrs": {"value": value.strip()}}


LEXICAL: Final = Schema(name="lexical", field="root", nodes=(), marks=(), layout=_LexicalLayout())
