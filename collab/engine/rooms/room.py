"""One live document: its Doc, its members, their presence, and one flush per loop turn.

Updates that members send in one turn of the event loop are merged, applied to the Doc once, queued
for the storage, and sent to the others in one frame that is encoded once. While a large room has a
burst, several turns share a frame. An update that pycrdt
cannot apply costs its sender the connection and no other member anything: the Doc is made anew, see
:mod:`collab.engine.rooms.live_document`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, TypedDict

from pycrdt import Doc

from collab.engine.connections.comment_checks import CommentChecks
from collab.engine.rooms.context import RoomContext, Source, Watcher
from collab.engine.rooms.delivery import Delivery
from collab.engine.rooms.integrator import Integrator
from collab.engine.rooms.member import Member
from collab.engine.rooms.presence_broadcast import PresenceBroadcaster
from collab.exceptions import MemberError, RoomFailed, TryAgainLater
from collab.protocol.effects import (
    CommentUpdate,
    Effect,
    Origin,
    PresenceChange,
    PresenceRequest,
    Reply,
    RoomUpdate,
    StateRequest,
)

__all__ = ["BURST_DELAY", "LARGE_ROOM", "PresentMember", "Room"]

logger = logging.getLogger("collab.room")

#: In a room of this size, sending to all takes longer than the next update of a burst to arrive.
LARGE_ROOM = 20
#: Seconds for which the updates of a burst wait in a large room, so that fewer frames are sent.
BURST_DELAY = 0.004


class PresentMember(TypedDict):
    """A member as other processes are sent it."""

    user_id: str | None
    access: int
    client_ids: list[int]
    #: JSON text of the server's data about the user; empty without any.
    verified: str


class Room:
    """One live document.

    Args:
        name: of the document.
        source: the document's content, either as a Doc, which is used from now on, or as bytes.
        context: everything else that the room works with.
    """

    def __init__(self, name: str, source: Source, context: RoomContext) -> None:
        self.name = name
        self.members: set[Member] = set()
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._flush_handle: asyncio.Handle | None = None
        #: Until then, updates of a large room are those of a burst.
        self._burst_until = 0.0
        self._renewal: asyncio.Task[None] | None = None
        self._is_closed = False
        publish_presence = context.peers.publish_presence if context.peers else None
        self.presence = PresenceBroadcaster(
            self.members, context.settings, self.flush, publish_presence
        )
        self._integrator = Integrator(
            name, self.members, source, context, self._schedule_flush, self._renew_later
        )
        self._document = self._integrator.document
        self._delivery = Delivery(name, self.members, self._integrator, context)
        #: Checks of members that may comment only; made for the first of them.
        self._comments: CommentChecks[Member] | None = None

    def close(self) -> None:
        """Release the Doc; the room is not used again."""
        for handle in (self._flush_handle, self._renewal):
            if handle is not None:
                handle.cancel()
        self.presence.close()
        self._is_closed = True
        if self._comments is not None:
            self._comments.close()
        self._integrator.close()
        if not self.is_used:
            self._document.release()

    # Members.

    def join(self, member: Member) -> None:
        """Add ``member``, and send it the frames that a client needs first.

        Raises:
            TryAgainLater: the room is full.
        """
        if len(self.members) >= self._context.settings.MAX_ROOM_MEMBERS:
            raise TryAgainLater("Too many people are in this document.", limit="MAX_ROOM_MEMBERS")
        self.members.add(member)
        member.enter(self, self.name)
        self.welcome(member)
        self.presence.welcome(member)

    def welcome(self, member: Member) -> None:
        """Ask a member that may write for updates that the server lacks."""
        member.ask()

    def leave(self, member: Member) -> None:
        """Remove ``member``, with all presence that came through it."""
        self.members.discard(member)
        member.detach()
        self._integrator.leave(member)
        self.presence.leave(member)
        self._end_use()

    @property
    def is_used(self) -> bool:
        """Whether there are members, or updates that wait for their check."""
        return bool(self.members) or self.is_checking

    @property
    def is_checking(self) -> bool:
        """Whether updates wait for their check."""
        return self._comments is not None and self._comments.is_busy

    def _end_use(self) -> None:
        if not self.is_used:
            self._context.on_empty()
            if self._is_closed:
                self._document.release()

    async def checked(self) -> None:
        """Wait until all updates that wait for their check are integrated or refused."""
        if self._comments is not None:
            await self._comments.finish()
            self.flush()

    def close_members(self, error: MemberError) -> None:
        """Close all members' connections because of ``error``."""
        for member in list(self.members):
            member.close(error.close_code, str(error))

    def present(self) -> list[PresentMember]:
        """Return the members."""
        return [
            PresentMember(
                user_id=member.user_id,
                access=int(member.session.access),
                client_ids=sorted(self.presence.of(member)),
                verified=member.verified,
            )
            for member in self.members
        ]

    def handle(self, member: Member, effect: Effect[Member]) -> None:
        """Carry out a member's frame.

        Raises:
            MemberError: the member asks for too much.
        """
        if isinstance(effect, RoomUpdate):
            # Nearly all effects are.
            effect.member = member
            if self._comments is None or not self._comments.hold(member, effect):
                self._receive_update(effect)
            return
        match effect:
            case CommentUpdate():
                self._receive_comment(member, effect.update)
            case PresenceChange():
                self.presence.receive(member, effect.states)
            case StateRequest():
                # The member's own last updates are part of the answer.
                self.flush()
                member.send_state(effect.state)
            case PresenceRequest():
                member.send_all_presence()
            case Reply():
                member.send_frame(effect.frame)
                member.send_reports()

    def _receive_comment(self, member: Member, update: RoomUpdate[Member]) -> None:
        """Apply an update of a member that may comment only, once it is known to do only that."""
        self.flush()
        member.answered += self.size
        update.member = member
        if self._comments is None:
            self._comments = CommentChecks(self, self._receive_update, self._end_use)
        self._comments.receive(member, update)

    def _receive_update(self, update: RoomUpdate[Member]) -> None:
        if (check := self._context.check_update) is not None and update.member is not None:
            check(update.member, update.outline)
        self._delivery.check_backlog()
        if not update.is_whole:
            self._integrator.receive(update)
            return
        # Most of it is known; by itself, it is cut down to its new part.
        self.flush()
        self.adopt()
        member = update.member
        self._integrator.receive(update)
        self.flush()
        if member is not None and not member.is_closed:
            member.question.accept()

    # Server code.

    def edit(self, update: bytes, *, stored: bool = False) -> None:
        """Apply an update of server code, which is ``stored`` already or not."""
        origin = Origin.STORAGE if stored else Origin.SENT
        self._integrator.add(RoomUpdate(update, origin=origin))

    def edit_relayed(self, update: bytes) -> None:
        """Apply an update of another process, which stores it."""
        self._integrator.add(RoomUpdate(update, origin=Origin.RELAY))

    def adopt(self, before: float | None = None) -> None:
        """Store updates that other processes have not confirmed as stored, by default all."""
        self._delivery.adopt(before)

    def broadcast(self, frame: bytes) -> None:
        """Send a frame of the project's own to all members."""
        for member in self.members:
            member.send_frame(frame)

    # The document's content.

    @property
    def doc(self) -> Doc[Any]:
        """The Doc with the document's content; changes that server code makes in it are sent.

        Once it was asked for, it is kept until the room is unloaded.
        """
        return self._document.doc

    @property
    def watchers(self) -> Sequence[Watcher]:
        """The other apps that follow the document."""
        return self._context.watchers

    @property
    def is_asleep(self) -> bool:
        """Whether it has no Doc at the moment."""
        return self._document.is_asleep

    @property
    def size(self) -> int:
        """Bytes of the encoded document, at most."""
        return self._document.size

    @property
    def pending_updates(self) -> int:
        """The number of updates whose dependencies are missing; may be read from any thread."""
        return self._integrator.pending_updates

    def answer(self, state: bytes) -> list[bytes]:
        """Return the frames that answer a step 1, in this order."""
        return self._document.answer(state)

    def state(self) -> bytes:
        """Return the state vector."""
        return self._document.state()

    def encode(self, state: bytes) -> bytes:
        """Return the update that a document of state vector ``state`` lacks."""
        return self._document.encode(state)

    def has(self, update: bytes) -> bool:
        """Return whether all of ``update``, which was integrated or is pending, is in it."""
        return self._document.has(update)

    def has_all(self, update: bytes) -> bool:
        """Return whether ``update`` has nothing that is new, of a client that may not write."""
        return self._document.has_all(update)

    # The flush.

    def flush(self) -> None:
        """Integrate and deliver the updates of this turn at once."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        queued = self._integrator.queued
        if not queued:
            return
        try:
            self._delivery.flush()
        except RoomFailed as error:
            # Some updates of members are lost; they send them again when they come back.
            logger.exception("A document broke beyond repair.", extra={"room": self.name})
            self.close_members(error)
            self._context.on_broken()
        if queued > 1 and len(self.members) >= LARGE_ROOM:
            self._burst_until = self._loop.time() + BURST_DELAY

    def _schedule_flush(self) -> None:
        if self._flush_handle is not None:
            return
        if self._burst_until and self._loop.time() < self._burst_until:
            self._flush_handle = self._loop.call_at(self._burst_until, self.flush)
        else:
            # An update that comes alone is never held up.
            self._flush_handle = self._loop.call_soon(self.flush)

    # A new Doc.

    def _renew_later(self) -> None:
        """Put the project's observers onto the Doc, which had to be made anew."""
        is_on_its_way = self._renewal is not None and not self._renewal.done()
        if self._context.make_doc is not None and not is_on_its_way:
            self._renewal = self._loop.create_task(self._renew(), name=f"renew {self.name}")

    async def _renew(self) -> None:
        assert self._context.make_doc is not None
        try:
            doc = await self._context.make_doc()
        except Exception:
            text = "make_ydoc() failed; the document goes on without the project's observers."
            logger.exception(text, extra={"room": self.name})
            return
        self.flush()
        self._document.adopt(doc, is_closed=self._is_closed)
