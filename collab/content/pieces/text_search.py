"""Text in documents, found and replaced by letters, with its marks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from pycrdt import Doc

from collab.content.editors.tiptap import TIPTAP
from collab.content.schema import Schema
from collab.content.trees import Node, join_texts, split_letters
from collab.exceptions import TextNotFound

from .signs import NODE, LineRange, Signs, line_text, lines_of

__all__ = ["Match", "edit_text", "find_text", "replace_text"]

#: Letters of a line that an error shows.
_SHOWN = 200


class Match:
    """A place where a text was found; it stays at that text while others edit the document.

    Args:
        line: the text of the whole line; an inline node in it is one letter.
        place: where the text is.
        signs: hold the places of all matches.
        number: of this one among them.
    """

    def __init__(self, line: str, place: LineRange, signs: Signs, number: int) -> None:
        self.line = line
        #: The index of the first letter in the line.
        self.start = place.start
        #: The index after the last letter.
        self.end = place.end
        self._signs = signs
        self._number = number

    def __repr__(self) -> str:
        return f"<Match {self.text!r} in {self.line[:40]!r}>"

    @property
    def text(self) -> str:
        """The text that was found."""
        return self.line[self.start : self.end]

    def replace(self, new: str) -> None:
        """Replace the text, wherever it is by now, by letters; see :func:`replace_text`.

        Raises:
            TextNotFound: the text was changed or deleted since it was found.
        """
        found = self._signs.find(self._number, self.text)
        if found is None:
            raise TextNotFound(f"{self.text!r} was changed or deleted since it was found.")
        index = -1

        def change(nodes: list[Node]) -> list[Node]:
            nonlocal index
            index += 1
            if index != found.line:
                return nodes
            return _replace(nodes, [found.start], len(self.text), new)

        self._signs.change_lines(change)


def find_text(doc: Doc[Any], field: str | None, text: str, schema: Schema = TIPTAP) -> list[Match]:
    """Return the places where a text is, each within one line or paragraph."""
    field = field or schema.field
    lines = lines_of(doc, field, schema)
    places = list(_find(lines, text))
    signs = Signs(doc, field, schema, places)
    return [Match(lines[place.line], place, signs, number) for number, place in enumerate(places)]


def replace_text(
    doc: Doc[Any],
    field: str | None,
    old: str,
    new: str,
    schema: Schema = TIPTAP,
    *,
    count: int | None = None,
) -> int:
    """Replace a text by letters; new ones have the marks of the first letter that they replace.

    Args:
        doc: the document.
        field: the name of the root; ``None`` for the schema's.
        old: the text, within one line or paragraph.
        new: the text in its place.
        schema: of the editor.
        count: replaces at most as many, from the beginning.

    Returns:
        How many were replaced.
    """
    if not old:
        raise ValueError("The text that is replaced must not be empty.")
    replaced = 0

    def change(nodes: list[Node]) -> list[Node]:
        nonlocal replaced
        places = _places(line_text(nodes), old)
        places = places if count is None else places[: count - replaced]
        replaced += len(places)
        return _replace(nodes, places, len(old), new) if places else nodes

    schema.layout.change_lines(doc, field or schema.field, schema, change)
    return replaced


def edit_text(
    doc: Doc[Any], field: str | None, old: str, new: str, schema: Schema = TIPTAP
) -> None:
    """Replace a text that is in the document exactly once.

    Raises:
        TextNotFound: it is not there, or more than once; the message names similar text.
    """
    lines = lines_of(doc, field or schema.field, schema)
    found = list(_find(lines, old))
    if len(found) == 1:
        replace_text(doc, field, old, new, schema)
        return
    if found:
        places = "; ".join(repr(_around(lines, place)) for place in found[:5])
        raise TextNotFound(f"{old!r} is there {len(found)} times; give more of it: {places}.")
    if not any(lines):
        raise TextNotFound(f"{old!r} is not in the document, which has no text.")
    raise TextNotFound(
        f"{old!r} is not in the document; the line that is most like it is"
        f" {_nearest(lines, old)!r}."
    )


def _find(lines: Sequence[str], text: str) -> Iterator[LineRange]:
    if not text:
        raise ValueError("The text that is looked for must not be empty.")
    for index, line in enumerate(lines):
        for start in _places(line, text):
            yield LineRange(index, start, start + len(text))


def _places(line: str, text: str) -> list[int]:
    places: list[int] = []
    start = -1 if NODE in text else line.find(text)
    while start >= 0:
        places.append(start)
        start = line.find(text, start + len(text))
    return places


def _around(lines: Sequence[str], place: LineRange) -> str:
    return lines[place.line][max(place.start - 20, 0) : place.end + 20]


def _nearest(lines: Sequence[str], text: str) -> str:
    """Return the line, or the part of a long one, that has the most pairs of letters of a text."""
    wanted = Counter(pairwise(text))
    parts = [
        part[start : start + _SHOWN]
        for line in lines
        for part in line.split("\n")
        for start in range(0, max(len(part) - _SHOWN // 2, 1), _SHOWN // 2)
    ]
    return max(parts, key=lambda part: (wanted & Counter(pairwise(part))).total())


def _replace(nodes: Sequence[Node], places: Sequence[int], length: int, new: str) -> list[Node]:
    letters = split_letters(nodes)
    for place in reversed(places):
        first = letters[place]
        letters[place : place + length] = [first | {"text": new}] if new else []
    return join_texts(letters)
