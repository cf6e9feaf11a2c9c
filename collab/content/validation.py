"""Checks of trees before they are written: editors delete nodes that their schema lacks."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from collab.exceptions import InvalidContent

from .schema import REQUIRED, Attribute, NodeType, Schema
from .trees import MAX_DEPTH, MAX_SAFE_INTEGER, Mark, Node

__all__ = ["check", "check_value"]


def check(tree: Node, schema: Schema, foreign: Collection[str] = ()) -> None:
    """Check a tree.

    Args:
        tree: the node at the top.
        schema: that it must fit.
        foreign: names of nodes and marks that are accepted although the schema does not have
            them, because the document has some already: its editor knows them.

    Raises:
        InvalidContent: the tree does not fit.
    """
    if not isinstance(tree, Mapping) or tree.get("type") != schema.top:
        raise InvalidContent(f"The content must be a node of the type {schema.top!r}.")
    _Checker(schema, foreign).check(tree, schema.top, 0)


class _Checker:
    def __init__(self, schema: Schema, foreign: Collection[str]) -> None:
        self._schema = schema
        self._foreign = foreign

    def check(self, node: Any, path: str, depth: int) -> None:
        """Check a node and all that is in it; the path says where it is."""
        name = self._name(node, path)
        if depth > MAX_DEPTH:
            _refuse(path, f"is more than {MAX_DEPTH} nodes deep")
        if name == "text":
            self._check_text(node, path)
            return
        known = self._schema.node_types.get(name)
        if known is None and name not in self._foreign:
            _refuse(path, f"has the type {name!r}, which {self._schema.name!r} does not have")
        self._check_attributes(node, known.attributes if known else {}, path)
        content = node.get("content") or []
        if not isinstance(content, list):
            _refuse(path, "has a content that is not a list")
        for index, child in enumerate(content):
            self.check(child, f"{path}.content[{index}]", depth + 1)
        if known is not None:
            self._check_content(known, content, path)

    def _name(self, node: Any, path: str) -> str:
        name = node.get("type") if isinstance(node, Mapping) else None
        if not isinstance(name, str) or not name:
            _refuse(path, "is not a node, which is an object with a type")
        return name

    def _check_content(self, known: NodeType, content: list[Node], path: str) -> None:
        expression = self._schema.expressions[known.name]
        names = [child["type"] for child in content]
        # A node that the schema does not know may be anywhere.
        inside = [name for name in names if name in self._schema.node_types]
        if not expression.matches(inside) and (inside or len(names) == len(inside)):
            has = ", ".join(names) or "nothing"
            wanted = known.content or "nothing"
            _refuse(path, f"has {has}, but a {known.name} must have {wanted}")
        for index, child in enumerate(content):
            for mark in child.get("marks", ()):
                if known.marks is not None and mark["type"] not in known.marks:
                    place = f"{path}.content[{index}]"
                    _refuse(place, f"has the mark {mark['type']!r}, which is not allowed there")

    def _check_text(self, node: Node, path: str) -> None:
        text = node.get("text")
        if not isinstance(text, str) or not text:
            _refuse(path, "is a text without letters")
        _check_string(text, path)
        marks = node.get("marks", [])
        if not isinstance(marks, list):
            _refuse(path, "has marks that are not a list")
        for mark in marks:
            self._check_mark(mark, path)
        self._check_together(marks, path)

    def _check_mark(self, mark: Any, path: str) -> None:
        name = self._name(mark, f"{path}.marks")
        known = self._schema.mark_types.get(name)
        if known is None and name not in self._foreign:
            _refuse(path, f"has the mark {name!r}, which {self._schema.name!r} does not have")
        self._check_attributes(mark, known.attributes if known else {}, path)

    def _check_together(self, marks: list[Mark], path: str) -> None:
        names = [mark["type"] for mark in marks]
        for name in set(names):
            known = self._schema.mark_types.get(name)
            if names.count(name) > 1 and not (known and known.overlaps):
                _refuse(path, f"has the mark {name!r} twice")
            excluded = set(names) - {name} if known and known.excludes is None else set()
            excluded |= set(names).intersection(known.excludes or () if known else ()) - {name}
            if excluded:
                _refuse(path, f"has the marks {name!r} and {min(excluded)!r} together")

    def _check_attributes(
        self, node: Mapping[str, Any], table: Mapping[str, Attribute], path: str
    ) -> None:
        given = node.get("attrs") or {}
        if not isinstance(given, Mapping):
            _refuse(path, "has attributes that are not an object")
        for key, value in given.items():
            place = f"{path}.attrs.{key}"
            check_value(value, place)
            if value is not None and key in table and not table[key].allows(value):
                _refuse(place, f"cannot be {value!r}")
        for key, attribute in table.items():
            if attribute.default == REQUIRED and given.get(key) is None:
                _refuse(path, f"lacks the attribute {key!r}")


def check_value(value: Any, path: str, depth: int = 0) -> None:
    """Check that JavaScript reads a JSON value as it is.

    Raises:
        InvalidContent: it does not; the path says where the value is.
    """
    if depth > MAX_DEPTH:
        _refuse(path[:200], f"is more than {MAX_DEPTH} values deep")
    match value:
        case None | bool():
            pass
        case str():
            _check_string(value, path)
        case int():
            if abs(value) > MAX_SAFE_INTEGER:
                _refuse(path, "is larger than integers are in JavaScript")
        case float():
            if not math.isfinite(value):
                _refuse(path, "is not a finite number")
        case list() | tuple():
            for index, item in enumerate(value):
                check_value(item, f"{path}[{index}]", depth + 1)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    _refuse(path, "has a key that is not a string")
                check_value(item, f"{path}.{key}", depth + 1)
        case _:
            _refuse(path, f"is a {type(value).__name__}, not a JSON value")


def _check_string(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        _refuse(path, "has half of a surrogate pair")


def _refuse(path: str, reason: str) -> NoReturn:
    raise InvalidContent(f"The content does not fit: {path} {reason}.")
