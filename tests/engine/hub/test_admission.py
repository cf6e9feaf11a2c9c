"""Admission: limits of one user and one address, and what is kept of connections."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from collab.conf import Settings
from collab.engine.hub.addresses import address_of
from collab.engine.hub.admission import Admission, ConnectionLimits, Limit, RateLimit
from collab.engine.runtime.counters import counters
from collab.engine.runtime.timers import Deadline
from collab.exceptions import TryAgainLater
from tests.engine.watchers import MEMORY, ManualLoop, hub, join, visitor

MINUTE = 60.0

#: When somebody comes, as pauses between two visits of anybody, and who.
visits = st.lists(st.tuples(st.floats(0, 40), st.sampled_from("abc")), max_size=60)


# Pace.


@given(visits, st.integers(1, 8))
def test_attempts_never_exceed_the_rate(visits: list[tuple[float, str]], times: int) -> None:
    pace, now = RateLimit(times), 1000.0
    done: dict[str, list[float]] = {who: [] for who in "abc"}
    for pause, who in visits:
        now += pause
        if pace.attempt(who, now):
            done[who].append(now)
    for moments in done.values():
        for first, begin in enumerate(moments):
            for last, end in enumerate(moments[first:], first):
                assert last - first + 1 <= times + (end - begin) * times / MINUTE + 1e-3


@given(visits, st.integers(1, 8))
def test_an_attempt_after_a_refusal_succeeds_once_a_unit_is_back(
    visits: list[tuple[float, str]], times: int
) -> None:
    pace, now = RateLimit(times), 1000.0
    for pause, who in visits:
        now += pause
        if not pace.attempt(who, now):
            assert pace.attempt(who, now + MINUTE / times)
            now += MINUTE / times


@given(visits, st.integers(1, 8))
def test_keys_do_not_influence_each_other_even_when_some_are_forgotten(
    visits: list[tuple[float, str]], times: int
) -> None:
    shared = RateLimit(times)
    alone = {who: RateLimit(times) for who in "abc"}
    now = 1000.0
    for pause, who in visits:
        now += pause
        assert shared.attempt(who, now) == alone[who].attempt(who, now)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 99)), max_size=200))
def test_a_pace_keeps_a_bounded_number(visits: list[tuple[float, int]]) -> None:
    pace, now = RateLimit(3, most=10), 0.0
    for pause, who in visits:
        now += pause
        pace.attempt(str(who), now)
        assert len(pace) <= 10


def test_a_pace_forgets_whose_tokens_are_all_back() -> None:
    pace = RateLimit(2)
    for who in "abc":
        assert pace.attempt(who, 0.0)
    assert len(pace) == 3
    assert pace.attempt("d", 30.0)
    assert len(pace) == 1


@pytest.mark.parametrize("times", [1, 7, 120, 1200, 10**12])
def test_as_many_as_allowed_may_come_at_once(times: int) -> None:
    pace = RateLimit(times)
    assert all(pace.attempt("a", 1e6) for _ in range(min(times, 2000)))
    assert pace.attempt("a", 1e6) == (times > 2000)


# Addresses.


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (["192.0.2.7", 50000], "192.0.2.7"),
        (["::ffff:192.0.2.7", 50000], "192.0.2.7"),
        (["2001:db8:1:2:3:4:5:6", 50000], "2001:db8:1:2::/64"),
        (["2001:db8:1:2::9", 50000], "2001:db8:1:2::/64"),
        (["fe80::1%eth0", 50000], "fe80::/64"),
        (["testclient", 50000], "testclient"),
        (["", 0], None),
        (None, None),
    ],
)
def test_address_stands_for_one_visitor(client: list[Any] | None, address: str | None) -> None:
    assert address_of({"client": client}) == address


def test_a_server_need_not_know_the_address() -> None:
    assert address_of({}) is None


@pytest.mark.parametrize(
    ("proxies", "lines", "address"),
    [
        (0, [b"6.6.6.6"], "127.0.0.1"),
        (1, [], "127.0.0.1"),
        (1, [b"1.2.3.4"], "1.2.3.4"),
        (1, [b"6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        (1, [b"6.6.6.6", b"1.2.3.4"], "1.2.3.4"),
        (2, [b"6.6.6.6, 1.2.3.4, 10.0.0.1"], "1.2.3.4"),
        (2, [b"1.2.3.4"], "127.0.0.1"),
        (1, [b"1.2.3.4:5678"], "1.2.3.4"),
        (1, [b"[2001:db8::1]:5678"], "2001:db8::/64"),
        (1, [b"2001:db8::1"], "2001:db8::/64"),
        (1, [b"unknown"], "unknown"),
    ],
)
def test_the_address_behind_proxies_is_counted_from_the_right(
    settings: Any, proxies: int, lines: list[bytes], address: str
) -> None:
    settings.COLLAB = {**settings.COLLAB, "TRUSTED_PROXIES": proxies}
    headers = [(b"host", b"here"), *((b"x-forwarded-for", line) for line in lines)]
    assert address_of({"client": ("127.0.0.1", 1), "headers": headers}) == address


# Gates and visits.


def gate(most: int = 2) -> Limit:
    return Limit("address", most=most, setting="MOST")


def test_a_connection_beyond_the_limit_is_admitted_once_another_has_ended() -> None:
    one = gate(most=2)
    one.enter("a", 0.0)
    one.enter("a", 0.0)
    with pytest.raises(TryAgainLater, match="address") as refusal:
        one.enter("a", 0.0)
    assert refusal.value.cause == "MOST"
    one.enter("b", 0.0)
    one.leave("a")
    one.enter("a", 0.0)


def test_connections_beyond_the_rate_are_admitted_later() -> None:
    one = gate(most=10)
    for _ in range(12):
        one.enter("a", 0.0)
        one.leave("a")
    with pytest.raises(TryAgainLater, match="in a minute") as refusal:
        one.enter("a", 1.0)
    assert refusal.value.cause == "MOST"
    one.enter("a", 5.0)


def test_refusals_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    one = gate(most=0)
    for now in (0.0, 1.0, 59.0, 60.0):
        with pytest.raises(TryAgainLater):
            one.enter("192.0.2.7", now)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert vars(caplog.records[0])["address"] == "192.0.2.7"
    assert "192.0.2.7" not in caplog.text


def test_a_visit_leaves_the_gates_that_it_has_entered() -> None:
    address, user = gate(most=1), gate(most=0)
    for _ in range(2):
        visit = Admission()
        visit.enter(address, "a")
        with pytest.raises(TryAgainLater):
            visit.enter(user, "7")
        visit.end()
        visit.end()


def test_connections_without_a_known_key_are_not_limited() -> None:
    visit, closed = Admission(), gate(most=0)
    visit.enter(closed, None)
    visit.end()


def test_by_default_an_office_behind_one_address_comes_back_at_once_after_a_restart() -> None:
    settings = Settings()
    assert settings.MAX_ADDRESS_CONNECTIONS >= 1000
    assert settings.MAX_USER_CONNECTIONS >= 100
    visits = [Admission() for _ in range(settings.MAX_ADDRESS_CONNECTIONS)]
    door = ConnectionLimits(settings)
    for number, visit in enumerate(visits):
        visit.enter(door.addresses, "192.0.2.7")
        visit.enter(door.users, str(number // settings.MAX_USER_CONNECTIONS))


# The deadline.


def test_a_deadline_that_is_met_is_over() -> None:
    loop, missed = ManualLoop(), []
    deadline = Deadline(loop, 30, lambda: missed.append(loop.now))
    loop.pass_time(29)
    deadline.meet()
    loop.pass_time(100)
    assert missed == []


def test_a_deadline_is_missed_once() -> None:
    loop, missed = ManualLoop(), []
    Deadline(loop, 30, lambda: missed.append(loop.now))
    for _ in range(200):
        loop.pass_time(0.5)
    assert missed == [1030.0]


def test_a_process_that_hung_gives_those_another_chance_whose_frames_it_has_not_read() -> None:
    loop, missed = ManualLoop(), []
    Deadline(loop, 30, lambda: missed.append(loop.now))
    loop.pass_time(90)
    assert missed == []
    loop.pass_time(30)
    assert missed == [1120.0]


# The consumer's.


def user(key: int) -> SimpleNamespace:
    return SimpleNamespace(pk=key)


async def refused(room: str, **scope: Any) -> tuple[int, str]:
    """Return with which code and reason a client is refused that understands both."""
    client = visitor(room, **scope)
    connected, _ = await client.connect()
    assert connected
    closing = await client.receive_output()
    await client.disconnect()
    return closing["code"], closing["reason"]


def refusals(cause: str) -> int:
    return counters.refusals["1013", cause]


async def test_the_connections_of_one_user_do_not_count_for_others() -> None:
    before = refusals("MAX_USER_CONNECTIONS")
    with override_settings(
        COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY, "MAX_USER_CONNECTIONS": 1}
    ):
        async with hub() as here:
            async with join("room", user=user(7)):
                reason = "Too many connections of your user."
                assert await refused("other", user=user(7)) == (1013, reason)
                assert [name for name, _ in here.rooms] == ["room"]
                async with join("room", user=user(8)), join("room"), join("room"):
                    pass
            async with join("other", user=user(7)):
                pass
    assert refusals("MAX_USER_CONNECTIONS") == before + 1


async def test_the_limit_of_an_address_counts_all_its_users() -> None:
    before = refusals("MAX_ADDRESS_CONNECTIONS")
    with override_settings(
        COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY, "MAX_ADDRESS_CONNECTIONS": 1}
    ):
        async with hub():
            here, there = ["192.0.2.7", 1], ["192.0.2.8", 1]
            async with join("room", client=here), join("room", client=there):
                assert (await refused("room", client=here, user=user(7)))[0] == 1013
            async with join("room", client=here):
                pass
    assert refusals("MAX_ADDRESS_CONNECTIONS") == before + 1


async def test_a_client_without_close_codes_is_refused_before_the_connection_is_open() -> None:
    with override_settings(
        COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY, "MAX_ADDRESS_CONNECTIONS": 1}
    ):
        async with hub():
            here = ["192.0.2.7", 1]
            async with join("room", client=here):
                stock = visitor("room", client=here, subprotocols=[])
                assert await stock.connect() == (False, 1013)
                await stock.disconnect()


async def test_a_silent_connection_is_disconnected() -> None:
    before = counters.refusals["1008", "FIRST_FRAME_TIMEOUT"]
    with override_settings(
        COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY, "FIRST_FRAME_TIMEOUT": 0.05}
    ):
        async with hub():
            async with join("room") as silent:
                closing = await silent.receive_output()
                assert (closing["code"], closing["reason"]) == (1008, "No frame came in time.")
            async with join("room") as talking:
                await talking.send_to(text_data='{"action": "hello", "request_id": 1}')
                assert "hello" in await talking.receive_from()
                assert await talking.receive_nothing(0.2)
    assert counters.refusals["1008", "FIRST_FRAME_TIMEOUT"] == before + 1
