"""Text in documents, found and replaced by letters, with its marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from pycrdt import Doc

from collab.content.editors.tiptap import TIPTAP
from collab.content.schema import Schema
from collab.content.trees import Node, is_text, join_texts
from collab.exceptions import TextNotFound

__all__ = ["Match", "edit_text", "find_text", "replace_text"]

#: Stands for an inline node in the text of a line.
_NODE = "\ufffc"


class Match(NamedTuple):
    """A place where a text was found."""

    #: The text of the whole line; an inline node in it is one letter.
    line: str
    #: The index of the first letter.
    start: int
    #: The index after the last letter.
    end: int


def find_text(doc: Doc[Any], field: str | None, text: str, schema: Schema = TIPTAP) -> list[Match]:
    """Return the places where a text is, each within one line or paragraph."""
    return list(_find(_lines(doc, field, schema), text))


def replace_text(
    doc: Doc[Any],
    field: str | None,
    old: str,
    new: str,
    schema: Schema = TIPTAP,
    *,
    count: int | None = None,
) -> int:
    """Replace a text by letters; what is new has the marks of the first letter that it replaces.

    Args:
        doc: the document.
        field: the name of the root; ``None`` for the schema's.
        old: the text, within one line or paragraph.
        new: the text in its place.
        schema: of the editor.
        count: replaces only so many, from the beginning.

    Returns:
        How many were replaced.
    """
    if not old:
        raise ValueError("The text that is replaced must not be empty.")
    replaced = 0

    def change(nodes: list[Node]) -> list[Node]:
        nonlocal replaced
        places = _places(_line_text(nodes), old)
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
        TextNotFound: it is not there, or more than once; the message says what was found instead.
    """
    lines = _lines(doc, field, schema)
    matches = list(_find(lines, old))
    if len(matches) == 1:
        replace_text(doc, field, old, new, schema)
        return
    if matches:
        places = "; ".join(repr(_around(match)) for match in matches[:5])
        raise TextNotFound(f"{old!r} is there {len(matches)} times; give more of it: {places}.")
    nearest = max(lines, key=lambda line: _likeness(old, line), default="")
    raise TextNotFound(
        f"{old!r} is not in the document; the line that is most like it is {nearest!r}."
        if nearest
        else f"{old!r} is not in the document, which has no text."
    )


def _lines(doc: Doc[Any], field: str | None, schema: Schema) -> list[str]:
    lines: list[str] = []

    def note(nodes: list[Node]) -> list[Node]:
        lines.append(_line_text(nodes))
        return nodes

    schema.layout.change_lines(doc, field or schema.field, schema, note)
    return lines


def _line_text(nodes: Sequence[Node]) -> str:
    return "".join(node["text"] if is_text(node) else _NODE for node in nodes)


def _places(line: str, text: str) -> list[int]:
    places: list[int] = []
    start = line.find(text)
    while start >= 0:
        places.append(start)
        start = line.find(text, start + len(text))
    return places


def _find(lines: Sequence[str], text: str) -> Iterator[Match]:
    if not text:
        raise ValueError("The text that is looked for must not be empty.")
    for line in lines:
        for start in _places(line, text):
            yield Match(line, start, start + len(text))


def _around(match: Match) -> str:
    return match.line[max(match.start - 20, 0) : match.end + 20]


def _likeness(text: str, line: str) -> float:
    matcher = SequenceMatcher(None, text, line, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks()) / max(len(text), 1)


def _replace(nodes: Sequence[Node], places: Sequence[int], length: int, new: str) -> list[Node]:
    letters: list[Node] = []
    for node in nodes:
        letters += [node | {"text": each} for each in node["text"]] if is_text(node) else [node]
    for place in reversed(places):
        first = next(each for each in letters[place : place + length] if is_text(each))
        letters[place : place + length] = [first | {"text": new}] if new else []
    return join_texts(letters)
