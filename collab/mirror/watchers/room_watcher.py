"""Follows the rows in the document of a live room, and records that the document is open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from collab.engine.rooms.context import WatchedRoom
from collab.engine.rooms.member import Member
from collab.mirror.history.refresh import arrive, recording_interval, stay
from collab.mirror.incoming.row_edits import Differences
from collab.mirror.incoming.unchecked import unchecked
from collab.mirror.models import MirroredRefresh
from collab.mirror.outgoing.writing import reconcile
from collab.mirror.registry import ModelMirror, mirrors, mirrors_in
from collab.mirror.watchers.rows_listener import RowsListener
from collab.mirror.watchers.stale_listener import StaleListener
from collab.mirror.watchers.worker import Worker, current_worker
from collab.protocol.yjs.validation import UpdateOutline

__all__ = ["RoomWatcher", "watch"]

logger = logging.getLogger("collab.mirror")


@dataclass(frozen=True, slots=True)
class Opening:
    """The rows of a document that a room opens.

    Args:
        mirrors: that have rows in it.
        unchecked: edits of clients that were stored and perhaps never checked.
        refreshes: that clients with old maps may not know of.
    """

    mirrors: Sequence[ModelMirror[Any]]
    unchecked: Differences
    refreshes: Sequence[MirroredRefresh]


async def watch(room_name: str) -> RoomWatcher | None:
    """Write the rows of a document into it, and return its watcher while it is open."""
    if not mirrors():
        return None
    worker = current_worker()
    opening = await worker.run(partial(_open, room_name))
    return None if opening is None else RoomWatcher(room_name, opening, worker)


def _open(room_name: str) -> Opening | None:
    concerned = mirrors_in(room_name)
    if not concerned:
        return None
    reconcile(room_name)
    found = unchecked(room_name, concerned)
    return Opening(concerned, found, arrive(room_name))


class RoomWatcher:
    """Passes a room's document and updates on to the listeners, and ends with the room.

    Args:
        room_name: the document.
        opening: its rows.
        worker: for the database.
    """

    def __init__(self, room_name: str, opening: Opening, worker: Worker) -> None:
        self._name = room_name
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._rows = RowsListener(room_name, opening.mirrors, opening.unchecked, worker)
        self._stale = StaleListener(room_name, opening.refreshes, worker)
        self._is_attached = False
        self._recording: asyncio.Task[None] | None = None

    def attach(self, room: WatchedRoom) -> None:
        """Observe ``room.doc``."""
        self._is_attached = True
        if self._recording is None:
            self._worker.hold()
            self._recording = self._loop.create_task(
                self._record_open(), name="collab: record open document"
            )
        self._rows.attach(room)
        self._stale.attach(room)

    def detach(self) -> None:
        """Remove the observers; they are attached again at once, or never."""
        self._is_attached = False
        self._rows.detach()
        self._stale.detach()
        self._loop.call_soon(self._end_if_detached)

    def _end_if_detached(self) -> None:
        if not self._is_attached and self._recording is not None:
            self._recording.cancel()
            self._recording = None
            self._rows.close()
            self._stale.close()
            self._worker.let_go()

    def receive(self, member: Member | None, outline: UpdateOutline) -> None:
        """Look at an update that is about to be applied."""
        self._rows.receive(member)
        if member is not None:
            self._stale.receive(member, outline)

    @property
    def is_busy(self) -> bool:
        """Whether edits of members are neither saved nor refused yet."""
        return self._rows.is_busy or self._stale.is_busy

    async def settle(self) -> None:
        """Check the edits of members at once."""
        await self._rows.settle()
        await self._stale.settle()

    async def _record_open(self) -> None:
        while True:
            await asyncio.sleep(recording_interval())
            try:
                await self._worker.run(partial(stay, self._name))
            except Exception as error:
                # Any failure may pass, and must not end this task.
                logger.warning(
                    "Open document could not be recorded (%s); trying again later.",
                    type(error).__name__,
                    extra={"room": self._name},
                )
