"""Content expressions: which children a node may have, as in ``"paragraph block*"``.

The grammar is ProseMirror's: names of nodes or groups, sequences, ``|`` for a choice, parentheses,
and ``* + ? {n} {n,} {n,m}`` for repetition. An expression is compiled to a regular expression over
the names of the children, each followed by a space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ContentExpression"]

_TOKEN = re.compile(r"\s*(?:(?P<name>\w+)|(?P<count>\{\d+(?:,\d*)?\})|(?P<sign>[()|*+?]))")


class ContentExpression:
    """A compiled content expression.

    Args:
        source: the expression; empty for a node without children.
        groups: the names of the nodes that a name in the expression stands for: the members of a
            group, or a node alone.

    Raises:
        ValueError: the expression has a syntax error or an unknown name.
    """

    def __init__(self, source: str, groups: Mapping[str, Sequence[str]]) -> None:
        self.source = source
        #: The nodes that the expression mentions, in its order.
        self.names: dict[str, None] = {}
        self._pattern = re.compile(self._translate(source, groups))

    def matches(self, names: Iterable[str]) -> bool:
        """Return whether children of these names, in this order, are complete and allowed."""
        return self._pattern.fullmatch("".join(f"{name} " for name in names)) is not None

    def _translate(self, source: str, groups: Mapping[str, Sequence[str]]) -> str:
        parts: list[str] = []
        position, source = 0, source.strip()
        while position < len(source):
            token = _TOKEN.match(source, position)
            if token is None:
                raise ValueError(f"The content expression {source!r} has a syntax error.")
            parts.append(self._part(token, groups))
            position = token.end()
        return "".join(parts)

    def _part(self, token: re.Match[str], groups: Mapping[str, Sequence[str]]) -> str:
        if (name := token["name"]) is None:
            return "(?:" if token["sign"] == "(" else token["count"] or token["sign"]
        if name not in groups:
            raise ValueError(f"No node and no group is named {name!r} in {token.string!r}.")
        self.names.update(dict.fromkeys(groups[name]))
        return "(?:" + "|".join(f"{re.escape(member)} " for member in groups[name]) + ")"
