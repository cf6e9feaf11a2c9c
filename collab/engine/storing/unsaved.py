"""Updates that are not stored yet, by document."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from collab.engine.rooms.member import Member
from collab.protocol.effects import RoomUpdate
from collab.protocol.yjs.updates import EMPTY_UPDATE, merge
from collab_storage.base import DocumentId, LogEntry

__all__ = ["UnsavedUpdates", "entries_of"]

Updates = list[RoomUpdate[Member]]


class UnsavedUpdates:
    """A queue for each document; the updates of a batch that is being stored count, too."""

    def __init__(self) -> None:
        self.waiting: dict[str, Updates] = {}
        self.in_flight: dict[str, Updates] = {}
        #: Bytes, of all documents and of each.
        self.size = 0
        self.sizes: dict[str, int] = {}
        #: Ids of the documents whose updates these are; ``None``: not stored yet.
        self.ids: dict[str, DocumentId | None] = {}
        self._now: datetime | None = None
        #: Held while updates change places: other threads must find them in one of the two.
        self._moving = threading.Lock()

    def __contains__(self, name: str) -> bool:
        return name in self.waiting or name in self.in_flight

    def of(self, name: str) -> Updates:
        """Return the updates of a document, the oldest first; may be called from any thread."""
        with self._moving:
            return [*self.in_flight.get(name, ()), *self.waiting.get(name, ())]

    def add(
        self, name: str, updates: Sequence[RoomUpdate[Member]], id: DocumentId | None = None
    ) -> None:
        """Enqueue updates of the document of an id, if it has one."""
        self.ids.setdefault(name, id)
        now, waiting = self._time(), self.waiting.setdefault(name, [])
        size = 0
        for update in updates:
            update.queued_at = now
            # Thousands may wait, and the garbage collector would go through all of their parts.
            update.outline = None
            waiting.append(update)
            size += len(update.data)
        self._count(name, size)

    def take(self, names: Iterable[str]) -> list[str]:
        """Put the waiting updates of these documents in flight; return which have any."""
        taken = [name for name in names if name in self.waiting]
        with self._moving:
            for name in taken:
                self.in_flight[name] = self.waiting.pop(name)
        return taken

    def put_back(self, name: str) -> None:
        """Enqueue the updates in flight of a document again, before the others."""
        with self._moving:
            self.waiting[name] = [*self.in_flight.pop(name), *self.waiting.get(name, ())]

    def land(self, name: str) -> Updates:
        """Remove the updates in flight of a document, which are stored; return them."""
        landed = self.in_flight.pop(name)
        self._count(name, -_size(landed))
        self._forget_id(name)
        return landed

    def drop(self, name: str) -> None:
        """Remove the waiting updates of a document."""
        self._count(name, -_size(self.waiting.pop(name, ())))
        self._forget_id(name)

    def can_move(self, old: str, new: str) -> bool:
        """Return whether all updates under another name are of the same document, if there are any.

        Otherwise, those of one that had the name before are in flight.
        """
        return self.ids.get(new) in (None, self.ids[old])

    def move(self, old: str, new: str) -> None:
        """Move the waiting updates of a document to another name."""
        moved = self.waiting.pop(old, [])
        size = _size(moved)
        self._count(old, -size)
        self.waiting[new] = [*self.waiting.get(new, ()), *moved]
        self._count(new, size)
        self.ids[new] = self.ids.get(new) or self.ids[old]
        self._forget_id(old)

    def entries(self) -> list[LogEntry]:
        """Return all updates as the storage takes them."""
        names = {**self.in_flight, **self.waiting}
        return [entry for name in names for entry in self.entries_of_one(name)]

    def entries_of_one(self, name: str) -> list[LogEntry]:
        """Return the updates of a document as the storage takes them; from any thread."""
        # The id first: it is forgotten when the last updates are stored.
        id = self.ids.get(name)
        return entries_of(name, self.of(name), id)

    def clear(self) -> None:
        """Remove all updates."""
        self.waiting.clear()
        self.in_flight.clear()
        self.sizes.clear()
        self.ids.clear()
        self.size = 0

    def _forget_id(self, name: str) -> None:
        if name not in self:
            self.ids.pop(name, None)

    def _count(self, name: str, size: int) -> None:
        self.size += size
        total = self.sizes.get(name, 0) + size
        if total:
            self.sizes[name] = total
        else:
            self.sizes.pop(name, None)

    def _time(self) -> datetime:
        """Return the time, the same within a turn of the event loop: the database adapts each."""
        if self._now is None:
            self._now = datetime.now(UTC)
            asyncio.get_running_loop().call_soon(self._forget_time)
        return self._now

    def _forget_time(self) -> None:
        self._now = None


def entries_of(name: str, updates: Updates, id: DocumentId | None = None) -> list[LogEntry]:
    """Return updates of a document merged to one row of the log for each user.

    Args:
        name: the document.
        updates: of the document.
        id: of the document, if they are for that one only.
    """
    by_user: dict[str | None, Updates] = {}
    for update in updates:
        if update.data != EMPTY_UPDATE:
            user_id = update.member.user_id if update.member else None
            by_user.setdefault(user_id, []).append(update)
    return [_entry(name, user_id, of_user, id) for user_id, of_user in by_user.items()]


def _entry(name: str, user_id: str | None, updates: Updates, id: DocumentId | None) -> LogEntry:
    at = updates[-1].queued_at or datetime.now(UTC)
    return LogEntry(name, merge([update.data for update in updates]), at, user_id, id)


def _size(updates: Iterable[RoomUpdate[Member]]) -> int:
    return sum(len(update.data) for update in updates)
