"""Reports changes that a client made to rows' maps that have since been replaced or removed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from pycrdt import Subscription, TransactionEvent

from collab.conf import get_settings
from collab.engine.rooms.context import WatchedRoom
from collab.engine.rooms.member import Member
from collab.mirror.history.lost_edits import LostEdits, has_garbage, trace_stale
from collab.mirror.history.past import Pasts, touches
from collab.mirror.incoming.row_edits import Author
from collab.mirror.models import MirroredRefresh
from collab.mirror.watchers.replies import UNTRACED, send_lost, send_refusals
from collab.mirror.watchers.worker import Worker
from collab.protocol.yjs.validation import UpdateOutline

__all__ = ["StaleListener"]

logger = logging.getLogger("collab.mirror")


class StaleListener:
    """Collects updates that change replaced or removed maps; sends their authors the lost values.

    The document integrates such changes as garbage, which is how most are recognized. Deletions
    leave no garbage: they are recognized by the ids that a refresh has replaced.

    Args:
        room_name: the document.
        refreshes: that clients may not know of.
        worker: for the database.
    """

    def __init__(
        self, room_name: str, refreshes: Sequence[MirroredRefresh], worker: Worker
    ) -> None:
        self._name = room_name
        self._refreshes = refreshes
        self._pasts = Pasts(room_name, refreshes)
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._room: WatchedRoom | None = None
        self._subscription: Subscription | None = None
        #: The update that is being applied.
        self._received: UpdateOutline | None = None
        self._stale: dict[Member, list[bytes]] = {}
        self._task: asyncio.Task[None] | None = None

    def attach(self, room: WatchedRoom) -> None:
        """Observe which updates the document integrates as garbage."""
        self._room = room
        self._subscription = room.doc.observe(self._observe)
        if room.author is not None:
            # Its update was too large to be observed.
            self._add(room.author)

    def detach(self) -> None:
        """Remove the observer."""
        assert self._room is not None
        assert self._subscription is not None
        self._room.doc.unobserve(self._subscription)

    def close(self) -> None:
        """Stop; the room is closed."""
        if self._task is not None:
            self._task.cancel()

    def receive(self, member: Member, outline: UpdateOutline) -> None:
        """Look for changes of replaced maps in an update that is about to be applied."""
        self._received = outline
        if any(touches(refresh, outline) for refresh in self._refreshes):
            self._add(member)

    def _observe(self, event: TransactionEvent) -> None:
        assert self._room is not None
        member, received = self._room.author, self._received
        if member is not None and received is not None and has_garbage(event.update, received):
            self._add(member)

    def _add(self, member: Member) -> None:
        if self._received is not None:
            self._stale.setdefault(member, []).append(self._received.update)
            self._received = None
            if self._task is None:
                self._task = self._loop.create_task(self._run(), name="collab: trace lost edits")
                self._task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._task = None

    @property
    def is_busy(self) -> bool:
        """Whether lost values have not been sent to their authors yet."""
        return self._task is not None

    async def settle(self) -> None:
        """Wait until all lost values have been sent to their authors."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._stale:
            # A member types on until it learns that the row has gone.
            await asyncio.sleep(get_settings().ROWS_DELAY)
            member = next(iter(self._stale))
            await self._trace(Author.of(member), self._stale.pop(member))

    async def _trace(self, author: Author, updates: Sequence[bytes]) -> None:
        work = partial(trace_stale, self._name, author, updates, self._pasts)
        try:
            lost = await self._worker.run(work)
        except Exception:
            logger.exception(UNTRACED, extra={"room": self._name})
            lost = LostEdits(is_unknown=True)
        send_refusals(lost.refusals)
        if lost.is_unknown:
            send_lost(author)
