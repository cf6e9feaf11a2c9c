"""ProseMirror's basic schema with the lists of ``prosemirror-schema-list``."""

from __future__ import annotations

from typing import Final

from collab.content.schema import REQUIRED, Attribute, MarkType, NodeType, Schema
from collab.content.shared_types.prosemirror import ProseMirrorLayout

from . import html_parts as parts

__all__ = ["PROSEMIRROR_BASIC"]

_TEXT = (str, type(None))
_LEVEL = {"level": Attribute(default=1, types=(int,))}

_NODES = (
    NodeType(name="doc", content="block+"),
    NodeType(name="paragraph", content="inline*", group="block", html="p", parse={"p": {}}),
    NodeType(
        name="blockquote",
        content="block+",
        group="block",
        html="blockquote",
        parse={"blockquote": {}},
    ),
    NodeType(
        name="horizontal_rule", like="horizontalRule", group="block", html="hr", parse={"hr": {}}
    ),
    NodeType(
        name="heading",
        content="inline*",
        group="block",
        attributes=_LEVEL,
        html=parts.heading(_LEVEL),
        parse={f"h{level}": {"level": level} for level in range(1, 7)},
    ),
    NodeType(
        name="code_block",
        like="codeBlock",
        content="text*",
        group="block",
        marks=(),
        is_code=True,
        html=parts.code_block,
        parse={"pre": {}},
    ),
    NodeType(name="text", group="inline", is_inline=True),
    NodeType(
        name="image",
        group="inline",
        is_inline=True,
        attributes={
            "src": Attribute(default=REQUIRED, types=(str,), html="src", is_url=True),
            "alt": Attribute(types=_TEXT, html="alt"),
            "title": Attribute(types=_TEXT, html="title"),
        },
        html="img",
        parse={"img[src]": {}},
    ),
    NodeType(
        name="hard_break",
        like="hardBreak",
        group="inline",
        is_inline=True,
        html="br",
        parse={"br": {}},
    ),
    NodeType(
        name="ordered_list",
        like="orderedList",
        content="list_item+",
        group="block",
        attributes={"order": Attribute(default=1, types=(int,), html="start")},
        html=lambda node, inner: parts.ordered_list(
            {"attrs": {"start": node["attrs"]["order"]}}, inner
        ),
        parse={"ol": {}},
    ),
    NodeType(
        name="bullet_list",
        like="bulletList",
        content="list_item+",
        group="block",
        html="ul",
        parse={"ul": {}},
    ),
    NodeType(
        name="list_item",
        like="listItem",
        content="paragraph block*",
        html="li",
        parse={"li": {}},
    ),
)

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
    MarkType(
        name="em",
        like="italic",
        html="em",
        parse={"em": {}, "i": {}, "[style:font-style=italic]": {}},
        markdown=("*", "*"),
    ),
    MarkType(
        name="strong",
        like="bold",
        html="strong",
        parse={"strong": {}, "b": parts.unless_normal, "[style:font-weight]": parts.read_weight},
        markdown=("**", "**"),
    ),
    MarkType(name="code", html="code", parse={"code": {}}),
)

PROSEMIRROR_BASIC: Final = Schema(
    name="prosemirror-basic",
    field="prosemirror",
    nodes=_NODES,
    marks=_MARKS,
    layout=ProseMirrorLayout(),
)
