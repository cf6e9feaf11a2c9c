"""One live document: its Doc, who is present, its members, and one flush per loop turn.

What members send in one turn of the event loop is merged, applied to the Doc once, queued for
the storage, and sent to the others in one frame that is encoded once. An update that pycrdt
cannot apply costs its sender the connection and nobody else anything: the Doc is made anew, see
:mod:`collab.engine.rooms.live_document`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Protocol

from pycrdt import Doc

from collab.access import Access
from collab.conf import Settings
from collab.engine.rooms.encoded_document import DocumentBytes
from collab.engine.rooms.live_document import LiveDocument
from collab.engine.rooms.member import Member
from collab.engine.rooms.pending import PendingUpdates
from collab.engine.rooms.presence import Owner, Presence
from collab.engine.rooms.presence_broadcast import PresenceBroadcaster
from collab.engine.runtime.counters import counters
from collab.exceptions import MemberError, ProtocolViolation, TooBig, TryAgainLater
from collab.protocol.effects import (
    Effect,
    Origin,
    PresenceChange,
    PresenceRequest,
    Reply,
    RoomUpdate,
    StateRequest,
)
from collab.protocol.frames import PresenceState, step1_frame, update_frame
from collab.protocol.yjs.partial import PartialUpdate, advance, can_extend
from collab.protocol.yjs.updates import EMPTY_UPDATE, PoisonedDoc, cut, is_failure, merge, outline
from collab.protocol.yjs.validation import UpdateOutline, check_structure
from collab.wire import CloseCode

__all__ = ["Link", "Room", "Store", "Watcher"]

logger = logging.getLogger("collab.room")

#: From this size on, server code's updates are cut down to what is new before they are read.
_LARGE = 64 * 1024


class Store(Protocol):
    """Where a room hands over what is to be stored."""

    @property
    def is_full(self) -> bool:
        """Too much waits to be stored already."""

    def put(self, name: str, updates: Sequence[RoomUpdate[Member]]) -> None:
        """Store updates of a document soon and tell their members; empty ones are told only."""


class Link(Protocol):
    """What keeps the room equal to those of the same document in other processes."""

    def publish(self, update: bytes) -> Callable[[], None]:
        """Send ``update`` to them; call what is returned when it is stored."""

    def publish_stored(self, update: bytes) -> None:
        """Send them an update that is stored already."""

    def publish_presence(self, client_ids: set[int]) -> None:
        """Send them the newest presence of these client ids."""

    def adopt(self, before: float | None = None) -> list[bytes]:
        """Return updates of theirs that they have not confirmed to be stored."""


class Watcher(Protocol):
    """What follows a room's document for another app, such as ``collab.mirror``."""

    def attach(self, room: Room) -> None:
        """Observe ``room.doc``, which has its content.

        It is new to the room, or ``room.author`` has just changed more of it than can be watched.
        """

    def detach(self) -> None:
        """Take the observers off the Doc that they were put onto last."""

    def receive(self, member: Member, outline: UpdateOutline) -> None:
        """Look at what ``member`` has sent, or part of it, before it is applied."""

    @property
    def is_busy(self) -> bool:
        """It has seen something that it has not dealt with yet."""

    async def settle(self) -> None:
        """Deal with all that was seen, at once."""


class Room:
    """One live document.

    Args:
        name: of the document.
        source: the document's content, either as a Doc, which is used from now on, or as bytes.
        may_sleep: the Doc is a plain one, which may be made anew whenever it is needed.
        waiting: what is stored of the document and builds upon updates that are not.
        settings: for the limits.
        store: takes what is to be stored; ``None`` if the room lives in memory only.
        link: to the other processes, if there may be any.
        watchers: follow the document; if there are any, each member's edits are applied alone, so
            that they can be told by ``author``.
        on_empty: called when the last member has left.
        on_rebuilt: called when the Doc had to be made anew, without the project's observers.
        on_broken: called when even that failed; the room is not to be used again.
    """

    def __init__(
        self,
        name: str,
        source: Doc[Any] | DocumentBytes,
        settings: Settings,
        *,
        may_sleep: bool = False,
        waiting: bytes = EMPTY_UPDATE,
        store: Store | None = None,
        link: Link | None = None,
        watchers: Sequence[Watcher] = (),
        on_empty: Callable[[Room], object] = lambda room: None,
        on_rebuilt: Callable[[Room], object] = lambda room: None,
        on_broken: Callable[[Room], object] = lambda room: None,
    ) -> None:
        self.name = name
        self.members: set[Member] = set()
        self.presence = Presence(settings.MAX_PRESENCE_CLIENTS)
        self._settings = settings
        self._store = store
        self._link = link
        self.watchers = watchers
        self._presence_broadcaster = PresenceBroadcaster(
            self.presence,
            self.members,
            settings,
            self.flush,
            None if link is None else link.publish_presence,
        )
        self._on_empty = on_empty
        self._on_rebuilt = on_rebuilt
        self._on_broken = on_broken
        self._loop = asyncio.get_running_loop()
        self._flush_handle: asyncio.Handle | None = None
        self._queue: list[RoomUpdate[Member]] = []
        #: What builds upon updates that have not arrived. The Doc does not get to see it.
        self._pending = PendingUpdates()
        self._is_closed = False
        #: Whose edit is being applied; ``None`` if it is server code's or another process's.
        self.author: Member | None = None
        sleep_after = settings.SLEEP_DELAY if may_sleep and not watchers else None
        self._document = LiveDocument(self, settings.MAX_NESTING, sleep_after)
        self._document.start(source)
        if waiting != EMPTY_UPDATE:
            self.edit(waiting, stored=True)

    def close(self) -> None:
        """Let go of the Doc; the room is not to be used again."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
        self._presence_broadcaster.close()
        self._is_closed = True
        self._queue.clear()
        self._document.close()
        self.detach_watchers()
        if not self.members:
            self._document.release()

    # Members.

    def join(self, member: Member) -> None:
        """Let ``member`` in, and send it what a client needs first.

        Raises:
            TryAgainLater: the room is full.
        """
        if len(self.members) >= self._settings.MAX_ROOM_MEMBERS:
            raise TryAgainLater("Too many people are in this document.", limit="MAX_ROOM_MEMBERS")
        self.members.add(member)
        counters.joins += 1
        member.room, member.room_name = self, self.name
        self.welcome(member)
        if self.presence:
            member.send_frame(self.presence.frame())

    def welcome(self, member: Member) -> None:
        """Ask a member that may write for what the server lacks."""
        if member.session.access >= Access.WRITE:
            member.send_frame(step1_frame(self.state()))

    def leave(self, member: Member) -> None:
        """Let ``member`` go, and whoever was present through it."""
        self.members.discard(member)
        member.detach()
        self._pending.forget(member)
        self._presence_broadcaster.leave(member)
        if not self.members:
            self._on_empty(self)
            if self._is_closed:
                self._document.release()

    def close_members(self, code: CloseCode, reason: str) -> None:
        """Close all members' connections."""
        for member in list(self.members):
            member.close(code, reason)

    def handle(self, member: Member, effect: Effect[Member]) -> None:
        """Carry out what a member's frame asked for.

        Raises:
            MemberError: the member asked for too much.
        """
        match effect:
            case RoomUpdate():
                effect.member = member
                self._receive_update(effect)
            case PresenceChange():
                self._presence_broadcaster.receive(member, effect.states)
            case StateRequest():
                # What it has just sent is part of the answer.
                self.flush()
                member.send_state(effect.state)
            case PresenceRequest():
                member.send_everybody()
            case Reply():
                member.send_frame(effect.frame)
                member.send_saved()

    def _receive_update(self, update: RoomUpdate[Member]) -> None:
        counters.received_updates += 1
        if self._store is not None and self._store.is_full:
            raise TryAgainLater("The server cannot store more changes now.", limit="MAX_UNSAVED")
        self._check_size(len(update.data))
        if update.is_whole:
            # Most of it is known; by itself, it is cut down to what is new.
            self.flush()
            self.adopt()
        self._add(update)
        if update.is_whole:
            self.flush()

    def _check_size(self, added: int) -> None:
        limit = self._settings.MAX_DOCUMENT_SIZE
        if self._document.exact_size(limit - added) + added > limit:
            raise TooBig(f"A document may have {limit} bytes.", limit="MAX_DOCUMENT_SIZE")

    # Server code.

    def edit(self, update: bytes, *, stored: bool = False) -> None:
        """Take an update from server code; ``stored`` tells that the storage has it already."""
        self._add(RoomUpdate(update, origin=Origin.STORAGE if stored else Origin.SENT))

    def edit_relayed(self, update: bytes) -> None:
        """Take an update from another process, which stores it."""
        self._add(RoomUpdate(update, origin=Origin.RELAY))

    def adopt(self, before: float | None = None) -> None:
        """Store what other processes have not confirmed to be stored.

        A member that sends something again is told that it is saved, so it must be.
        """
        if self._link is not None and (updates := self._link.adopt(before)):
            self._put([RoomUpdate(merge(updates), origin=Origin.DOC)])

    def receive_relayed_presence(self, peer: Owner, states: list[PresenceState]) -> None:
        """Take the presence of another process's members."""
        self._presence_broadcaster.receive_relayed(peer, states)

    def drop_relayed_presence(self, peer: Owner) -> None:
        """Remove the presence of another process's members."""
        self._presence_broadcaster.drop_relayed(peer)

    def local_presence(self) -> set[int]:
        """Return the client ids that are present through members of this process."""
        return self._presence_broadcaster.local()

    def broadcast(self, frame: bytes) -> None:
        """Send a frame of the project's own to all members."""
        for member in self.members:
            member.send_frame(frame)

    def renew(self, doc: Doc[Any]) -> None:
        """Go on with ``doc``, which is empty and has the project's observers."""
        if not self._is_closed:
            self.flush()
            self._document.rebuild(doc)

    # The document's content.

    @property
    def doc(self) -> Doc[Any]:
        """The Doc with the document's content; what server code changes in it is sent to all.

        A room that was asked for it keeps it until it is unloaded.
        """
        return self._document.doc

    @property
    def is_asleep(self) -> bool:
        """It has no Doc at the moment."""
        return self._document.is_asleep

    @property
    def size(self) -> int:
        """Bytes of the encoded document, at most."""
        return self._document.size

    def answer(self, state: bytes) -> list[bytes]:
        """Return the frames that answer a step 1, in this order."""
        return self._document.answer(state)

    def state(self) -> bytes:
        """Return the state vector."""
        return self._document.state()

    def encode(self, state: bytes) -> bytes:
        """Return what a document of state vector ``state`` lacks."""
        return self._document.encode(state)

    def has(self, update: bytes) -> bool:
        """Tell whether all of ``update``, which was taken in or held back, is in it."""
        return self._document.has(update)

    def attach_watchers(self) -> None:
        """Let the project's apps observe the Doc."""
        for watcher in self.watchers:
            watcher.attach(self)

    def detach_watchers(self) -> None:
        """Let them observe it no longer."""
        for watcher in self.watchers:
            watcher.detach()

    def doc_changed(self, update: bytes) -> None:
        """Take what server code has changed in the Doc itself."""
        self._add(RoomUpdate(update, origin=Origin.DOC))

    def doc_rebuilt(self) -> None:
        """The Doc had to be made anew; for the moment it is without the project's observers."""
        self._on_rebuilt(self)

    # The flush.

    def flush(self) -> None:
        """Apply, hand to the storage and send what this turn has brought so far."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        try:
            if self._queue:
                began = perf_counter()
                queue, self._queue = self._queue, []
                self._flush_updates(queue)
                counters.flushed(began)
        except BaseException as error:
            if not is_failure(error):
                raise
            # Some of what members have sent is lost; they send it again when they come back.
            logger.exception("A document broke beyond repair.", extra={"room": self.name})
            self.close_members(CloseCode.INTERNAL, "The document has to be opened again.")
            self._on_broken(self)

    def _add(self, update: RoomUpdate[Member]) -> None:
        if not self._is_closed:
            self._queue.append(update)
            self._schedule_flush()

    def _schedule_flush(self) -> None:
        if self._flush_handle is None:
            self._flush_handle = self._loop.call_soon(self.flush)

    def _flush_updates(self, queue: list[RoomUpdate[Member]]) -> None:
        updates, news = self._apply_turn(queue)
        if news != EMPTY_UPDATE:
            self._send(news, updates)
        if self._store is None:
            for update in updates:
                if update.member:
                    update.member.echo(update.data)
            return
        if self._link is not None:
            updates = self._publish(self._link, updates, news)
        self._put(updates)

    def _publish(
        self, link: Link, updates: list[RoomUpdate[Member]], news: bytes
    ) -> list[RoomUpdate[Member]]:
        """Send the turn's own changes to other processes; return ``updates`` with the receipt."""
        own = [
            update
            for update in updates
            if update.origin is not Origin.RELAY and update.data != EMPTY_UPDATE
        ]
        if not own:
            return updates
        if any(update.origin is Origin.RELAY for update in updates):
            news = merge([update.data for update in own])
        if all(update.origin is Origin.STORAGE for update in own):
            link.publish_stored(news)
            return updates
        return [*updates, RoomUpdate(EMPTY_UPDATE, on_stored=link.publish(news))]

    def _put(self, updates: list[RoomUpdate[Member]]) -> None:
        if self._store is not None:
            stored = Origin.STORAGE, Origin.RELAY
            self._store.put(
                self.name, [update for update in updates if update.origin not in stored]
            )

    def _apply_turn(
        self, queue: list[RoomUpdate[Member]]
    ) -> tuple[list[RoomUpdate[Member]], bytes]:
        """Apply the queued updates; return the integrated ones, and in one update their news."""
        if len(queue) == 1 and (found := queue[0].outline) is not None and not self._pending:
            # Somebody types: what follows would do the same, and take longer.
            known = self._document.known()
            if can_extend(found, known):
                advance(known, found)
                return self._apply_one(queue[0], found)
        good = [update for update in queue if update.origin is Origin.DOC]
        news = [update.data for update in good]
        fresh = deque(
            (update, found)
            for update in queue
            if update.origin is not Origin.DOC and (found := self._outline(update))
        )
        while fresh:
            if batch := self._next_batch(fresh):
                applied, new = self._apply_batch(batch)
                news.append(new)
            else:
                update, found = fresh.popleft()
                update.partial = PartialUpdate(found)
                applied = self._take(update)
                news += [update.data for update in applied]
            good += applied
        if self._pending:
            late = self._go_on()
            news += [update.data for update in late]
            good = self._pending.number(good + late)
        return good, merge(news or [EMPTY_UPDATE])

    def _outline(self, update: RoomUpdate[Member]) -> UpdateOutline | None:
        """Return the outline of an update, ``None`` if it is refused."""
        if update.outline is None:
            try:
                if len(update.data) > _LARGE:
                    # Most of it may be known, and pycrdt reads faster.
                    update.data = cut(update.data, self.state())
                update.outline = outline(update.data)
            except (ProtocolViolation, PoisonedDoc):
                self._refuse(update)
        return update.outline

    def _next_batch(
        self, fresh: deque[tuple[RoomUpdate[Member], UpdateOutline]]
    ) -> list[tuple[RoomUpdate[Member], UpdateOutline]]:
        """Take out of ``fresh`` what comes first and extends the document, one after the other."""
        known = self._document.known()
        batch: list[tuple[RoomUpdate[Member], UpdateOutline]] = []
        while fresh and can_extend(fresh[0][1], known):
            found = fresh[0][1]
            # For what has types, all before it must be in the Doc.
            if batch and (self.watchers or found.types or batch[0][1].types):
                break
            advance(known, found)
            batch.append(fresh.popleft())
        return batch

    def _apply_batch(
        self, batch: list[tuple[RoomUpdate[Member], UpdateOutline]]
    ) -> tuple[list[RoomUpdate[Member]], bytes]:
        """Apply updates that extend the document; return the good ones, and their news."""
        if len(batch) == 1:
            return self._apply_one(*batch[0])
        updates = [update for update, _ in batch]
        try:
            news = self._apply(merge([update.data for update in updates]))
        except PoisonedDoc:
            self._document.repair()
            for update, found in batch:
                update.partial = PartialUpdate(found)
            updates = [good for update in updates for good in self._take(update)]
            return updates, merge([update.data for update in updates] or [EMPTY_UPDATE])
        if news == EMPTY_UPDATE:
            for update in updates:
                update.data = news
        return updates, news

    def _apply_one(
        self, update: RoomUpdate[Member], found: UpdateOutline
    ) -> tuple[list[RoomUpdate[Member]], bytes]:
        """Apply an update that extends the document; return it, if it is good, and its news."""
        news = self._apply_alone(update, found)
        if news is None:
            return [], EMPTY_UPDATE
        update.data = news
        return [update], news

    def _take(self, update: RoomUpdate[Member]) -> list[RoomUpdate[Member]]:
        """Apply what of an update can be; return it cut down to what is new, and hold the rest."""
        assert update.partial is not None
        part, news = update.partial.take(dict(self._document.known())), EMPTY_UPDATE
        if part != EMPTY_UPDATE:
            # Cut down as it is stored and sent: a struct of which the first part is known may say
            # something else about where it belongs than that part.
            try:
                found = check_structure(cut(part, self.state()))
            except (ProtocolViolation, PoisonedDoc):
                self._refuse(update)
                return []
            applied = self._apply_alone(update, found)
            self._document.forget_known()
            if applied is None:
                return []
            news = applied
        if not update.partial.is_done:
            self._hold(update)
            if news == EMPTY_UPDATE:
                return []
        return [replace(update, data=news, partial=None)]

    def _apply_alone(self, update: RoomUpdate[Member], found: UpdateOutline) -> bytes | None:
        """Apply an update, or part of one; return what is new in it, ``None`` if it is refused."""
        self.author = update.member
        try:
            if update.member is not None:
                if found.types:
                    self._document.check_nesting(found)
                for watcher in self.watchers:
                    watcher.receive(update.member, found)
            return self._apply(found.update)
        except TooBig as error:
            self._document.forget_known()
            self._refuse(update, error)
        except PoisonedDoc:
            self._document.repair()
            self._refuse(update)
        finally:
            self.author = None
        return None

    def _apply(self, update: bytes) -> bytes:
        return self._document.apply(update, watched=bool(self.watchers))

    def _hold(self, update: RoomUpdate[Member]) -> None:
        """Keep for later what cannot be applied yet, as long as who sent it is there."""
        member, limit = update.member, self._settings.MAX_PENDING
        if member is None:
            # It is stored, or other processes have it, and it comes again.
            limit = self._settings.MAX_DOCUMENT_SIZE
        cost = self._pending.add(update)
        if cost > limit or not (member is None or member in self.members):
            self._pending.forget(member)
        if cost > limit:
            self._refuse(update, TooBig("Too much waits for what is missing.", limit="MAX_PENDING"))

    def _go_on(self) -> list[RoomUpdate[Member]]:
        """Apply what has waited and need not any longer."""
        good = []
        while ready := self._pending.pop_ready(self._document.known()):
            for update in ready:
                good += self._take(update)
        return good

    def _refuse(self, update: RoomUpdate[Member], error: MemberError | None = None) -> None:
        user_id = update.member.user_id if update.member else None
        logger.warning(
            "An update cannot be applied and is dropped.",
            extra={"room": self.name, "user": user_id},
        )
        if update.member:
            update.member.refuse(error or ProtocolViolation("The update cannot be applied."))

    def _send(self, news: bytes, updates: list[RoomUpdate[Member]]) -> None:
        """Send a turn's changes to all but a sole sender."""
        frame = update_frame(news)
        senders = {update.member for update in updates}
        sole = updates[0].member if len(senders) == 1 else None
        counters.sent_updates += len(self.members) - (sole in self.members)
        for member in self.members:
            if member is sole:
                continue
            if member in senders:
                self._send_to_sender(member, updates, news, frame)
            else:
                member.send_update(news, frame)

    def _send_to_sender(
        self, member: Member, updates: list[RoomUpdate[Member]], news: bytes, frame: bytes
    ) -> None:
        """Send a turn's changes to one of several who made them."""
        if member.echo_updates:
            # Its own come back once they are stored, and not before.
            news = merge([update.data for update in updates if update.member is not member])
            frame = update_frame(news)
        member.send_update(news, frame)
