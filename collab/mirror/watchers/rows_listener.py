"""Edits of members in a live room's rows are recorded, and checked and saved a moment later.

The process that a member is connected to does that. Edits from elsewhere are looked at after a
while only: by then they are saved or set back, unless the process that they came from has died.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from pycrdt import Map, Subscription, Text, TextEvent

from collab.conf import get_settings
from collab.engine.hub.identity import user_key
from collab.engine.rooms.context import WatchedRoom
from collab.engine.rooms.member import Member
from collab.mirror.history.lost_edits import trace_removed
from collab.mirror.incoming.attribution import Users, authors
from collab.mirror.incoming.client_changes import check
from collab.mirror.incoming.map_events import changed_fields
from collab.mirror.incoming.row_edits import Author, Differences, RowEdit, RowKey
from collab.mirror.incoming.saving import ROW
from collab.mirror.incoming.unchecked import differences, written_keys
from collab.mirror.registry import ModelMirror, User
from collab.mirror.retry import is_outage
from collab.mirror.rows.values import Odd, take_row
from collab.mirror.watchers import pending_changes
from collab.mirror.watchers.pending_changes import (
    ELSEWHERE,
    UNCHECKED,
    UNKNOWN,
    DueChanges,
    PendingChange,
    PendingChanges,
)
from collab.mirror.watchers.replies import UNTRACED, send_lost, send_outcome, send_refusals
from collab.mirror.watchers.sweep import Sweep
from collab.mirror.watchers.text_turns import parts_of, text_before
from collab.mirror.watchers.worker import Worker

__all__ = ["RowsListener"]

logger = logging.getLogger("collab.mirror")

#: Rows that are checked at once, and rows that are read from the document without a pause.
BATCH = 10_000
_SLICE = 100
#: Attempts after which a failure of the project's code counts as permanent.
PATIENCE = 5
#: Pauses before the next attempt to save rows, in seconds: the first, which is doubled with each
#: failure, and the longest.
_FIRST_RETRY_DELAY = 0.1
_MAX_RETRY_DELAY = 5.0


class RowsListener:
    """Records edits of the rows in a live room's document, and has them checked.

    Args:
        room_name: the document.
        mirrors: that have rows in it.
        unchecked: edits that were stored and perhaps never checked.
        worker: where rows are checked and saved.
    """

    def __init__(
        self,
        room_name: str,
        mirrors: Sequence[ModelMirror[Any]],
        unchecked: Differences,
        worker: Worker,
    ) -> None:
        self._name = room_name
        self._mirrors = {mirror.map_name: mirror for mirror in mirrors}
        self._unchecked = unchecked
        self._worker = worker
        self._settings = get_settings()
        self._loop = asyncio.get_running_loop()
        self._room: WatchedRoom | None = None
        self._maps: dict[str, Map[Any]] = {}
        self._subscriptions: list[tuple[Map[Any], Subscription]] = []
        self._authors: dict[Member, Author] = {}
        self._pending = PendingChanges(self._settings)
        #: Edits of members in rows that were removed, or replaced, before they were checked.
        self._overtaken: list[RowEdit] = []
        #: Texts as they are, in which others than the author of the next update have typed last.
        self._before_typing: dict[tuple[RowKey, str], str] = {}
        #: Changes that are being checked.
        self._checking = DueChanges()
        self._sweep = Sweep()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._task: asyncio.Task[None] | None = None
        #: Calls of :meth:`settle` that wait: an unload, and the end of the process, may both.
        self._settling = 0

    def attach(self, room: WatchedRoom) -> None:
        """Observe the maps in ``room.doc``."""
        is_first, self._room = self._room is None, room
        self._before_typing = {}
        for mirror in self._mirrors.values():
            map_ = self._maps[mirror.map_name] = room.doc.get(mirror.map_name, type=Map)
            observe = partial(self._observe, mirror.map_name)
            self._subscriptions.append((map_, map_.observe_deep(observe)))
        if is_first:
            now = self._loop.time()
            for row, names in self._unchecked.items():
                for name in names:
                    self._add(row, name, UNCHECKED, now)
        else:
            # The update that the room has just applied was not observed.
            self._request_sweep(self._author())

    def receive(self, member: Member | None) -> None:
        """Remember texts in which others have typed, before an update of ``member`` is applied."""
        author = ELSEWHERE if member is None else self._authors.get(member)
        known = self._before_typing
        self._before_typing = {}
        for row, name in self._pending.texts_of_others(author):
            # Known since the last change of the text, or read now.
            self._remember_text(row, name, known.get((row, name)) or self._text(row, name))

    def _remember_text(self, row: RowKey, name: str, text: str | None) -> None:
        if text is not None:
            self._before_typing[row, name] = text

    def _text(self, row: RowKey, name: str) -> str | None:
        map_name, key = row
        values = self._maps[map_name].get(key)
        text = values.get(name) if isinstance(values, Map) else None
        return str(text) if isinstance(text, Text) else None

    def detach(self) -> None:
        """Remove the observers."""
        for map_, subscription in self._subscriptions:
            map_.unobserve(subscription)
        self._subscriptions.clear()
        self._maps.clear()

    def close(self) -> None:
        """Stop; the room is closed."""
        self._room = None
        self._stop_timer()
        if self._task is not None:
            self._task.cancel()

    @property
    def is_busy(self) -> bool:
        """Edits of members are not saved yet, nor set back."""
        is_swept = self._sweep.author in (None, ELSEWHERE)
        has_pending = self._pending.has_own or bool(self._overtaken)
        return self._task is not None or has_pending or not is_swept

    async def settle(self) -> None:
        """Check the edits of members, without any delay."""
        self._settling += 1
        try:
            while self._maps and self.is_busy:
                self._start()
                assert self._task is not None
                await asyncio.wait([self._task])
        finally:
            self._settling -= 1

    # Recording.

    def _observe(self, map_name: str, events: Iterable[Any]) -> None:
        # Changes of one update get one time: they are checked at once, and refusals counted.
        author, now = self._author(), self._loop.time()
        for event in events:
            is_typing = isinstance(event, TextEvent)
            for key, name in changed_fields(event):
                row = map_name, key
                if name == ROW:
                    self._overtake(row, author)
                is_first = is_typing and not self._pending.is_typed(row, name)
                if is_first and author is not ELSEWHERE:
                    self._remember_text(row, name, text_before(event))
                self._add(row, name, author, now, is_typing)

    def _overtake(self, row: RowKey, author: Author) -> None:
        edit = RowEdit(*row, Odd.MISSING, self._pending.overtake(row, author))
        if edit.has_member:
            self._overtaken.append(edit)
            self._wake(self._loop.time())

    def _author(self) -> Author:
        assert self._room is not None
        member = self._room.author
        if member is None:
            return ELSEWHERE
        if member not in self._authors:
            self._authors[member] = Author.of(member)
        return self._authors[member]

    def _add(
        self, row: RowKey, name: str, author: Author, now: float, is_typing: bool = False
    ) -> None:
        if self._pending.has_room(row):
            before = self._before_typing.pop((row, name), None)
            change = self._pending.add(
                row, name, author, now, is_typing=is_typing, before_typing=before
            )
            self._wake(change.due)
        elif author in UNKNOWN:
            self._sweep.later = now + pending_changes.CHECK_INTERVAL
            self._wake(self._sweep.later)
        else:
            self._request_sweep(author)

    def _request_sweep(self, author: Author) -> None:
        self._sweep.request(author, self._loop.time() + self._settings.ROWS_DELAY)
        self._wake(self._sweep.due)

    # The task that checks.

    def _wake(self, when: float) -> None:
        if self._timer is None or when < self._timer_due:
            self._stop_timer()
            self._timer, self._timer_due = self._loop.call_at(when, self._start), when

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        self._stop_timer()
        if self._task is None and self._maps:
            self._task = self._loop.create_task(self._run(), name="collab: check rows")
            self._task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._task = None
        authors = {author for change in self._pending for author in change.authors}
        self._authors = {author.member: author for author in authors if author.member}
        if self._room is not None:
            for due in (self._pending.next_due, self._sweep.next_due):
                if due is not None:
                    self._wake(due)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                if not await self._check_some(is_patient=failures < PATIENCE):
                    return
                failures = 0
            except Exception as error:
                failures += 1
                await self._recover(error, failures)

    async def _check_some(self, *, is_patient: bool) -> bool:
        """Check some of the changes that are due; False if none is."""
        if self._overtaken:
            self._checking = DueChanges()
            await self._trace()
            return True
        now, sweep = self._loop.time(), self._sweep
        self._checking = self._pending.take(now, BATCH, in_hurry=self._settling > 0)
        if sweep.author is None and sweep.later is not None and sweep.later <= now:
            sweep.later = None
            self._request_sweep(ELSEWHERE)
        is_swept = sweep.author is None or (self._settling and sweep.author is ELSEWHERE)
        if self._checking:
            await self._check(is_patient)
        elif not is_swept and (self._settling or sweep.due <= now):
            await self._sweep_some()
        else:
            return False
        return True

    async def _recover(self, error: Exception, failures: int) -> None:
        """Wait before the next attempt; failures of the project's code end after a few."""
        if failures < PATIENCE or is_outage(error):
            logger.warning(
                "Rows could not be saved (%s); trying again.",
                type(error).__name__,
                extra={"room": self._name},
            )
            self._pending.restore(self._checking)
            delay = _FIRST_RETRY_DELAY * 2 ** min(failures, 10)
            await asyncio.sleep(min(delay, _MAX_RETRY_DELAY))
        else:
            logger.error(
                "Rows could not be checked; edits of them stay in the document, unsaved.",
                exc_info=error,
                extra={"room": self._name},
            )
            self._sweep.end()

    # Checking.

    async def _check(self, is_patient: bool) -> None:
        edits = await self._edits(self._checking)
        await self._attribute(edits)
        edits = [edit for edit in edits if edit.authors]
        while edits:
            work = partial(check, self._name, edits, patient=is_patient)
            outcome = await self._worker.run(work)
            self._expect_others(edits)
            edits = [*outcome.left, *await self._owned(outcome.unowned)]
            left = {(edit.map_name, edit.key) for edit in edits}
            self._checking = {row: self._checking[row] for row in left}
            self._overtaken += [edit for edit in outcome.overtaken if edit.has_member]
            send_outcome(outcome)

    def _expect_others(self, edits: Iterable[RowEdit]) -> None:
        """Look later at texts in which members of other processes have typed, too."""
        for edit in edits:
            for name, parts in edit.parts.items():
                if any(part.author is None for part in parts):
                    row, now = (edit.map_name, edit.key), self._loop.time()
                    self._add(row, name, ELSEWHERE, now, is_typing=True)

    async def _trace(self) -> None:
        """Send members their edits of rows that were removed before the edits were checked."""
        overtaken, self._overtaken = self._overtaken, []
        try:
            lost = await self._worker.run(partial(trace_removed, self._name, overtaken))
        except Exception as error:
            if is_outage(error):
                self._overtaken = overtaken + self._overtaken
                raise
            logger.exception(UNTRACED, extra={"room": self._name})
            for author in {author for edit in overtaken for author in edit.authors.values()}:
                send_lost(author)
            return
        send_refusals(lost.refusals)
        now = self._loop.time()
        for edit in lost.kept:
            for name, author in edit.authors.items():
                self._add((edit.map_name, edit.key), name, author, now)

    async def _attribute(self, edits: Iterable[RowEdit]) -> None:
        """Find the authors of edits that are not known in this process, if there are edits."""
        foreign = [edit for edit in edits if not UNKNOWN.isdisjoint(edit.authors.values())]
        found = await self._differences(foreign)
        users = await self._worker.run(partial(authors, self._name, found)) if found else Users()
        now = self._loop.time()
        for edit in foreign:
            row = edit.map_name, edit.key
            names, of_row = found.get(row, set()), users.get(row, {})
            for name in names - edit.authors.keys():
                if not self._pending.has(row, name):
                    self._add(row, name, UNCHECKED, now)
            unknown = {name for name, author in edit.authors.items() if author in UNKNOWN}
            for name in unknown - names:
                del edit.authors[name]
            for name in unknown & of_row.keys():
                edit.authors[name] = self._author_of(of_row[name])

    async def _owned(self, edits: list[RowEdit]) -> list[RowEdit]:
        """Return the edits of new rows whose author is known; the others wait for that."""
        if not edits:
            return []
        found = {(edit.map_name, edit.key): {ROW} for edit in edits}
        users = await self._worker.run(partial(authors, self._name, found))
        owned, now = [], self._loop.time()
        for edit in edits:
            row = edit.map_name, edit.key
            if row in users or self._settling:
                owner = self._author_of(users[row][ROW]) if row in users else ELSEWHERE
                edit.authors = {ROW: owner, **edit.authors}
                owned.append(edit)
            else:
                for name, author in edit.authors.items():
                    self._wake(self._pending.add(row, name, author, now, is_doubtful=True).due)
        return owned

    def _author_of(self, user: User) -> Author:
        """Return ``user`` as an author, with a connection if there is one."""
        assert self._room is not None
        key = user_key(user)
        members = (member for member in self._room.members if member.user_id == key)
        return Author(user, next(members, None))

    async def _edits(self, rows: Mapping[RowKey, Mapping[str, PendingChange]]) -> list[RowEdit]:
        edits = []
        for number, ((map_name, key), changes) in enumerate(rows.items()):
            if not number % _SLICE:
                # Other tasks get their turn.
                await asyncio.sleep(0)
            text_fields = self._mirrors[map_name].text_fields
            values = take_row(self._maps[map_name], key, text_fields)
            authors = {name: change.author for name, change in changes.items()}
            edit = RowEdit(map_name, key, values, authors)
            edit.parts = {
                name: parts
                for name, change in changes.items()
                if change.turns and isinstance(text := edit.fields.get(name), str)
                if (parts := parts_of(change, text))
            }
            edits.append(edit)
        return edits

    async def _differences(self, edits: list[RowEdit]) -> Differences:
        if not edits:
            return {}
        return await self._worker.run(partial(differences, self._name, edits))

    async def _sweep_some(self) -> None:
        """Record the differences of the next rows from the values written last."""
        sweep = self._sweep
        if not sweep.has_begun:
            written = await self._worker.run(partial(written_keys, self._name))
            there = [(name, key) for name, map_ in self._maps.items() for key in list(map_.keys())]
            sweep.begin({*written, *there})
        rows = sweep.take(BATCH)
        found = await self._differences(await self._edits({row: {} for row in rows}))
        assert sweep.author is not None
        now = self._loop.time()
        for row, names in found.items():
            for name in names:
                if not self._pending.has(row, name):
                    change = self._pending.add(
                        row, name, sweep.author, now, is_doubtful=sweep.is_doubtful
                    )
                    self._wake(change.due)
        sweep.end_if_done()
