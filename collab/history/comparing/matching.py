"""Items of a sequence that stay where they are in another, found in time that grows with both."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

__all__ = ["gaps", "matched", "rising"]

Pairs = list[tuple[int, int]]
H = TypeVar("H", bound=Hashable)


def matched(old: Sequence[Hashable], new: Sequence[Hashable]) -> Pairs:
    """Return the indices of equal items in the order of both.

    They are those at both ends, then those that are there once in both, and between these again
    those at the ends, and the repeated ones in their order.
    """
    start, old_end, new_end = _common_ends(old, new, (0, len(old)), (0, len(new)))
    pairs: Pairs = [(index, index) for index in range(start)]
    anchors = _unique(old[start:old_end], new[start:new_end])
    whole = [(start + i, start + j) for i, j in anchors]
    i = j = start
    for a, b in [*whole, (old_end, new_end)]:
        pairs += _between(old, new, (i, a), (j, b))
        if a < old_end:
            pairs.append((a, b))
        i, j = a + 1, b + 1
    tail = len(old) - old_end
    return [*pairs, *((old_end + index, new_end + index) for index in range(tail))]


def gaps(pairs: Pairs, old_length: int, new_length: int) -> Iterator[tuple[range, range]]:
    """Yield the indices between pairs, before each of them and behind the last."""
    i = j = 0
    for a, b in [*pairs, (old_length, new_length)]:
        yield range(i, a), range(j, b)
        i, j = a + 1, b + 1


def rising(pairs: Pairs) -> Pairs:
    """Return the longest part of ``pairs``, in order of the first, in which the second rises."""
    lows: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for index, (_, value) in enumerate(pairs):
        place = bisect_left(lows, value)
        previous.append(ends[place - 1] if place else -1)
        if place == len(lows):
            lows.append(value)
            ends.append(index)
        else:
            lows[place], ends[place] = value, index
    chosen: Pairs = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chosen.append(pairs[index])
        index = previous[index]
    return chosen[::-1]


def _common_ends(
    old: Sequence[Hashable], new: Sequence[Hashable], a: tuple[int, int], b: tuple[int, int]
) -> tuple[int, int, int]:
    """Return the number of equal items at the beginning, and where those at the end begin."""
    (i, m), (j, n) = a, b
    head = 0
    while i + head < m and j + head < n and old[i + head] == new[j + head]:
        head += 1
    while m > i + head and n > j + head and old[m - 1] == new[n - 1]:
        m, n = m - 1, n - 1
    return head, m, n


def _unique(old: Sequence[H], new: Sequence[H]) -> Pairs:
    old_counts, new_counts = Counter(old), Counter(new)
    places = {item: index for index, item in enumerate(new) if new_counts[item] == 1}
    return rising(
        [
            (index, places[item])
            for index, item in enumerate(old)
            if old_counts[item] == 1 and item in places
        ]
    )


def _between(
    old: Sequence[Hashable], new: Sequence[Hashable], a: tuple[int, int], b: tuple[int, int]
) -> Pairs:
    head, m, n = _common_ends(old, new, a, b)
    pairs = [(a[0] + index, b[0] + index) for index in range(head)]
    places: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for index in range(b[0] + head, n):
        places[new[index]].append(index)
    repeated = [
        (index, places[old[index]].popleft())
        for index in range(a[0] + head, m)
        if places[old[index]]
    ]
    return [*pairs, *rising(repeated), *((m + index, n + index) for index in range(a[1] - m))]
