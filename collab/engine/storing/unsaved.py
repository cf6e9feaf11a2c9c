"""Updates that are not stored yet, by document."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from collab.engine.rooms.member import Member
from collab.protocol.effects import RoomUpdate
from collab.protocol.yjs.updates import EMPTY_UPDATE, merge
from collab_storage.base import DocumentId, LogEntry
from collab_storage.updates import TypedRun, TypedText

__all__ = ["UnsavedUpdate", "UnsavedUpdates", "entries_of"]

#: How many members may type in a document at once so that the letters of each are joined at once.
_TYPISTS: Final = 4


class UnsavedUpdate:
    """An update that waits for the storage, with the text that its sender typed behind it.

    Args:
        update: the first of them.
        at: when it was queued.

    Attributes:
        at: when the last of them was queued.
        number: of the last of them, among the updates of the member.
        receipts: called when it is stored, and all before it.
        size: bytes of all updates in it.
    """

    __slots__ = ("_data", "_run", "at", "member", "number", "receipts", "size")

    def __init__(self, update: RoomUpdate[Member], at: datetime) -> None:
        self._data = update.data
        # Nothing else is kept: the garbage collector goes through all parts of thousands that wait.
        typed = _typed(update)
        self._run = None if typed is None else TypedRun(typed)
        self.member = update.member
        self.number = update.number
        self.receipts: list[Callable[[], None]] | None = None
        self.at = at
        self.size = len(update.data)

    @property
    def data(self) -> bytes:
        """The whole as one update; an empty one for a receipt."""
        return self._data if self._run is None else self._run.joined()

    def take(self, update: RoomUpdate[Member], at: datetime) -> bool:
        """Add an update of the same member if it continues the text; return whether it does."""
        run = self._run
        if run is None or update.member is not self.member:
            return False
        if (typed := _typed(update)) is None or not run.take(typed):
            return False
        self.number = max(self.number, update.number)
        self.at = at
        self.size += len(update.data)
        return True

    def add_receipt(self, call: Callable[[], None]) -> None:
        """Call that when it is stored, too."""
        if self.receipts is None:
            self.receipts = []
        self.receipts.append(call)


Updates = list[UnsavedUpdate]


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
        now, waiting = self._time(), self.waiting.get(name)
        if waiting is None:
            waiting = self.waiting[name] = []
            self.ids.setdefault(name, id)
        size = 0
        for update in updates:
            place = _place_for(update, waiting, now)
            if update.on_stored is not None:
                place.add_receipt(update.on_stored)
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
    by_user: dict[str | None, list[bytes]] = {}
    times: dict[str | None, datetime] = {}
    for update in updates:
        if (data := update.data) != EMPTY_UPDATE:
            user_id = update.member.user_id if update.member else None
            by_user.setdefault(user_id, []).append(data)
            times[user_id] = update.at
    return [
        LogEntry(name, merge(of_user), times[user_id], user_id, id)
        for user_id, of_user in by_user.items()
    ]


def _typed(update: RoomUpdate[Member]) -> TypedText | None:
    """Return an update as it was read, if it is typed text, and all of it was new."""
    if (found := update.outline) is None or found.update is not update.data:
        return None
    return found.typed


def _place_for(update: RoomUpdate[Member], waiting: Updates, now: datetime) -> UnsavedUpdate:
    """Add an update to what waits, and return the part of that which it is in."""
    last = len(waiting) - 1
    if last >= 0 and update.member is None and update.data == EMPTY_UPDATE:
        # A receipt for all that waits.
        return waiting[last]
    for index in range(last, max(last - _TYPISTS, -1), -1):
        if waiting[index].take(update, now):
            return waiting[index]
    place = UnsavedUpdate(update, now)
    waiting.append(place)
    return place


def _size(updates: Iterable[UnsavedUpdate]) -> int:
    return sum(update.size for update in updates)
