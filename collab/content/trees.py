"""The form that all content passes through: a tree of nodes, as ProseMirror writes it in JSON.

A node is ``{"type", "attrs", "content"}`` or, for text, ``{"type": "text", "text", "marks"}``; a
mark is ``{"type", "attrs"}``. Empty values are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

__all__ = [
    "JSON",
    "MAX_DEPTH",
    "MAX_SAFE_INTEGER",
    "MAX_SPAN",
    "Mark",
    "Node",
    "children",
    "clean_number",
    "column_span",
    "document",
    "inline_text",
    "is_text",
    "join_texts",
    "json_key",
    "make_lines",
    "make_node",
    "make_text",
    "split_letters",
    "walk",
]

JSON: TypeAlias = Any
Node: TypeAlias = dict[str, Any]
Mark: TypeAlias = dict[str, Any]

#: Nodes deeper inside each other cannot be read or written; no editor makes such.
MAX_DEPTH = 200
#: Integers beyond are not numbers in JavaScript, where all numbers are floats.
MAX_SAFE_INTEGER = 2**53 - 1
#: Columns or rows that one cell may span, as in browsers.
MAX_SPAN = 1000


def make_node(
    name: str, attributes: Mapping[str, Any] | None = None, content: Sequence[Node] = ()
) -> Node:
    """Return a node without the keys that would be empty."""
    node: Node = {"type": name}
    if attributes:
        node["attrs"] = dict(attributes)
    if content:
        node["content"] = list(content)
    return node


def make_text(text: str, marks: Sequence[Mark] = ()) -> Node:
    """Return a text node."""
    node: Node = {"type": "text", "text": text}
    if marks:
        node["marks"] = list(marks)
    return node


def make_lines(text: str, marks: Sequence[Mark] = (), line_end: str = "hardBreak") -> list[Node]:
    """Return the nodes of a text, with a node for each line end."""
    nodes: list[Node] = []
    for index, part in enumerate(text.split("\n")):
        nodes += [make_node(line_end)] if index else []
        nodes += [make_text(part, marks)] if part else []
    return nodes


def document(content: Sequence[Node]) -> Node:
    """Return the node at the top of a tree, which also has a content if it is empty."""
    return {"type": "doc", "content": list(content)}


def children(node: Node) -> list[Node]:
    """Return the nodes inside a node."""
    content: list[Node] = node.get("content") or []
    return content


def is_text(node: Node) -> bool:
    """Return whether a node is text."""
    return bool(node["type"] == "text")


def join_texts(nodes: Iterable[Node]) -> list[Node]:
    """Return nodes with neighbouring texts of equal marks made one."""
    joined: list[Node] = []
    for node in nodes:
        last = joined[-1] if joined else None
        if last is not None and is_text(node) and is_text(last) and _same_marks(node, last):
            joined[-1] = last | {"text": last["text"] + node["text"]}
        else:
            joined.append(node)
    return joined


def _same_marks(one: Node, other: Node) -> bool:
    return bool(one.get("marks", []) == other.get("marks", []))


def split_letters(nodes: Iterable[Node]) -> list[Node]:
    """Return inline nodes with each letter as a node."""
    letters: list[Node] = []
    for node in nodes:
        letters += [node | {"text": each} for each in node["text"]] if is_text(node) else [node]
    return letters


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes inside it, in the order of the document."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def inline_text(node: Node) -> str:
    """Return the letters inside a node, without the nodes between them."""
    return "".join(inner["text"] for inner in walk(node) if is_text(inner))


def column_span(cell: Mapping[str, Any]) -> int:
    """Return how many columns a cell with these attributes spans."""
    span = cell.get("colspan")
    return span if isinstance(span, int) and 0 < span <= MAX_SPAN else 1


def json_key(value: Any) -> str:
    """Return a text that JSON values share only if they are equal."""
    return json.dumps(value, sort_keys=True)


def clean_number(value: float) -> float | int:
    """Return an integral float as the integer that JavaScript shows."""
    if value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
        return int(value)
    return value
