"""A comparison as HTML: the later state, with removed text, in ``<ins>`` and ``<del>``.

Texts are escaped by the writer of HTML, as those of any document are.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from collab.content.formats.html_writer import tag, write_html
from collab.content.schema import MarkType, Schema
from collab.content.trees import Mark, Node, children, document, make_text
from collab.history.comparing.blocks import ComparedBlock
from collab.history.comparing.changes import ChangeKind, ContentChange, Piece, PieceKind
from collab.history.comparing.lines import TextLine, pieces_of

__all__ = ["ComparisonWriter", "values_html"]

_TAGS = {
    "added": "ins",
    "removed": "del",
    "moved": "ins",
    "moved-away": "del",
    "formatted": "span",
}


class ComparisonWriter:
    """Writes comparisons of trees.

    Args:
        schema: of the trees.
        authors: the author of each letter of new text nodes, by their ids.
        classes: the number of the class of each user.
    """

    def __init__(
        self,
        schema: Schema,
        authors: Mapping[int, Sequence[str | None]],
        classes: Mapping[str | None, int],
    ) -> None:
        # No mark of a document has such a name.
        self._prefix = f"{uuid.uuid4()}-"
        marks = [MarkType(name=self._prefix + look, html=_mark_html(look)) for look in _TAGS]
        self._schema = schema.extend(marks=marks)
        self._authors = authors
        self._classes = classes

    def write(self, blocks: Sequence[ComparedBlock]) -> str:
        """Return the HTML of compared blocks."""
        return write_html(document(self._nodes(blocks)), self._schema)

    def _nodes(self, blocks: Sequence[ComparedBlock]) -> list[Node]:
        return [node for block in blocks for node in self._shown(block)]

    def _shown(self, block: ComparedBlock) -> list[Node]:
        old, new = block.old, block.new
        if block.blocks and new is not None:
            return [new | {"content": self._nodes(block.blocks)}]
        if block.partner is not None and old is not None:
            return [self._painted(old, "moved-away")]
        if block.kind == ChangeKind.REMOVED and old is not None:
            return [self._painted(old, "removed")]
        assert new is not None
        if block.pieces:
            inner = [self._inline(piece) for piece in block.pieces]
            line = new | {"content": inner}
            return [self._painted(line, "moved") if block.kind == ChangeKind.MOVED else line]
        if block.kind == ChangeKind.CHANGED and old is not None:
            return [self._painted(old, "removed"), self._painted(new, "added")]
        look = {ChangeKind.ADDED: "added", ChangeKind.MOVED: "moved"}
        return [self._painted(new, look[block.kind]) if block.kind in look else new]

    def _painted(self, node: Node, look: str) -> Node:
        """Return a block in which all letters, or itself if it has none, are marked."""
        inner = children(node)
        if not inner:
            return self._marked(node, look)
        if look == "added" and any(map(self._schema.is_inline, inner)):
            pieces = pieces_of(TextLine(inner, None, self._authors), PieceKind.ADDED)
            return node | {"content": [self._inline(piece) for piece in pieces]}
        return node | {
            "content": [
                self._marked(child, look)
                if self._schema.is_inline(child)
                else self._painted(child, look)
                for child in inner
            ]
        }

    def _inline(self, piece: Piece) -> Node:
        marks: Sequence[Any] = piece.marks
        node = make_text(piece.text, marks)
        if piece.node is not None:
            node = {**piece.node, **({"marks": [*marks]} if marks else {})}
        if piece.kind == PieceKind.KEPT:
            return node
        author = self._classes.get(piece.by) if piece.kind == PieceKind.ADDED else None
        return self._marked(node, piece.kind.value, author)

    def _marked(self, node: Node, look: str, author: int | None = None) -> Node:
        mark: Mark = {"type": self._prefix + look, "attrs": {"author": author}}
        return node | {"marks": [mark, *node.get("marks", ())]}


def _mark_html(look: str) -> Any:
    def html(mark: Mark, inner: str) -> str:
        author = mark["attrs"]["author"]
        names = f"collab-{look}" + ("" if author is None else f" author-{author}")
        return tag(_TAGS[look], {"class": names}, inner)

    return html


def values_html(changes: Sequence[ContentChange]) -> str:
    """Return the HTML of values that differ."""
    parts = []
    for change in changes:
        path = " / ".join(map(str, change.new_path or change.old_path or ()))
        parts.append(tag("dt", {}, escape(path)) + tag("dd", {}, _value_html(change)))
    return tag("dl", {"class": "collab-values"}, "".join(parts)) if parts else ""


def _value_html(change: ContentChange) -> str:
    if change.pieces:
        return "".join(_piece_html(piece) for piece in change.pieces)
    removed = "" if change.old is None else _look("removed", _text(change.old))
    return removed + ("" if change.new is None else _look("added", _text(change.new)))


def _piece_html(piece: Piece) -> str:
    if piece.kind == PieceKind.KEPT:
        return escape(piece.text)
    return _look(piece.kind.value, piece.text)


def _look(look: str, text: str) -> str:
    return tag(_TAGS[look], {"class": f"collab-{look}"}, escape(text))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
