"""Each connection is due to be checked within the interval, whenever it came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collab.engine.hub.recheck_schedule import RecheckSchedule

INTERVAL = 6.0


@given(
    st.lists(st.floats(0, 30), min_size=1, max_size=20),
    st.floats(0, 1),
)
def test_a_check_comes_within_the_interval_after_joining_and_after_each_other(
    joined_at: list[float], part: float
) -> None:
    schedule: RecheckSchedule[int] = RecheckSchedule(
        INTERVAL, lambda least, most: least + part * (most - least)
    )
    last = dict(enumerate(joined_at))
    now = 0.0
    while now < 60:
        present = [number for number, at in enumerate(joined_at) if at <= now]
        for number in schedule.due(present, now):
            last[number] = now
        assert all(now - last[number] < INTERVAL for number in present)
        now += schedule.tick


def test_connections_that_came_together_are_not_checked_together() -> None:
    schedule: RecheckSchedule[int] = RecheckSchedule(INTERVAL)
    checks = [schedule.due(range(1000), number * schedule.tick) for number in range(21)]
    assert sum(map(len, checks)) == 1000
    assert max(map(len, checks)) < 300


def test_a_connection_that_has_left_is_forgotten() -> None:
    schedule: RecheckSchedule[str] = RecheckSchedule(INTERVAL)
    schedule.due(["ann"], 0)
    assert schedule.due([], 1) == []
    assert schedule.due(["ann"], 100) == []
