"""Who comes to a live room with changes of rows' maps that were replaced, or removed, is told so.

It also notes in the database, now and then, that the document is open in this process.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from pycrdt import Subscription, TransactionEvent

from collab.conf import get_settings
from collab.mirror.history.refresh import arrive, noting_interval, stay
from collab.mirror.history.removed_rows import Traces, has_garbage, trace_late
from collab.mirror.history.stale_updates import Forgotten, Late, Lateness, Past, before_refresh
from collab.mirror.incoming.client_changes import Author, Outcome, Refusal
from collab.mirror.models import MirroredRefresh
from collab.mirror.registry import mirrors_in
from collab.mirror.watchers.rows_watcher import LOST, UNTRACED, tell, tell_all
from collab.mirror.watchers.worker import Worker, current_worker

if TYPE_CHECKING:
    from collab.engine.rooms.member import Member
    from collab.engine.rooms.room import Room
    from collab.protocol.yjs.validation import UpdateOutline

__all__ = ["ReturnWatcher", "watch"]

logger = logging.getLogger("collab.mirror")


@dataclass(frozen=True, slots=True)
class _Change:
    """An update of a member, and what it may change of maps that a refresh has replaced."""

    refresh: MirroredRefresh
    author: Author
    update: bytes
    late: Late


async def watch(room_name: str) -> ReturnWatcher | None:
    """Refresh the rows of a document if it is time, and return what looks for late changes."""
    worker = current_worker()
    refreshes = await worker.run(partial(_arrive, room_name))
    return None if refreshes is None else ReturnWatcher(room_name, refreshes, worker)


def _arrive(room_name: str) -> list[MirroredRefresh] | None:
    return arrive(room_name) if mirrors_in(room_name) else None


class ReturnWatcher:
    """Looks for changes of maps that were replaced.

    Args:
        room_name: the document.
        refreshes: when they were.
        worker: where the database is asked.
    """

    def __init__(
        self, room_name: str, refreshes: Sequence[MirroredRefresh], worker: Worker
    ) -> None:
        self._name = room_name
        self._refreshes = [(refresh, Lateness(refresh)) for refresh in refreshes]
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._is_attached = False
        self._noting: asyncio.Task[None] | None = None
        self._pasts: dict[int, Past] = {}
        self._changes: deque[_Change] = deque()
        self._room: Room | None = None
        self._subscription: Subscription | None = None
        #: What is being applied.
        self._received: UpdateOutline | None = None
        #: By member what the document has taken in garbage of.
        self._overtaken: dict[Member, list[bytes]] = {}
        self._task: asyncio.Task[None] | None = None

    # What the room asks for.

    def attach(self, room: Room) -> None:
        """Note that the document is open, and look what becomes of what members send."""
        self._is_attached, self._room = True, room
        self._subscription = room.doc.observe(self._observe)
        if room.author is not None:
            # It was too large to be watched.
            self._note_overtaken(room.author)
        if self._noting is None:
            self._noting = self._loop.create_task(self._keep_noting())

    def detach(self) -> None:
        """It is attached again at once, or never."""
        assert self._room is not None
        assert self._subscription is not None
        self._room.doc.unobserve(self._subscription)
        self._is_attached = False
        self._loop.call_soon(self._end_if_detached)

    def _end_if_detached(self) -> None:
        if not self._is_attached:
            for task in (self._noting, self._task):
                if task is not None:
                    task.cancel()

    def receive(self, member: Member, outline: UpdateOutline) -> None:
        """Look whether ``member`` changes maps that were replaced."""
        self._received = outline
        for refresh, lateness in self._refreshes:
            if (late := lateness.look(outline)) is not Late.NOTHING:
                author = Author(member.user or AnonymousUser(), member)
                self._changes.append(_Change(refresh, author, outline.update, late))
                if late is Late.VALUES:
                    # That tells what becomes of it.
                    self._received = None
        if self._changes:
            self._start()

    def _observe(self, event: TransactionEvent) -> None:
        """Look whether the document has taken in garbage: a row was removed meanwhile."""
        assert self._room is not None
        member, received = self._room.author, self._received
        if member is not None and received is not None and has_garbage(event.update, received):
            self._note_overtaken(member)

    def _note_overtaken(self, member: Member) -> None:
        if self._received is not None:
            self._overtaken.setdefault(member, []).append(self._received.update)
            self._start()

    def _start(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._tell_all())
            self._task.add_done_callback(self._finish)

    @property
    def is_busy(self) -> bool:
        """Somebody is still to be told."""
        return self._task is not None

    async def settle(self) -> None:
        """Wait until all are told."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _keep_noting(self) -> None:
        while True:
            await asyncio.sleep(noting_interval())
            try:
                await self._worker.run(partial(stay, self._name))
            except Exception as error:
                # Whatever it is, it must not end this.
                name = type(error).__name__
                what = "It cannot be noted that a document is open (%s)."
                logger.warning(what, name, extra={"room": self._name})

    # Late changes.

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._task = None

    async def _tell_all(self) -> None:
        while self._changes or self._overtaken:
            if self._changes:
                await self._tell_late(self._changes.popleft())
            else:
                # Who types goes on until it is seen there that the row has gone.
                await asyncio.sleep(get_settings().ROWS_DELAY)
                member = next(iter(self._overtaken))
                await self._tell_overtaken(member, self._overtaken.pop(member))

    async def _tell_overtaken(self, member: Member, updates: list[bytes]) -> None:
        author = Author(member.user or AnonymousUser(), member)
        try:
            work = partial(trace_late, self._name, author, updates)
            traces = await self._worker.run(work)
        except Exception:
            logger.exception(UNTRACED, extra={"room": self._name})
            traces = Traces(is_lost=True)
        tell_all(Outcome(refusals=traces.refusals))
        if traces.is_lost:
            tell(author, "rows", {"refused": None}, 409, [LOST])

    async def _tell_late(self, change: _Change) -> None:
        try:
            refusals = await self._worker.run(partial(self._apply, change))
        except Exception as error:
            if not isinstance(error, Forgotten):
                logger.exception(UNTRACED, extra={"room": self._name})
            if change.late is Late.VALUES:
                tell(change.author, "rows", {"refused": None}, 409, [LOST])
        else:
            tell_all(Outcome(refusals=refusals))

    def _apply(self, change: _Change) -> list[Refusal]:
        # If it fails, what was applied to is not to be used again.
        past = self._pasts.pop(change.refresh.pk, None)
        past = past or before_refresh(self._name, change.refresh)
        refusals = past.apply(change.author, change.update)
        if past.taken <= get_settings().MAX_PENDING:
            self._pasts[change.refresh.pk] = past
        return refusals
