"""The durable queue: stores the updates of rooms in batches, and reports them as saved.

A batch is in one transaction: all updates that waited when it began, merged per document and
user. While the storage fails, all updates are kept and tried again; nothing is reported as saved
before the storage has confirmed it.

A transaction costs the disk as much for one update as for dozens: SQLite writes 17 KB. So the first
update is stored at once, and further ones wait until there are several, or their authors pause.

A document that cannot be stored, or is locked by another transaction, is held: it is retried
apart, on a connection of its own, and delays no other.

Each update asks for the document that its room was loaded from. If that one is deleted, even by a
process whose order has not arrived here, its updates are dropped, and its room is discarded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from collab.conf import Settings
from collab.engine.rooms.member import Member
from collab.engine.runtime.counters import counters
from collab.engine.storing.marks import DocumentMarks
from collab.engine.storing.unsaved import UnsavedUpdate, UnsavedUpdates, entries_of
from collab.protocol.effects import RoomUpdate
from collab.protocol.yjs.updates import EMPTY_UPDATE
from collab_storage.base import DocumentId, LogEntry, Storage
from collab_storage.exceptions import DocumentLocked, DocumentNotFound, StorageUnavailable

__all__ = ["MAX_RETRY_DELAY", "Start", "Writer", "summary"]

logger = logging.getLogger("collab.writer")

#: Pauses between attempts to store, in seconds: the first, which is doubled with each failure, and
#: the longest.
_FIRST_RETRY_DELAY = 0.1
MAX_RETRY_DELAY = 5.0
#: The longest pause of a locked document, whose lock may end at any moment.
_MAX_LOCKED_DELAY = 1.0
#: After this many failures in a row one document is tried alone: another may be the cause.
_MAX_BATCH_FAILURES = 3
#: Updates of each document that are worth a transaction, and bytes of all.
_ENOUGH_UPDATES = 100
_ENOUGH_BYTES = 512 * 1024
#: Documents of a batch whose updates are merged, or reported as saved, before others have a turn.
_TURN_DOCUMENTS = 25
#: Fewer wait for more during this number of pauses, or until none comes during that number.
_LONGEST_WAIT = 32
_QUIET_WAIT = 6
#: With longer pauses than this, in seconds, they wait for fewer of them.
_USUAL_PAUSE = 0.05
#: A held document may have this part of ``MAX_UNSAVED``.
_HELD_SHARE = 8

#: Starts a coroutine as a task that has resources of the storage.
Start = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


@dataclass
class _Hold:
    """The time of the next attempt to store a document, and the pause before it."""

    due: float
    delay: float


class Writer:
    """Stores the updates of one event loop's rooms.

    Args:
        storage: stores them.
        settings: for the limits.
        marks: has the ids of the open documents.
        start: starts the task that stores batches.
        start_retrying: starts the task that stores held documents.
        on_stored: called with a document's name and the number of rows that its log grew by.
        max_retry_delay: the longest pause between two attempts, in seconds.
    """

    def __init__(
        self,
        storage: Storage,
        settings: Settings,
        marks: DocumentMarks,
        start: Start,
        start_retrying: Start,
        on_stored: Callable[[str, int], object],
        max_retry_delay: float = MAX_RETRY_DELAY,
    ) -> None:
        self._storage = storage
        self._settings = settings
        self._marks = marks
        #: Called with the name of a document that was deleted, once its updates are dropped.
        self.on_deleted: Callable[[str], object] = self.drop
        self._start = start
        self._start_retrying = start_retrying
        self._on_stored = on_stored
        self._max_retry_delay = max_retry_delay
        self._unsaved = UnsavedUpdates()
        self._held: dict[str, _Hold] = {}
        self._task: asyncio.Task[None] | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        #: Updates that were queued since the last batch began.
        self._queued = 0
        #: Tasks that wait for updates to be stored.
        self._impatient = 0

    @property
    def is_full(self) -> bool:
        """Whether ``MAX_UNSAVED`` bytes wait, those of held documents not counted."""
        return self._unsaved.size - self._held_size() >= self._settings.MAX_UNSAVED

    @property
    def unsaved_size(self) -> int:
        """Bytes that wait; may be called from any thread."""
        return self._unsaved.size

    def has_room(self, name: str) -> bool:
        """Return whether another update of the document may be queued.

        The limits of held documents are their own, so that they take nothing of the others'.
        """
        if not self._held:
            return self._unsaved.size < self._settings.MAX_UNSAVED
        if name not in self._held:
            return not self.is_full
        limit = self._settings.MAX_UNSAVED
        return self._unsaved.sizes.get(name, 0) < limit // _HELD_SHARE and self._held_size() < limit

    def _held_size(self) -> int:
        return sum(self._unsaved.sizes.get(name, 0) for name in self._held)

    def put(self, name: str, updates: Sequence[RoomUpdate[Member]]) -> None:
        """Store updates of a document soon, and report them to their members as saved."""
        if name not in self._unsaved and all(update.data == EMPTY_UPDATE for update in updates):
            # While they wait, they keep members that have left.
            _answer(updates)
        elif updates:
            id = None if name in self._unsaved.waiting else self._marks.id_of(name)
            self._unsaved.add(name, updates, id)
            for update in updates:
                # An empty one is a receipt, for other processes or for its member.
                self._queued += update.data != EMPTY_UPDATE
            self._start_storing()

    def has(self, name: str) -> bool:
        """Return whether any update of a document is not stored yet."""
        return name in self._unsaved

    def unsaved_updates(self, name: str) -> list[bytes]:
        """Return the updates of a document that are not stored; may be called from any thread."""
        updates = [item.data for item in self._unsaved.of(name)]
        return [update for update in updates if update != EMPTY_UPDATE]

    async def saved(self, name: str) -> None:
        """Wait until all updates of a document that are queued now are stored."""
        items = self._unsaved.of(name)
        with self._hurrying():
            while items and any(item is items[-1] for item in self._unsaved.of(name)):
                await self._changed.wait()

    def drop(self, name: str) -> None:
        """Forget the waiting updates of a document; those in flight may still be stored."""
        self._unsaved.drop(name)
        self._held.pop(name, None)
        self._wake()

    def move(self, old: str, new: str) -> None:
        """Store the waiting updates of a document under its new name."""
        if old in self._unsaved.waiting:
            if self._unsaved.can_move(old, new):
                self._unsaved.move(old, new)
            # Otherwise, the storage finds their document by its id.
            self._held.pop(old, None)
            self._start_storing()
            self._wake()

    async def idle(self) -> None:
        """Wait until no update waits or is in flight."""
        with self._hurrying():
            while tasks := [task for task in (self._task, self._retrying) if task is not None]:
                await asyncio.wait(tasks)

    def unsaved_entries(self, name: str | None = None) -> list[LogEntry]:
        """Return the updates that are not stored, of all documents or of one, for the storage.

        Those of one may be read from any thread.
        """
        return self._unsaved.entries() if name is None else self._unsaved.entries_of_one(name)

    def give_up(self) -> None:
        """Forget all updates, which are kept elsewhere, and stop trying."""
        for task in (self._task, self._retrying):
            if task is not None:
                task.cancel()
        self._unsaved.clear()
        self._held.clear()
        self._wake()

    async def landed(self, name: str) -> None:
        """Wait until no update of a document is in flight."""
        while name in self._unsaved.in_flight:
            await self._changed.wait()

    @contextmanager
    def _hurrying(self) -> Iterator[None]:
        """Store without waiting for more updates while the block runs."""
        self._impatient += 1
        try:
            yield
        finally:
            self._impatient -= 1

    def _wake(self) -> None:
        """Wake the waiting tasks."""
        self._changed.set()
        self._changed = asyncio.Event()

    # Batches.

    def _start_storing(self) -> None:
        if self._task is None:
            self._task = self._start(self._run())

    async def _run(self) -> None:
        failures = 0
        try:
            while names := self._unsaved.take(self._not_held()):
                self._queued = 0
                failures = 0 if await self._store_batch(names, failures) else failures + 1
                self._wake()
                await (asyncio.sleep(self._delay_after(failures)) if failures else self._collect())
        finally:
            self._task = None

    async def _collect(self) -> None:
        """Wait until the next batch is worth a transaction, or nothing more is queued."""
        pause, quiet = self._settings.WRITE_DELAY, 0
        for _ in range(_number_of(pause, _LONGEST_WAIT)):
            before = self._queued
            await asyncio.sleep(pause)
            quiet = 0 if self._queued > before else quiet + 1
            is_over = quiet == _number_of(pause, _QUIET_WAIT)
            if is_over or self._impatient or self._is_worth_a_batch():
                break

    def _is_worth_a_batch(self) -> bool:
        # The updates of a document become one row, which costs more than all else of it.
        enough = _ENOUGH_UPDATES * max(1, len(self._unsaved.waiting))
        enough_bytes = min(_ENOUGH_BYTES, self._settings.MAX_UNSAVED // 2)
        return self._queued >= enough or self._unsaved.size >= enough_bytes

    def _not_held(self) -> list[str]:
        return [name for name in self._unsaved.waiting if name not in self._held]

    def _delay_after(self, failures: int) -> float:
        return min(_FIRST_RETRY_DELAY * 2.0 ** (failures - 1), self._max_retry_delay)

    async def _store_batch(self, names: list[str], failures: int) -> bool:
        """Store a batch, or as much of it as can be stored.

        Args:
            names: of the documents in flight.
            failures: how often storing has failed since the last success.

        Returns:
            ``False`` if the storage is not available; all updates wait again.
        """
        try:
            await self._append(names)
        except StorageUnavailable as error:
            is_locked = isinstance(error, DocumentLocked)
            if not is_locked and not await self._is_one_at_fault(names, failures):
                for name in names:
                    self._unsaved.put_back(name)
                delay = self._delay_after(failures + 1)
                self._log_failure("The storage cannot be reached", error, delay)
                return False
            await self._store_one_by_one(names)
        except Exception:
            await self._store_one_by_one(names)
        return True

    async def _is_one_at_fault(self, names: list[str], failures: int) -> bool:
        """Return whether one document of a failing batch, another each time, is stored alone."""
        if failures < _MAX_BATCH_FAILURES or len(names) == 1:
            return False
        name = names[failures % len(names)]
        try:
            await self._append([name])
        except Exception:
            return False
        names.remove(name)
        return True

    async def _store_one_by_one(self, names: Iterable[str]) -> None:
        """Store the documents of a batch that failed; hold those that fail alone."""
        for name in names:
            try:
                await self._append([name])
            except Exception as error:
                self._hold(name, error)

    async def _append(self, names: Sequence[str]) -> None:
        unsaved, entries = self._unsaved, dict[str, list[LogEntry]]()
        for part in _parts(names):
            if entries:
                await asyncio.sleep(0)
            for name in part:
                entries[name] = entries_of(name, unsaved.in_flight[name], unsaved.ids[name])
        ids = await self._append_entries(entries)
        await self._land(entries, ids)

    async def _land(
        self, entries: dict[str, list[LogEntry]], ids: Mapping[str, DocumentId]
    ) -> None:
        """Report the updates in flight of documents as saved."""
        for number, part in enumerate(_parts([*entries])):
            if number:
                await asyncio.sleep(0)
            for name in part:
                self._held.pop(name, None)
                if self._unsaved.ids[name] is None:
                    self._unsaved.ids[name] = ids.get(name)
                    self._marks.identify(name, ids.get(name))
                _report_saved(self._unsaved.land(name))
                self._on_stored(name, len(entries[name]))

    async def _append_entries(self, entries: dict[str, list[LogEntry]]) -> Mapping[str, DocumentId]:
        """Append ``entries``, by document, but for those of deleted documents; return the ids."""
        while rows := [entry for of_one in entries.values() for entry in of_one]:
            try:
                with counters.storing(len(rows)):
                    return await self._storage.append(rows) or {}
            except DocumentNotFound as error:
                if not (deleted := entries.keys() & {*error.args}):
                    raise
                for name in deleted:
                    del entries[name]
                    self._leave_deleted(name)
        return {}

    def _leave_deleted(self, name: str) -> None:
        """Drop the updates in flight of a document that is deleted, and report that."""
        logger.warning("A document was deleted; updates to it are dropped.", extra={"room": name})
        self._held.pop(name, None)
        self._unsaved.land(name)
        self.on_deleted(name)

    # Held documents.

    def _hold(self, name: str, error: Exception) -> None:
        before, is_locked = self._held.get(name), isinstance(error, DocumentLocked)
        longest = self._max_retry_delay
        if is_locked:
            longest = min(longest, _MAX_LOCKED_DELAY)
        delay = min(2 * before.delay, longest) if before else _FIRST_RETRY_DELAY
        self._held[name] = _Hold(asyncio.get_running_loop().time() + delay, delay)
        self._unsaved.put_back(name)
        failure = "A document is locked" if is_locked else "A document cannot be stored"
        self._log_failure(failure, error, delay, room=name)
        if self._retrying is None:
            self._retrying = self._start_retrying(self._run_held())

    async def _run_held(self) -> None:
        try:
            while self._held:
                name = min(self._held, key=lambda name: self._held[name].due)
                pause = self._held[name].due - asyncio.get_running_loop().time()
                if pause <= 0:
                    await self._retry(name)
                else:
                    # Held documents may be dropped, or others become due earlier.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await self._changed.wait()
        finally:
            self._retrying = None

    async def _retry(self, name: str) -> None:
        try:
            await self._append(self._unsaved.take([name]))
        except Exception as error:
            self._hold(name, error)
        else:
            self._held.pop(name, None)
            # Updates that have been queued meanwhile are stored with those of others.
            self._start_storing()
        self._wake()

    def _log_failure(
        self, failure: str, error: Exception, delay: float, room: str | None = None
    ) -> None:
        is_known = isinstance(error, StorageUnavailable)
        logger.error(
            "%s (%s); %d bytes wait, next attempt in %.1f s.",
            failure,
            summary(error) if is_known else type(error).__name__,
            self._unsaved.size,
            delay,
            extra={"room": room},
            exc_info=error if delay == _FIRST_RETRY_DELAY and not is_known else None,
        )


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield as many of the names at a time as one turn of the event loop handles."""
    for start in range(0, len(names), _TURN_DOCUMENTS):
        yield names[start : start + _TURN_DOCUMENTS]


def _number_of(pause: float, usual: int) -> int:
    """Return the number of pauses that take as long as the usual number of usual ones."""
    return usual if pause <= _USUAL_PAUSE else max(1, int(usual * _USUAL_PAUSE / pause))


def summary(error: Exception) -> str:
    """Return an error in one line."""
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])


def _answer(receipts: Iterable[RoomUpdate[Member]]) -> None:
    """Answer receipts that need not wait."""
    for receipt in receipts:
        if receipt.on_stored is not None:
            receipt.on_stored()
        if receipt.member is not None:
            receipt.member.send_saved(receipt.number)


def _report_saved(updates: Iterable[UnsavedUpdate]) -> None:
    """Report to members which of their updates are stored, each in one frame."""
    numbers: dict[Member, int] = {}
    for update in updates:
        for receipt in update.receipts or ():
            receipt()
        if (member := update.member) is not None:
            numbers[member] = max(update.number, numbers.get(member, 0))
            if member.echo_updates:
                member.echo(update.data)
    for member, number in numbers.items():
        member.send_saved(number)
