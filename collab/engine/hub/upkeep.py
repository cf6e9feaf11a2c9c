"""Periodic work of an event loop's rooms, and their end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from collab.engine.hub.live_rooms import Key, LiveRooms
from collab.engine.hub.recheck_schedule import RecheckSchedule
from collab.engine.relay.relay import Relay
from collab.engine.relay.room_link import RoomLink
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.runtime.background import BackgroundTasks
from collab.engine.runtime.counters import counters
from collab.engine.runtime.notify import notify
from collab.engine.runtime.timers import LoopLag
from collab.engine.storing.document_store import DocumentStore, rest_watchers
from collab.exceptions import NoSuchDocument
from collab.signals import document_closed, document_opened

__all__ = ["Upkeep", "settle"]

logger = logging.getLogger("collab.hub")


class Upkeep:
    """Follows rooms from when they are loaded: access checks, storage polling, unloading.

    Args:
        live: the open rooms.
        store: has the documents.
        relay: to other processes, if there may be any.
    """

    def __init__(self, live: LiveRooms, store: DocumentStore, relay: Relay | None) -> None:
        self._live = live
        self._store = store
        self._relay = relay
        self._settings = store.settings
        self._loop = asyncio.get_running_loop()
        self.loop_lag = LoopLag(self._loop)
        self.tasks = BackgroundTasks("collab-hub", logger)
        self._links: dict[Key, RoomLink] = {}
        self._unload_handles: dict[Key, asyncio.TimerHandle] = {}
        self._periodic: list[asyncio.Task[None]] = []
        self._rereading: set[str] = set()
        self._rechecking: set[Member] = set()
        self._ending: set[Room] = set()

    def add(self, key: Key, room: Room, link: RoomLink | None) -> None:
        """Follow a room that has just been loaded."""
        self._live.rooms[key] = room
        notify(document_opened, name=key[0])
        if link is not None:
            self._links[key] = link
            link.attach(room)
        self.start()
        self.unload_later(key)

    def start(self) -> None:
        """Begin the periodic work, unless it is running."""
        if not self._periodic:
            self.loop_lag.start()
            self._periodic = [
                self._store.loading.start(self._poll_storage()),
                self._loop.create_task(self._recheck_periodically(), name="collab-hub-recheck"),
            ]

    # Access.

    async def _recheck_periodically(self) -> None:
        """Check the access of each connection once in an interval."""
        schedule: RecheckSchedule[Member] = RecheckSchedule(self._settings.ACCESS_CHECK_INTERVAL)
        while True:
            await asyncio.sleep(schedule.tick)
            members = [member for member in self._live.members if not member.is_closed]
            due = schedule.due(members, self._loop.time())
            for member in [member for member in due if member not in self._rechecking]:
                # Side by side: a project that answers slowly about one delays no other.
                self._rechecking.add(member)
                self.tasks.start(self._recheck(member), "recheck", member.room_name or "")

    async def _recheck(self, member: Member) -> None:
        try:
            await member.connection.recheck_access(routine=True)
        finally:
            self._rechecking.discard(member)

    # The storage.

    async def _poll_storage(self) -> None:
        """Poll the storage for updates, deletions and renames that the layer did not deliver."""
        marks = self._store.marks
        while True:
            await asyncio.sleep(self._settings.RELAY_STORAGE_INTERVAL)
            rooms = {name: room for (name, stored), room in self._live.rooms.items() if stored}
            before = marks.current(rooms)
            known = [name for name in rooms if marks.id_of(name) is not None]
            try:
                found = await self._store.storage.marks(list(before))
            except Exception as error:
                # An error of any class must not end the polling.
                logger.warning("The storage cannot be polled (%s).", type(error).__name__)
                continue
            for name in known:
                if name not in found and (room := rooms[name]) not in self._ending:
                    self._ending.add(room)
                    self.tasks.start(self._end(name, room), "end", name)
            for name, mark in found.items():
                if not marks.accept(name, mark, before[name]):
                    await self.reread(name)

    async def _end(self, name: str, room: Room) -> None:
        """Close the room of a document that was deleted or renamed, as no order has done."""
        room.flush()
        room.close_members(NoSuchDocument("The document has been deleted or renamed."))
        # Updates follow a renamed document. Those of a deleted one are dropped.
        await self._store.writer.saved(name)
        self._ending.discard(room)
        if self._live.rooms.get((name, True)) is room:
            self._store.writer.on_deleted(name)

    async def reread(self, name: str) -> None:
        """Apply to a live room the updates of the storage that it may have missed."""
        if name in self._rereading:
            # An unavailable layer causes this again and again; one reader is enough.
            return
        self._rereading.add(name)
        try:
            await self._store.loading.start(self._reread(name))
        except Exception:
            logger.exception("A document could not be read again.", extra={"room": name})
            self._store.marks.doubt(name)
        finally:
            self._rereading.discard(name)

    async def _reread(self, name: str) -> None:
        if (room := self._live.rooms.get((name, True))) is None:
            return
        update = await self._store.load_news(name, room.state())
        if update is not None:
            counters.storage_rereads += 1
            # If the room is closed by now, another has been read from the storage since.
            room.edit_relayed(update)

    # Unloading.

    def unload_later(self, key: Key) -> None:
        """Unload a room if it is idle, and stays so for ``UNLOAD_DELAY``."""
        if handle := self._unload_handles.pop(key, None):
            handle.cancel()
        if self._live.is_idle(key):
            delay = self._settings.UNLOAD_DELAY
            self._unload_handles[key] = self._loop.call_later(delay, self._unload, key)

    def _unload(self, key: Key) -> None:
        self._unload_handles.pop(key, None)
        if not self._live.is_idle(key):
            return
        name, stored = key
        room = self._live.rooms[key]
        room.flush()
        room.adopt()
        if any(watcher.is_busy for watcher in room.watchers):
            self._unload_after(key, settle(room))
        elif stored and self._store.writer.has(name):
            # Unsaved updates keep it loaded.
            self._unload_after(key, self._store.writer.saved(name))
        else:
            self.remove(key, room)
            self._rest(key)

    def _rest(self, key: Key) -> None:
        name, stored = key
        if stored and rest_watchers:
            self._store.loading.start(self._store.rest(name))

    def _unload_after(self, key: Key, work: Coroutine[Any, Any, None]) -> None:
        async def wait() -> None:
            await work
            self.unload_later(key)

        self.tasks.start(wait(), "unload", key[0])

    def remove(self, key: Key, room: Room) -> None:
        """Close a room, which is not open any more from then on."""
        if self._live.rooms.get(key) is room:
            del self._live.rooms[key]
            notify(document_closed, name=key[0])
            if link := self._links.pop(key, None):
                self.tasks.start(link.disconnect(), "disconnect", key[0])
            self.release_idle_later(key[0])
        room.close()

    def release_idle_later(self, name: str) -> None:
        """Release resources that only rooms need, unless the document is live."""
        if not self._live.holds(name):
            self.tasks.start(self.release_idle(name), "release", name)

    async def release_idle(self, name: str) -> None:
        """Forget a document that is closed; after the last one, release all resources."""
        if not self._live.holds(name) and name not in self._live.clearing:
            self._store.marks.forget(name)
        if self._live.is_empty:
            self.loop_lag.stop()
            periodic, self._periodic = self._periodic, []
            for task in periodic:
                task.cancel()
            await self._store.release()
            # A document may have been opened meanwhile.
            if self._relay is not None and self._live.is_empty:
                await self._relay.close()

    async def close(self) -> None:
        """Close all rooms once their updates are stored; members are not informed."""
        for key, room in list(self._live.rooms.items()):
            room.flush()
            await settle(room)
            if key[1]:
                await self._store.writer.saved(key[0])
            self.remove(key, room)
            self._rest(key)
        for handle in self._unload_handles.values():
            handle.cancel()
        await self.tasks.finish()
        await self.release_idle("")


async def settle(room: Room) -> None:
    """Wait until all changes of a room are checked and processed; failures are logged."""
    await room.checked()
    for watcher in room.watchers:
        try:
            await watcher.settle()
        except Exception:
            # The updates of this room and of others are stored all the same.
            logger.exception("A watcher of a document failed.", extra={"room": room.name})
