"""Trees from Markdown in GitHub's flavour, by way of HTML.

Tables, task lists and struck text are read; footnotes stay the text that they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from functools import cache
from typing import Any

from collab.content.extras import require
from collab.content.schema import Schema
from collab.content.trees import Node
from collab.exceptions import InvalidContent

from .html_reader import read_html

__all__ = ["read_markdown"]

#: At most this number of parts in a text; each letter allows more.
_MAX_TOKENS = 1000
_MAX_TOKENS_PER_LETTER = 10
_BOX = re.compile(r"\[([ xX])\](?:[ \t]+|$)")


def read_markdown(
    markdown: str, schema: Schema, foreign: Collection[str] = ()
) -> tuple[Node, Counter[str]]:
    """Return the tree of Markdown, fitted to the schema, and a report of dropped parts."""
    return read_html(_parser().render(markdown), schema, foreign)


@cache
def _parser() -> Any:
    parser = require("markdown_it").MarkdownIt("commonmark", {"html": True})
    parser.enable(["table", "strikethrough"])
    parser.core.ruler.after("block", "token_limit", _check_tokens)
    parser.core.ruler.push("task_lists", _mark_tasks)
    parser.core.ruler.push("code_ends", _strip_code_ends)
    reference = next(rule.fn for rule in parser.block.ruler.__rules__ if rule.name == "reference")

    def reference_but_no_footnote(state: Any, line: int, end: int, silent: bool) -> bool:
        start = state.bMarks[line] + state.tShift[line]
        return not state.src.startswith("[^", start) and bool(reference(state, line, end, silent))

    parser.block.ruler.at("reference", reference_but_no_footnote)
    return parser


def _check_tokens(state: Any) -> None:
    """Refuse tables that are completed with many times the cells that are written."""
    if len(state.tokens) > _MAX_TOKENS + _MAX_TOKENS_PER_LETTER * len(state.src):
        raise InvalidContent("The Markdown has a table whose rows lack most of their cells.")


def _strip_code_ends(state: Any) -> None:
    """Take away the line end before the fence that ends a code block."""
    for token in state.tokens:
        if token.type in ("fence", "code_block"):
            token.content = token.content.removesuffix("\n")


def _mark_tasks(state: Any) -> None:
    """Give items that begin with a box the attributes that Tiptap gives them."""
    tokens = state.tokens
    for item, paragraph, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (item.type, paragraph.type) != ("list_item_open", "paragraph_open"):
            continue
        box = _BOX.match(inline.content)
        first = inline.children[0] if inline.children else None
        if box is None or first is None or not first.content.startswith(box[0].rstrip()):
            continue
        first.content = first.content[len(box[0]) :]
        item.attrSet("data-type", "taskItem")
        item.attrSet("data-checked", "false" if box[1] == " " else "true")
