"""Changing a Text as a row's text has changed, with few and small edits.

Who types in it keeps the cursor, and what was typed meanwhile stays.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher

from pycrdt import Text

__all__ = ["write_text"]

#: Of a text: from where to where it is replaced, and by what.
Edit = tuple[int, int, str]
#: From where in one text, or list, to where in another so much is the same.
Block = tuple[int, int, int]

#: Comparing all with all takes time as the product of the lengths; beyond this it is not done.
_MAX_WORK = 10_000
#: Stands for what is in a Text and is no text, as an image. No text of a row has a lone surrogate.
_EMBED = "\ud800"


def write_text(text: Text, before: str, now: str) -> None:
    """Make the change from ``before`` to ``now`` in ``text``, which may have changed since.

    Positions in ``before`` are carried over to where they are in ``text``; what was inserted
    into a part that the change deletes stays.
    """
    there = "".join(
        chunk if isinstance(chunk, str) else _EMBED for chunk, _attributes in text.diff()
    )
    if there.replace(_EMBED, "") == now:
        return
    edits = list(_edits(before, now))
    if there != before:
        edits = _carry_over(edits, _blocks(before, there))
    with text.doc.transaction():
        # From the end: an edit moves what is behind it.
        for start, end, insert in reversed(edits):
            first = _size(there[:start])
            del text[first : first + _size(there[start:end])]
            text.insert(first, insert)


def _size(text: str) -> int:
    """Return how long ``text`` is in a Text, which counts bytes of UTF-8."""
    return len(text.encode("utf-8", "surrogatepass")) - 2 * text.count(_EMBED)


def _edits(before: str, now: str, at: int = 0, level: int = 0) -> Iterator[Edit]:
    """Yield what makes ``now`` of ``before``, in order; ``at`` is added to positions."""
    start, end = _in_common(before, now)
    at, before, now = at + start, before[start : len(before) - end], now[start : len(now) - end]
    if not (before and now) or level == len(_LEVELS):
        if before or now:
            yield at, at + len(before), now
        return
    split, compare = _LEVELS[level]
    old, new = split(before), split(now)
    i = j = 0
    for old_start, new_start, length in [*compare(old, new), (len(old), len(new), 0)]:
        part = "".join(old[i:old_start])
        yield from _edits(part, "".join(new[j:new_start]), at, level + 1)
        i, j = old_start + length, new_start + length
        at += len(part) + sum(map(len, old[old_start:i]))


def _in_common(one: str, other: str) -> tuple[int, int]:
    """Return how many characters the two have in common at the start, and then at the end."""
    start = _common(one, other)
    return start, _common(one[start:][::-1], other[start:][::-1])


def _common(one: str, other: str) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _closely(old: Sequence[str], new: Sequence[str]) -> Sequence[Block]:
    """Return what two short lists have in common; nothing of long ones."""
    if len(old) * len(new) > _MAX_WORK:
        return []
    return SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()


def _roughly(old: Sequence[str], new: Sequence[str]) -> Sequence[Block]:
    """Return what is once in each of two lists, as far as it is in the same order."""
    in_old, in_new = Counter(old), Counter(new)
    places = {item: place for place, item in enumerate(new) if in_new[item] == 1}
    pairs = [
        (i, places[item]) for i, item in enumerate(old) if in_old[item] == 1 and item in places
    ]
    return [(i, j, 1) for i, j in _rising(pairs)]


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return as many as possible of ``pairs``, whose first numbers rise, so that both rise."""
    #: For each length the least that as many pairs can end with, and the pair before the last.
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, second) in enumerate(pairs):
        length = bisect_left(ends, second)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [second]
        last[length : length + 1] = [number]
    chosen, number = [], last[-1] if last else -1
    while number >= 0:
        chosen.append(pairs[number])
        number = before[number]
    return chosen[::-1]


#: How texts are compared: by lines, what differs then by words, and what differs then by letters.
_LINES = re.compile(r"[^\n]*\n|[^\n]+").findall
_WORDS = re.compile(r"\w+|\s+|[^\w\s]+").findall
_LEVELS: tuple[
    tuple[
        Callable[[str], Sequence[str]],
        Callable[[Sequence[str], Sequence[str]], Sequence[Block]],
    ],
    ...,
] = (
    (_LINES, _roughly),
    (_LINES, _closely),
    (_WORDS, _roughly),
    (_WORDS, _closely),
    (list, _closely),
)


def _blocks(before: str, there: str) -> list[Block]:
    """Return what of ``before`` is still in ``there``, in order."""
    blocks, old, new = [], 0, 0
    for start, end, insert in _edits(before, there):
        blocks.append((old, new, start - old))
        new += start - old + len(insert)
        old = end
    return [*blocks, (old, new, len(before) - old)]


def _carry_over(edits: list[Edit], blocks: list[Block]) -> list[Edit]:
    """Return what makes of a text what ``edits`` make of that which it shares ``blocks`` with."""
    carried: list[Edit] = []
    for start, end, insert in edits:
        parts = list(_parts(start, end, blocks))
        place = parts[0][0] if parts else _place(start, blocks)
        carried.append((place, place, insert))
        carried += [(first, last, "") for first, last in parts]
    return carried


def _parts(start: int, end: int, blocks: list[Block]) -> Iterator[tuple[int, int]]:
    """Yield where, from ``start`` to ``end``, text that is still there is now."""
    for old, new, length in blocks:
        first, last = max(start, old), min(end, old + length)
        if first < last:
            yield new + first - old, new + last - old


def _place(position: int, blocks: list[Block]) -> int:
    """Return where ``position`` is now: behind what it was behind, as far as that is there."""
    place = 0
    for old, new, length in blocks:
        if old < position:
            place = new + min(length, position - old)
    return place
