from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text

from collab_storage.authorship import AuthorRange, Authorship, ClaimedRanges, authorship_of
from collab_storage.base import LogRow, Storage, StoredDocument
from collab_storage.compaction import compact
from collab_storage.memory import MemoryStorage
from collab_storage.testing.material import START

from .yjs import concurrent_updates, typed

SPANS = st.lists(
    st.tuples(st.integers(1, 2), st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=12
)


def row(number: int, data: bytes, user_id: str | None = "7") -> LogRow:
    return LogRow(number, data, user_id, START + timedelta(minutes=number))


def found(*rows: LogRow, snapshot: bytes | None = None) -> Authorship:
    return authorship_of(StoredDocument(snapshot, rows, 1))


def spans(authorship: Authorship) -> list[tuple[int, int, str | None]]:
    return [(part.start, part.end, part.user_id) for part in authorship.ranges]


@given(SPANS)
def test_each_clock_is_claimed_once(given: list[tuple[int, int, int]]) -> None:
    claimed, seen = ClaimedRanges(), set[tuple[int, int]]()
    for client, start, length in given:
        new = {
            (client, clock)
            for low, high in claimed.claim(client, start, start + length)
            for clock in range(low, high)
        }
        asked = {(client, clock) for clock in range(start, start + length)}
        assert new == asked - seen
        seen |= asked


def test_insertions_belong_to_the_user_who_sent_them_first() -> None:
    first, second, third = typed("abc", client_id=5)
    both = [row(1, first, "7"), row(2, first, "8"), row(3, second, "8"), row(4, third, "7")]
    assert spans(found(*both)) == [(0, 1, "7"), (2, 3, "7"), (1, 2, "8")]


def test_insertions_that_follow_each_other_are_one_range_with_its_times() -> None:
    updates = typed("abc", client_id=5)
    [part] = found(*(row(number, data) for number, data in enumerate(updates))).ranges
    times = START, START + timedelta(minutes=2)
    assert part == AuthorRange(5, 0, 3, "7", *times)


def test_the_snapshot_is_known() -> None:
    doc: Doc = Doc(client_id=5)  # type: ignore[type-arg]
    text = doc.get("text", type=Text)
    text.insert(0, "abcdef")
    del text[0:1]
    snapshot, state = doc.get_update(), doc.get_state()
    del text[0:2]
    text.insert(0, "x")
    result = found(row(1, doc.get_update(state)), snapshot=snapshot)
    assert spans(result) == [(6, 7, "7")]
    assert [(part.count, part.user_id) for part in result.deletions] == [(2, "7")]


def test_rows_without_a_time_are_left_out() -> None:
    [update] = typed("a")
    assert found(LogRow(1, update, "7")) == Authorship([], [])


@pytest.mark.parametrize("seed", range(4))
async def test_compaction_at_any_moment_changes_no_author(seed: int) -> None:
    updates = concurrent_updates(seed, 60)
    at_once = found(*(row(number, data, str(number % 3)) for number, data in enumerate(updates)))
    storage = MemoryStorage()
    for number, data in enumerate(updates):
        await append(storage, data, str(number % 3))
        if number % 7 == seed:
            await compact(storage, "doc")
    stored = await storage.load("doc")
    assert stored is not None
    folded, recent = await storage.authorship("doc"), authorship_of(stored)
    assert owners(folded, recent) == owners(at_once)
    assert counts(folded, recent) == counts(at_once)


async def append(storage: Storage, data: bytes, user_id: str) -> None:
    from collab_storage.base import LogEntry

    await storage.append([LogEntry("doc", data, START, user_id)])


def owners(*parts: Authorship) -> dict[tuple[int, int], str | None]:
    """Return the user of each insertion; of none there are two."""
    owned: dict[tuple[int, int], str | None] = {}
    for part in parts:
        for each in part.ranges:
            for clock in range(each.start, each.end):
                assert (each.client, clock) not in owned
                owned[each.client, clock] = each.user_id
    return owned


def counts(*parts: Authorship) -> dict[str | None, int]:
    total: dict[str | None, int] = {}
    for part in parts:
        for each in part.deletions:
            total[each.user_id] = total.get(each.user_id, 0) + each.count
    return total
