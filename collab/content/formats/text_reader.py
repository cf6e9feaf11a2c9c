"""Trees from plain text: a paragraph after each blank line."""

from __future__ import annotations

import re
from collections import Counter

from collab.content.schema import NodeType, Schema
from collab.content.trees import Node, document, make_lines, make_node, make_text

__all__ = ["read_text"]


def read_text(text: str, schema: Schema) -> tuple[Node, Counter[str]]:
    """Return the tree of text, and nothing that it could not say."""
    paragraph = schema.first_line_type
    breaks = [node for node in schema.nodes if "hardBreak" in (node.name, node.like)]
    lines = re.split(r"\n[ \t]*\n\s*", text.replace("\r\n", "\n").strip("\n"))
    nodes = [make_node(paragraph.name, {}, _line(part, breaks)) for part in lines]
    return document(nodes), Counter()


def _line(text: str, breaks: list[NodeType]) -> list[Node]:
    if not breaks:
        return [make_text(text)] if text else []
    return make_lines(text, line_end=breaks[0].name)
