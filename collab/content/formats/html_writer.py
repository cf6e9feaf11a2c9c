"""HTML from trees, as the tables of the schema say.

All text and all values of attributes are escaped, and addresses have safe protocols only, so that
the result can be put into a page as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from collab.content.schema import Attribute, HtmlOutput, Schema
from collab.content.trees import Mark, Node, children, is_text

from .links import is_safe_url

__all__ = ["VOID_TAGS", "html_attributes", "tag", "write_html"]

VOID_TAGS = frozenset({"br", "col", "hr", "img", "input"})
_CSS_VALUE = re.compile(r"[\w #%.,()-]+")
#: Functions that load something.
_CSS_FUNCTION = re.compile(r"url|image|expression|element", re.IGNORECASE)


def write_html(tree: Node, schema: Schema) -> str:
    """Return the HTML of the content of a tree's top node."""
    return _HtmlWriter(schema).content(children(tree))


def tag(name: str, attributes: Mapping[str, Any], inner: str = "") -> str:
    """Return an HTML element.

    Args:
        name: of the element.
        attributes: their values; those that are ``None`` are left out.
        inner: HTML inside it.
    """
    pairs = "".join(
        f' {key}="{escape(_attribute_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{pairs}>" if name in VOID_TAGS else f"<{name}{pairs}>{inner}</{name}>"


def html_attributes(table: Mapping[str, Attribute], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the HTML attributes that hold the attributes of a node or a mark."""
    found: dict[str, Any] = {}
    styles: list[str] = []
    for key, attribute in table.items():
        value = values.get(key)
        if value is None or (value == "" and not attribute.holds_url):
            continue
        if attribute.style:
            styles.append(_css_declaration(attribute.style, value))
        elif attribute.html:
            safe = not attribute.holds_url or is_safe_url(str(value))
            found[attribute.html] = value if safe else ""
    style = " ".join(filter(None, styles))
    return found | ({"style": style} if style else {})


def _attribute_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(map(_attribute_text, value))
    return json.dumps(value, ensure_ascii=False)


def _css_declaration(name: str, value: Any) -> str:
    """Return a CSS declaration, or nothing if the value could be more than a value."""
    text = str(value)
    if not _CSS_VALUE.fullmatch(text) or _CSS_FUNCTION.search(text):
        return ""
    return f"{name}: {text};"


class _HtmlWriter:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def content(self, nodes: Iterable[Node]) -> str:
        """Return the HTML of nodes; marks that go on from one to the next are one element."""
        # The outermost level of ``open_parts`` is the result, each other one an open mark's inside.
        open_marks: list[Mark] = []
        open_parts: list[list[str]] = [[]]
        for node in nodes:
            marks: Sequence[Mark] = node.get("marks", ())
            kept = _common(open_marks, marks)
            self._close(open_marks, open_parts, kept)
            for mark in marks[kept:]:
                open_marks.append(mark)
                open_parts.append([])
            open_parts[-1].append(self._node(node))
        self._close(open_marks, open_parts, 0)
        return "".join(open_parts[0])

    def _close(self, marks: list[Mark], parts: list[list[str]], kept: int) -> None:
        while len(marks) > kept:
            inner = "".join(parts.pop())
            parts[-1].append(self._mark(marks.pop(), inner))

    def _mark(self, mark: Mark, inner: str) -> str:
        known = self._schema.mark_types.get(mark["type"])
        values = self._schema.attributes_of(mark)
        if known is None or known.html is None:
            return tag("span", {"data-mark": mark["type"]} | _data(values), inner)
        return _output(known.html, known.attributes, mark | {"attrs": values}, inner)

    def _node(self, node: Node) -> str:
        if is_text(node):
            return escape(node["text"], quote=False)
        known = self._schema.node_types.get(node["type"])
        inner = self.content(children(node))
        values = self._schema.attributes_of(node)
        if known is not None and known.html is not None:
            return _output(known.html, known.attributes, node | {"attrs": values}, inner)
        name = "span" if known is not None and known.is_inline else "div"
        return tag(name, {"data-node": node["type"]} | _data(values), inner)


def _common(one: Sequence[Mark], other: Sequence[Mark]) -> int:
    """Return how many marks at the beginning are the same."""
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count


def _output(html: HtmlOutput, table: Mapping[str, Attribute], node: Node, inner: str) -> str:
    if callable(html):
        return html(node, inner)
    return tag(html, html_attributes(table, node["attrs"]), inner)


def _data(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a node without a table, for the element that stands for it."""
    return {"data-attrs": json.dumps(values, ensure_ascii=False, sort_keys=True)} if values else {}
