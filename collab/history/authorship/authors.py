"""Authors: the insertions and deletions of each user, and their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from collab.engine.hub.working_copies import blocking, unsaved_entries
from collab.exceptions import DocumentNotFound
from collab.history.jobs import run_history_job
from collab.history.present import Present
from collab.history.storage import history_storage
from collab_storage.authorship import (
    AuthorRange,
    Authorship,
    ClaimedRanges,
    DeletionCount,
    authorship_of,
)
from collab_storage.base import LogEntry, LogRow, StoredDocument
from collab_storage.versions import HistoryStorage

__all__ = [
    "Attributed",
    "Share",
    "aauthors",
    "aforget_user",
    "attributed",
    "authors",
    "by_client",
    "forget_user",
    "load_present",
    "shares",
]


@dataclass(frozen=True, slots=True)
class Share:
    """The contributions of a user, in letters and other insertions.

    Args:
        inserted: number of insertions, whether or not they are still there.
        deleted: number of insertions, of any user, that the user has deleted.
        last: time of the last contribution.
    """

    inserted: int
    deleted: int
    last: datetime


class Attributed(NamedTuple):
    """A document with the contributions to it."""

    present: Present
    authorship: Authorship


async def aauthors(
    name: str, *, since: datetime | None = None, until: datetime | None = None
) -> dict[str | None, Share]:
    """Return the shares of the users who have changed a document, by the text of their keys.

    ``None`` is for changes without a user, or of a user that is forgotten.

    Args:
        name: the document.
        since: leave out contributions that ended earlier.
        until: leave out contributions that began at this time or later.

    Raises:
        DocumentNotFound: nothing of that name is stored.
    """
    authorship = (await attributed(name)).authorship
    return shares(authorship, since, until)


async def aforget_user(user: object) -> int:
    """Remove a user's key from the history of all documents; return the number of these.

    The user's text stays, as that of an unknown author.

    Args:
        user: or the primary key.
    """
    return await history_storage().forget_user(str(getattr(user, "pk", user)))


async def attributed(name: str) -> Attributed:
    """Return a document with the contributions to it, those of its log included.

    Raises:
        DocumentNotFound: nothing of that name is stored.
    """
    storage = history_storage()
    while True:
        present, _ = await load_present(name)
        folded = await storage.authorship(name)
        # A compaction in between would make rows of the log count twice.
        if await _is_current(storage, name, present.stored):
            break
    recent = await run_history_job(present.size, authorship_of, present.stored)
    return Attributed(
        present,
        Authorship(
            [*folded.ranges, *recent.ranges],
            [*folded.deletions, *recent.deletions],
        ),
    )


async def load_present(name: str) -> tuple[Present, list[LogEntry]]:
    """Return a document, and the updates of members that are not stored yet.

    Raises:
        DocumentNotFound: nothing of that name is stored.
    """
    # Read first: they may be stored while the document is loaded.
    unsaved = unsaved_entries(name)
    stored = await history_storage().load(name)
    if stored is None and not unsaved:
        raise DocumentNotFound(f"There is no document {name!r}.")
    stored = stored or StoredDocument(None, [], 0)
    rows = [LogRow(0, entry.data, entry.user_id, entry.at) for entry in unsaved]
    return Present(name, replace(stored, log=[*stored.log, *rows])), unsaved


async def _is_current(storage: HistoryStorage, name: str, stored: StoredDocument) -> bool:
    mark = (await storage.marks([name])).get(name)
    return mark is None or mark.version == stored.version


def shares(
    authorship: Authorship, since: datetime | None, until: datetime | None
) -> dict[str | None, Share]:
    """Return the shares of the contributions in a time."""
    found: dict[str | None, Share] = {}
    parts: list[tuple[AuthorRange | DeletionCount, int, int]] = [
        *((part, part.end - part.start, 0) for part in authorship.ranges),
        *((part, 0, part.count) for part in authorship.deletions),
    ]
    for part, inserted, deleted in parts:
        if (since is None or part.until >= since) and (until is None or part.since < until):
            share = found.get(part.user_id, Share(0, 0, part.until))
            found[part.user_id] = Share(
                share.inserted + inserted, share.deleted + deleted, max(share.last, part.until)
            )
    return found


def by_client(ranges: Sequence[AuthorRange]) -> Mapping[int, Sequence[AuthorRange]]:
    """Return ranges by client, in the order of their clocks; the first of those that overlap."""
    claimed, found = ClaimedRanges(), dict[int, list[AuthorRange]]()
    for part in ranges:
        for start, end in claimed.claim(part.client, part.start, part.end):
            piece = AuthorRange(part.client, start, end, part.user_id, part.since, part.until)
            found.setdefault(part.client, []).append(piece)
    return {
        client: sorted(pieces, key=lambda piece: piece.start) for client, pieces in found.items()
    }


# The twins for synchronous code.
authors = blocking(aauthors)
forget_user = blocking(aforget_user)
