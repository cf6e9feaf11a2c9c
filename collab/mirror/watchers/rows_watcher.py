"""What members change in a live room's rows is noted, and a moment later checked and saved.

The process that a member is connected to does that. What comes from elsewhere is only looked at
after a while: by then it is saved or set back, unless the process that was to do so has died.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser
from pycrdt import Map, Subscription, TextEvent

from collab.conf import Settings, get_settings
from collab.engine.hub.working_copies import user_key
from collab.mirror.history.removed_rows import trace
from collab.mirror.incoming.attribution import Users, authors
from collab.mirror.incoming.client_changes import (
    Author,
    Change,
    Found,
    Outcome,
    Refusal,
    check,
    known_keys,
    suspicious,
    unchecked,
)
from collab.mirror.incoming.map_events import spots
from collab.mirror.incoming.saving import ROW
from collab.mirror.outgoing.writing import reconcile
from collab.mirror.registry import ModelMirror, mirrors, mirrors_in
from collab.mirror.retry import is_outage
from collab.mirror.rows.values import Odd, take_row
from collab.mirror.watchers.pending_changes import LEFT, NOBODY, UNKNOWN, Note, Notes, RowKey, Taken
from collab.mirror.watchers.worker import Worker, current_worker
from collab.protocol.session import json_frame

if TYPE_CHECKING:
    from collab.engine.rooms.member import Member
    from collab.engine.rooms.room import Room
    from collab.mirror.registry import User
    from collab.protocol.yjs.validation import UpdateOutline

__all__ = ["LOST", "UNTRACED", "RowsWatcher", "tell", "tell_all", "watch"]

logger = logging.getLogger("collab.mirror")

#: Rows that are taken in hand at once, and that are read from the document at once.
BATCH = 10_000
_SLICE = 100
#: Attempts, after which what might pass is taken for what will not.
PATIENCE = 5
_FIRST_RETRY_DELAY = 0.1
UNTRACED = "It cannot be found out what of a member's is lost."
LOST = "Rows were changed in a version of the document that is too old; these changes are lost."
#: Refusals of one check that a member is told one by one.
_MAX_TOLD = 50


async def watch(room_name: str) -> RowsWatcher | None:
    """Write the rows of a document into it, and return what follows it while it is open."""
    if not mirrors():
        return None
    worker = current_worker()
    concerned, found = await worker.run(partial(_prepare, room_name))
    if not concerned:
        return None
    return RowsWatcher(room_name, concerned, found, worker, get_settings())


def _prepare(room_name: str) -> tuple[list[ModelMirror[Any]], Found]:
    concerned = mirrors_in(room_name)
    if not concerned:
        return [], {}
    reconcile(room_name)
    return concerned, unchecked(room_name, concerned)


class RowsWatcher:
    """Follows the rows in the document of a live room.

    Args:
        room_name: the document.
        concerned: the mirrors that have rows in it.
        found: what of them may never have been checked.
        worker: where rows are checked and saved.
        settings: for the delays.
    """

    def __init__(
        self,
        room_name: str,
        concerned: Sequence[ModelMirror[Any]],
        found: Found,
        worker: Worker,
        settings: Settings,
    ) -> None:
        self._name = room_name
        self._mirrors = {mirror.map_name: mirror for mirror in concerned}
        self._found = found
        self._worker = worker
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._room: Room | None = None
        self._maps: dict[str, Map[Any]] = {}
        self._subscriptions: list[tuple[Map[Any], Subscription]] = []
        self._authors: dict[Member, Author] = {}
        self._notes = Notes(settings)
        #: What members have changed in rows that were removed, or replaced, before it was checked.
        self._overtaken: list[Change] = []
        #: What is being checked.
        self._in_hand = Taken()
        #: All rows are to be compared with what was written last, from then on; the differences
        #: are this author's, which may be doubtful.
        self._sweeper: Author | None = None
        self._sweep_due = 0.0
        self._is_doubtful = False
        #: The rows that are left, once that has begun, and whether to begin anew then.
        self._unswept: deque[RowKey] | None = None
        self._sweeps_again = False
        #: When to compare all rows because more was changed elsewhere than could be noted.
        self._later: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._task: asyncio.Task[None] | None = None
        #: So many wait in :meth:`settle`: an unload, and the end of the process, may both.
        self._hurrying = 0

    # What the room asks for.

    def attach(self, room: Room) -> None:
        """Follow ``room.doc``."""
        is_first, self._room = self._room is None, room
        for mirror in self._mirrors.values():
            map_ = self._maps[mirror.map_name] = room.doc.get(mirror.map_name, type=Map)
            observe = partial(self._observe, mirror.map_name)
            self._subscriptions.append((map_, map_.observe_deep(observe)))
        if is_first:
            self._worker.hold()
            for row, names in self._found.items():
                for name in names:
                    self._note(row, name, LEFT, self._loop.time())
        else:
            # What the room has just applied was not seen.
            self._sweep(self._author())

    def detach(self) -> None:
        """Take the observers off; it is attached again at once, or never."""
        for map_, subscription in self._subscriptions:
            map_.unobserve(subscription)
        self._subscriptions.clear()
        self._maps.clear()
        self._loop.call_soon(self._end_if_detached)

    def receive(self, member: Member, outline: UpdateOutline) -> None:
        """What it changes is seen when it is applied."""

    def _end_if_detached(self) -> None:
        if self._room is not None and not self._maps:
            self._room = None
            self._stop_timer()
            if self._task is not None:
                self._task.cancel()
            self._worker.let_go()

    @property
    def is_busy(self) -> bool:
        """Something that a member has changed is not saved yet, nor set back."""
        has_swept = self._sweeper in (None, NOBODY)
        has_noted = self._notes.is_pressing or bool(self._overtaken)
        return self._task is not None or has_noted or not has_swept

    async def settle(self) -> None:
        """Check what members have changed, without any delay."""
        self._hurrying += 1
        try:
            while self._maps and self.is_busy:
                self._start()
                assert self._task is not None
                await asyncio.wait([self._task])
        finally:
            self._hurrying -= 1

    # What is noted.

    def _observe(self, map_name: str, events: Iterable[Any]) -> None:
        # What comes at once is checked at once, so that refusals are counted together.
        author, now = self._author(), self._loop.time()
        for event in events:
            is_typing = isinstance(event, TextEvent)
            for key, name in spots(event):
                if name == ROW:
                    self._overtake((map_name, key), author)
                self._note((map_name, key), name, author, now, is_typing)

    def _overtake(self, row: RowKey, author: Author) -> None:
        change = Change(*row, Odd.MISSING, self._notes.overtake(row, author))
        if _is_a_members(change):
            self._overtaken.append(change)
            self._wake(self._loop.time())

    def _author(self) -> Author:
        assert self._room is not None
        member = self._room.author
        if member is None:
            return NOBODY
        if member not in self._authors:
            self._authors[member] = Author(member.user or AnonymousUser(), member)
        return self._authors[member]

    def _note(
        self, row: RowKey, name: str, author: Author, now: float, is_typing: bool = False
    ) -> None:
        if self._notes.has_room(row):
            self._wake(self._notes.add(row, name, author, now, is_typing=is_typing).due)
        elif author in UNKNOWN:
            self._later = now + self._settings.ROWS_CHECK_INTERVAL
            self._wake(self._later)
        else:
            self._sweep(author)

    def _sweep(self, author: Author) -> None:
        """Compare all rows; if several may have changed them, it is doubtful who did what."""
        if self._sweeper is None:
            self._sweeper, self._sweep_due = author, self._loop.time() + self._settings.ROWS_DELAY
        elif author is not self._sweeper:
            self._is_doubtful = True
            others = {author, self._sweeper} - {NOBODY}
            self._sweeper = others.pop() if len(others) == 1 else NOBODY
        self._sweeps_again = self._unswept is not None
        self._wake(self._sweep_due)

    # When it is checked.

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
            self._task = self._loop.create_task(self._run())
            self._task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._task = None
        authors = {note.author for note in self._notes}
        self._authors = {author.member: author for author in authors if author.member}
        if self._room is not None:
            sweep_due = self._later if self._sweeper is None else self._sweep_due
            for due in (self._notes.next_due, sweep_due):
                if due is not None:
                    self._wake(due)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                if not await self._go_on(is_patient=failures < PATIENCE):
                    return
                failures = 0
            except Exception as error:
                failures += 1
                await self._recover(error, failures)

    async def _go_on(self, *, is_patient: bool) -> bool:
        """Do some of what there is to do; False if that is nothing."""
        if self._overtaken:
            self._in_hand = Taken()
            await self._trace()
            return True
        now = self._loop.time()
        self._in_hand = self._notes.take(now, BATCH, in_hurry=self._hurrying > 0)
        if self._sweeper is None and self._later is not None and self._later <= now:
            self._later = None
            self._sweep(NOBODY)
        is_swept = self._sweeper is None or (self._hurrying and self._sweeper is NOBODY)
        if self._in_hand:
            await self._check(is_patient)
        elif not is_swept and (self._hurrying or self._sweep_due <= now):
            await self._sweep_on()
        else:
            return False
        return True

    async def _recover(self, error: Exception, failures: int) -> None:
        """Try again, later each time; but not for ever what the project's code cannot do."""
        if failures < PATIENCE or is_outage(error):
            logger.warning(
                "Rows cannot be saved now (%s).", type(error).__name__, extra={"room": self._name}
            )
            self._notes.put_back(self._in_hand)
            delay = _FIRST_RETRY_DELAY * 2 ** min(failures, 10)
            await asyncio.sleep(min(delay, self._settings.RETRY_DELAY))
        else:
            logger.error("Rows cannot be checked.", exc_info=error, extra={"room": self._name})
            self._end_sweep()

    # How it is checked.

    async def _check(self, is_patient: bool) -> None:
        changes = await self._changes(self._in_hand)
        await self._ask_whose(changes)
        changes = [change for change in changes if change.authors]
        while changes:
            work = partial(check, self._name, changes, patient=is_patient)
            outcome = await self._worker.run(work)
            changes = [*outcome.left, *await self._owned(outcome.unowned)]
            left = {(change.map_name, change.key) for change in changes}
            self._in_hand = {row: self._in_hand[row] for row in left}
            self._overtaken += filter(_is_a_members, outcome.overtaken)
            tell_all(outcome)

    async def _trace(self) -> None:
        """Tell what was changed in rows that were removed before it was checked."""
        overtaken, self._overtaken = self._overtaken, []
        try:
            traces = await self._worker.run(partial(trace, self._name, overtaken))
        except Exception as error:
            if is_outage(error):
                self._overtaken = overtaken + self._overtaken
                raise
            logger.exception(UNTRACED, extra={"room": self._name})
            for author in {author for change in overtaken for author in change.authors.values()}:
                tell(author, "rows", {"refused": None}, 409, [LOST])
            return
        tell_all(Outcome(refusals=traces.refusals))
        for change in traces.kept:
            for name, author in change.authors.items():
                self._note((change.map_name, change.key), name, author, self._loop.time())

    async def _ask_whose(self, changes: Iterable[Change]) -> None:
        """Look whose those changes are of which that is not known here, if there are any."""
        foreign = [change for change in changes if not UNKNOWN.isdisjoint(change.authors.values())]
        found = await self._suspicious(foreign)
        users = await self._worker.run(partial(authors, self._name, found)) if found else Users()
        for change in foreign:
            row = change.map_name, change.key
            names, of_row = found.get(row, set()), users.get(row, {})
            for name in names - change.authors.keys():
                if not self._notes.is_noted(row, name):
                    self._note(row, name, LEFT, self._loop.time())
            unknown = {name for name, author in change.authors.items() if author in UNKNOWN}
            for name in unknown - names:
                del change.authors[name]
            for name in unknown & of_row.keys():
                change.authors[name] = self._author_of(of_row[name])

    async def _owned(self, changes: list[Change]) -> list[Change]:
        """Return those of which is known who has added the row; the others are to wait for that."""
        if not changes:
            return []
        found = {(change.map_name, change.key): {ROW} for change in changes}
        users = await self._worker.run(partial(authors, self._name, found))
        owned = []
        for change in changes:
            row = change.map_name, change.key
            if row in users or self._hurrying:
                whose = self._author_of(users[row][ROW]) if row in users else NOBODY
                change.authors = {ROW: whose, **change.authors}
                owned.append(change)
            else:
                for name, author in change.authors.items():
                    now = self._loop.time()
                    self._wake(self._notes.add(row, name, author, now, is_doubtful=True).due)
        return owned

    def _author_of(self, user: User) -> Author:
        """Return ``user`` as an author, who is told if it is here again."""
        assert self._room is not None
        key = user_key(user)
        members = (member for member in self._room.members if member.user_id == key)
        return Author(user, next(members, None))

    async def _changes(self, rows: Mapping[RowKey, Mapping[str, Note]]) -> list[Change]:
        changes = []
        for number, ((map_name, key), notes) in enumerate(rows.items()):
            if not number % _SLICE:
                # Others want their turn.
                await asyncio.sleep(0)
            text_fields = self._mirrors[map_name].text_fields
            values = take_row(self._maps[map_name], key, text_fields)
            authors = {name: note.author for name, note in notes.items()}
            changes.append(Change(map_name, key, values, authors))
        return changes

    async def _suspicious(self, changes: list[Change]) -> Found:
        if not changes:
            return {}
        return await self._worker.run(partial(suspicious, self._name, changes))

    async def _sweep_on(self) -> None:
        """Note what of the next rows differs from what was written last."""
        if self._unswept is None:
            known = await self._worker.run(partial(known_keys, self._name))
            there = [(name, key) for name, map_ in self._maps.items() for key in list(map_.keys())]
            self._unswept = deque({*known, *there})
        rows = [self._unswept.popleft() for _ in range(min(BATCH, len(self._unswept)))]
        found = await self._suspicious(await self._changes({row: {} for row in rows}))
        for row, names in found.items():
            for name in names:
                self._note_swept(row, name)
        if not self._unswept:
            self._end_sweep()

    def _end_sweep(self) -> None:
        self._unswept = None
        if not self._sweeps_again:
            self._sweeper, self._is_doubtful = None, False
        self._sweeps_again = False

    def _note_swept(self, row: RowKey, name: str) -> None:
        assert self._sweeper is not None
        if not self._notes.is_noted(row, name):
            now, is_doubtful = self._loop.time(), self._is_doubtful
            note = self._notes.add(row, name, self._sweeper, now, is_doubtful=is_doubtful)
            self._wake(note.due)


def _is_a_members(change: Change) -> bool:
    """Tell whether there is a member who has changed some fields."""
    return any(name != ROW and author.member for name, author in change.authors.items())


def tell_all(outcome: Outcome) -> None:
    """Tell members what of theirs was refused, and which rows they have made have other keys."""
    told = Counter[Author]()
    for refusal in outcome.refusals:
        told[refusal.author] += 1
        if told[refusal.author] <= _MAX_TOLD:
            _tell_refused(refusal)
    for author, number in told.items():
        if number > _MAX_TOLD:
            more = f"{number - _MAX_TOLD} more changes were refused."
            tell(author, "rows", {"refused": number}, 400, [more])
    for author, map_name, key, new_key in outcome.renamed:
        data = {"map": map_name, "key": key, "new_key": new_key}
        tell(author, "row_created", data, 201)


def _tell_refused(refusal: Refusal) -> None:
    problems = refusal.problems.values()
    data = {
        "map": refusal.map_name,
        "key": refusal.key,
        "fields": {name: problem.reasons for name, problem in refusal.problems.items()},
        "values": refusal.values,
    }
    reasons = dict.fromkeys(reason for problem in problems for reason in problem.reasons)
    tell(refusal.author, "row", data, max(problem.status for problem in problems), [*reasons])


def tell(
    author: Author, action: str, data: dict[str, Any], status: int, errors: Sequence[str] = ()
) -> None:
    """Tell a member something in JSON if it wants to be."""
    member = author.member
    if member is not None and member.session.greeted:
        member.send_frame(json_frame(action, data=data, errors=[*errors], status=status))
