"""Lines of text compared by letters: whole words first, then the ends of those that differ."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

from collab.content.differences.alignment import common_ends
from collab.content.differences.letters import TOKEN
from collab.content.trees import Node, is_text
from collab.history.comparing.changes import Piece, PieceKind
from collab.history.comparing.matching import gaps, matched

__all__ = ["TextLine", "compare_lines", "compare_texts", "pieces_of"]

#: Represents an inline node.
_NODE = "\ufffc"
#: A line that keeps a smaller share is removed and added as a whole.
_MIN_KEPT = 0.25
#: A word that keeps a smaller share is replaced as a whole.
_MIN_OF_WORD = 0.5
#: A line that differs in more places is removed and added as a whole.
_MAX_PLACES = 1_000


class TextLine:
    """A line: its letters, and the node that each is of.

    Args:
        nodes: inline nodes.
        keys: of nodes that are not text, by which they are compared.
        authors: of the letters of a text node.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        keys: Mapping[int, Hashable] | None = None,
        authors: Mapping[int, Sequence[str | None]] | None = None,
    ) -> None:
        self.nodes = nodes
        parts, self.owners = list[str](), list[int]()
        self.authors: list[str | None] = []
        for index, node in enumerate(nodes):
            part = node["text"] if is_text(node) else _NODE
            parts.append(part)
            self.owners += [index] * len(part)
            known = (authors or {}).get(id(node), ())
            self.authors += [*known[: len(part)], *[None] * (len(part) - len(known))]
        self.text = "".join(parts)
        self._keys = keys or {}

    def tokens(self) -> tuple[list[Hashable], list[int]]:
        """Return the words, as they are compared, and where each begins."""
        tokens, starts = list[Hashable](), [0]
        for found in TOKEN.findall(self.text):
            node = self.nodes[self.owners[starts[-1]]]
            is_node = found == _NODE and not is_text(node)
            tokens.append((self._keys.get(id(node)),) if is_node else found)
            starts.append(starts[-1] + len(found))
        return tokens, starts


def compare_texts(old: str, new: str) -> list[Piece]:
    """Return the pieces of two texts."""
    lines = (TextLine([{"type": "text", "text": text}] if text else []) for text in (old, new))
    return compare_lines(*lines)


def compare_lines(old: TextLine, new: TextLine) -> list[Piece]:
    """Return the pieces of two lines, each removed one before its replacement."""
    return [
        _piece(kind, old, new, [*group]) for kind, group in _groups(old, new, _places(old, new))
    ]


def pieces_of(line: TextLine, kind: PieceKind) -> list[Piece]:
    """Return all of a line as pieces of one kind."""
    empty = TextLine([])
    pair = (line, empty) if kind == PieceKind.REMOVED else (empty, line)
    found = compare_lines(*pair)
    return [Piece(kind, p.text, p.marks, p.old_marks, p.node, p.by) for p in found]


Place = tuple[int | None, int | None]


def _places(old: TextLine, new: TextLine) -> Iterator[Place]:
    """Yield the index of each letter in the old and the new line; ``None`` where it is not."""
    old_tokens, old_starts = old.tokens()
    new_tokens, new_starts = new.tokens()
    pairs = matched(old_tokens, new_tokens)
    words = [sum(map(_weight, side)) for side in (old_tokens, new_tokens)]
    kept = sum(_weight(old_tokens[i]) for i, _ in pairs)
    broken = sum(1 for one, next in pairwise(pairs) if (one[0] + 1, one[1] + 1) != next)
    if kept < _MIN_KEPT * min(words) or broken > _MAX_PLACES:
        pairs = []
    sentinel = [*pairs, (len(old_tokens), len(new_tokens))]
    for (olds, news), (i, j) in zip(
        gaps(pairs, len(old_tokens), len(new_tokens)), sentinel, strict=True
    ):
        yield from _replaced(
            old,
            new,
            range(old_starts[olds.start], old_starts[olds.stop]),
            range(new_starts[news.start], new_starts[news.stop]),
        )
        if i < len(old_tokens):
            for k in range(old_starts[i + 1] - old_starts[i]):
                yield old_starts[i] + k, new_starts[j] + k


def _weight(token: Hashable) -> int:
    """Return the letters of a word; spaces do not count."""
    return len(token) if isinstance(token, str) and not token.isspace() else 0


def _replaced(old: TextLine, new: TextLine, olds: range, news: range) -> Iterator[Place]:
    """Yield the places of replaced words, which may begin or end as the new ones do."""
    before = old.text[olds.start : olds.stop]
    after = new.text[news.start : news.stop]
    head, tail = common_ends(before, after)
    if _NODE in before + after or head + tail < _MIN_OF_WORD * max(len(before), len(after)):
        head = tail = 0
    old_tail, new_tail = len(olds) - tail, len(news) - tail
    yield from zip(olds[:head], news[:head], strict=True)
    yield from ((i, None) for i in olds[head:old_tail])
    yield from ((None, j) for j in news[head:new_tail])
    yield from zip(olds[old_tail:], news[new_tail:], strict=True)


def _groups(
    old: TextLine, new: TextLine, places: Iterator[Place]
) -> Iterator[tuple[PieceKind, Iterator[Place]]]:
    """Yield the letters that make one piece, and its kind."""
    formatted: dict[tuple[int, int], bool] = {}

    def key(place: Place) -> tuple[PieceKind, int | None, int | None, str | None]:
        i, j = place
        if j is None:
            return PieceKind.REMOVED, old.owners[i or 0], None, None
        if i is None:
            return PieceKind.ADDED, None, new.owners[j], new.authors[j]
        pair = old.owners[i], new.owners[j]
        if pair not in formatted:
            before, after = old.nodes[pair[0]], new.nodes[pair[1]]
            formatted[pair] = before.get("marks", []) != after.get("marks", [])
        kind = PieceKind.FORMATTED if formatted[pair] else PieceKind.KEPT
        return kind, pair[0], pair[1], None

    for (kind, *_), group in groupby(places, key):
        yield kind, group


def _piece(kind: PieceKind, old: TextLine, new: TextLine, places: Sequence[Place]) -> Piece:
    (i, j), (last_i, last_j) = places[0], places[-1]
    line, start, end = (new, j, last_j) if j is not None else (old, i, last_i)
    assert start is not None and end is not None
    node = line.nodes[line.owners[start]]
    marks: Any = node.get("marks", ())
    old_marks: Any = ()
    if kind == PieceKind.FORMATTED and i is not None:
        old_marks = old.nodes[old.owners[i]].get("marks", ())
    by = new.authors[start] if kind == PieceKind.ADDED else None
    if is_text(node):
        return Piece(kind, line.text[start : end + 1], marks, old_marks, None, by)
    bare = {name: value for name, value in node.items() if name != "marks"}
    return Piece(kind, "", marks, old_marks, bare, by)
