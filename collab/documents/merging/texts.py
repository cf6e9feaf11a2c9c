"""Changes a Text as a row's text has changed, with few and small edits.

Cursors in it stay where they are, and text that was typed meanwhile is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from pycrdt import Text

__all__ = ["Replacement", "merge_text", "merged_texts", "replacements", "write_text"]

#: The start and the end of a part of a text, and the text in its place.
Replacement = tuple[int, int, str]
#: Start in one text, or list, start in another, and the length of the equal part.
Block = tuple[int, int, int]

#: Comparing all with all takes time as the product of the lengths; beyond this it is left out.
_MAX_WORK = 10_000
#: Stands for an embed in a Text, such as an image. No text of a row has a lone surrogate.
_EMBED = "\ud800"


def write_text(text: Text, before: str, now: str) -> None:
    """Apply the change from ``before`` to ``now`` to ``text``, which may have changed since.

    Positions in ``before`` are carried over to ``text``; insertions into a part that the change
    deletes stay.
    """
    there = "".join(
        chunk if isinstance(chunk, str) else _EMBED for chunk, _attributes in text.diff()
    )
    if there.replace(_EMBED, "") == now:
        return
    with text.doc.transaction():
        # From the end: an edit moves the text behind it.
        for start, end, insert in reversed(_edits_of(before, now, there)):
            first = _size(there[:start])
            del text[first : first + _size(there[start:end])]
            text.insert(first, insert)


def merge_text(before: str, now: str, there: str) -> str:
    """Return ``there`` with the change from ``before`` to ``now``, like :func:`write_text`."""
    if there == now:
        return now
    for start, end, insert in reversed(_edits_of(before, now, there)):
        there = there[:start] + insert + there[end:]
    return there


def merged_texts(
    bases: Mapping[str, str], values: Mapping[str, str], there: Mapping[str, Any]
) -> dict[str, str]:
    """Return texts with both changes since their bases: those of ``values`` and of ``there``.

    Browsers send lines of a form that end with CRLF; they get the ends that are there.
    """
    merged = {}
    for name, value in values.items():
        present = there[name] or ""
        before, now = bases[name], value
        if "\r\n" not in present:
            before, now = (text.replace("\r\n", "\n") for text in (before, now))
        merged[name] = merge_text(before, now, present)
    return merged


def _edits_of(before: str, now: str, there: str) -> list[Replacement]:
    edits = list(replacements(before, now))
    return edits if there == before else _carry_over(edits, _blocks(before, there))


def _size(text: str) -> int:
    """Return the length of ``text`` in a Text, which counts bytes of UTF-8."""
    return len(text.encode("utf-8", "surrogatepass")) - 2 * text.count(_EMBED)


def replacements(before: str, now: str, at: int = 0, level: int = 0) -> Iterator[Replacement]:
    """Yield the replacements, in order, that make ``now`` of ``before``, which begins at ``at``."""
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
        yield from replacements(part, "".join(new[j:new_start]), at, level + 1)
        i, j = old_start + length, new_start + length
        at += len(part) + sum(map(len, old[old_start:i]))


def _in_common(one: str, other: str) -> tuple[int, int]:
    """Return the numbers of common characters at the start, and then at the end."""
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
    """Return the common blocks of two short lists; none of long ones."""
    if len(old) * len(new) > _MAX_WORK:
        return []
    return SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()


def _roughly(old: Sequence[str], new: Sequence[str]) -> Sequence[Block]:
    """Return items that are once in each of two lists, as far as they are in the same order."""
    # Imported when it is used: most texts differ in one place.
    from collab.content.differences.alignment import unique_pairs

    return [(i, j, 1) for i, j in unique_pairs(old, new)]


#: Texts are compared by lines, differing lines by words, and differing words by letters.
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
    """Return the blocks of ``before`` that are still in ``there``, in order."""
    blocks, old, new = [], 0, 0
    for start, end, insert in replacements(before, there):
        blocks.append((old, new, start - old))
        new += start - old + len(insert)
        old = end
    return [*blocks, (old, new, len(before) - old)]


def _carry_over(edits: list[Replacement], blocks: list[Block]) -> list[Replacement]:
    """Return ``edits`` of one text as edits of another, which shares ``blocks`` with it."""
    carried: list[Replacement] = []
    for start, end, insert in edits:
        parts = list(_parts(start, end, blocks))
        place = parts[0][0] if parts else _place(start, blocks)
        carried.append((place, place, insert))
        carried += [(first, last, "") for first, last in parts]
    return carried


def _parts(start: int, end: int, blocks: list[Block]) -> Iterator[tuple[int, int]]:
    """Yield the present ranges of the text from ``start`` to ``end`` that is still there."""
    for old, new, length in blocks:
        first, last = max(start, old), min(end, old + length)
        if first < last:
            yield new + first - old, new + last - old


def _place(position: int, blocks: list[Block]) -> int:
    """Return the present place of ``position``: behind the text that it was behind."""
    place = 0
    for old, new, length in blocks:
        if old < position:
            place = new + min(length, position - old)
    return place
