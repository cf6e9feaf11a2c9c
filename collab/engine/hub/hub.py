"""The rooms of this process: opened once, kept while somebody is in them, unloaded when saved.

There is one hub per event loop. Other threads reach the live rooms through :func:`live_hubs`
and ``hub.loop.call_soon_threadsafe``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from channels.layers import channel_layers
from pycrdt import Doc

from collab.conf import Settings, get_settings, get_storage
from collab.engine.hub.admission import ConnectionLimits
from collab.engine.relay.publisher import shared_layer
from collab.engine.relay.relay import ChannelLayer, Relay
from collab.engine.relay.room_link import RoomLink
from collab.engine.rooms.encoded_document import DocumentBytes
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room, Watcher
from collab.engine.runtime.counters import counters
from collab.engine.runtime.per_loop import PerLoop
from collab.engine.runtime.shutdown import drain_on_sigterm
from collab.engine.runtime.timers import LoopLag
from collab.engine.storing.spool import read_spool, spooled_files, write_spool
from collab.engine.storing.storage_context import StorageContext
from collab.engine.storing.writer import Writer
from collab.exceptions import Restarting, RoomFailed, TryAgainLater
from collab.protocol.yjs.updates import EMPTY_STATE, EMPTY_UPDATE, merge, release
from collab.wire import CloseCode
from collab_storage.base import LogEntry, Mark, Storage, StoredDocument
from collab_storage.compaction import compact, read_apart, read_news
from collab_storage.exceptions import StorageError

__all__ = ["Arrival", "Hub", "Opener", "current_hub", "live_hubs", "room_watchers"]

logger = logging.getLogger("collab.hub")

#: A document's name, and whether it is stored: a room in memory only is another room.
Key = tuple[str, bool]

#: In the place of the version of a document that was not stored yet when it was opened here.
_UNSEEN = -1


class Opener(Protocol):
    """What the project decides of a document that is opened; see ``YjsConsumer``."""

    @property
    def makes_plain_docs(self) -> bool:
        """``make_ydoc`` does no more than to make a Doc."""

    async def make_ydoc(self) -> Doc[Any]:
        """Return a new Doc."""

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        """Fill a document that was never stored."""


#: Called with the name of each stored document that is opened, once it is loaded and before
#: anybody is answered: what is to follow it, or ``None``.
room_watchers: list[Callable[[str], Awaitable[Watcher | None]]] = []


@dataclass(eq=False)
class Arrival:
    """Somebody whose access is looked up, and who is not in the room yet."""

    user_id: str | None
    #: It was to be looked up again meanwhile, or may have been.
    is_outdated: bool = False


class _Opening:
    """A document that is being loaded."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Room] | None = None
        #: Edits of server code that were committed meanwhile; the load may have missed them.
        self.edits: list[bytes] = []


class _Maker:
    """Makes Docs as ``opener`` does, and frees those that are not used after all."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._made: list[Doc[Any]] = []
        self.makes_plain_docs = opener.makes_plain_docs

    async def make_ydoc(self) -> Doc[Any]:
        doc = await self._opener.make_ydoc()
        self._made.append(doc)
        return doc

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        await self._opener.seed_ydoc(doc)

    def release_all_but(self, used: object) -> None:
        for doc in self._made:
            if doc is not used:
                release(doc)


class Hub:
    """The rooms of one event loop."""

    def __init__(
        self, settings: Settings, storage: Storage, layer: ChannelLayer | None = None
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.rooms: dict[Key, Room] = {}
        #: Connections without a document; see :meth:`enter`.
        self.lobby: set[Member] = set()
        self.door = ConnectionLimits(settings)
        self.pulse = LoopLag(self.loop)
        self._settings = settings
        self._storage = storage
        self._opening: dict[Key, _Opening] = {}
        self._joining: defaultdict[Key, int] = defaultdict(int)
        self._arrivals: defaultdict[str, set[Arrival]] = defaultdict(set)
        self._unload_handles: dict[Key, asyncio.TimerHandle] = {}
        self._log_lengths: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._links: dict[Key, RoomLink] = {}
        #: How far the storage had got with each linked room, as far as the room knows.
        self._marks: dict[str, Mark] = {}
        self._watches: list[asyncio.Task[None]] = []
        self._rereading: set[str] = set()
        self._draining = False
        self._spool = Path(settings.SPOOL_DIRECTORY)
        self._spool_taken = False
        #: Keeps rooms equal to those of other processes, if there may be any.
        self.relay = None if layer is None else Relay(layer, settings, self._carry_out)
        self._loading_lane = StorageContext(storage)
        self._writing_lane = StorageContext(storage)
        self.writer = Writer(storage, settings, self._writing_lane.start, self._count_stored)

    # Joining.

    @property
    def is_draining(self) -> bool:
        """The process is about to end and lets nobody in."""
        return self._draining

    @contextmanager
    def arriving(self, name: str, user_id: str | None) -> Iterator[Arrival]:
        """Note during the block, which ends in the room, whether access changes meanwhile."""
        arrival = Arrival(user_id)
        self._arrivals[name].add(arrival)
        try:
            yield arrival
        finally:
            self._arrivals[name].discard(arrival)
            if not self._arrivals[name]:
                del self._arrivals[name]

    async def join(self, name: str, member: Member, opener: Opener, *, stored: bool = True) -> Room:
        """Let ``member`` into the room ``name``, which ``opener`` opens if it is not open.

        Raises:
            RoomFailed: the document could not be loaded.
            TryAgainLater: this process or the room is full.
            Restarting: the process is about to end.
        """
        if self._draining:
            raise Restarting
        key = name, stored
        self._joining[key] += 1
        try:
            # An opened room may be unloaded again before this task runs on.
            while (room := self.rooms.get(key)) is None:
                await self._open(key, opener)
            room.join(member)
        finally:
            self._joining[key] -= 1
            if not self._joining[key]:
                del self._joining[key]
                self._unload_later(key)
                self._tidy_later(name)
        return room

    def enter(self, member: Member) -> None:
        """Let a member in that has no document, until ``leave`` is called.

        Raises:
            Restarting: the process is about to end.
        """
        if self._draining:
            raise Restarting
        self.lobby.add(member)
        self._start_watches()

    def leave(self, member: Member) -> None:
        """Let a member go that has no document."""
        self.lobby.discard(member)
        member.detach()
        self._tidy_later("")

    def _members(self) -> list[Member]:
        return [*self.lobby, *(member for room in self.rooms.values() for member in room.members)]

    async def _open(self, key: Key, opener: Opener) -> None:
        opening = self._opening.get(key)
        if opening is None:
            if len(self.rooms) + len(self._opening) >= self._settings.MAX_ROOMS:
                raise TryAgainLater("Too many documents are open.", limit="MAX_ROOMS")
            opening = self._opening[key] = _Opening()
            opening.task = self._loading_lane.start(self._load(key, opener, opening))
        assert opening.task is not None
        # Others wait for it too: one that goes away must not cancel it.
        await asyncio.shield(opening.task)

    async def _load(self, key: Key, opener: Opener, opening: _Opening) -> Room:
        name, stored = key
        link, room, source = None, None, None
        maker = _Maker(opener)
        try:
            async with asyncio.timeout(self._settings.LOAD_TIMEOUT):
                if stored:
                    await self._take_spool_in()
                if stored and self.relay is not None:
                    # Before it is loaded, so that nothing falls in between.
                    link = await self.relay.connect(name, partial(self._reread, name))
                    # What was ordered until now did not come here.
                    self._outdate_arrivals(name)
                source, waiting = await (
                    self._stored_content(name, maker) if stored else _new_content(maker)
                )
                watchers = await _watchers(name) if stored else []
            room = Room(
                name,
                source,
                self._settings,
                may_sleep=opener.makes_plain_docs,
                waiting=waiting,
                store=self.writer if stored else None,
                link=link,
                watchers=watchers,
                on_empty=lambda room: self._unload_later(key),
                on_rebuilt=lambda room: self._renew_later(name, room, opener),
                on_broken=lambda room: self._remove(key, room),
            )
        except Exception as error:
            logger.exception("A document could not be opened.", extra={"room": name})
            if link is not None and self.relay is not None:
                await self.relay.disconnect(link)
            raise RoomFailed from error
        finally:
            maker.release_all_but(source if room else None)
            del self._opening[key]
            if room is None:
                # Those who waited may have gone.
                self._tidy_later(name)
        self.rooms[key] = room
        if link is not None:
            self._links[key] = link
            link.attach(room)
        self._start_watches()
        for update in opening.edits:
            room.edit(update, stored=True)
        self._unload_later(key)
        return room

    async def _stored_content(
        self, name: str, opener: Opener
    ) -> tuple[Doc[Any] | DocumentBytes, bytes]:
        """Return the document, and what of it builds upon updates that are not stored."""
        loaded = await self._storage.load(name)
        if loaded is None:
            doc = await _seeded_doc(opener)
            is_empty = doc.get_state() == EMPTY_STATE
            if is_empty or await self._seed(name, doc):
                self._marks[name] = Mark(_UNSEEN, 0 if is_empty else 1)
                return doc, EMPTY_UPDATE
            # Another process was first: its seed is the document's.
            loaded = await self._storage.load(name)
        if opener.makes_plain_docs:
            return await self._read(name, loaded)
        doc = await opener.make_ydoc()
        if doc.get_state() != EMPTY_STATE:
            raise RoomFailed(
                "make_ydoc() fills the document, but it is stored already, and would be doubled."
                " Move the filling to seed_ydoc(), which is called once in a document's life."
            )
        frozen, waiting = await self._read(name, loaded)
        doc.apply_update(frozen.update)
        return doc, waiting

    async def _read(self, name: str, loaded: StoredDocument | None) -> tuple[DocumentBytes, bytes]:
        if loaded is None:
            # It was deleted a moment ago.
            return DocumentBytes(EMPTY_UPDATE, EMPTY_STATE), EMPTY_UPDATE
        content = await read_apart(loaded, name)
        self._marks[name] = Mark(loaded.version, len(loaded.log))
        self._log_lengths[name] = len(loaded.log)
        return DocumentBytes(content.update, content.state), content.rest

    async def _seed(self, name: str, doc: Doc[Any]) -> bool:
        return await self._storage.create(LogEntry(name, doc.get_update(), datetime.now(UTC)))

    def _renew_later(self, name: str, room: Room, opener: Opener) -> None:
        if not opener.makes_plain_docs:
            self._keep_task(name, self._renew(room, opener))

    async def _renew(self, room: Room, opener: Opener) -> None:
        """Put the project's observers onto a Doc that had to be made anew."""
        maker = _Maker(opener)
        doc = await maker.make_ydoc()
        if doc.get_state() == EMPTY_STATE:
            room.renew(doc)
        maker.release_all_but(room.doc)

    # Leaving.

    def _unload_later(self, key: Key) -> None:
        if handle := self._unload_handles.pop(key, None):
            handle.cancel()
        if self._is_idle(key):
            delay = self._settings.UNLOAD_DELAY
            self._unload_handles[key] = self.loop.call_later(delay, self._unload, key)

    def _is_idle(self, key: Key) -> bool:
        room = self.rooms.get(key)
        return room is not None and not room.members and key not in self._joining

    def _unload(self, key: Key) -> None:
        self._unload_handles.pop(key, None)
        if not self._is_idle(key):
            return
        name, stored = key
        room = self.rooms[key]
        room.flush()
        room.adopt()
        if any(watcher.is_busy for watcher in room.watchers):
            self._keep_task(name, self._unload_when_settled(key, room))
            return
        if stored and self.writer.has(name):
            # Unsaved work keeps it loaded; it goes when that is stored.
            self._keep_task(name, self._unload_when_saved(key))
        else:
            self._remove(key, room)

    async def _unload_when_settled(self, key: Key, room: Room) -> None:
        await _settle(room)
        self._unload_later(key)

    async def _unload_when_saved(self, key: Key) -> None:
        await self.writer.saved(key[0])
        self._unload_later(key)

    def _remove(self, key: Key, room: Room) -> None:
        if self.rooms.get(key) is room:
            del self.rooms[key]
            if self.relay is not None and (link := self._links.pop(key, None)):
                self._keep_task(key[0], self.relay.disconnect(link))
            self._tidy_later(key[0])
        room.close()

    def _tidy_later(self, name: str) -> None:
        if not self.holds(name):
            self._keep_task(name, self._tidy(name))

    async def _tidy(self, name: str) -> None:
        """After the last room has gone, give back what only rooms need."""
        if not self.holds(name):
            self._log_lengths.pop(name, None)
            self._marks.pop(name, None)
        if not (self.rooms or self.lobby or self._opening or self._joining):
            self.pulse.stop()
            watches, self._watches = self._watches, []
            for watch in watches:
                watch.cancel()
            await self._loading_lane.close()
            await self._writing_lane.close()
            if self.relay is not None:
                await self.relay.close()

    # Storing.

    def _count_stored(self, name: str, rows: int) -> None:
        if mark := self._marks.get(name):
            self._marks[name] = Mark(mark.version, mark.log_length + rows)
        length = self._log_lengths.get(name, 0) + rows
        self._log_lengths[name] = length
        if length >= self._settings.COMPACT_AFTER:
            # Counted anew from here, so that no second compaction begins meanwhile.
            self._log_lengths[name] = 0
            self._keep_task(name, self._compact(name))

    async def _compact(self, name: str) -> None:
        try:
            await self._loading_lane.start(compact(self._storage, name))
        except StorageError:
            logger.exception("A document could not be compacted.", extra={"room": name})

    def _start_watches(self) -> None:
        if not self._watches:
            self.pulse.start()
            self._watches = [
                self._loading_lane.start(self._keep_reading()),
                self.loop.create_task(self._keep_checking()),
            ]

    async def _keep_checking(self) -> None:
        """Check everybody's access again now and then, and what else may be out of date."""
        while True:
            members = self._members()
            pause = self._settings.ACCESS_CHECK_INTERVAL / (len(members) + 1)
            await asyncio.sleep(pause)
            for member in members:
                if not member.is_closed:
                    await self._look_after(member)
                await asyncio.sleep(pause)

    async def _look_after(self, member: Member) -> None:
        try:
            await member.connection.keep_up()
        except Exception:
            # It is the project's code. The others are to be looked after all the same.
            logger.exception("A member could not be looked after.", extra={"user": member.user_id})

    async def _keep_reading(self) -> None:
        """Find what others have stored, and the channel layer, if there is one, has not brought."""
        while True:
            await asyncio.sleep(self._settings.RELAY_STORAGE_INTERVAL)
            known = {name: self._marks.get(name) for name, stored in self.rooms if stored}
            try:
                found = await self._storage.marks(list(known))
            except Exception as error:
                # Whatever it is, it must not end the watch.
                logger.warning("The storage cannot be asked (%s).", type(error).__name__)
                continue
            for name, mark in found.items():
                # What this process stores meanwhile may have been counted here, or not yet.
                is_known = _agree(known[name], mark) or _agree(self._marks.get(name), mark)
                if not is_known:
                    self._marks[name] = mark
                    await self._reread(name)
                elif (last := self._marks.get(name)) and last.version == _UNSEEN:
                    self._marks[name] = last._replace(version=mark.version)

    async def _reread(self, name: str) -> None:
        """Take into a live room what the storage has and the room may have missed."""
        if name in self._rereading:
            # While the layer is away there is reason again and again; once at a time is enough.
            return
        self._rereading.add(name)
        try:
            loaded = await self._loading_lane.start(self._storage.load(name))
            room = self.rooms.get((name, True))
            if loaded is None or room is None:
                return
            update = await read_news(loaded, room.state())
        except Exception:
            logger.exception("A document could not be read again.", extra={"room": name})
            # How far it has got is not known then; the next round finds it.
            self._marks.pop(name, None)
            return
        finally:
            self._rereading.discard(name)
        counters.storage_rereads += 1
        # If it is closed by now, another has been read from the storage since.
        room.edit_relayed(update)

    # Server code.

    def _carry_out(self, order: dict[str, Any]) -> None:
        """Do what server code of another process wants with a room."""
        name = order["room"]
        if order["what"] == "deliver":
            self.deliver(name, order["update"], relayed=True)
        elif order["what"] == "recheck":
            self.recheck_access(name, order["user"])
        else:
            self.discard(name, order["moved_to"])

    def holds(self, name: str) -> bool:
        """Tell whether a document is live here. May be called from any thread."""
        return (name, True) in self.rooms or (name, True) in self._opening

    def deliver(self, name: str, update: bytes, *, relayed: bool = False) -> None:
        """Take an update that the storage has already, for the members of this process."""
        key = name, True
        if room := self.rooms.get(key):
            if relayed:
                room.edit_relayed(update)
            else:
                room.edit(update, stored=True)
        elif opening := self._opening.get(key):
            opening.edits.append(update)

    def discard(self, name: str, moved_to: str | None = None) -> None:
        """Close a document that is stored no longer, or under another name.

        What is unsaved of it goes to that name, or is forgotten.
        """
        key = name, True
        if room := self.rooms.get(key):
            room.flush()
            what = "been deleted" if moved_to is None else "another name now"
            room.close_members(CloseCode.NOT_FOUND, f"The document has {what}.")
            self._remove(key, room)
        if moved_to is None:
            self.writer.drop(name)
        else:
            self.writer.move(name, moved_to)
        if self.writer.has(name):
            self._keep_task(name, self._clear(name, moved_to))

    async def _clear(self, name: str, moved_to: str | None) -> None:
        """Take away what was on its way to the storage when the document left its name."""
        await self.writer.landed(name)
        await self._loading_lane.start(self._clear_landed(name, moved_to))
        await self._tidy(name)

    async def _clear_landed(self, name: str, moved_to: str | None) -> None:
        landed = await self._storage.load(name)
        if landed is not None and moved_to is not None:
            now = datetime.now(UTC)
            await self._storage.append([LogEntry(moved_to, merge(landed.updates), now)])
        await self._storage.delete(name)

    def recheck_access(self, name: str, user_id: str | None = None) -> None:
        """Let the members of a document, by default of all users, be authorized again."""
        self._outdate_arrivals(name, user_id)
        for stored in (True, False):
            if room := self.rooms.get((name, stored)):
                for member in room.members:
                    if user_id is None or member.user_id == user_id:
                        self._keep_task(name, member.connection.recheck_access())

    def _outdate_arrivals(self, name: str, user_id: str | None = None) -> None:
        for arrival in self._arrivals.get(name, ()):
            if user_id is None or arrival.user_id == user_id:
                arrival.is_outdated = True

    def is_here(self) -> bool:
        """Tell whether the caller runs in this hub's event loop."""
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return False

    # Life.

    async def _take_spool_in(self) -> None:
        """Store what earlier processes could not."""
        for path in [] if self._spool_taken else spooled_files(self._spool):
            entries = list(read_spool(path))
            await self._storage.append(entries)
            path.unlink(missing_ok=True)
            counters.unspooled_updates += len(entries)
            logger.info("%d updates of an earlier process are stored now.", len(entries))
        self._spool_taken = True

    async def drain(self) -> None:
        """Let all members go, a few at a time, and store what they brought, or put it aside."""
        self._draining = True
        members = self._members()
        for member in members:
            member.close(CloseCode.RESTART, "The server restarts; connect again.")
            await asyncio.sleep(self._settings.DRAIN_TIME / len(members))
        for room in self.rooms.values():
            room.flush()
            room.adopt()
        try:
            async with asyncio.timeout(self._settings.CLOSE_TIMEOUT):
                await asyncio.gather(*(_settle(room) for room in self.rooms.values()))
                await self.writer.idle()
        except TimeoutError:
            self._put_aside(self.writer.give_up())

    def _put_aside(self, entries: list[LogEntry]) -> None:
        path = write_spool(self._spool, entries)
        counters.spooled_updates += len(entries)
        sizes: Counter[str] = Counter()
        for entry in entries:
            sizes[entry.name] += len(entry.data)
        logger.error(
            "%d updates could not be stored; the next start takes them from %s.",
            len(entries),
            path,
            extra={"rooms": dict(sizes)},
        )

    async def close(self) -> None:
        """Close all rooms once what they brought is stored; members are not told.

        Who joins after that gets another hub, with the settings of that moment.
        """
        for key, room in list(self.rooms.items()):
            room.flush()
            await _settle(room)
            if key[1]:
                await self.writer.saved(key[0])
            self._remove(key, room)
        for handle in self._unload_handles.values():
            handle.cancel()
        # Those that fail are logged.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._tidy("")
        _hubs.forget(self.loop)

    def _keep_task(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._task_done, name))

    def _task_done(self, name: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            what = "What was to be done for a document has failed."
            logger.error(what, exc_info=error, extra={"room": name})


def _agree(counted: Mark | None, found: Mark) -> bool:
    """Tell whether a document is in the storage as this process has left it."""
    return counted is not None and counted in (found, found._replace(version=_UNSEEN))


async def _watchers(name: str) -> list[Watcher]:
    found = [await watch(name) for watch in room_watchers]
    return [watcher for watcher in found if watcher is not None]


async def _settle(room: Room) -> None:
    for watcher in room.watchers:
        await watcher.settle()


async def _new_content(opener: Opener) -> tuple[Doc[Any], bytes]:
    return await _seeded_doc(opener), EMPTY_UPDATE


async def _seeded_doc(opener: Opener) -> Doc[Any]:
    doc = await opener.make_ydoc()
    if doc.get_state() == EMPTY_STATE:
        await opener.seed_ydoc(doc)
    return doc


def _make_hub() -> Hub:
    hub = Hub(get_settings(), get_storage(), shared_layer(channel_layers.__getitem__))
    drain_on_sigterm(hub.drain)
    return hub


_hubs = PerLoop(_make_hub)


def current_hub() -> Hub:
    """Return the hub of the running event loop."""
    return _hubs.current()


def live_hubs() -> list[Hub]:
    """Return the hubs of all event loops that run. May be called from any thread."""
    return _hubs.all()
