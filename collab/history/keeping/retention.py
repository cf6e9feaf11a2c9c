"""Thinning out versions: the older they are, the fewer stay."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from collab.documents import History
from collab_storage.versions import Version, VersionKind

__all__ = ["surplus"]

#: Versions of these kinds may be deleted: they were made by the way.
_THINNED = {VersionKind.AUTO, VersionKind.REPLACE}


def surplus(versions: Sequence[Version], policy: History, now: datetime) -> list[int]:
    """Return the ids of versions that ``policy`` does not keep.

    Args:
        versions: all of a document, the newest first.
        policy: says how long which versions stay.
        now: the time.
    """
    thinned = [version for version in versions if version.kind in _THINNED]
    kept = set(_kept(thinned, policy, now))
    return [version.id for version in thinned if version.id not in kept]


def _kept(versions: Sequence[Version], policy: History, now: datetime) -> Iterator[int]:
    """Yield the ids of those that stay: the last of each span of time, and not too many."""
    spans: set[Hashable] = set()
    for version in versions:
        age = now - version.at
        if policy.max_age is not None and age > policy.max_age:
            return
        if policy.max_versions is not None and len(spans) >= policy.max_versions:
            return
        span = _span(version, age, policy)
        if span not in spans:
            spans.add(span)
            yield version.id


def _span(version: Version, age: timedelta, policy: History) -> Hashable:
    at = version.at.astimezone(UTC)
    if age <= policy.keep_all:
        return version.id
    if age <= policy.keep_hourly:
        return at.date(), at.hour
    if age <= policy.keep_daily:
        return at.date()
    return tuple(at.isocalendar())[:2]
