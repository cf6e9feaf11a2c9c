"""A logout concerns connections whose sessions were read shortly before it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from collab.engine.hub import identity
from collab.engine.hub.identity import RecentLogouts, session_digest


class Clock:
    """Stands for the module of the time."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(identity, "time", clock)
    return clock


def scope(user_id: int | None = None, session: str | None = None) -> dict[str, Any]:
    """Return the scope of a connection."""
    return {"user": SimpleNamespace(pk=user_id), "session": SimpleNamespace(session_key=session)}


@pytest.mark.usefixtures("clock")
def test_logout_concerns_connections_of_its_user_or_session() -> None:
    logouts = RecentLogouts()
    assert not logouts.concern(scope(1, "key"))
    logouts.add("1", None)
    logouts.add(None, session_digest("key"))
    assert logouts.concern(scope(1))
    assert logouts.concern(scope(2, "key"))
    assert not any(map(logouts.concern, [{}, scope(), scope(2), scope(2, "other")]))


def test_logout_is_forgotten_after_some_seconds(clock: Clock) -> None:
    logouts = RecentLogouts()
    logouts.add("1", None)
    clock.now += 9
    logouts.add("2", None)
    assert logouts.concern(scope(1))
    clock.now += 2
    assert [logouts.concern(scope(user)) for user in (1, 2)] == [False, True]
    logouts.add("2", None)
    assert [*logouts._times] == [("user", "2")]


@pytest.mark.usefixtures("clock")
def test_a_limited_number_of_logouts_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_MAX_LOGOUTS", 2)
    logouts = RecentLogouts()
    for user in "123":
        logouts.add(user, None)
    assert [logouts.concern(scope(user)) for user in (1, 2, 3)] == [False, True, True]
