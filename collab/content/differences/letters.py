"""Differences of two texts: which letters stay, which go, which come."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from collab.content.trees import json_key

from .alignment import Pairs, anchors, common_ends

__all__ = ["TOKEN", "Span", "StandIns", "spans"]

#: A word, a letter of a script without spaces between words, spaces, or another character.
TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+|\s+|.", re.DOTALL)
#: Old tokens times new tokens, beyond which only unique ones are looked for.
_MAX_COMPARED = 1_000_000
#: A text that keeps a smaller share is replaced as a whole, not in parts.
_MIN_KEPT = 0.25
#: Characters without a meaning, four bytes each.
_FREE = ("\U000f0000", "\U0010fffe")
_STAND_IN_BYTES = 4


class Span(NamedTuple):
    """A part of the old text, and the part of the new text that takes its place.

    If both have letters, they are the same letters.
    """

    start: int
    end: int
    new_start: int
    new_end: int


class StandIns:
    """Characters that stand for embedded values while texts are compared.

    Args:
        texts: that are compared; no character of theirs is used.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        taken = {letter for text in texts for letter in text if letter >= _FREE[0]}
        self._free = (letter for letter in map(chr, range(*map(ord, _FREE))) if letter not in taken)
        self._signs: dict[str, str] = {}
        #: The values by their character.
        self.values: dict[str, Any] = {}

    def of(self, value: Any) -> str:
        """Return the character for a value; equal values have the same."""
        key = json_key(value)
        if key not in self._signs:
            sign = next(self._free)
            self._signs[key], self.values[sign] = sign, value
        return self._signs[key]

    def size(self, letters: str) -> int:
        """Return the size of letters in indices of pycrdt, where a value is one."""
        count = sum(letters.count(sign) for sign in self.values)
        return len(letters.encode()) - count * (_STAND_IN_BYTES - 1)


def spans(old: str, new: str) -> Iterator[Span]:
    """Yield the spans of two texts: equal ones, and between them removed and added ones."""
    i = j = 0
    for start, end, new_start in _kept(old, new):
        yield from _replaced(old, new, i, start, j, new_start)
        yield Span(start, end, new_start, new_start + end - start)
        i, j = end, new_start + end - start
    yield from _replaced(old, new, i, len(old), j, len(new))


def _replaced(old: str, new: str, i: int, m: int, j: int, n: int) -> Iterator[Span]:
    """Yield the spans for a part of a text that has become another; their ends may be the same."""
    head, tail = common_ends(old[i:m], new[j:n])
    if head:
        yield Span(i, i + head, j, j + head)
    if i + head < m - tail:
        yield Span(i + head, m - tail, j + head, j + head)
    if j + head < n - tail:
        yield Span(m - tail, m - tail, j + head, n - tail)
    if tail:
        yield Span(m - tail, m, n - tail, n)


def _kept(old: str, new: str) -> Iterator[tuple[int, int, int]]:
    """Yield where words of the old text that stay begin and end, and where they are in the new."""
    head, tail = common_ends(old, new)
    old_tokens = TOKEN.findall(old[head : len(old) - tail])
    new_tokens = TOKEN.findall(new[head : len(new) - tail])
    pairs = _equal_tokens(old_tokens, new_tokens)
    if sum(len(old_tokens[i]) for i, _ in pairs) < _MIN_KEPT * max(
        sum(map(len, old_tokens)), sum(map(len, new_tokens))
    ):
        return
    old_starts, new_starts = _starts(old_tokens, head), _starts(new_tokens, head)
    for i, j in pairs:
        yield old_starts[i], old_starts[i + 1], new_starts[j]


def _equal_tokens(old: Sequence[str], new: Sequence[str]) -> Pairs:
    if len(old) * len(new) > _MAX_COMPARED:
        return anchors(old, new)
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return [(block.a + k, block.b + k) for block in blocks for k in range(block.size)]


def _starts(tokens: Sequence[str], start: int) -> list[int]:
    starts = [start]
    for token in tokens:
        starts.append(starts[-1] + len(token))
    return starts
