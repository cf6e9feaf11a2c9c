"""Trees from HTML, as the tables of the schema say.

Scripts, styles, handlers, frames and foreign attributes are gone before anything is read.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from collab.content.extras import require
from collab.content.schema import Attribute, MarkType, NodeType, ParseRule, Schema
from collab.content.trees import Mark, Node, make_node, make_text

from .fitting import BREAK, Fitter
from .html_elements import HtmlElement, flatten_html, parse_html
from .links import SAFE_PROTOCOLS

__all__ = ["read_html"]

#: Elements whose content is not for readers.
_HIDDEN = {"head", "iframe", "noscript", "object", "script", "style", "svg", "template", "title"}
#: Elements that begin and end a line, and have no other meaning of their own.
_BLOCKS = frozenset(
    {"address", "article", "aside", "body", "center", "dd", "details", "div", "dl", "dt"}
    | {"fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "html", "main"}
    | {"nav", "section", "summary"}
)
#: Elements that begin and end a line, and have a meaning beyond that.
_PARTS = frozenset(
    {"blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "pre", "table", "td", "th"}
    | {"tr", "ul"}
)
#: Elements without a meaning that could be lost.
_NEUTRAL = _BLOCKS | frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "big", "br", "button", "caption", "cite", "col", "colgroup"}
    | {"data", "dfn", "font", "i", "input", "kbd", "label", "legend", "p", "q", "samp", "small"}
    | {"span", "tbody", "tfoot", "thead", "time", "tt", "var", "wbr"}
)
#: Attributes that rules may ask for, beside those of the schema.
_ATTRIBUTES = {"alt", "checked", "class", "colspan", "colwidth", "height", "href", "rowspan", "src"}
_ATTRIBUTES |= {"start", "style", "title", "type", "width"}
_STYLES = {"font-style", "font-weight", "text-align", "text-decoration"}
_SELECTOR = re.compile(
    r"(?P<tag>[\w-]*)(?:\[(?P<style>style:)?(?P<name>[\w-]+)(?:=(?P<value>.*))?\])?"
)


@dataclass(frozen=True)
class _Rule:
    """One way to write a node or a mark in HTML."""

    kind: NodeType | MarkType
    tag: str
    attribute: str | None
    style: str | None
    value: str | None
    parse: ParseRule

    @property
    def rank(self) -> int:
        """The rank of the rule; rules with more conditions come first."""
        return 0 if self.attribute or self.style else 1 if callable(self.parse) else 2

    def match(self, element: HtmlElement) -> Mapping[str, Any] | None:
        """Return the attributes that the element says, or ``None`` if the rule is not for it."""
        if self.tag not in ("", element.tag) or not self._has_value(element):
            return None
        said = self.parse(element) if callable(self.parse) else self.parse
        return (
            None if said is None else _read_attributes(self.kind.attributes, element) | dict(said)
        )

    def _has_value(self, element: HtmlElement) -> bool:
        if self.style is not None:
            given = element.styles.get(self.style)
            return given is not None and (self.value is None or self.value in given.split())
        if self.attribute is not None:
            given = element.attributes.get(self.attribute)
            return given is not None and self.value in (None, given)
        return True


def read_html(
    html: str, schema: Schema, foreign: Collection[str] = ()
) -> tuple[Node, Counter[str]]:
    """Return the tree of HTML, fitted to the schema, and a report of dropped parts.

    Args:
        html: of a page or a part of one.
        schema: of the tree.
        foreign: names of nodes that are read although the schema does not have them.
    """
    table = _table(schema)
    tags = map(str.lower, re.findall(r"<([a-zA-Z][a-zA-Z0-9-]*)", html))
    dropped = Counter(f"<{tag}>" for tag in tags if tag not in table.tags)
    reader, fitter = _HtmlReader(table, foreign), Fitter(schema, dropped)
    root = parse_html(_clean(flatten_html(html, dropped), table))
    return fitter.document(reader.nodes(root.children, [])), dropped


def _clean(html: str, table: _Table) -> str:
    nh3 = require("nh3")
    cleaned: str = nh3.clean(
        html,
        tags=table.tags | _PARTS,
        clean_content_tags=_HIDDEN - table.tags,
        attributes={"*": table.attributes},
        generic_attribute_prefixes={"data-"},
        filter_style_properties=table.styles,
        url_schemes=set(SAFE_PROTOCOLS),
        link_rel=None,
    )
    return cleaned


class _Table:
    """The rules of a schema for reading HTML."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.nodes = _rules(schema.nodes)
        self.marks = _rules(schema.marks)
        rules = [*self.nodes, *self.marks]
        self.tags = set(_NEUTRAL) | {rule.tag for rule in rules if rule.tag}
        known = [each for kind in schema.nodes for each in kind.attributes.values()]
        known += [each for kind in schema.marks for each in kind.attributes.values()]
        self.attributes = _ATTRIBUTES | {each.html for each in known if each.html}
        self.attributes |= {rule.attribute for rule in rules if rule.attribute}
        self.styles = _STYLES | {each.style for each in known if each.style}


_table = lru_cache(maxsize=32)(_Table)


class _HtmlReader:
    """Makes nodes of elements; they are not fitted to the schema yet."""

    def __init__(self, table: _Table, foreign: Collection[str]) -> None:
        self._table = table
        self._schema = table.schema
        self._foreign = foreign

    def nodes(self, content: Sequence[HtmlElement | str], marks: Sequence[Mark]) -> list[Node]:
        """Return the nodes of elements and texts."""
        found: list[Node] = []
        for part in content:
            if isinstance(part, HtmlElement):
                found += self._element(part, marks)
            else:
                found.append(make_text(part, marks))
        return found

    def _element(self, element: HtmlElement, marks: Sequence[Mark]) -> list[Node]:
        for rule in self._table.nodes:
            attributes = rule.match(element)
            if attributes is not None and isinstance(rule.kind, NodeType):
                return [self._node(rule.kind, attributes, element, marks)]
        inner = self.nodes(element.children, self._marked(element, marks))
        foreign = element.attributes.get("data-node", "")
        if foreign in self._foreign or foreign in self._schema.node_types:
            return [make_node(foreign, _json_object(element.attributes.get("data-attrs")), inner)]
        is_line = element.tag in _BLOCKS or element.tag in _PARTS or element.tag == "p"
        return [BREAK, *inner, BREAK] if is_line else inner

    def _node(
        self,
        kind: NodeType,
        attributes: Mapping[str, Any],
        element: HtmlElement,
        marks: Sequence[Mark],
    ) -> Node:
        if not kind.content:
            node = make_node(kind.name, attributes)
            return node | {"marks": list(marks)} if marks and kind.is_inline else node
        if kind.is_code:
            return make_node(
                kind.name, attributes, [make_text(text)] if (text := element.text()) else ()
            )
        inside = self._marked(element, marks if kind.is_inline else [])
        content = self.nodes(element.children, inside)
        return make_node(kind.name, attributes, content)

    def _marked(self, element: HtmlElement, marks: Sequence[Mark]) -> list[Mark]:
        """Return the marks of the content of an element."""
        found = list(marks)
        for rule in self._table.marks:
            attributes = rule.match(element)
            if attributes is not None and isinstance(rule.kind, MarkType):
                found = _add_mark(found, rule.kind, attributes, self._schema)
        return found


def _rules(kinds: Sequence[NodeType | MarkType]) -> list[_Rule]:
    rules = [
        _rule(kind, selector, parse) for kind in kinds for selector, parse in kind.parse.items()
    ]
    return sorted(rules, key=lambda rule: rule.rank)


def _rule(kind: NodeType | MarkType, selector: str, parse: ParseRule) -> _Rule:
    parts = _SELECTOR.fullmatch(selector)
    if parts is None:
        raise ValueError(f"The selector {selector!r} of {kind.name} is not valid.")
    name = parts["name"]
    style = name if parts["style"] else None
    return _Rule(kind, parts["tag"], None if style else name, style, parts["value"], parse)


def _read_attributes(table: Mapping[str, Attribute], element: HtmlElement) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, attribute in table.items():
        given = element.attributes.get(attribute.html or "")
        if attribute.style:
            given = element.styles.get(attribute.style)
        if given is None:
            continue
        value = _convert(given, attribute)
        if value is not None and attribute.allows(value):
            found[key] = value
    return found


def _convert(given: str, attribute: Attribute) -> Any:
    """Return an attribute's value from HTML; ``None`` if it is of no type that it may have."""
    if not attribute.types or str in attribute.types:
        return given
    if bool in attribute.types:
        return {"": True, "true": True, "false": False}.get(given)
    if int in attribute.types and re.fullmatch(r"-?[0-9]{1,9}", given):
        return int(given)
    return None


def _json_object(given: str | None) -> dict[str, Any]:
    try:
        value = json.loads(given or "{}")
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _add_mark(
    marks: Sequence[Mark], kind: MarkType, attributes: Mapping[str, Any], schema: Schema
) -> list[Mark]:
    """Return marks with one more, in the place of those that it excludes."""
    mark: Mark = (
        {"type": kind.name, "attrs": dict(attributes)} if attributes else {"type": kind.name}
    )
    others = [each for each in marks if each["type"] != kind.name or kind.overlaps]
    if any(_excludes(schema.mark_types[each["type"]], kind) for each in others):
        return list(marks)
    return [each for each in others if not _excludes(kind, schema.mark_types[each["type"]])] + [
        mark
    ]


def _excludes(one: MarkType, other: MarkType) -> bool:
    return one.excludes is None or other.name in one.excludes
