from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.documents import History
from collab.history.keeping.retention import surplus
from collab_storage.versions import Version, VersionKind

NOW = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)
KINDS = [VersionKind.AUTO, VersionKind.REPLACE]


def version(id: int, age: timedelta, kind: VersionKind = VersionKind.AUTO) -> Version:
    return Version(id, NOW - age, "", (), kind, 1, None, None, b"", 1)


def aged(*ages: timedelta) -> list[Version]:
    return [version(len(ages) - number, age) for number, age in enumerate(sorted(ages))]


def kept(versions: list[Version], policy: History | None = None) -> list[timedelta]:
    gone = surplus(versions, policy or History(), NOW)
    return [NOW - version.at for version in versions if version.id not in gone]


def minutes(*values: float) -> list[timedelta]:
    return [timedelta(minutes=value) for value in values]


def test_all_of_the_last_day_stay() -> None:
    versions = aged(*minutes(*range(0, 24 * 60, 10)))
    assert surplus(versions, History(), NOW) == []


def test_the_last_of_each_hour_stays_for_a_week() -> None:
    day = 2 * 24 * 60
    assert kept(aged(*minutes(day + 1, day + 20, day + 59, day + 61))) == minutes(day + 1, day + 61)


def test_the_last_of_each_day_stays_for_a_month() -> None:
    day = timedelta(days=10)
    ages = [day, day + timedelta(hours=1), day + timedelta(hours=11), day + timedelta(hours=13)]
    assert kept(aged(*ages)) == [ages[0], ages[3]]


def test_the_last_of_each_week_stays_for_ever() -> None:
    # The day is a Wednesday.
    ages = [timedelta(days=days) for days in (700, 701, 702, 703)]
    assert kept(aged(*ages)) == [ages[0], ages[3]]


@pytest.mark.parametrize("kind", sorted({*VersionKind} - {*KINDS}))
def test_versions_made_on_purpose_stay(kind: VersionKind) -> None:
    versions = [version(id, timedelta(days=700), kind) for id in (3, 2, 1)]
    policy = History(max_age=timedelta(days=1), max_versions=0)
    assert surplus(versions, policy, NOW) == []


def test_old_versions_go_where_the_policy_says_so() -> None:
    policy = History(max_age=timedelta(hours=1))
    assert kept(aged(*minutes(59, 61)), policy) == minutes(59)


def test_the_newest_stay_of_too_many() -> None:
    assert kept(aged(*minutes(1, 2, 3)), History(max_versions=2)) == minutes(1, 2)


@given(st.lists(st.integers(0, 100 * 24 * 60), unique=True, min_size=1), st.integers(1, 10**5))
def test_thinning_out_again_and_again_keeps_as_few_as_once(ages: list[int], later: int) -> None:
    versions = aged(*minutes(*ages))
    now = NOW + timedelta(minutes=later)
    once = set(surplus(versions, History(), now))
    gone = set(surplus(versions, History(), NOW))
    left = [version for version in versions if version.id not in gone]
    assert versions[0].id not in once | gone
    assert len([v for v in left if v.id not in surplus(left, History(), now)]) <= len(
        [v for v in versions if v.id not in once]
    )
