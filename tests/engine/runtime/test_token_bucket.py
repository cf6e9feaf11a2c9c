from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.engine.runtime.token_bucket import TokenBucket


def test_a_burst_passes_at_once() -> None:
    bucket = TokenBucket(rate=10, burst=3)
    assert [bucket.take(1, now=100) for _ in range(3)] == [0, 0, 0]


def test_units_beyond_the_burst_wait_for_the_rate() -> None:
    bucket = TokenBucket(rate=10, burst=3)
    assert [bucket.take(1, now=100) for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])


def test_time_returns_units_up_to_the_burst() -> None:
    bucket = TokenBucket(rate=8, burst=3)
    bucket.take(3, now=100)
    assert bucket.take(1, now=100.125) == 0
    assert bucket.take(3, now=200) == 0
    assert bucket.take(1, now=200) == pytest.approx(0.125)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), min_size=1, max_size=50),
    st.floats(1, 100),
    st.floats(1, 100),
)
def test_waiting_as_returned_never_exceeds_the_rate(
    steps: list[tuple[float, float]], rate: float, burst: float
) -> None:
    bucket, now, taken = TokenBucket(rate, burst), 1000.0, 0.0
    for units, pause in steps:
        now += pause + bucket.take(units, now + pause)
        taken += units
        assert taken <= burst + (now - 1000.0) * rate + 1e-3


def test_an_attempt_beyond_the_limit_costs_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=2)
    assert [bucket.attempt(100) for _ in range(3)] == [True, True, False]
    assert bucket.attempt(101)
    assert not bucket.is_full(102)
    assert bucket.is_full(103)
