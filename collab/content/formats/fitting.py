"""Nodes made to fit a schema: wrapped, unwrapped, split, completed and, at last, dropped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from collab.content.expressions import ContentExpression
from collab.content.schema import REQUIRED, NodeType, Schema
from collab.content.trees import (
    Mark,
    Node,
    children,
    document,
    is_text,
    join_texts,
    make_node,
)

__all__ = ["BREAK", "Fitter"]

#: Separates texts that are not in the same line.
BREAK: Final[Node] = {"type": "<break>"}
#: At most this number of nodes wrap a node.
_MAX_WRAPPERS = 3
#: Nodes of one kind after which another one is not checked.
_MANY = 100
_SPACES = re.compile(r"[ \t\r\n\f]+")


class Fitter:
    """Makes nodes fit a schema.

    Args:
        schema: that they must fit.
        dropped: counts parts that cannot be kept.
    """

    def __init__(self, schema: Schema, dropped: Counter[str]) -> None:
        self._schema = schema
        self._dropped = dropped
        self._paths: dict[tuple[str, str], tuple[str, ...] | None] = {}

    def document(self, nodes: Sequence[Node]) -> Node:
        """Return the tree of nodes."""
        return document(self._content(self._schema.node_types[self._schema.top], nodes))

    def _content(self, parent: NodeType, nodes: Sequence[Node]) -> list[Node]:
        """Return the children that a node gets of those that should be in it."""
        if self._schema.holds_text(parent.name):
            return self._line(parent, nodes)
        expression = self._schema.expressions[parent.name]
        placed: list[Node] = []
        for node in self._blocks(nodes):
            self._place(expression, node, placed)
        return self._complete(expression, placed)

    # Lines.

    def _line(self, parent: NodeType, nodes: Iterable[Node]) -> list[Node]:
        """Return the text of a node that holds text."""
        if parent.is_code:
            return join_texts(nodes)
        allowed = self._schema.expressions[parent.name].names
        kept: list[Node] = []
        for node in nodes:
            bare = self._bare(node, parent)
            if node["type"] in allowed:
                kept.append(bare)
            else:
                self._dropped[f"node {node['type']}"] += 1
        return join_texts(_collapse(kept, self._is_line_end))

    def _bare(self, node: Node, parent: NodeType) -> Node:
        """Return an inline node with the marks that it may have."""
        if parent.marks is None or "marks" not in node:
            return node
        marks: list[Mark] = []
        for mark in node["marks"]:
            if mark["type"] in parent.marks:
                marks.append(mark)
            else:
                self._dropped[f"mark {mark['type']}"] += 1
        bare = {key: value for key, value in node.items() if key != "marks"}
        return bare | {"marks": marks} if marks else bare

    def _is_line_end(self, node: Node) -> bool:
        return self._schema.kind_of(node) == "hardBreak"

    # Blocks.

    def _blocks(
        self,
        nodes: Iterable[Node],
        line_type: NodeType | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Iterator[Node]:
        """Yield blocks; texts between them are lines of their own, of a type with attributes."""
        for is_line, group in groupby(nodes, self._schema.is_inline):
            part = [*group]
            if not is_line:
                for node in part:
                    if node is not BREAK:
                        yield from self._block(node)
            elif _has_letters(part):
                line_type = line_type or self._schema.first_line_type
                yield make_node(line_type.name, attributes, self._line(line_type, part))

    def _block(self, node: Node) -> Iterator[Node]:
        """Yield the nodes that a node becomes."""
        known = self._schema.node_types.get(node["type"])
        attributes, inner = node.get("attrs"), children(node)
        if known is None or not known.content:
            yield node
        elif self._schema.holds_text(known.name) and not known.is_code:
            # A line that has blocks in it becomes lines and blocks, one after the other.
            parts = [*self._blocks(inner, known, attributes)]
            yield from parts or [make_node(known.name, attributes)]
        else:
            for kind, content in self._split_list(known, inner):
                given = attributes if kind is known else None
                yield make_node(kind.name, given, self._content(kind, content))

    def _split_list(
        self, known: NodeType, nodes: Sequence[Node]
    ) -> Sequence[tuple[NodeType, list[Node]]]:
        """Return parts of a node's content with the kind of node that holds them.

        A list in which some items have a box to check becomes several lists.
        """
        parts: list[tuple[NodeType, list[Node]]] = []
        for node in nodes:
            if node is BREAK or not _has_letters([node]):
                # Nothing visible; it may be between two words.
                for _, content in parts[-1:]:
                    content.append(node)
                continue
            holder = known if self._schema.is_inline(node) else self._holder(known, node)
            if not parts or parts[-1][0] is not holder:
                parts.append((holder, []))
            parts[-1][1].append(node)
        return parts or [(known, [])]

    def _holder(self, known: NodeType, node: Node) -> NodeType:
        """Return the kind of node that holds the content of a node of the kind ``known``."""
        names, groups = self._schema.expressions[known.name].names, set(known.group.split())
        inner = self._schema.node_types.get(node["type"])
        if node["type"] in names or inner is None or groups & set(inner.group.split()):
            return known
        others = (
            other
            for other in self._schema.nodes
            if groups & set(other.group.split())
            and node["type"] in self._schema.expressions[other.name].names
        )
        return next(others, known)

    def _place(self, expression: ContentExpression, node: Node, placed: list[Node]) -> None:
        """Add a node to its siblings, in whatever it has to be wrapped in."""
        name = node["type"]
        if name in expression.names or name not in self._schema.node_types:
            placed.append(node)
            return
        if placed and not self._schema.is_inline(node):
            last = self._schema.expressions.get(placed[-1]["type"])
            if last is not None and _takes_one_more(last, children(placed[-1]), name):
                placed[-1]["content"] = children(placed[-1])
                placed[-1]["content"].append(node)
                return
        path = self._path(expression, name)
        if path is None:
            self._unwrap(expression, node, placed)
            return
        for wrapper in reversed(path):
            kind = self._schema.node_types[wrapper]
            node = make_node(wrapper, {}, self._content(kind, [node]))
        placed.append(node)

    def _path(self, expression: ContentExpression, name: str) -> tuple[str, ...] | None:
        """Return the nodes between a parent and a node that cannot be in it directly."""
        key = (expression.source, name)
        if key not in self._paths:
            self._paths[key] = self._find_path(expression, name)
        return self._paths[key]

    def _find_path(self, expression: ContentExpression, name: str) -> tuple[str, ...] | None:
        paths: list[tuple[str, ...]] = [(wrapper,) for wrapper in expression.names]
        for _ in range(_MAX_WRAPPERS):
            longer: list[tuple[str, ...]] = []
            for path in paths:
                kind = self._schema.node_types[path[-1]]
                if kind.is_inline or any(a.default == REQUIRED for a in kind.attributes.values()):
                    continue
                inner = self._schema.expressions[path[-1]].names
                if name in inner:
                    return path
                longer += [(*path, wrapper) for wrapper in inner if wrapper not in path]
            paths = longer
        return None

    def _unwrap(self, expression: ContentExpression, node: Node, placed: list[Node]) -> None:
        """Place the content of a node that its parent cannot hold."""
        self._dropped[f"node {node['type']}"] += 1
        for inner in self._blocks(children(node)):
            self._place(expression, inner, placed)

    def _complete(self, expression: ContentExpression, nodes: list[Node]) -> list[Node]:
        """Return nodes with the ones that their parent must have beside them."""
        while True:
            for candidate in self._completed(expression, nodes):
                known = [each["type"] for each in candidate]
                if expression.matches(name for name in known if name in self._schema.node_types):
                    return candidate
            if not nodes:
                return []
            self._dropped[f"node {nodes[-1]['type']}"] += 1
            nodes = nodes[:-1]

    def _completed(self, expression: ContentExpression, nodes: list[Node]) -> Iterator[list[Node]]:
        yield nodes
        for name in expression.names:
            kind = self._schema.node_types[name]
            if all(attribute.default != REQUIRED for attribute in kind.attributes.values()):
                empty = (
                    make_node(name, {}, self._content(kind, [])) if kind.content else {"type": name}
                )
                yield [empty, *nodes]
                yield [*nodes, empty]


def _takes_one_more(expression: ContentExpression, nodes: Sequence[Node], name: str) -> bool:
    """Return whether a node can follow those that its parent has."""
    if name not in expression.names:
        return False
    names = [node["type"] for node in nodes[-_MANY:]]
    if len(names) == _MANY and set(names) == {name}:
        # Matching all of them for each one would take long.
        return True
    return expression.matches([*(node["type"] for node in nodes), name])


def _has_letters(nodes: Iterable[Node]) -> bool:
    return any(not is_text(node) or node["text"].strip(" \t\r\n\f") for node in nodes)


def _collapse(nodes: Iterable[Node], is_line_end: Callable[[Node], bool]) -> list[Node]:
    """Return inline nodes with spaces as browsers show them."""
    seen: list[Node] = []
    after_space = True
    for node in nodes:
        if is_text(node):
            text = _SPACES.sub(" ", node["text"])
            text = text.removeprefix(" ") if after_space else text
            if text:
                seen.append(node | {"text": text})
                after_space = text.endswith(" ")
            continue
        after_space = is_line_end(node)
        if after_space:
            _strip_last_space(seen)
        seen.append(node)
    _strip_last_space(seen)
    return seen


def _strip_last_space(nodes: list[Node]) -> None:
    if nodes and is_text(nodes[-1]):
        node = nodes.pop()
        if text := node["text"].removesuffix(" "):
            nodes.append(node | {"text": text})
