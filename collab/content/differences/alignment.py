"""Pairs of old and new items: which stay, which are changed, which come and go."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

__all__ = [
    "Pair",
    "Pairs",
    "align",
    "anchors",
    "common_ends",
    "rising",
    "similarity",
    "unique_pairs",
    "words",
]

#: The indices of an old and a new item; ``None`` where an item has no partner.
Pair = tuple[int | None, int | None]
#: The indices of old and new items that are equal, in the order of both.
Pairs = list[tuple[int, int]]

#: Old items times new items, beyond which they are not compared each with each.
_MAX_COMPARED = 40_000
#: Being changed rather than replaced is worth something even to items that share nothing.
_BONUS = 0.05
_WORD = re.compile(r"\w+")


def words(text: str) -> Counter[str]:
    """Return the words of a text and how often each is there."""
    return Counter(_WORD.findall(text))


def similarity(one: Counter[str], other: Counter[str]) -> float:
    """Return which part of the words of two texts is the same, from 0 to 1."""
    total = max(one.total(), other.total())
    return (one & other).total() / total if total else 1.0


def align(
    old: Sequence[Hashable],
    new: Sequence[Hashable],
    likeness: Callable[[int, int], float | None],
) -> list[Pair]:
    """Return pairs of indices in the order of the items.

    Args:
        old: keys of the old items; equal keys mean equal items.
        new: keys of the new items.
        likeness: says how like each other an old and a new item are, from 0 to 1; ``None`` if the
            one cannot be changed into the other.
    """
    pairs: list[Pair] = []
    old_start = new_start = 0
    for old_index, new_index in [*anchors(old, new), (len(old), len(new))]:
        pairs += _pair_up(old_start, old_index, new_start, new_index, likeness)
        if old_index < len(old):
            pairs.append((old_index, new_index))
        old_start, new_start = old_index + 1, new_index + 1
    return pairs


def anchors(old: Sequence[Hashable], new: Sequence[Hashable]) -> Pairs:
    """Return indices of equal items, in order: those at both ends, and between them those that
    are there once (a patience diff)."""
    found: Pairs = []
    # Not by recursion: items may be found as deep between others as there are items.
    gaps = [(0, len(old), 0, len(new))]
    while gaps:
        i, m, j, n = gaps.pop()
        head, tail = common_ends(old[i:m], new[j:n])
        found += [(i + k, j + k) for k in range(head)]
        found += [(m - k, n - k) for k in range(1, tail + 1)]
        i, m, j, n = i + head, m - tail, j + head, n - tail
        if unique := [(i + a, j + b) for a, b in unique_pairs(old[i:m], new[j:n])]:
            found += unique
            starts = [(i, j), *((each + 1, other + 1) for each, other in unique)]
            ends = [*unique, (m, n)]
            gaps += [(a, b, c, d) for (a, c), (b, d) in zip(starts, ends, strict=True)]
    return sorted(found)


def common_ends(old: Sequence[Hashable], new: Sequence[Hashable]) -> tuple[int, int]:
    """Return how many items at the beginning and at the end are the same."""
    limit = min(len(old), len(new))
    head = tail = 0
    while head < limit and old[head] == new[head]:
        head += 1
    while tail < limit - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return head, tail


def unique_pairs(old: Sequence[Hashable], new: Sequence[Hashable]) -> Pairs:
    """Return the longest ordered series of pairs of items that are there once on both sides."""
    old_counts, new_counts = Counter(old), Counter(new)
    places = {item: index for index, item in enumerate(new) if new_counts[item] == 1}
    candidates = [
        (index, places[item])
        for index, item in enumerate(old)
        if old_counts[item] == 1 and item in places
    ]
    return rising(candidates)


def rising(pairs: Sequence[tuple[int, int]]) -> Pairs:
    """Return the longest part of ``pairs``, in order of the first, in which the second rises."""
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for index, (_, value) in enumerate(pairs):
        position = bisect_left(tails, value)
        previous.append(ends[position - 1] if position else -1)
        tails[position : position + 1] = [value]
        ends[position : position + 1] = [index]
    chosen: Pairs = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chosen.append(pairs[index])
        index = previous[index]
    return chosen[::-1]


def _pair_up(
    i: int, m: int, j: int, n: int, likeness: Callable[[int, int], float | None]
) -> list[Pair]:
    """Return pairs of items that differ, the most alike with each other."""
    if (m - i) * (n - j) > _MAX_COMPARED:
        return _pair_in_order(i, m, j, n, likeness)
    # best[a][b]: how well the items from a and from b on can be paired.
    best = [[0.0] * (n - j + 1) for _ in range(m - i + 1)]
    scores: dict[tuple[int, int], float] = {}
    for a in range(m - i - 1, -1, -1):
        for b in range(n - j - 1, -1, -1):
            best[a][b] = max(best[a + 1][b], best[a][b + 1])
            like = likeness(i + a, j + b)
            if like is not None:
                scores[a, b] = like + _BONUS + best[a + 1][b + 1]
                best[a][b] = max(best[a][b], scores[a, b])
    pairs: list[Pair] = []
    a = b = 0
    while a < m - i and b < n - j:
        if scores.get((a, b)) == best[a][b]:
            pairs.append((i + a, j + b))
            a, b = a + 1, b + 1
        elif best[a][b] == best[a + 1][b]:
            pairs.append((i + a, None))
            a += 1
        else:
            pairs.append((None, j + b))
            b += 1
    return pairs + _alone(i + a, m, j + b, n)


def _pair_in_order(
    i: int, m: int, j: int, n: int, likeness: Callable[[int, int], float | None]
) -> list[Pair]:
    pairs: list[Pair] = []
    while i < m and j < n:
        pairs += [(i, j)] if likeness(i, j) is not None else [(i, None), (None, j)]
        i, j = i + 1, j + 1
    return pairs + _alone(i, m, j, n)


def _alone(i: int, m: int, j: int, n: int) -> list[Pair]:
    return [*((index, None) for index in range(i, m)), *((None, index) for index in range(j, n))]
