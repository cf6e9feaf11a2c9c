"""Authorship: contributions of users, found in the log before compaction folds it.

A row of the log has the user that it came from, so authorship is stored with each update, and
nothing but the server can say it. An insertion belongs to the first user whose update has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pycrdt import get_state, get_update

from .base import LogRow, StoredDocument
from .structs import SKIP, read_deletions, read_structs
from .updates import state_vector

__all__ = ["AuthorRange", "Authorship", "ClaimedRanges", "DeletionCount", "authorship_of"]


@dataclass(frozen=True, slots=True)
class AuthorRange:
    """Insertions of one user, by their ids.

    Args:
        client: the client id.
        start: the first clock.
        end: the clock behind the last.
        user_id: primary key of the user as text; ``None`` if unknown or forgotten.
        since: when the server got the first of them.
        until: when it got the last.
    """

    client: int
    start: int
    end: int
    user_id: str | None
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class DeletionCount:
    """The number of insertions that one user has deleted in a time."""

    user_id: str | None
    count: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Authorship:
    """Contributions to a document, in the order in which they came."""

    ranges: Sequence[AuthorRange] = ()
    deletions: Sequence[DeletionCount] = ()


class ClaimedRanges:
    """Sets of clocks, by client."""

    def __init__(self) -> None:
        self._ranges: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)

    def claim(self, client: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Add clocks; yield those that are new."""
        left: list[tuple[int, int]] = []
        first, last = start, end
        for low, high in self._ranges[client]:
            if high < start or low > end:
                left.append((low, high))
                continue
            if start < low:
                yield start, low
            start = max(start, high)
            first, last = min(first, low), max(last, high)
        if start < end:
            yield start, end
        self._ranges[client] = sorted([*left, (first, last)])


@dataclass(slots=True)
class _Part:
    """Contributions of one user that follow each other."""

    user_id: str | None
    since: datetime
    until: datetime
    deleted: int = 0
    ranges: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, client: int, start: int, end: int) -> None:
        """Add a range, or make the last one longer."""
        for position, (other, low, high) in enumerate(self.ranges):
            if other == client and high == start:
                self.ranges[position] = client, low, end
                return
        self.ranges.append((client, start, end))


def authorship_of(stored: StoredDocument) -> Authorship:
    """Return the contributions in the log of a document; the snapshot's contributions are known.

    Rows without a time, as a storage without history has them, are left out.
    """
    inserted, deleted = _known(stored.snapshot)
    parts: dict[str | None, _Part] = {}
    for row in stored.log:
        if row.at is None:
            continue
        part = parts.setdefault(row.user_id, _Part(row.user_id, row.at, row.at))
        part.since, part.until = min(part.since, row.at), max(part.until, row.at)
        _add(row, part, inserted, deleted)
    return _joined(parts.values())


def _known(snapshot: bytes | None) -> tuple[ClaimedRanges, ClaimedRanges]:
    inserted, deleted = ClaimedRanges(), ClaimedRanges()
    if snapshot is not None:
        state = get_state(snapshot)
        for client, clock in state_vector(state).items():
            list(inserted.claim(client, 0, clock))
        # The rest has the deletions, and insertions that build on missing ones.
        rest = get_update(snapshot, state)
        for claimed, client, start, end in _contents(rest, inserted, deleted):
            list(claimed.claim(client, start, end))
    return inserted, deleted


def _add(row: LogRow, part: _Part, inserted: ClaimedRanges, deleted: ClaimedRanges) -> None:
    for claimed, client, start, end in _contents(row.data, inserted, deleted):
        for first, last in claimed.claim(client, start, end):
            if claimed is inserted:
                part.add(client, first, last)
            else:
                part.deleted += last - first


def _contents(
    update: bytes, inserted: ClaimedRanges, deleted: ClaimedRanges
) -> Iterator[tuple[ClaimedRanges, int, int, int]]:
    """Yield the insertions and deletions of an update, each with the set that it belongs to."""
    position = 1
    for struct in read_structs(update):
        position = struct.end
        if struct.kind != SKIP:
            yield inserted, struct.client, struct.clock, struct.clock + struct.length
    for client, start, end in read_deletions(update, position):
        yield deleted, client, start, end


def _joined(parts: Iterable[_Part]) -> Authorship:
    found = [*parts]
    return Authorship(
        [
            AuthorRange(*span, part.user_id, part.since, part.until)
            for part in found
            for span in part.ranges
        ],
        [
            DeletionCount(part.user_id, part.deleted, part.since, part.until)
            for part in found
            if part.deleted
        ],
    )
