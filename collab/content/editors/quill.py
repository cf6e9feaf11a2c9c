"""Quill 2: its value is a delta, a list of texts with attributes.

Formats of lines are attributes of the line end: headings, lists with an indent, quotes, code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final, NamedTuple

from pycrdt import Doc

from collab.content.formats.html_writer import tag
from collab.content.formats.links import is_safe_url
from collab.content.schema import Attribute, NodeType, Schema
from collab.content.shared_types.text_changes import Chunk
from collab.content.shared_types.texts import TextLayout, read_chunks, write_text_root
from collab.content.trees import (
    JSON,
    Mark,
    Node,
    children,
    document,
    inline_text,
    make_node,
    make_text,
)
from collab.content.validation import check_value
from collab.exceptions import InvalidContent

from .rich import RICH
from .tiptap import TIPTAP

__all__ = ["QUILL"]

#: Formats of text that are marks without a value.
_FLAGS = ("bold", "italic", "underline", "strike", "code")
#: Formats of text with a value, and the mark and attribute that they are.
_VALUES = {
    "link": ("link", "href"),
    "color": ("textColor", "value"),
    "background": ("backgroundColor", "value"),
    "font": ("font", "value"),
    "size": ("size", "value"),
}
_SCRIPTS = {"sub": "subscript", "super": "superscript"}
_LISTS = {"ordered": "orderedList", "bullet": "bulletList"}
_TASKS = {"checked": True, "unchecked": False}


def _embed(name: str, html: Any, **more: Any) -> NodeType:
    return NodeType(name=name, group="inline", is_inline=True, html=html, **more)


def _video(node: Node, inner: str) -> str:
    url = str(node["attrs"].get("src") or "")
    return tag("a", {"href": url if is_safe_url(url) else ""}, tag("span", {}, "video"))


#: Rich trees without the parts that Quill lacks, and with its embeds in the text.
_TREE: Final[Schema] = RICH.without(
    *("mention", "highlight", "horizontalRule", "table", "tableRow", "tableCell", "tableHeader"),
    *("toggleList", "toggleItem", "nested", "audio", "file"),
).extend(
    name="quill-tree",
    nodes=[
        replace(TIPTAP.node_types["image"], group="inline", is_inline=True),
        _embed("video", _video, attributes={"src": Attribute(types=(str, type(None)))}),
        _embed("embed", None, attributes={"value": Attribute()}),
    ],
)


class _Line(NamedTuple):
    """A line of a delta, and the formats of its end."""

    nodes: list[Node]
    formats: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The kind of block that it is, or a part of."""
        if "list" in self.formats:
            return "list"
        if self.formats.get("code-block"):
            return "code"
        return "quote" if self.formats.get("blockquote") else "line"

    @property
    def level(self) -> int:
        """The indentation of the line."""
        given = self.formats.get("indent")
        return given if isinstance(given, int) and 0 < given < 50 else 0


class _QuillLayout(TextLayout):
    """Content whose value is a delta."""

    def tree_schema(self, schema: Schema) -> Schema:
        return _TREE

    def read(self, doc: Doc[Any], field: str, schema: Schema) -> JSON:
        return [
            {"insert": value} | ({"attributes": dict(formatting)} if formatting else {})
            for value, formatting in read_chunks(doc, field)
        ]

    def to_tree(self, value: JSON, schema: Schema) -> Node:
        return document(_TREE.complete(_blocks(_lines(value))))

    def from_tree(self, tree: Node, schema: Schema, old: JSON) -> JSON:
        operations = list(_operations(children(tree)))
        if operations == [{"insert": "\n"}]:
            # A line without letters, which Quill shows of a text that is empty.
            return []
        return operations if _ends_a_line(old[-1:]) else _without_last_end(operations)

    def write(self, doc: Doc[Any], field: str, value: JSON, schema: Schema) -> None:
        operations = value.get("ops") if isinstance(value, dict) else value
        if not isinstance(operations, list):
            raise InvalidContent("The content of Quill must be a delta: a list of operations.")
        write_text_root(doc, field, [_chunk(each, index) for index, each in enumerate(operations)])


def _chunk(operation: Any, index: int) -> Chunk:
    path = f"ops[{index}]"
    known = isinstance(operation, dict) and operation.keys() <= {"insert", "attributes"}
    insert = operation.get("insert") if known else None
    formatting = (operation.get("attributes") or {}) if known else {}
    if not isinstance(insert, (str, dict)) or not isinstance(formatting, dict):
        raise InvalidContent(f"{path} must insert a string or an object, and nothing else.")
    check_value(insert, f"{path}.insert")
    check_value(formatting, f"{path}.attributes")
    return Chunk(insert, {key: value for key, value in formatting.items() if value is not None})


# A tree of a delta.


def _lines(delta: Iterable[Mapping[str, Any]]) -> Iterator[_Line]:
    nodes: list[Node] = []
    for operation in delta:
        insert, formats = operation["insert"], operation.get("attributes", {})
        if not isinstance(insert, str):
            nodes.append(_embedded(insert, formats))
            continue
        for index, part in enumerate(insert.split("\n")):
            if index:
                yield _Line(nodes, formats)
                nodes = []
            if part:
                nodes.append(make_text(part, _marks(formats)))
    if nodes:
        yield _Line(nodes, {})


def _embedded(value: Any, formats: Mapping[str, Any]) -> Node:
    marks = _marks({key: item for key, item in formats.items() if key in _VALUES or key in _FLAGS})
    if not isinstance(value, Mapping):
        node = make_node("embed", {"value": value})
    elif set(value) == {"image"}:
        sizes = {key: formats[key] for key in ("alt", "width", "height") if key in formats}
        node = make_node("image", {"src": value["image"], **sizes})
    elif set(value) == {"video"}:
        node = make_node("video", {"src": value["video"]})
    else:
        node = make_node("embed", {"value": dict(value)})
    return node | ({"marks": marks} if marks else {})


def _marks(formats: Mapping[str, Any]) -> list[Mark]:
    marks: list[Mark] = []
    for key, value in formats.items():
        if not value or key in _LINE_FORMATS:
            continue
        if key in _FLAGS:
            marks.append({"type": key})
        elif key in _VALUES:
            name, attribute = _VALUES[key]
            marks.append({"type": name, "attrs": {attribute: value}})
        elif key == "script" and value in _SCRIPTS:
            marks.append({"type": _SCRIPTS[value]})
        else:
            marks.append({"type": key, "attrs": {"value": value}})
    return marks


_LINE_FORMATS = {"header", "list", "indent", "align", "blockquote", "code-block", "direction"}


def _blocks(lines: Iterable[_Line]) -> list[Node]:
    blocks: list[Node] = []
    for kind, group in groupby(lines, lambda line: line.kind):
        some = list(group)
        if kind == "list":
            blocks += _nested(some, 0)
        elif kind == "quote":
            blocks.append(make_node("blockquote", {}, [_paragraph(line) for line in some]))
        elif kind == "code":
            blocks += _code_blocks(some)
        else:
            blocks += map(_paragraph, some)
    return blocks


def _paragraph(line: _Line) -> Node:
    align = line.formats.get("align")
    attributes: dict[str, Any] = {"textAlign": align} if align else {}
    handled = {"header", "align", "blockquote", "list"} | (
        {"indent"} if "list" in line.formats else set()
    )
    rest = {key: value for key, value in line.formats.items() if key not in handled}
    # Attributes of the line that a tree does not have.
    attributes |= {"format": rest} if rest else {}
    level = line.formats.get("header")
    if isinstance(level, int) and 0 < level <= 6:
        return make_node("heading", attributes | {"level": level}, line.nodes)
    return make_node("paragraph", attributes, line.nodes)


def _code_blocks(lines: Iterable[_Line]) -> Iterator[Node]:
    for language, group in groupby(lines, lambda line: line.formats["code-block"]):
        code = "\n".join("".join(map(inline_text, line.nodes)) for line in group)
        name = language if isinstance(language, str) and language != "plain" else None
        yield make_node("codeBlock", {"language": name}, [make_text(code)] if code else [])


def _nested(lines: Sequence[_Line], level: int) -> list[Node]:
    """Return the lists of lines that are indented at least so far."""
    lists: list[Node] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.level > level and lists:
            end = next((i for i in range(index, len(lines)) if lines[i].level <= level), len(lines))
            children(lists[-1])[-1]["content"] += _nested(lines[index:end], level + 1)
            index = end
            continue
        kind = line.formats["list"]
        name = "taskList" if kind in _TASKS else _LISTS.get(kind, "bulletList")
        if not lists or lists[-1]["type"] != name:
            lists.append({"type": name, "content": []})
        checked = {"checked": _TASKS[kind]} if kind in _TASKS else {}
        item = "taskItem" if kind in _TASKS else "listItem"
        lists[-1]["content"].append(make_node(item, checked, [_paragraph(line)]))
        index += 1
    return lists


# A delta of a tree.


def _operations(
    blocks: Iterable[Node], formats: Mapping[str, Any] | None = None, level: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield the operations of blocks; ``formats`` are of the lines that have none of their own."""
    base = dict(formats or {})
    for block in blocks:
        kind = block["type"]
        if kind in ("bulletList", "orderedList", "taskList"):
            for item in children(block):
                yield from _item_operations(kind, item, level)
        elif kind == "blockquote":
            yield from _operations(children(block), {"blockquote": True}, level)
        elif kind == "codeBlock":
            language = block.get("attrs", {}).get("language") or True
            for line in inline_text(block).split("\n"):
                yield from _insert(line, {})
                yield from _insert("\n", {"code-block": language})
        else:
            yield from _line_operations(block, base)


def _item_operations(kind: str, item: Node, level: int) -> Iterator[dict[str, Any]]:
    name = {"bulletList": "bullet", "orderedList": "ordered"}.get(kind)
    if name is None:
        name = "checked" if item.get("attrs", {}).get("checked") is True else "unchecked"
    indent = {"indent": level} if level else {}
    first, *rest = children(item)
    yield from _line_operations(first, {"list": name, **indent})
    for block in rest:
        yield from _operations([block], {"indent": level + 1}, level + 1)


def _line_operations(block: Node, base: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    given = block.get("attrs", {})
    formats = {**base, **(given.get("format") or {})}
    formats |= {"header": given["level"]} if block["type"] == "heading" else {}
    formats |= {"align": given["textAlign"]} if given.get("textAlign") else {}
    for node in children(block):
        if node["type"] == "hardBreak":
            yield from _insert("\n", formats)
        else:
            yield from _inline_operation(node)
    yield from _insert("\n", formats)


def _inline_operation(node: Node) -> Iterator[dict[str, Any]]:
    formats = dict(_formats(node.get("marks", ())))
    given = node.get("attrs", {})
    match node["type"]:
        case "text":
            yield from _insert(node["text"], formats)
        case "image":
            sizes = {key: given[key] for key in ("alt", "width", "height") if given.get(key)}
            yield from _insert({"image": given.get("src")}, formats | sizes)
        case "video":
            yield from _insert({"video": given.get("src")}, formats)
        case _:
            yield from _insert(given["value"], formats)


def _formats(marks: Iterable[Mark]) -> Iterator[tuple[str, Any]]:
    by_mark = {name: (key, attribute) for key, (name, attribute) in _VALUES.items()}
    scripts = {name: key for key, name in _SCRIPTS.items()}
    for mark in marks:
        name, given = mark["type"], mark.get("attrs", {})
        if name in by_mark:
            key, attribute = by_mark[name]
            yield key, given.get(attribute)
        elif name in scripts:
            yield "script", scripts[name]
        else:
            yield name, given.get("value", True)


def _ends_a_line(operations: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the last operation is a text that ends a line."""
    last = operations[-1]["insert"] if operations else ""
    return isinstance(last, str) and last.endswith("\n")


def _without_last_end(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return operations without a plain line end after the last line, which Quill adds itself.

    Its binding does not store it, and shows an empty line after one that is stored.
    """
    *rest, last = operations or [{}]
    return rest if last == {"insert": "\n"} and not _ends_a_line(rest) else operations


def _insert(value: Any, formats: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if value != "":
        yield {"insert": value} | ({"attributes": dict(formats)} if formats else {})


QUILL: Final = Schema(name="quill", field="quill", nodes=(), marks=(), layout=_QuillLayout())
