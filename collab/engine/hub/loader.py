"""Opens rooms: loads or seeds a document, joins the relay, attaches watchers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from pycrdt import Doc

from collab.engine.hub.live_rooms import Key, LiveRooms, RoomOpening
from collab.engine.hub.upkeep import Upkeep
from collab.engine.relay.relay import Relay
from collab.engine.relay.room_link import RoomLink
from collab.engine.rooms.context import RoomContext, Source, Watcher
from collab.engine.rooms.encoded_document import DocumentBytes
from collab.engine.rooms.room import Room
from collab.engine.rules import rules_of
from collab.engine.storing.document_store import DocumentStore
from collab.engine.storing.upgrade import mark_version
from collab.engine.storing.writer import summary
from collab.exceptions import RoomFailed, TryAgainLater
from collab.protocol.yjs.updates import EMPTY_STATE, EMPTY_UPDATE, is_failure, release
from collab_storage.base import StoredDocument
from collab_storage.compaction import read_stored
from collab_storage.exceptions import StorageUnavailable

__all__ = ["LOAD_TIMEOUT", "Loader", "Opener", "room_watchers"]

logger = logging.getLogger("collab.hub")

#: A document that takes longer to load cannot be opened, in seconds.
LOAD_TIMEOUT = 30.0


class Opener(Protocol):
    """The project's part in opening a document; see ``YjsConsumer``."""

    @property
    def makes_plain_docs(self) -> bool:
        """Whether ``make_ydoc`` does no more than to make a Doc."""

    async def make_ydoc(self) -> Doc[Any]:
        """Return a new Doc."""

    async def seed_ydoc(self, doc: Doc[Any]) -> None:
        """Fill a document that was never stored."""


#: Called with the name of each stored document that is opened, once it is loaded and before
#: anything of it is sent: return the document's watcher, or ``None``.
room_watchers: list[Callable[[str], Awaitable[Watcher | None]]] = []


_NOTHING = read_stored(StoredDocument(None, [], 0))


class _Loaded(NamedTuple):
    """A document's content, and updates that build upon others which are not stored."""

    source: Source
    waiting: bytes = EMPTY_UPDATE


class _DocMaker:
    """Makes Docs as ``opener`` does, and frees those that are not used after all."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._made: list[Doc[Any]] = []
        self.makes_plain_docs = opener.makes_plain_docs

    async def make(self) -> Doc[Any]:
        doc = await self._opener.make_ydoc()
        self._made.append(doc)
        return doc

    async def make_seeded(self) -> Doc[Any]:
        doc = await self.make()
        if doc.get_state() == EMPTY_STATE:
            await self._opener.seed_ydoc(doc)
        return doc

    def release_all_but(self, used: object) -> None:
        for doc in self._made:
            if doc is not used:
                release(doc)


class Loader:
    """Opens each document once, however many connections wait for it.

    Args:
        live: gets the rooms.
        store: has the documents.
        relay: to other processes, if there may be any.
        upkeep: follows the rooms from then on.
    """

    def __init__(
        self, live: LiveRooms, store: DocumentStore, relay: Relay | None, upkeep: Upkeep
    ) -> None:
        self._live = live
        self._store = store
        self._relay = relay
        self._upkeep = upkeep

    async def open(self, key: Key, opener: Opener) -> None:
        """Return once the room of ``key`` has been opened; it may be closed again by then.

        Raises:
            RoomFailed: the document could not be loaded.
            TryAgainLater: this process has as many rooms as it may have.
        """
        live = self._live
        if (opening := live.opening.get(key)) is None:
            if len(live.rooms) + len(live.opening) >= self._store.settings.MAX_ROOMS:
                raise TryAgainLater("Too many documents are open.", limit="MAX_ROOMS")
            opening = RoomOpening(self._store.loading.start(self._open(key, opener)))
            live.opening[key] = opening
        # A connection that is cancelled must not cancel it for the others.
        await asyncio.shield(opening.task)

    async def _open(self, key: Key, opener: Opener) -> Room:
        name, stored = key
        maker = _DocMaker(opener)
        link, room, source = None, None, None
        try:
            async with asyncio.timeout(LOAD_TIMEOUT):
                link = await self._link(name) if stored else None
                source, waiting = await self._load(name, maker, stored=stored)
                watchers = await _watchers(name) if stored else []
            room = self._make_room(key, opener, source, link, watchers)
        except BaseException as error:
            # The project's code may make pycrdt panic.
            if not is_failure(error):
                raise
            _log_failure(error, name)
            if link is not None:
                await link.disconnect()
            raise RoomFailed from error
        finally:
            maker.release_all_but(source if room else None)
            edits = self._live.opening.pop(key).edits
            if room is None:
                # The connections that waited may have gone.
                self._upkeep.release_idle_later(name)
        self._upkeep.add(key, room, link)
        for update in [waiting, *edits]:
            if update != EMPTY_UPDATE:
                room.edit(update, stored=True)
        return room

    async def _link(self, name: str) -> RoomLink | None:
        """Connect to the other processes that hold the document, before it is loaded.

        So nothing falls in between.
        """
        if self._relay is None:
            return None
        link = await self._relay.connect(name, partial(self._upkeep.reread, name))
        # Earlier orders to check access again did not arrive here.
        self._live.recheck_pending(name)
        return link

    def _make_room(
        self,
        key: Key,
        opener: Opener,
        source: Source,
        link: RoomLink | None,
        watchers: list[Watcher],
    ) -> Room:
        name, stored = key
        rules = rules_of(name)
        return Room(
            name,
            source,
            RoomContext(
                self._store.settings,
                store=self._store.writer if stored else None,
                peers=link,
                watchers=watchers,
                check_update=None if rules is None else rules.check_update,
                make_doc=None if opener.makes_plain_docs else opener.make_ydoc,
                on_empty=lambda: self._upkeep.unload_later(key),
                on_broken=lambda: self._upkeep.remove(key, self._live.rooms[key]),
            ),
        )

    async def _load(self, name: str, maker: _DocMaker, *, stored: bool) -> _Loaded:
        if not stored:
            return _Loaded(await maker.make_seeded())
        await self._live.cleared(name)
        await self._store.spool.store()
        rules = rules_of(name)
        content = await self._store.load(name, rules)
        if content is None:
            doc = await maker.make_seeded()
            mark_version(doc, rules)
            is_empty = doc.get_state() == EMPTY_STATE
            if is_empty or await self._store.create(name, doc.get_update()):
                return _Loaded(doc)
            # Another process was first: its seed is the document's.
            content = await self._store.load(name, rules)
        if content is None:
            # It was deleted a moment ago.
            content = _NOTHING
        if maker.makes_plain_docs:
            return _Loaded(DocumentBytes(content.update, content.state), content.rest)
        return _Loaded(await _fill(maker, content.update), content.rest)


def _log_failure(error: BaseException, name: str) -> None:
    if isinstance(error, StorageUnavailable):
        # Its text says all; the traceback would be of the database driver.
        logger.error("A document could not be opened (%s).", summary(error), extra={"room": name})
    else:
        logger.exception("A document could not be opened.", extra={"room": name})


async def _fill(maker: _DocMaker, update: bytes) -> Doc[Any]:
    doc = await maker.make()
    if doc.get_state() != EMPTY_STATE:
        raise RoomFailed(
            "make_ydoc() fills the document, but it is stored already, and would be doubled."
            " Move the filling to seed_ydoc(), which is called once in a document's life."
        )
    doc.apply_update(update)
    return doc


async def _watchers(name: str) -> list[Watcher]:
    found = [await watch(name) for watch in room_watchers]
    return [watcher for watcher in found if watcher is not None]
