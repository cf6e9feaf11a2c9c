"""Tiptap 3: StarterKit with task lists, tables, images, mentions, highlights and alignment.

Nodes and marks are in the order of Tiptap's own schema, by which marks are sorted.
"""

from __future__ import annotations

from typing import Any, Final

from collab.content.formats.html_writer import tag
from collab.content.schema import Attribute, MarkType, NodeType, ParseRule, Schema
from collab.content.shared_types.prosemirror import ProseMirrorLayout

from . import html_parts as parts

__all__ = ["TIPTAP"]

_TEXT = (str, type(None))
_ALIGN = {"textAlign": Attribute(types=_TEXT, style="text-align")}
_HEADING = {**_ALIGN, "level": Attribute(default=1, types=(int,))}


def _element(name: str, html: str, rule: ParseRule | None = None, **more: Any) -> NodeType:
    """Return a node that is an HTML element, and is read from that, as a rule may say."""
    return NodeType(name=name, html=html, parse={html: rule or {}}, **more)


_NODES = (
    _element("paragraph", "p", content="inline*", group="block", attributes=_ALIGN),
    NodeType(
        name="mention",
        group="inline",
        is_inline=True,
        attributes={
            "id": Attribute(html="data-id"),
            "label": Attribute(types=_TEXT, html="data-label"),
            "mentionSuggestionChar": Attribute(
                default="@", types=_TEXT, html="data-mention-suggestion-char"
            ),
        },
        html=parts.mention,
        parse={"span[data-type=mention]": {}},
    ),
    _element("blockquote", "blockquote", content="block+", group="block"),
    _element("bulletList", "ul", content="listItem+", group="block list"),
    NodeType(
        name="codeBlock",
        content="text*",
        group="block",
        attributes={"language": Attribute(types=_TEXT)},
        marks=(),
        is_code=True,
        html=parts.code_block,
        parse={"pre": parts.read_code_block},
    ),
    NodeType(name="doc", content="block+"),
    _element("hardBreak", "br", group="inline", is_inline=True),
    NodeType(
        name="heading",
        content="inline*",
        group="block",
        attributes=_HEADING,
        html=parts.heading(_HEADING),
        parse={f"h{level}": {"level": level} for level in range(1, 7)},
    ),
    _element("horizontalRule", "hr", group="block"),
    _element("listItem", "li", content="paragraph block*"),
    NodeType(
        name="orderedList",
        content="listItem+",
        group="block list",
        attributes={
            "start": Attribute(default=1, types=(int,)),
            "type": Attribute(types=_TEXT),
        },
        html=parts.ordered_list,
        parse={"ol": parts.read_ordered_list},
    ),
    NodeType(name="text", group="inline", is_inline=True),
    NodeType(
        name="taskList",
        content="taskItem+",
        group="block list",
        html=lambda node, inner: tag("ul", {"data-type": "taskList"}, inner),
        parse={"ul[data-type=taskList]": {}},
    ),
    NodeType(
        name="taskItem",
        content="paragraph block*",
        attributes={"checked": Attribute(default=False, types=(bool,))},
        html=parts.task_item,
        parse={"li": parts.read_task},
    ),
    NodeType(
        name="table",
        content="tableRow+",
        group="block",
        html=parts.table,
        parse={"table": {}},
    ),
    _element(
        "tableCell", "td", parts.read_cell, content="block+", attributes=parts.CELL_ATTRIBUTES
    ),
    _element(
        "tableHeader", "th", parts.read_cell, content="block+", attributes=parts.CELL_ATTRIBUTES
    ),
    _element("tableRow", "tr", content="(tableCell | tableHeader)*"),
    _element(
        "image",
        "img",
        parts.read_image,
        group="block",
        attributes={
            "src": Attribute(types=_TEXT, html="src", is_url=True),
            "alt": Attribute(types=_TEXT, html="alt"),
            "title": Attribute(types=_TEXT, html="title"),
            "width": Attribute(html="width"),
            "height": Attribute(html="height"),
        },
    ),
)

_MARKS = (
    MarkType(
        name="link",
        attributes={
            "href": Attribute(types=_TEXT, html="href", is_url=True),
            "target": Attribute(default="_blank", types=_TEXT, html="target"),
            "rel": Attribute(default="noopener noreferrer nofollow", types=_TEXT, html="rel"),
            "class": Attribute(types=_TEXT, html="class"),
            "title": Attribute(types=_TEXT, html="title"),
        },
        html="a",
        parse={"a": parts.read_link},
    ),
    MarkType(
        name="bold",
        html="strong",
        parse={"strong": {}, "b": parts.unless_normal, "[style:font-weight]": parts.read_weight},
        markdown=("**", "**"),
    ),
    MarkType(name="code", excludes=None, html="code", parse={"code": {}}),
    MarkType(
        name="italic",
        html="em",
        parse={"em": {}, "i": {}, "[style:font-style=italic]": {}},
        markdown=("*", "*"),
    ),
    MarkType(
        name="strike",
        html="s",
        parse={"s": {}, "del": {}, "strike": {}, "[style:text-decoration=line-through]": {}},
        markdown=("~~", "~~"),
    ),
    MarkType(
        name="underline",
        html="u",
        parse={"u": {}, "ins": {}, "[style:text-decoration=underline]": {}},
        markdown=("<u>", "</u>"),
    ),
    MarkType(name="highlight", html="mark", parse={"mark": {}}, markdown=("<mark>", "</mark>")),
)

TIPTAP: Final = Schema(
    name="tiptap",
    field="default",
    nodes=_NODES,
    marks=_MARKS,
    layout=ProseMirrorLayout(),
)
