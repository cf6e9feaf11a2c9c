"""Delivers integrated updates of a room: to its members, other processes, the storage."""

from __future__ import annotations

from collections.abc import Collection
from time import perf_counter
from typing import Final

from collab.engine.rooms.context import Peers, RoomContext
from collab.engine.rooms.integrator import Integrator
from collab.engine.rooms.member import Member
from collab.engine.runtime.counters import counters
from collab.exceptions import RoomFailed, TryAgainLater
from collab.protocol.effects import Origin, RoomUpdate
from collab.protocol.frames import update_frame
from collab.protocol.yjs.updates import EMPTY_UPDATE, is_failure, merge

__all__ = ["Delivery"]

_STORED: Final = Origin.STORAGE, Origin.RELAY


class Delivery:
    """The way of a room's updates from its integrator to everything else.

    Args:
        name: of the document.
        members: of the room, as they come and go.
        integrator: of the room.
        context: of the room.
    """

    def __init__(
        self,
        name: str,
        members: Collection[Member],
        integrator: Integrator,
        context: RoomContext,
    ) -> None:
        self._name = name
        self._members = members
        self._integrator = integrator
        self._store = context.store
        self._peers = context.peers

    def check_backlog(self) -> None:
        """Return if another update may be queued for the storage.

        Raises:
            TryAgainLater: too many are.
        """
        if self._store is not None and not self._store.has_room(self._name):
            raise TryAgainLater("The server cannot store more changes now.", limit="MAX_UNSAVED")

    def flush(self) -> None:
        """Integrate the queued updates, and deliver them.

        Raises:
            RoomFailed: the document broke beyond repair.
        """
        began = perf_counter()
        try:
            self._flush()
        except BaseException as error:
            if not is_failure(error):
                raise
            raise RoomFailed("The document has to be opened again.") from error
        counters.flushed(began)

    def _flush(self) -> None:
        updates, news = self._integrator.integrate()
        if news != EMPTY_UPDATE:
            self._send(news, updates)
        if self._store is None:
            for update in updates:
                if update.member:
                    update.member.echo(update.data)
        else:
            if self._peers is not None:
                if any(map(_is_known, updates)):
                    self.adopt()
                updates = self._publish(self._peers, updates, news)
            self._put(updates)

    def adopt(self, before: float | None = None) -> None:
        """Store updates that other processes have not confirmed as stored, by default all.

        An update that a member sends, too, is reported as saved, so it must be.
        """
        if self._peers is not None and (updates := self._peers.adopt(before)):
            self._put([RoomUpdate(merge(updates))])

    def _put(self, updates: list[RoomUpdate[Member]]) -> None:
        if self._store is not None:
            if len(updates) != 1 or updates[0].origin in _STORED:
                updates = [each for each in updates if each.origin not in _STORED]
            self._store.put(self._name, updates)

    def _publish(
        self, peers: Peers, updates: list[RoomUpdate[Member]], news: bytes
    ) -> list[RoomUpdate[Member]]:
        """Send this process' own changes to the others; return ``updates`` with the receipt."""
        relay, storage = Origin.RELAY, Origin.STORAGE
        own = [
            update
            for update in updates
            if update.origin is not relay and update.data != EMPTY_UPDATE
        ]
        if not own:
            return updates
        if any(update.origin is relay for update in updates):
            news = merge([update.data for update in own])
        if all(update.origin is storage for update in own):
            peers.publish_stored(news)
            return updates
        return [*updates, RoomUpdate(EMPTY_UPDATE, on_stored=peers.publish(news))]

    def _send(self, news: bytes, updates: list[RoomUpdate[Member]]) -> None:
        """Send a turn's changes to all members but a sole sender."""
        frame = update_frame(news)
        sole, senders = updates[0].member, None
        if len(updates) > 1:
            senders = {update.member for update in updates}
            sole = sole if len(senders) == 1 else None
        counters.sent_updates += len(self._members) - (sole in self._members)
        for member in self._members:
            if member is sole:
                continue
            if senders is not None and member.echo_updates and member in senders:
                self._send_to_sender(member, updates)
            else:
                member.outbox.send_update(news, frame)

    def _send_to_sender(self, member: Member, updates: list[RoomUpdate[Member]]) -> None:
        """Send the others' changes to a member whose own come back once they are stored."""
        news = merge([update.data for update in updates if update.member is not member])
        member.outbox.send_update(news, update_frame(news))


def _is_known(update: RoomUpdate[Member]) -> bool:
    """Return whether a part of a member's update was known before."""
    if update.member is None or (found := update.outline) is None:
        return False
    return len(update.data) < len(found.update)
