"""The durable queue: what rooms bring goes to the storage in batches, and is told saved then.

One batch is in flight at a time, with all that waited when it began, merged per document and
user, in one transaction. While the storage fails everything is kept and tried again; nobody is
told "saved" before the storage has said so.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from collab.conf import Settings
from collab.engine.rooms.member import Member
from collab.engine.runtime.counters import counters
from collab.protocol.effects import RoomUpdate
from collab.protocol.yjs.updates import EMPTY_UPDATE, merge
from collab_storage.base import LogEntry, Storage
from collab_storage.exceptions import StorageUnavailable

__all__ = ["MAX_RETRY_DELAY", "Writer"]

logger = logging.getLogger("collab.writer")

#: Pauses between attempts to store, in seconds: the first, which is doubled with each failure, and
#: the longest.
_FIRST_RETRY_DELAY = 0.1
MAX_RETRY_DELAY = 5.0


class Writer:
    """Stores what the rooms of one event loop bring.

    Args:
        storage: where to.
        settings: for the limits.
        start: starts a coroutine as a task that has the storage's resources.
        on_stored: called with a document's name and the number of log rows it grew by.
        max_retry_delay: the longest pause between two attempts, in seconds.
    """

    def __init__(
        self,
        storage: Storage,
        settings: Settings,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        on_stored: Callable[[str, int], object],
        max_retry_delay: float = MAX_RETRY_DELAY,
    ) -> None:
        self._storage = storage
        self._settings = settings
        self._start = start
        self._on_stored = on_stored
        self._max_retry_delay = max_retry_delay
        self._waiting: defaultdict[str, list[RoomUpdate[Member]]] = defaultdict(list)
        self._in_flight: dict[str, list[RoomUpdate[Member]]] = {}
        #: Documents that the storage refuses for a reason of their own: when to try again.
        self._pending: dict[str, tuple[float, float]] = {}
        self._size = 0
        #: The time when it was last asked for, as the loop has it and as people do.
        self._then = -1.0
        self._now = datetime.now(UTC)
        self._task: asyncio.Task[None] | None = None
        self._stored = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """More waits than ``MAX_UNSAVED`` bytes."""
        return self._size >= self._settings.MAX_UNSAVED

    @property
    def unsaved_size(self) -> int:
        """Bytes that wait. May be called from any thread."""
        return self._size

    def put(self, name: str, updates: Sequence[RoomUpdate[Member]]) -> None:
        """Store updates soon and tell their members; empty ones are told in their turn."""
        if not updates:
            return
        now, waiting = self._time(), self._waiting[name]
        for update in updates:
            update.queued_at = now
            waiting.append(update)
            self._size += len(update.data)
        if self._task is None:
            self._task = self._start(self._run())

    def _time(self) -> datetime:
        """Return the time; in a loop that looks at its clock once a turn, the same all the turn."""
        if (now := asyncio.get_running_loop().time()) != self._then:
            self._then, self._now = now, datetime.now(UTC)
        return self._now

    def has(self, name: str) -> bool:
        """Tell whether anything of a document is not stored yet."""
        return name in self._waiting or name in self._in_flight

    def unsaved_updates(self, name: str) -> list[bytes]:
        """Return what of a document is not stored yet. May be called from any thread."""
        updates = [item.data for item in self._items(name)]
        return [update for update in updates if update != EMPTY_UPDATE]

    def _items(self, name: str) -> list[RoomUpdate[Member]]:
        return [*self._in_flight.get(name, ()), *self._waiting.get(name, ())]

    async def saved(self, name: str) -> None:
        """Wait until all that a document has brought so far is stored."""
        items = self._items(name)
        while items and any(item is items[-1] for item in self._items(name)):
            await self._stored.wait()

    def drop(self, name: str) -> None:
        """Forget what waits of a document; what is in flight may still be stored."""
        self._size -= _size(self._waiting.pop(name, ()))
        self._pending.pop(name, None)
        self._wake()

    def move(self, old: str, new: str) -> None:
        """Let what waits of a document go to the document's new name."""
        if old in self._waiting:
            self._waiting[new] += self._waiting.pop(old)
            self._pending.pop(old, None)
            self._wake()

    async def idle(self) -> None:
        """Wait until nothing waits and nothing is in flight."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def give_up(self) -> list[LogEntry]:
        """Return all that is not stored, to be kept elsewhere, and stop trying."""
        if self._task is not None:
            self._task.cancel()
        names = {**self._in_flight, **self._waiting}
        entries = [entry for name in names for entry in _entries(name, self._items(name))]
        self._in_flight, self._size = {}, 0
        self._waiting.clear()
        self._wake()
        return entries

    async def landed(self, name: str) -> None:
        """Wait until nothing of a document is in flight."""
        while name in self._in_flight:
            await self._stored.wait()

    def _wake(self) -> None:
        """Let those who wait look again."""
        self._stored.set()
        self._stored = asyncio.Event()

    # The loop.

    async def _run(self) -> None:
        try:
            while self._waiting:
                self._in_flight = self._next_batch()
                await self._store_batch()
                self._wake()
                await asyncio.sleep(self._settings.WRITE_DELAY)
        finally:
            self._task = None

    def _next_batch(self) -> dict[str, list[RoomUpdate[Member]]]:
        now = asyncio.get_running_loop().time()
        names = [name for name in self._waiting if self._pending.get(name, (0, 0))[0] <= now]
        return {name: self._waiting.pop(name) for name in names}

    async def _store_batch(self) -> None:
        delay = _FIRST_RETRY_DELAY
        while self._in_flight:
            try:
                await self._append(list(self._in_flight))
                return
            except StorageUnavailable as error:
                self._log_failure("The storage cannot be reached", error, delay)
            except Exception as error:
                if len(self._in_flight) > 1:
                    await self._store_one_by_one()
                else:
                    self._hold(next(iter(self._in_flight)), error)
                return
            await asyncio.sleep(delay)
            delay = min(2 * delay, self._max_retry_delay)

    async def _store_one_by_one(self) -> None:
        """Find the document that spoils the batch: hold it back and store the others."""
        for name in list(self._in_flight):
            try:
                await self._append([name])
            except StorageUnavailable:
                # Not its fault; with the next batch then.
                self._put_back(name)
            except Exception as error:
                self._hold(name, error)

    async def _append(self, names: Iterable[str]) -> None:
        entries = {name: _entries(name, self._in_flight[name]) for name in names}
        if rows := [entry for of_one in entries.values() for entry in of_one]:
            with counters.storing(len(rows)):
                await self._storage.append(rows)
        for name, of_one in entries.items():
            items = self._in_flight.pop(name)
            self._size -= _size(items)
            self._pending.pop(name, None)
            _tell_saved(items)
            self._on_stored(name, len(of_one))

    def _hold(self, name: str, error: Exception) -> None:
        _, before = self._pending.get(name, (0, 0))
        delay = min(2 * before or _FIRST_RETRY_DELAY, self._max_retry_delay)
        self._pending[name] = (asyncio.get_running_loop().time() + delay, delay)
        self._put_back(name)
        self._log_failure("A document cannot be stored", error, delay, room=name)

    def _put_back(self, name: str) -> None:
        self._waiting[name] = self._in_flight.pop(name) + self._waiting[name]

    def _log_failure(
        self, what: str, error: Exception, delay: float, room: str | None = None
    ) -> None:
        logger.error(
            "%s (%s); %d bytes wait, next attempt in %.1f s.",
            what,
            type(error).__name__,
            self._size,
            delay,
            extra={"room": room},
            exc_info=error if delay == _FIRST_RETRY_DELAY else None,
        )


def _size(items: Iterable[RoomUpdate[Member]]) -> int:
    return sum(len(item.data) for item in items)


def _tell_saved(items: Iterable[RoomUpdate[Member]]) -> None:
    """Tell members what of theirs is stored, each in one frame."""
    numbers: dict[Member, int] = {}
    for item in items:
        if item.on_stored is not None:
            item.on_stored()
        if (member := item.member) is not None:
            numbers[member] = max(item.number, numbers.get(member, 0))
            member.echo(item.data)
    for member, number in numbers.items():
        member.send_saved(number)


def _entries(name: str, items: Iterable[RoomUpdate[Member]]) -> list[LogEntry]:
    """Merge what each user sent to one row of the log."""
    by_user: dict[str | None, list[RoomUpdate[Member]]] = {}
    for item in items:
        if item.data != EMPTY_UPDATE:
            user_id = item.member.user_id if item.member else None
            by_user.setdefault(user_id, []).append(item)
    return [_entry(name, user_id, of_user) for user_id, of_user in by_user.items()]


def _entry(name: str, user_id: str | None, items: Sequence[RoomUpdate[Member]]) -> LogEntry:
    at = items[-1].queued_at
    assert at is not None
    return LogEntry(name, merge([item.data for item in items]), at, user_id)
