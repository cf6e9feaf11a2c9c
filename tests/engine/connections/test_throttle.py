from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collab.conf import Settings
from collab.engine.connections.throttle import Throttle, TokenBucket


def test_a_burst_passes_at_once() -> None:
    allowance = TokenBucket(rate=10, burst=3)
    assert [allowance.take(1, now=100) for _ in range(3)] == [0, 0, 0]


def test_what_exceeds_the_burst_waits_for_the_rate() -> None:
    allowance = TokenBucket(rate=10, burst=3)
    assert [allowance.take(1, now=100) for _ in range(5)] == [0, 0, 0, 0.1, 0.2]


def test_time_gives_back_what_was_used_up_to_the_burst() -> None:
    allowance = TokenBucket(rate=8, burst=3)
    allowance.take(3, now=100)
    assert allowance.take(1, now=100.125) == 0
    assert allowance.take(3, now=200) == 0
    assert allowance.take(1, now=200) == 0.125


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), min_size=1, max_size=50),
    st.floats(1, 100),
    st.floats(1, 100),
)
def test_who_waits_as_told_never_exceeds_the_rate(
    steps: list[tuple[float, float]], rate: float, burst: float
) -> None:
    allowance, now, taken = TokenBucket(rate, burst), 1000.0, 0.0
    for units, pause in steps:
        now += pause + allowance.take(units, now + pause)
        taken += units
        assert taken <= burst + (now - 1000.0) * rate + 1e-6


def test_the_longest_of_the_waits_is_made() -> None:
    settings = Settings(
        MESSAGE_RATE=10, MESSAGE_BURST=1, BYTE_RATE=100, BYTE_BURST=100, MAX_DOCUMENT_SIZE=100
    )
    throttle = Throttle(settings)
    assert throttle.take(100, now=1000) == 0
    assert throttle.take(1, now=1000) == 0.1
    assert throttle.take(99, now=1000) == 1
    assert throttle.take(0, now=1000, answered=600) == 4
    assert throttle.waited == 5.1
