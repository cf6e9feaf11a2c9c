"""What members change in a live room's rows is noted, and a moment later checked and saved.

The process that a member is connected to does that. What comes from elsewhere is only looked at
after a while: by then it is saved or set back, unless the process that was to do so has died.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth.models import AnonymousUser
from pycrdt import Map, MapEvent, Subscription, TextEvent

from collab.conf import Settings, get_settings
from collab.session import json_frame

from .checking import Author, Change, Outcome, Refusal, check, known_keys, suspicious
from .options import ModelMirror, mirrors
from .saving import ROW, is_outage
from .values import take_row
from .worker import Worker, current_worker
from .writing import reconcile

if TYPE_CHECKING:
    from collab.member import Member
    from collab.room import Room

__all__ = ["RowsWatcher", "watch"]

logger = logging.getLogger(__name__)

#: Of a row: its mirror's ``map_name``, and its key.
RowKey = tuple[str, str]

#: Rows that are checked at once.
BATCH = 200
#: Fields of a row that are told apart; if more have changed, the row has.
_MAX_FIELDS = 200
#: Attempts, after which what might pass is taken for what will not.
PATIENCE = 5
_FIRST_RETRY_DELAY = 0.1
#: A text that is typed in without a pause is saved after so many times the delay.
_LONGEST_TYPING = 10


#: Has changed what nobody is known to have changed.
_NOBODY = Author(AnonymousUser())


async def watch(room_name: str) -> RowsWatcher | None:
    """Write the rows of a document into it, and return what follows it while it is open."""
    if not mirrors():
        return None
    worker = current_worker()
    concerned = await worker.run(partial(_prepare, room_name))
    return RowsWatcher(room_name, concerned, worker, get_settings()) if concerned else None


def _prepare(room_name: str) -> list[ModelMirror[Any]]:
    concerned = [mirror for mirror in mirrors() if mirror.rows(room_name) is not None]
    if concerned:
        reconcile(room_name)
    return concerned


@dataclass(frozen=True, slots=True)
class _Note:
    """Something in a row was changed.

    Args:
        author: by whom; ``None`` if it is another process's to check, or the server's own.
        first: when, if it has changed again since.
        due: when to check it.
    """

    author: Author | None
    first: float
    due: float


#: By row, and by field or the row as a whole.
_Notes = dict[RowKey, dict[str, _Note]]


class RowsWatcher:
    """Follows the rows in the document of a live room.

    Args:
        room_name: the document.
        concerned: the mirrors that have rows in it.
        worker: where rows are checked and saved.
        settings: for the delays.
    """

    def __init__(
        self,
        room_name: str,
        concerned: Sequence[ModelMirror[Any]],
        worker: Worker,
        settings: Settings,
    ) -> None:
        self._name = room_name
        self._mirrors = {mirror.map_name: mirror for mirror in concerned}
        self._worker = worker
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._room: Room | None = None
        self._maps: dict[str, Map[Any]] = {}
        self._subscriptions: list[tuple[Map[Any], Subscription]] = []
        self._authors: dict[Member, Author] = {}
        self._notes: _Notes = {}
        #: What of it is being checked.
        self._in_hand: _Notes = {}
        #: All rows are to be compared with what was written last; changes are this author's.
        self._sweeper: Author | None = None
        #: The rows that are left of them, once that has begun.
        self._unswept: deque[RowKey] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._in_hurry = False

    # What the room asks for.

    def attach(self, room: Room) -> None:
        """Follow ``room.doc``; what is in it may never have been checked."""
        if self._room is None:
            self._worker.hold()
        self._room = room
        for mirror in self._mirrors.values():
            map_ = self._maps[mirror.map_name] = room.doc.get(mirror.map_name, type=Map)
            observe = partial(self._observe, mirror.map_name)
            self._subscriptions.append((map_, map_.observe_deep(observe)))
        self._sweep(_NOBODY)

    def detach(self) -> None:
        """Take the observers off; it is attached again at once, or never."""
        for map_, subscription in self._subscriptions:
            map_.unobserve(subscription)
        self._subscriptions.clear()
        self._maps.clear()
        self._loop.call_soon(self._end_if_detached)

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
        noted = (note for notes in self._notes.values() for note in notes.values())
        return bool(self._task or self._sweeper or any(note.author for note in noted))

    async def settle(self) -> None:
        """Check all that was changed, without any delay."""
        self._in_hurry = True
        try:
            while self._maps and (self.is_busy or self._notes):
                self._start()
                if self._task is not None:
                    await asyncio.wait([self._task])
        finally:
            self._in_hurry = False

    # What is noted.

    def _observe(self, map_name: str, events: Iterable[Any]) -> None:
        author = self._author()
        for event in events:
            is_typing = isinstance(event, TextEvent)
            for key, name in _spots(event):
                self._note((map_name, key), name, author, is_typing)

    def _author(self) -> Author | None:
        assert self._room is not None
        member = self._room.author
        if member is None:
            return None
        if member not in self._authors:
            self._authors[member] = Author(member.user or AnonymousUser(), member)
        return self._authors[member]

    def _note(self, row: RowKey, name: str, author: Author | None, is_typing: bool) -> None:
        if row not in self._notes and len(self._notes) >= self._settings.MAX_ROW_CHANGES:
            self._sweep(author or _NOBODY)
            return
        notes = self._notes.setdefault(row, {})
        if len(notes) >= _MAX_FIELDS and name not in notes:
            notes.clear()
            name = ROW
        before = notes.get(name)
        if author is None and is_typing and before is not None:
            # What the member has typed is in there, too.
            return
        now = self._loop.time()
        first = before.first if before is not None and before.author is author else now
        note = notes[name] = _Note(author, first, self._due(author, is_typing, first, now))
        self._wake(note.due)

    def _due(self, author: Author | None, is_typing: bool, first: float, now: float) -> float:
        if author is None:
            return first + self._settings.ROWS_CHECK_INTERVAL
        if is_typing:
            pause = self._settings.ROWS_TEXT_DELAY
            return min(now + pause, first + pause * _LONGEST_TYPING)
        return first + self._settings.ROWS_DELAY

    def _sweep(self, author: Author) -> None:
        """Compare all rows soon; if several have changed too much, nobody knows who did what."""
        self._sweeper = author if self._sweeper in (None, author) else _NOBODY
        self._unswept = None
        self._wake(self._loop.time() + self._settings.ROWS_DELAY)

    # When it is checked.

    def _wake(self, when: float) -> None:
        if self._timer is None or when < self._timer.when():
            self._stop_timer()
            self._timer = self._loop.call_at(when, self._start)

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
        notes = [note for notes in self._notes.values() for note in notes.values()]
        authors = (note.author for note in notes)
        self._authors = {author.member: author for author in authors if author and author.member}
        if notes and self._room is not None:
            self._wake(min(note.due for note in notes))

    # How it is checked.

    async def _run(self) -> None:
        failures = 0
        while self._maps:
            self._in_hand = self._take_due()
            try:
                if not self._in_hand and not await self._take_unswept():
                    return
                await self._check(is_patient=failures < PATIENCE)
                failures = 0
            except Exception as error:
                failures += 1
                await self._recover(error, failures)

    def _take_due(self) -> _Notes:
        now, taken = self._loop.time(), _Notes()
        for row, notes in self._notes.items():
            due = {name: note for name, note in notes.items() if self._in_hurry or note.due <= now}
            if due:
                taken[row] = due
            if len(taken) == BATCH:
                break
        for row, due in taken.items():
            self._forget(row, due)
        return taken

    def _forget(self, row: RowKey, notes: Iterable[str]) -> None:
        for name in notes:
            del self._notes[row][name]
        if not self._notes[row]:
            del self._notes[row]

    async def _take_unswept(self) -> bool:
        """Take the next rows of the sweep in hand; False if it is over."""
        if (sweeper := self._sweeper) is None:
            return False
        if self._unswept is None:
            known = await self._worker.run(partial(known_keys, self._name))
            there = [(name, key) for name, map_ in self._maps.items() for key in list(map_.keys())]
            self._unswept = deque({*known, *there})
        now = self._loop.time()
        for _ in range(min(BATCH, len(self._unswept))):
            row = self._unswept.popleft()
            self._in_hand[row] = {ROW: _Note(sweeper, now, now), **self._notes.pop(row, {})}
        if not self._unswept:
            self._sweeper = self._unswept = None
        return True

    async def _check(self, *, is_patient: bool) -> None:
        changes = [self._change(*row, notes) for row, notes in self._in_hand.items()]
        work = partial(_check, self._name, changes, is_patient)
        outcome = await self._worker.run(work)
        self._in_hand = {}
        for refusal in outcome.refusals:
            _tell_refused(refusal)
        for author, map_name, key, new_key in outcome.renamed:
            _tell_renamed(author, map_name, key, new_key)

    def _change(self, map_name: str, key: str, notes: dict[str, _Note]) -> Change:
        values = take_row(self._maps[map_name], key, self._mirrors[map_name].text_fields)
        authors = {name: note.author or _NOBODY for name, note in notes.items()}
        return Change(map_name, key, values, authors)

    async def _recover(self, error: Exception, failures: int) -> None:
        """Try again, later each time; but not for ever what the project's code cannot do."""
        if failures < PATIENCE or is_outage(error):
            logger.warning(
                "Rows cannot be saved now (%s).", type(error).__name__, extra={"room": self._name}
            )
            for row, notes in self._in_hand.items():
                # Where there is something newer, that is what counts.
                self._notes[row] = {**notes, **self._notes.get(row, {})}
            delay = min(_FIRST_RETRY_DELAY * 2 ** min(failures, 10), self._settings.RETRY_DELAY)
            await asyncio.sleep(delay)
        else:
            logger.error("Rows cannot be checked.", exc_info=error, extra={"room": self._name})
            self._sweeper = None
        self._in_hand = {}


def _spots(event: Any) -> list[tuple[str, str]]:
    """Return the keys and fields that an event tells of."""
    path = [str(step) for step in event.path]
    if not path:
        return [(key, ROW) for key in event.keys]
    if len(path) > 1:
        return [(path[0], path[1])]
    names = cast(Any, event).keys if isinstance(event, MapEvent) else (ROW,)
    return [(path[0], name) for name in names]


def _check(room_name: str, changes: list[Change], is_patient: bool) -> Outcome:
    # Of what is nobody's here, most is well.
    doubtful = [change for change in changes if set(change.authors.values()) == {_NOBODY}]
    own = [change for change in changes if set(change.authors.values()) != {_NOBODY}]
    changes = [*own, *suspicious(room_name, doubtful)]
    return check(room_name, changes, patient=is_patient) if changes else Outcome()


def _tell_refused(refusal: Refusal) -> None:
    problems = refusal.problems.values()
    _tell(
        refusal.author,
        "row",
        {
            "map": refusal.map_name,
            "key": refusal.key,
            "fields": {name: problem.reasons for name, problem in refusal.problems.items()},
            "values": refusal.values,
        },
        max(problem.status for problem in problems),
        list(dict.fromkeys(reason for problem in problems for reason in problem.reasons)),
    )


def _tell_renamed(author: Author, map_name: str, key: str, new_key: str) -> None:
    _tell(author, "row_created", {"map": map_name, "key": key, "new_key": new_key}, 201)


def _tell(
    author: Author,
    action: str,
    data: dict[str, Any],
    status: int,
    errors: list[str] | None = None,
) -> None:
    member = author.member
    if member is not None and member.session.greeted:
        member.send_frame(json_frame(action, data=data, errors=errors, status=status))
