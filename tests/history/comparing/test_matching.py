"""Equal items of two sequences: in order, and in time that grows with them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collab.content.differences.alignment import rising
from collab.history.comparing.matching import gaps, matched

ITEMS = st.lists(st.sampled_from("abcdef"), max_size=20)


@given(ITEMS, ITEMS)
def test_pairs_are_equal_and_rise_on_both_sides(old: list[str], new: list[str]) -> None:
    pairs = matched(old, new)
    assert all(old[i] == new[j] for i, j in pairs)
    assert all(one[0] < next[0] and one[1] < next[1] for one, next in pairwise(pairs))


@given(ITEMS, ITEMS)
def test_gaps_and_pairs_are_all_there_is(old: list[str], new: list[str]) -> None:
    pairs = matched(old, new)
    around = list(gaps(pairs, len(old), len(new)))
    assert len(around) == len(pairs) + 1
    assert sum(len(olds) for olds, _ in around) == len(old) - len(pairs)
    assert sum(len(news) for _, news in around) == len(new) - len(pairs)


@given(ITEMS)
def test_equal_sequences_match_as_a_whole(items: list[str]) -> None:
    assert matched(items, items) == [(index, index) for index in range(len(items))]


@given(st.lists(st.sampled_from("abc")), st.integers(0, 20), st.sampled_from("abcx"))
def test_an_inserted_item_is_all_that_differs(items: list[str], place: int, item: str) -> None:
    place = min(place, len(items))
    new = [*items[:place], item, *items[place:]]
    assert len(matched(items, new)) == len(matched(new, items)) == len(items)


def test_a_moved_item_is_not_matched() -> None:
    assert matched("abcd", "bcda") == [(1, 0), (2, 1), (3, 2)]


def test_repeated_items_between_others_keep_their_order() -> None:
    assert matched("-A-B-", "--A-B--") == [(0, 0), (1, 2), (2, 3), (3, 4), (4, 6)]
    assert matched("xaay", "zaaaw") == [(1, 1), (2, 2)]


@given(st.permutations(range(12)))
def test_the_longest_rising_part_rises(order: list[int]) -> None:
    chosen = rising(list(enumerate(order)))
    assert all(one[0] < next[0] and one[1] < next[1] for one, next in pairwise(chosen))
    best = [1] * len(order)
    for index in range(len(order)):
        lower = [best[k] for k in range(index) if order[k] < order[index]]
        best[index] = 1 + max(lower, default=0)
    assert len(chosen) == max(best)
