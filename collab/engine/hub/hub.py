"""The rooms of one event loop: opened once, kept while connections are in them, then unloaded.

Other threads reach the live rooms through :func:`collab.engine.hub.current.in_all_hubs`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

from django.urls.resolvers import RoutePattern

from collab.engine.hub.live_rooms import Key, LiveRooms, PendingJoin
from collab.engine.hub.loader import Loader, Opener
from collab.engine.hub.upkeep import Upkeep, settle
from collab.engine.relay.relay import Relay
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import PresentMember, Room
from collab.engine.storing.document_store import DocumentStore
from collab.exceptions import NoSuchDocument, Restarting

__all__ = ["Hub"]


class Hub:
    """The rooms of one event loop.

    Args:
        store: has the documents.
        relay: keeps rooms equal to those of other processes, if there may be any.
        on_closed: called when the hub is closed.
    """

    def __init__(
        self,
        store: DocumentStore,
        relay: Relay | None = None,
        on_closed: Callable[[Hub], Awaitable[None]] | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.writer = store.writer
        self.writer.on_deleted = self.discard
        self._store = store
        self._on_closed = on_closed
        self.relay = relay
        if relay is not None:
            relay.on_order = self.handle_order
        self._live = LiveRooms()
        self._upkeep = Upkeep(self._live, store, self.relay)
        self._loader = Loader(self._live, store, self.relay, self._upkeep)
        self.loop_lag = self._upkeep.loop_lag
        #: The process is about to end and accepts no more connections.
        self.is_draining = False
        self._is_drained = asyncio.Event()

    @property
    def rooms(self) -> dict[Key, Room]:
        """The open rooms."""
        return self._live.rooms

    @property
    def lobby(self) -> set[Member]:
        """Connections without a document; see :meth:`enter`."""
        return self._live.lobby

    # Joining.

    def pending_join(self, name: str, user_id: str | None) -> PendingJoin:
        """Record during the block, which authorizes and joins, whether access changes."""
        return self._live.pending_join(name, user_id)

    async def join(self, name: str, member: Member, opener: Opener, *, stored: bool = True) -> Room:
        """Add ``member`` to the room ``name``, which ``opener`` opens if it is not open.

        Raises:
            RoomFailed: the document could not be loaded.
            TryAgainLater: this process or the room is full.
            Restarting: the process is about to end.
        """
        self._check_draining()
        key, live = (name, stored), self._live
        if (room := live.rooms.get(key)) is not None:
            # The usual case, in which nothing can happen to the room meanwhile.
            room.join(member)
            self._upkeep.unload_later(key)
            return room
        live.begin_joining(key)
        try:
            # An opened room may be unloaded again before this task runs on.
            while (room := live.rooms.get(key)) is None:
                await self._loader.open(key, opener)
            room.join(member)
        finally:
            live.end_joining(key)
            self._upkeep.unload_later(key)
            self._upkeep.release_idle_later(name)
        return room

    def enter(self, member: Member) -> None:
        """Add a member without a document, until ``leave`` is called.

        Raises:
            Restarting: the process is about to end.
        """
        self._check_draining()
        self.lobby.add(member)
        self._upkeep.start()
        if self.relay is not None:
            self._upkeep.tasks.start(self._listen(self.relay), "listen")

    def leave(self, member: Member) -> None:
        """Remove a member without a document."""
        self.lobby.discard(member)
        member.detach()
        self._upkeep.release_idle_later("")

    async def wait_saved(self, *names: str) -> None:
        """Wait until all updates to documents are stored, ``CLOSE_TIMEOUT`` at most.

        A server that shuts down waits for its connections, and so for their updates.
        """
        rooms, is_waiting = [], False
        for name in names:
            is_waiting = is_waiting or self.writer.has(name)
            if room := self._live.rooms.get((name, True)):
                rooms.append(room)
                is_waiting = is_waiting or room.is_checking
        if not is_waiting:
            # A connection that wrote nothing, the usual case, needs no timer.
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._store.settings.CLOSE_TIMEOUT):
                for room in rooms:
                    await room.checked()
                for name in names:
                    await self.writer.saved(name)

    async def _listen(self, relay: Relay) -> None:
        await relay.listen()
        # All connections may have left meanwhile.
        await self._upkeep.release_idle("")

    def _check_draining(self) -> None:
        if self.is_draining:
            raise Restarting

    # Orders of server code, in this process or another.

    def handle_order(self, order: dict[str, Any]) -> None:
        """Carry out an order of another process's server code."""
        name = order["room"]
        if order["what"] == "deliver":
            self.deliver(name, order["update"], relayed=True)
        elif order["what"] == "recheck":
            self.recheck_access(name, order["user"])
        elif order["what"] == "recheck_matching":
            self.recheck_matching(order["prefix"], order["pattern"], order["user"])
        elif order["what"] == "stateless":
            self.send_stateless(name, order["payload"])
        elif order["what"] == "close":
            self.close_members(name, order["reason"], order["user"])
        elif order["what"] == "inform":
            self.inform(name, order["users"], order["frame"])
        elif order["what"] == "present":
            self._answer_present(name, order["channel"])
        elif order["what"] == "forget":
            self.forget_user(order["user"], order["session"])
        else:
            self.discard(name, order["moved_to"])

    def holds(self, name: str) -> bool:
        """Return whether a document is live here; may be called from any thread."""
        return self._live.holds(name)

    def deliver(self, name: str, update: bytes, *, relayed: bool = False) -> None:
        """Apply an update that is stored already to the document, if it is live here."""
        key = name, True
        if room := self.rooms.get(key):
            if relayed:
                room.edit_relayed(update)
            else:
                room.edit(update, stored=True)
        elif opening := self._live.opening.get(key):
            opening.edits.append(update)

    def discard(self, name: str, moved_to: str | None = None, *, had_unsaved: bool = False) -> None:
        """Close a document that was deleted or renamed.

        Its unsaved updates go to the new name, or are dropped.

        Args:
            name: the document.
            moved_to: its new name; ``None``: it is deleted.
            had_unsaved: updates of it were not stored when this began, so the first of them may
                have been stored behind its back.
        """
        key = name, True
        if room := self.rooms.get(key):
            room.flush()
            change = "deleted" if moved_to is None else "renamed"
            room.close_members(NoSuchDocument(f"The document has been {change}."))
            self._upkeep.remove(key, room)
        self._store.leave(name, moved_to)
        if had_unsaved or self.writer.has(name):
            clearing = self._store.clear(name, moved_to, had_unsaved=had_unsaved)
            self._live.add_clearing(name, clearing)
            self._upkeep.tasks.start(self._clear(name, clearing), "clear", name)

    async def _clear(self, name: str, clearing: asyncio.Task[None]) -> None:
        await clearing
        await self._upkeep.release_idle(name)

    def recheck_access(self, name: str, user_id: str | None = None) -> None:
        """Authorize the members of a document again, by default of all users."""
        self._live.recheck_pending(name, user_id)
        for member in self._live.members_in(name):
            if user_id is None or member.user_id == user_id:
                check = member.connection.recheck_access()
                self._upkeep.tasks.start(check, "recheck", name)

    def send_stateless(self, name: str, payload: str, exclude: object = None) -> None:
        """Send the members of a document but one a message that is not part of it."""
        for member in self._live.members_in(name):
            if member is not exclude:
                member.send_stateless(payload)

    def inform(self, name: str, user_ids: Collection[str | None], frame: str) -> None:
        """Send a text frame to the members of a document that are these users and understand it.

        ``None`` stands for anonymous users, of whom those that may write get it.
        """
        for member in self._live.members_in(name):
            is_concerned = member.user_id is not None or member.session.can_write
            if member.user_id in user_ids and is_concerned and member.session.greeted:
                member.send_frame(frame)

    def close_members(self, name: str, reason: str, user_id: str | None = None) -> None:
        """Close a document for its members, by default of all users."""
        for member in self._live.members_in(name):
            if user_id is None or member.user_id == user_id:
                member.close_document(reason)

    def recheck_matching(
        self, prefix: str, pattern: str | None = None, user_id: str | None = None
    ) -> None:
        """Authorize the members of many documents again.

        Args:
            prefix: with which the names of the documents begin.
            pattern: that they match, in the syntax of Django's ``path()``.
            user_id: only this user's connections.
        """
        route = None if pattern is None else RoutePattern(pattern, is_endpoint=True)
        for name in sorted({*self._live.pending_names, *(name for name, _ in self.rooms)}):
            if name.startswith(prefix) and (route is None or route.match(name)):
                self.recheck_access(name, user_id)

    def present(self, name: str) -> list[PresentMember]:
        """Return the members of a document in this process."""
        return [member for room in self._live.rooms_of(name) for member in room.present()]

    def peers_of(self, name: str) -> set[str]:
        """Return the ids of other processes that hold a document, as far as this one knows."""
        return set() if self.relay is None else self.relay.peers_of(name)

    def _answer_present(self, name: str, channel: str) -> None:
        if self.relay is not None and (name, True) in self.rooms:
            self.relay.answer(name, channel, members=self.present(name))

    def forget_user(self, user_id: str | None, session: str | None) -> None:
        """Treat connections as anonymous whose user has logged out, was deactivated or deleted.

        Args:
            user_id: all connections of this user.
            session: digest of a session: only the connections of this one.
        """
        self._live.record_logout(user_id, session)
        for member in self._live.members_of(user_id, session):
            work = member.connection.forget_user()
            self._upkeep.tasks.start(work, "forget", member.room_name)

    def is_here(self) -> bool:
        """Return whether the caller runs in this hub's event loop."""
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return False

    # The end.

    async def drain(self) -> None:
        """Close all connections, a few at a time, and store their updates, or spool them.

        It is done once: a later call waits until the first one is done.
        """
        if self.is_draining:
            await self._is_drained.wait()
            return
        self.is_draining = True
        settings, members = self._store.settings, self._live.members
        try:
            for member in members:
                member.close(Restarting.close_code, "The server restarts; connect again.")
                await asyncio.sleep(settings.DRAIN_TIME / len(members))
            for room in self.rooms.values():
                room.flush()
                room.adopt()
            async with asyncio.timeout(settings.CLOSE_TIMEOUT):
                await asyncio.gather(*(settle(room) for room in self.rooms.values()))
                await self.writer.idle()
        except TimeoutError:
            await self._store.end_storing()
        finally:
            self._is_drained.set()

    async def close(self) -> None:
        """Close all rooms once their updates are stored; members are not informed.

        A connection that joins after that gets another hub, with the settings of that moment.
        """
        await self._upkeep.close()
        if self._on_closed is not None:
            await self._on_closed(self)
