"""ProseMirror's basic schema with the lists of ``prosemirror-schema-list``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from collab.content.schema import REQUIRED, Attribute, MarkType, NodeType, Schema
from collab.content.shared_types.prosemirror import ProseMirrorLayout

from . import html_parts as parts
from .tiptap import TIPTAP

__all__ = ["PROSEMIRROR_BASIC"]

_TEXT = (str, type(None))
_LEVEL = {"level": Attribute(default=1, types=(int,))}


def _node(like: str, name: str | None = None, **differences: Any) -> NodeType:
    """Return a node of Tiptap with another name and some differences."""
    node = TIPTAP.node_types[like]
    return replace(node, name=name or like, like=like if name else "", **differences)


_NODES = (
    _node("doc"),
    _node("paragraph", attributes={}),
    _node("blockquote"),
    _node("horizontalRule", "horizontal_rule"),
    _node("heading", attributes=_LEVEL, html=parts.heading(_LEVEL)),
    _node("codeBlock", "code_block", attributes={}, parse={"pre": {}}),
    _node("text"),
    _node(
        "image",
        group="inline",
        is_inline=True,
        attributes={
            "src": Attribute(default=REQUIRED, types=(str,), html="src", is_url=True),
            "alt": Attribute(types=_TEXT, html="alt"),
            "title": Attribute(types=_TEXT, html="title"),
        },
        parse={"img[src]": {}},
    ),
    _node("hardBreak", "hard_break"),
    _node(
        "orderedList",
        "ordered_list",
        content="list_item+",
        group="block",
        attributes={"order": Attribute(default=1, types=(int,), html="start")},
        html=lambda node, inner: parts.ordered_list(
            {"attrs": {"start": node["attrs"]["order"]}}, inner
        ),
        parse={"ol": {}},
    ),
    _node("bulletList", "bullet_list", content="list_item+", group="block"),
    _node("listItem", "list_item"),
)


def _mark(like: str, name: str) -> MarkType:
    return replace(TIPTAP.mark_types[like], name=name, like=like)


_MARKS = (
    MarkType(
        name="link",
        attributes={
            "href": Attribute(default=REQUIRED, types=(str,), html="href", is_url=True),
            "title": Attribute(types=_TEXT, html="title"),
        },
        html="a",
        parse={"a": parts.read_link},
    ),
    _mark("italic", "em"),
    _mark("bold", "strong"),
    MarkType(name="code", html="code", parse={"code": {}}),
)

PROSEMIRROR_BASIC: Final = Schema(
    name="prosemirror-basic",
    field="prosemirror",
    nodes=_NODES,
    marks=_MARKS,
    layout=ProseMirrorLayout(),
)
