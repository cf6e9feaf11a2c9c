"""The nodes and marks of BlockNote 0.5x, in the order of its own ProseMirror schema."""

from __future__ import annotations

from typing import Any, Final

from collab.content.schema import Attribute, MarkType, NodeType, Schema

from .layout import BlockNoteLayout

__all__ = ["BLOCKNOTE"]

_TEXT = Attribute(default="", types=(str,))
_BACKGROUND = Attribute(default="default", types=(str,))
_COLOR = Attribute(default="default", types=(str,))
_ALIGN = Attribute(default="left", types=(str,))
_SHOW = Attribute(default=True, types=(bool,))
_LOOK = {"backgroundColor": _BACKGROUND, "textColor": _COLOR, "textAlignment": _ALIGN}
_FILE = {"backgroundColor": _BACKGROUND, "name": _TEXT, "url": _TEXT, "caption": _TEXT}
_PREVIEW = {
    "textAlignment": _ALIGN,
    **_FILE,
    "showPreview": _SHOW,
    "previewWidth": Attribute(types=(int, float, type(None))),
}
_CELL = {
    "textColor": _COLOR,
    "backgroundColor": _BACKGROUND,
    "textAlignment": _ALIGN,
    "colspan": Attribute(default=1, types=(int,)),
    "rowspan": Attribute(default=1, types=(int,)),
    "colwidth": Attribute(types=(list, type(None))),
}


def _block(
    name: str, attributes: dict[str, Attribute], *, content: str = "inline*", **more: Any
) -> NodeType:
    return NodeType(name=name, content=content, group="blockContent", attributes=attributes, **more)


_NODES = (
    _block("paragraph", _LOOK),
    _block(
        "heading",
        {
            **_LOOK,
            "level": Attribute(default=1, types=(int,)),
            "isToggleable": Attribute(default=False, types=(bool,)),
        },
    ),
    _block("audio", {**_FILE, "showPreview": _SHOW}, content=""),
    _block("checkListItem", {**_LOOK, "checked": Attribute(default=False, types=(bool,))}),
    _block("image", _PREVIEW, content=""),
    _block("toggleListItem", _LOOK),
    _block("video", _PREVIEW, content=""),
    _block("bulletListItem", _LOOK),
    _block(
        "codeBlock",
        {"language": Attribute(default="text", types=(str,))},
        is_code=True,
    ),
    _block("divider", {}, content=""),
    _block("file", _FILE, content=""),
    _block("numberedListItem", {**_LOOK, "start": Attribute(types=(int, type(None)))}),
    _block("quote", {"backgroundColor": _BACKGROUND, "textColor": _COLOR}),
    NodeType(name="text", group="inline", is_inline=True),
    NodeType(name="doc", content="blockGroup"),
    NodeType(name="blockGroup", content="blockGroupChild+", group="childContainer"),
    _block("table", {"textColor": _COLOR}, content="tableRow+"),
    NodeType(name="tableParagraph", content="inline*", group="tableContent"),
    NodeType(name="tableHeader", content="tableContent+", attributes=_CELL),
    NodeType(name="tableCell", content="tableContent+", attributes=_CELL),
    NodeType(name="tableRow", content="(tableCell | tableHeader)+"),
    NodeType(
        name="blockContainer",
        content="blockContent blockGroup?",
        group="blockGroupChild bnBlock",
        attributes={"id": Attribute(types=(str, type(None)), is_identity=True)},
    ),
    NodeType(name="hardBreak", group="inline", is_inline=True),
)


def _style(name: str) -> MarkType:
    return MarkType(name=name, attributes={"stringValue": Attribute(types=(str, type(None)))})


_CHANGED = ("deletion", "modification", "insertion")
_MARKS = (
    *(MarkType(name=name) for name in ("bold", "italic", "underline", "strike")),
    MarkType(name="code", excludes=None),
    _style("textColor"),
    _style("backgroundColor"),
    MarkType(name="insertion", attributes={"id": Attribute()}, excludes=_CHANGED),
    MarkType(name="deletion", attributes={"id": Attribute()}, excludes=_CHANGED),
    MarkType(
        name="modification",
        attributes={
            key: Attribute() for key in ("id", "type", "attrName", "previousValue", "newValue")
        },
        excludes=("deletion", "insertion"),
        overlaps=True,
    ),
    MarkType(name="link", attributes={"href": Attribute(types=(str, type(None)))}),
)

BLOCKNOTE: Final = Schema(
    name="blocknote",
    field="document-store",
    nodes=_NODES,
    marks=_MARKS,
    layout=BlockNoteLayout(),
)
