"""Text, marks and inline nodes as Markdown."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collab.content.schema import Schema
from collab.content.trees import Mark, Node, inline_text, is_text

from .html_writer import tag
from .links import is_safe_url

__all__ = [
    "InlineMarkdown",
    "escape_lines",
    "escape_text",
    "image",
    "link",
    "list_start",
    "mention_text",
]

#: Characters that would be read as formatting wherever they are.
_SPECIAL = re.compile(r"[\\`*_\[\]~<]|&(?=#?\w+;)|!(?=\[)")
#: The beginning of a line that would be read as another block than a paragraph.
_BLOCK_START = re.compile(
    r"#{1,6}(?=\s|$)|>|[-+](?=\s|$)|[-=:|](?=[\s|:=-]*$)|\d{1,9}(?=[.)](\s|$))"
)
#: HTML of marks for places where their delimiters would not be read as such.
_TAGS = {"**": "strong", "*": "em", "~~": "s"}
#: A hard break.
_BREAK = "\\\n"


def escape_text(text: str) -> str:
    """Return text in which no letter means formatting."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def escape_lines(markdown: str) -> str:
    """Return a paragraph's Markdown so that none of its lines begins another block."""
    return "\n".join(map(_escape_line, markdown.split("\n")))


def _escape_line(line: str) -> str:
    line = line.lstrip(" \t")
    start = _BLOCK_START.match(line)
    if start is None:
        return line
    position = start.end() if start[0].isdigit() else 0
    return f"{line[:position]}\\{line[position:]}"


def link(inner: str, url: str, title: Any) -> str:
    """Return the part of a link or an image that begins with its bracket."""
    url = url.replace("\n", "%0A").replace("\r", "%0D")
    if not url or re.search(r"[\s<>()\\]", url):
        url = "<" + re.sub(r"[\\<>]", r"\\\g<0>", url) + ">"
    quoted = re.sub(r'[\\"]', r"\\\g<0>", " ".join(str(title).split())) if title else ""
    return f'[{inner}]({url} "{quoted}")' if quoted else f"[{inner}]({url})"


@dataclass
class _Piece:
    """A part of a line, escaped already, with the marks around it."""

    text: str
    marks: list[Mark]

    @property
    def is_space(self) -> bool:
        return self.text == _BREAK or not self.text.strip()


class InlineMarkdown:
    """Writes the content of a paragraph.

    Args:
        schema: of the nodes.
        line_break: stands for a hard break.
    """

    def __init__(self, schema: Schema, line_break: str = _BREAK) -> None:
        self._schema = schema
        self._break = line_break

    def write(self, nodes: Sequence[Node]) -> str:
        """Return the Markdown of inline nodes."""
        pieces = [piece for node in nodes for piece in self._pieces(node)]
        _unmark_spaces(pieces)
        markdown = self._marked(pieces, "", "").strip(" \t")
        # At the end of a paragraph a backslash is no break.
        breaks = re.search(r"(\\\n)*\Z", markdown)
        count = len(breaks[0]) // len(_BREAK) if breaks else 0
        kept = markdown[: len(markdown) - count * len(_BREAK)]
        return kept.replace(_BREAK, self._break) + "<br>" * count

    def _pieces(self, node: Node) -> list[_Piece]:
        marks = [mark for mark in node.get("marks", ()) if self._is_written(mark)]
        if not is_text(node):
            return [_Piece(self._inline_node(node), marks)]
        if any(self._schema.kind_of(mark) == "code" for mark in marks):
            others = [mark for mark in marks if self._schema.kind_of(mark) != "code"]
            return [_Piece(_code(node["text"]), others)]
        parts = re.split(r"(\n)|(^\s+|\s+$)", node["text"])
        return [
            _Piece(_BREAK if part == "\n" else escape_text(part), list(marks))
            for part in parts
            if part
        ]

    def _inline_node(self, node: Node) -> str:
        known = self._schema.node_types.get(node["type"])
        values = self._schema.attributes_of(node)
        if known is not None and known.markdown is not None:
            return known.markdown(values, self.write(node.get("content", ())))
        match self._schema.kind_of(node):
            case "hardBreak":
                return _BREAK
            case "image":
                return image(values)
            case "mention":
                return escape_text(mention_text(values))
            case _:
                return escape_text(inline_text(node))

    def _is_written(self, mark: Mark) -> bool:
        kind = self._schema.kind_of(mark)
        if kind == "link":
            href = self._schema.attributes_of(mark).get("href")
            return isinstance(href, str) and href != "" and is_safe_url(href)
        return kind == "code" or self._delimiters(mark) is not None

    def _delimiters(self, mark: Mark) -> tuple[str, str] | None:
        known = self._schema.mark_types.get(mark["type"])
        return known.markdown if known else None

    def _marked(self, pieces: Sequence[_Piece], before: str, after: str) -> str:
        """Return pieces with delimiters around those that share a mark.

        Args:
            pieces: the parts of a line.
            before: the text before them.
            after: the letter that follows.
        """
        written, index = "", 0
        while index < len(pieces):
            piece = pieces[index]
            if not piece.marks:
                written += piece.text
                index += 1
                continue
            mark, end = _longest(pieces, index)
            inside = [_Piece(p.text, [m for m in p.marks if m != mark]) for p in pieces[index:end]]
            following = _first_letter(pieces[end]) if end < len(pieces) else after
            written += self._wrapped(mark, inside, before + written, following)
            index = end
        return written

    def _wrapped(self, mark: Mark, inside: Sequence[_Piece], before: str, after: str) -> str:
        if self._schema.kind_of(mark) == "link":
            values = self._schema.attributes_of(mark)
            return link(self._marked(inside, "[", "]"), values["href"], values.get("title"))
        start, end = self._delimiters(mark) or ("", "")
        if start not in _TAGS:
            return start + self._marked(inside, ">", "<") + end
        inner = self._marked(inside, start, end)
        if _can_delimit(start, inner, before, after):
            return start + inner + end
        return tag(_TAGS[start], {}, inner)


def image(attributes: Mapping[str, Any]) -> str:
    """Return the Markdown of an image, or its description if its source is not safe."""
    alt, source, title = (str(attributes.get(key) or "") for key in ("alt", "src", "title"))
    if not source or not is_safe_url(source):
        return escape_text(alt)
    return "!" + link(escape_text(alt), source, title)


def list_start(attributes: Mapping[str, Any]) -> Any:
    """Return the number that a list begins with, by either of its names."""
    return attributes.get("start", attributes.get("order", 1))


def mention_text(attributes: Mapping[str, Any]) -> str:
    """Return a mention as it is read."""
    names = (attributes.get("label"), attributes.get("id"), "")
    name = next(name for name in names if name is not None)
    return f"{attributes.get('mentionSuggestionChar') or '@'}{name}"


def _unmark_spaces(pieces: list[_Piece]) -> None:
    """Leave spaces and breaks only the marks that both their neighbours have.

    A mark that begins or ends with a space would not be read as one.
    """
    texts = [index for index, piece in enumerate(pieces) if not piece.is_space]
    for index, piece in enumerate(pieces):
        if piece.is_space:
            position = bisect(texts, index)
            before = pieces[texts[position - 1]].marks if position else []
            after = pieces[texts[position]].marks if position < len(texts) else []
            piece.marks = [mark for mark in piece.marks if mark in before and mark in after]


def _longest(pieces: Sequence[_Piece], start: int) -> tuple[Mark, int]:
    """Return the mark of a piece that goes on for longest, and the index where it ends."""

    def end_of(mark: Mark) -> int:
        end = start
        while end < len(pieces) and mark in pieces[end].marks:
            end += 1
        return end

    mark = max(pieces[start].marks, key=end_of)
    return mark, end_of(mark)


def _first_letter(piece: _Piece) -> str:
    """Return the text behind a mark that ends before this piece."""
    return "*" if piece.marks else piece.text[:1]


def _can_delimit(delimiter: str, inner: str, before: str, after: str) -> bool:
    """Return whether delimiters around ``inner`` are read as such."""
    sign = delimiter[0]
    is_nested = bool(before) and not before.strip(sign)
    if not inner.strip(sign) or (not is_nested and _ends_with_sign(before, sign)):
        # Two runs of delimiters would be read as one.
        return False
    # Delimiters left inside these are removed; of escaped signs, the sign stays.
    first, last = inner.lstrip(sign)[:1], (inner.rstrip(sign) or inner)[-1:]
    return _flanks(first, before[-1:]) and _flanks(last, after[:1])


def _ends_with_sign(text: str, sign: str) -> bool:
    return re.search(rf"(?<!\\){re.escape(sign)}\Z", text) is not None


def _flanks(inside: str, outside: str) -> bool:
    """Return whether a delimiter between two letters belongs to the one inside."""
    if inside.isspace():
        return False
    return (
        not _is_punctuation(inside)
        or not outside
        or outside.isspace()
        or (_is_punctuation(outside))
    )


def _is_punctuation(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "PS"


def _code(text: str) -> str:
    """Return a code span."""
    text = text.replace("\n", " ")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    padded = (
        text.startswith("`") or text.endswith("`") or (text.strip() and text[0] == text[-1] == " ")
    )
    return f"{fence} {text} {fence}" if padded else f"{fence}{text}{fence}"
