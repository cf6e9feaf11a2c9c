"""The nodes and marks in which content of editors other than ProseMirror's is written.

They are those of Tiptap and others of BlockNote, Quill and Lexical. Trees of these editors
are of this schema; their documents are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Any, Final

from collab.content.formats.html_elements import HtmlElement
from collab.content.formats.html_writer import tag
from collab.content.formats.links import is_safe_url
from collab.content.formats.markdown_inline import escape_text, image, link
from collab.content.schema import Attribute, MarkType, NodeType, Schema
from collab.content.trees import Node

from . import html_parts as parts
from .tiptap import TIPTAP

__all__ = ["RICH"]

_TEXT = (str, type(None))
_ID: Mapping[str, Attribute] = {"id": Attribute(is_identity=True)}
_COLORS: Mapping[str, Attribute] = {
    "textColor": Attribute(types=_TEXT, html="data-text-color"),
    "backgroundColor": Attribute(types=_TEXT, html="data-background-color"),
}
_FILE: Mapping[str, Attribute] = {
    **_ID,
    **_COLORS,
    "caption": Attribute(types=_TEXT),
    "textAlign": Attribute(types=_TEXT),
    "showPreview": Attribute(default=True, types=(bool,)),
}
#: Nodes of Tiptap that stand for a block of BlockNote.
_BLOCKS = (
    *("paragraph", "heading", "blockquote", "codeBlock", "horizontalRule"),
    *("listItem", "taskItem", "table"),
)


def _with_identity(node: NodeType) -> NodeType:
    attributes = {**node.attributes, **_ID, **_COLORS}
    html = parts.heading(attributes) if node.name == "heading" else node.html
    return replace(node, attributes=attributes, html=html)


def _figure(node: Node, shown: str) -> str:
    caption = node["attrs"].get("caption")
    if not caption:
        return shown
    return tag("figure", {}, shown + tag("figcaption", {}, escape(caption, quote=False)))


def _image(node: Node, inner: str) -> str:
    values = node["attrs"]
    source = values.get("src")
    shown = {
        "src": source and (source if is_safe_url(source) else ""),
        "alt": values.get("alt"),
        "title": values.get("title"),
        "width": values.get("width"),
        "height": values.get("height"),
    }
    return _figure(node, tag("img", shown))


def _media(name: str) -> NodeType:
    """Return a node that shows a file."""

    def html(node: Node, inner: str) -> str:
        values = node["attrs"]
        source = values.get("src") or ""
        source, label = (source if is_safe_url(source) else ""), values.get("name") or None
        if name == "file":
            inner = escape(label or source, quote=False)
            return _figure(node, tag("a", {"href": source, "data-name": label}, inner))
        return _figure(node, tag(name, {"src": source, "controls": "", "data-name": label}))

    return NodeType(
        name=name,
        group="block",
        attributes={
            **_FILE,
            "src": Attribute(types=_TEXT, html="src", is_url=True),
            "name": Attribute(types=_TEXT, html="data-name"),
            "width": Attribute(types=(int, float, type(None)), html="width"),
        },
        html=html,
        parse={} if name == "file" else {name: {}},
        markdown=lambda values, inner: _file_link(values),
        text=lambda values, inner: str(values.get("caption") or values.get("name") or ""),
    )


def _file_link(values: Mapping[str, object]) -> str:
    source = str(values.get("src") or "")
    name = escape_text(str(values.get("name") or source))
    return link(name, source, None) if source and is_safe_url(source) else name


def _toggle_item(node: Node, inner: str) -> str:
    first, _, rest = inner.partition("</p>")
    summary = tag("summary", {}, f"{first}</p>" if rest or first.startswith("<p") else "")
    return tag("li", {}, tag("details", {"open": ""}, summary + rest))


def _read_figure(element: HtmlElement) -> Mapping[str, Any] | None:
    """Return the image in a figure, with its caption."""
    shown, caption = element.find("img"), element.find("figcaption")
    found = parts.read_image(shown) if shown is not None else None
    if shown is None or found is None:
        return None
    names = {"src": shown.attributes["src"], "alt": shown.attributes.get("alt")}
    return {**names, **found, "caption": caption.text() if caption is not None else None}


def _read_toggle(element: HtmlElement) -> Mapping[str, Any] | None:
    return {} if any(inner.tag == "details" for inner in element.elements()) else None


_OWN_NODES = (
    *(_with_identity(TIPTAP.node_types[name]) for name in _BLOCKS),
    NodeType(
        name="image",
        group="block",
        attributes={**TIPTAP.node_types["image"].attributes, **_FILE},
        html=_image,
        parse={"img": parts.read_image, "figure": _read_figure},
        markdown=lambda values, inner: image(values),
    ),
    *map(_media, ("video", "audio", "file")),
    NodeType(
        name="toggleList",
        like="bulletList",
        content="toggleItem+",
        group="block list",
        html="ul",
    ),
    NodeType(
        name="toggleItem",
        like="listItem",
        content="paragraph block*",
        attributes={**_ID, **_COLORS},
        html=_toggle_item,
        parse={"li": _read_toggle},
    ),
    # Blocks below a block that is not an item of a list; formats show them behind it.
    NodeType(name="nested", content="block+", group="block", html=lambda node, inner: inner),
)


def _styled(name: str, css: str) -> MarkType:
    """Return a mark that is a CSS property."""
    return MarkType(
        name=name,
        attributes={"value": Attribute(types=_TEXT, style=css)},
        html="span",
        parse={f"[style:{css}]": {}},
    )


RICH: Final[Schema] = TIPTAP.extend(
    name="rich",
    nodes=_OWN_NODES,
    marks=[
        _styled("textColor", "color"),
        _styled("backgroundColor", "background-color"),
        _styled("font", "font-family"),
        _styled("size", "font-size"),
        MarkType(name="subscript", html="sub", parse={"sub": {}}, markdown=("<sub>", "</sub>")),
        MarkType(name="superscript", html="sup", parse={"sup": {}}, markdown=("<sup>", "</sup>")),
    ],
)
