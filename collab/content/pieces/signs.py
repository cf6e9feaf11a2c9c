"""Signs in a copy of a document, by which places in its text are found again.

A place is held by two signs, inserted before its first letter and after its last one, in a copy
only. Applied to another copy later, with all that came meanwhile, they are where the place is now.
pycrdt's sticky indices are for root texts only, and wrong where a letter has more than one byte.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pycrdt import Doc

from collab.content.schema import Letter, Schema
from collab.content.trees import Node, is_text

__all__ = ["NODE", "LineRange", "Signs", "line_text", "lines_of"]

#: Stands for an inline node in the text of a line.
NODE = "\ufffc"


class LineRange(NamedTuple):
    """A part of a line of text."""

    line: int
    start: int
    end: int


def lines_of(doc: Doc[Any], field: str, schema: Schema) -> list[str]:
    """Return the lines of text of a document; an inline node is one letter."""
    return [line_text(nodes) for nodes in _read_lines(doc, field, schema)]


def line_text(nodes: Sequence[Node]) -> str:
    """Return the text of a line."""
    return "".join(node["text"] if is_text(node) else NODE for node in nodes)


def _read_lines(doc: Doc[Any], field: str, schema: Schema) -> list[list[Node]]:
    lines: list[list[Node]] = []

    def read(nodes: list[Node]) -> list[Node]:
        lines.append(nodes)
        return nodes

    schema.layout.change_lines(doc, field, schema, read)
    return lines


class Signs:
    """Places in the text of a document, held while others edit it.

    Args:
        doc: the document.
        field: the name of its root.
        schema: of its editor.
        places: in the order of the text, and apart from each other.
    """

    def __init__(
        self, doc: Doc[Any], field: str, schema: Schema, places: Sequence[LineRange]
    ) -> None:
        self._doc = doc
        self._field = field
        self._schema = schema
        #: The key of an embedded value that is a sign; one that no user can have written before.
        self._key = f"sign-{uuid.uuid4()}"
        self._update = self._signed(places) if places else b""

    def _signed(self, places: Sequence[LineRange]) -> bytes:
        copy = _copy(self._doc)
        state = copy.get_state()
        lines = self._schema.layout.letters(copy, self._field)
        # From the end, as each sign moves the letters after it.
        for number, place in reversed(list(enumerate(places))):
            letters = lines[place.line][place.start : place.end]
            self._insert(letters[-1], letters[-1].end, [number, 1])
            self._insert(letters[0], letters[0].start, [number, 0])
        return copy.get_update(state)

    def _insert(self, letter: Letter, index: int, value: list[int]) -> None:
        assert letter.text is not None
        letter.text.insert_embed(index, {self._key: value})

    def find(self, number: int, text: str) -> LineRange | None:
        """Return where a place is now; ``None`` if its text is no longer ``text``."""
        copy = _copy(self._doc)
        copy.apply_update(self._update)
        for index, nodes in enumerate(_read_lines(copy, self._field, self._schema)):
            signs = [self._sign_of(node) for node in nodes]
            if [number, 0] in signs and [number, 1] in signs:
                first, last = signs.index([number, 0]), signs.index([number, 1])
                # Others may have written at the ends, between the text and a sign.
                start = self._text(nodes[first:last]).find(text)
                before = len(self._text(nodes[:first]))
                if start >= 0:
                    return LineRange(index, before + start, before + start + len(text))
        return None

    def _sign_of(self, node: Node) -> Any:
        value = (node.get("attrs") or {}).get("value")
        return value.get(self._key) if isinstance(value, dict) else None

    def _text(self, nodes: Sequence[Node]) -> str:
        """Return the text of nodes without signs."""
        return line_text([node for node in nodes if self._sign_of(node) is None])

    def change_lines(self, change: Callable[[list[Node]], list[Node]]) -> None:
        """Change the lines of the document."""
        self._schema.layout.change_lines(self._doc, self._field, self._schema, change)


def _copy(doc: Doc[Any]) -> Doc[Any]:
    copy: Doc[Any] = Doc()
    copy.apply_update(doc.get_update())
    return copy
