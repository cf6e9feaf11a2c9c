"""Items of a sequence that stay where they are in another, found in time that grows with both."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence

from collab.content.differences.alignment import Pairs, common_ends, rising, unique_pairs

__all__ = ["gaps", "matched"]


def matched(old: Sequence[Hashable], new: Sequence[Hashable]) -> Pairs:
    """Return the indices of equal items in the order of both.

    They are those at both ends, then those that are there once in both, and between these again
    those at the ends, and the repeated ones in their order.
    """
    head, tail = common_ends(old, new)
    old_end, new_end = len(old) - tail, len(new) - tail
    pairs: Pairs = [(index, index) for index in range(head)]
    unique = unique_pairs(old[head:old_end], new[head:new_end])
    i = j = head
    for a, b in [*((head + a, head + b) for a, b in unique), (old_end, new_end)]:
        pairs += [(i + one, j + other) for one, other in _between(old[i:a], new[j:b])]
        if a < old_end:
            pairs.append((a, b))
        i, j = a + 1, b + 1
    return [*pairs, *_last(old, new, tail)]


def gaps(pairs: Pairs, old_length: int, new_length: int) -> Iterator[tuple[range, range]]:
    """Yield the indices between pairs, before each of them and behind the last."""
    i = j = 0
    for a, b in [*pairs, (old_length, new_length)]:
        yield range(i, a), range(j, b)
        i, j = a + 1, b + 1


def _between(old: Sequence[Hashable], new: Sequence[Hashable]) -> Pairs:
    head, tail = common_ends(old, new)
    places: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for index in range(head, len(new) - tail):
        places[new[index]].append(index)
    repeated = [
        (index, places[old[index]].popleft())
        for index in range(head, len(old) - tail)
        if places[old[index]]
    ]
    return [*((index, index) for index in range(head)), *rising(repeated), *_last(old, new, tail)]


def _last(old: Sequence[Hashable], new: Sequence[Hashable], count: int) -> Pairs:
    """Return the indices of the last items of both."""
    return [(len(old) - index, len(new) - index) for index in range(count, 0, -1)]
