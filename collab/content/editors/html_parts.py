"""HTML of nodes that are more than one element, or that read as another than they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from collab.content.formats.html_elements import HtmlElement
from collab.content.formats.html_writer import html_attributes, tag
from collab.content.formats.links import is_safe_url
from collab.content.formats.markdown_inline import mention_text
from collab.content.schema import Attribute
from collab.content.trees import Node, children, column_span

__all__ = [
    "CELL_ATTRIBUTES",
    "code_block",
    "heading",
    "mention",
    "ordered_list",
    "read_cell",
    "read_code_block",
    "read_image",
    "read_link",
    "read_ordered_list",
    "read_task",
    "read_weight",
    "table",
    "task_item",
    "unless_normal",
]

#: Pixels of a table's column whose width is not said.
_COLUMN_WIDTH = 25
_LANGUAGE = "language-"

CELL_ATTRIBUTES: Mapping[str, Attribute] = {
    "colspan": Attribute(default=1, types=(int,), html="colspan"),
    "rowspan": Attribute(default=1, types=(int,), html="rowspan"),
    "colwidth": Attribute(types=(list, type(None)), html="colwidth"),
    "align": Attribute(types=(str, type(None)), style="text-align"),
}


def heading(attributes: Mapping[str, Attribute]) -> Any:
    """Return a function for the HTML of headings with these attributes."""

    def html(node: Node, inner: str) -> str:
        level = node["attrs"].get("level")
        name = f"h{level}" if level in range(1, 7) else "h1"
        return tag(name, html_attributes(attributes, node["attrs"]), inner)

    return html


def code_block(node: Node, inner: str) -> str:
    """Return the HTML of a code block."""
    language = node["attrs"].get("language")
    return tag("pre", {}, tag("code", {"class": language and f"{_LANGUAGE}{language}"}, inner))


def read_code_block(element: HtmlElement) -> Mapping[str, Any]:
    """Return the language of a code block."""
    names = [name for part in (element, *element.elements()) for name in part.classes()]
    languages = [name for name in names if name.startswith(_LANGUAGE)]
    return {"language": languages[0].removeprefix(_LANGUAGE)} if languages else {}


def ordered_list(node: Node, inner: str) -> str:
    """Return the HTML of a numbered list; a start of 1 goes without saying."""
    start, kind = node["attrs"].get("start"), node["attrs"].get("type")
    shown = {"start": start if start != 1 else None, "type": kind if kind != "1" else None}
    return tag("ol", shown, inner)


def _number(given: str) -> int | None:
    """Return a number of at most nine digits; ``None`` for anything else."""
    return int(given) if re.fullmatch("[0-9]{1,9}", given) else None


def read_ordered_list(element: HtmlElement) -> Mapping[str, Any]:
    """Return the number that a list starts with, and its kind."""
    start = _number(element.attributes.get("start", ""))
    found: dict[str, Any] = {} if start is None else {"start": start}
    kind = element.attributes.get("type")
    return found | ({"type": kind} if kind else {})


def task_item(node: Node, inner: str) -> str:
    """Return the HTML of an item with a box to check."""
    checked = node["attrs"].get("checked") is True
    box = tag("input", {"type": "checkbox", "checked": "checked" if checked else None})
    label = tag("label", {}, box + tag("span", {}))
    return tag(
        "li", {"data-checked": checked, "data-type": "taskItem"}, label + tag("div", {}, inner)
    )


def read_task(element: HtmlElement) -> Mapping[str, Any] | None:
    """Return whether a task is checked; ``None`` if the element has no box."""
    if element.attributes.get("data-type") == "taskItem" or "data-checked" in element.attributes:
        return {"checked": element.attributes.get("data-checked") in ("", "true")}
    box = element.find("input")
    if box is None or box.attributes.get("type") != "checkbox":
        return None
    return {"checked": "checked" in box.attributes}


def table(node: Node, inner: str) -> str:
    """Return the HTML of a table, with the widths of its columns."""
    rows = children(node)
    widths = [width for cell in (children(rows[0]) if rows else ()) for width in _widths(cell)]
    total = sum(width or _COLUMN_WIDTH for width in widths)
    columns = "".join(
        tag("col", {"style": f"width: {max(width, _COLUMN_WIDTH)}px;"})
        if width
        else tag("col", {"style": f"min-width: {_COLUMN_WIDTH}px;"})
        for width in widths
    )
    name = "width" if widths and all(widths) else "min-width"
    style = f"{name}: {total}px;" if widths else None
    return tag("table", {"style": style}, tag("colgroup", {}, columns) + tag("tbody", {}, inner))


def _widths(cell: Node) -> list[int]:
    """Return the width of each column that a cell spans; 0 where it is not said."""
    given = cell.get("attrs", {})
    count, widths = column_span(given), given.get("colwidth") or []
    known = [width if isinstance(width, int) else 0 for width in widths[:count]]
    return known + [0] * (count - len(known))


def mention(node: Node, inner: str) -> str:
    """Return the HTML of a mention."""
    values = node["attrs"]
    shown = {
        "data-type": "mention",
        "data-id": values.get("id") or None,
        "data-label": values.get("label") or None,
        "data-mention-suggestion-char": values.get("mentionSuggestionChar"),
    }
    return tag("span", shown, escape(mention_text(values), quote=False))


def read_image(element: HtmlElement) -> Mapping[str, Any] | None:
    """Return an image's attributes that a number says; ``None`` for one without a source."""
    if not element.attributes.get("src"):
        return None
    sizes = {key: _number(element.attributes.get(key, "")) for key in ("width", "height")}
    return {key: size for key, size in sizes.items() if size is not None}


def read_link(element: HtmlElement) -> Mapping[str, Any] | None:
    """Return nothing more than a link's attributes; ``None`` if it leads nowhere."""
    href = element.attributes.get("href", "")
    return {} if href and is_safe_url(href) else None


def read_cell(element: HtmlElement) -> Mapping[str, Any]:
    """Return the widths of the columns that a cell spans."""
    widths = [_number(width) for width in element.attributes.get("colwidth", "").split(",")]
    return {} if None in widths else {"colwidth": widths}


def unless_normal(element: HtmlElement) -> Mapping[str, Any] | None:
    """Return ``None`` for a ``b`` that is not bold, which word processors wrap their text in."""
    return None if element.styles.get("font-weight") == "normal" else {}


def read_weight(element: HtmlElement) -> Mapping[str, Any] | None:
    """Return ``None`` unless the font is bold."""
    weight = element.styles.get("font-weight", "")
    is_bold = weight in ("bold", "bolder") or (weight.isdigit() and int(weight) >= 500)
    return {} if is_bold else None
