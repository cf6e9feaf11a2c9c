"""The members of a room and their presence: what they say of themselves, and when all hear it.

Cursors move all the time, and each move concerns every member: told one by one, they would cost
the square of the number of members. So presence has a pace. The first change after a pause is
told at once; after that a room tells what has changed, the newest of each client id, no sooner
than an interval later, which is longer the more members there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from math import inf

from collab.conf import Settings
from collab.engine.rooms.member import Member
from collab.engine.rooms.presence import Owner, Presence, TooManyClients
from collab.protocol.frames import PresenceState, presence_frame

__all__ = ["PresenceBroadcaster", "interval"]

#: What each member adds to the interval, in seconds: a room of any size sends a thousand frames
#: a second.
_SHARE = 0.001


def interval(size: int, longest: float) -> float:
    """Return how many seconds there are between two frames in a room of so many members."""
    return min(size * _SHARE, longest)


class PresenceBroadcaster:
    """Takes in and tells the presence of one room.

    Args:
        presence: of the room.
        members: of the room, as they come and go.
        settings: for the limits.
        settle: called before anything is told: a cursor may be in what has just been typed.
        publish: tells other processes the presence of these client ids, which are of this one.
    """

    def __init__(
        self,
        presence: Presence,
        members: Collection[Member],
        settings: Settings,
        settle: Callable[[], None],
        publish: Callable[[set[int]], None] | None,
    ) -> None:
        self._presence = presence
        self._members = members
        self._settings = settings
        self._settle = settle
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        #: Client ids whose presence has changed since it was told, and those that are ours.
        self._changed: set[int] = set()
        self._own: set[int] = set()
        self._told_at = -inf
        self._telling: asyncio.Handle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Tell nothing any more."""
        for handle in (self._telling, self._expiry):
            if handle is not None:
                handle.cancel()
        self._changed.clear()

    # What is heard.

    def receive(self, member: Member, states: list[PresenceState]) -> None:
        """Take what a member says.

        Raises:
            TooManyClients: more client ids than one member may have.
        """
        try:
            verdict = self._presence.receive(member, states, self._loop.time())
        except TooManyClients as error:
            # Who has gone with the first of it does not go with the member any more.
            self._note_own(error.changed)
            raise
        if verdict.outdated:
            member.send_frame(presence_frame(verdict.outdated))
        if verdict.changed:
            self._note_own(verdict.changed)

    def leave(self, member: Member) -> None:
        """Let whoever was present through a member go with it."""
        self._note_own(self._presence.leave(member))

    def receive_relayed(self, peer: Owner, states: list[PresenceState]) -> None:
        """Take what another process says of its members."""
        self._note(self._presence.receive(peer, states, self._loop.time(), trusted=True).changed)

    def drop_relayed(self, peer: Owner) -> None:
        """Let the members of another process go."""
        self._note(self._presence.leave(peer))

    def local(self) -> set[int]:
        """Return the client ids that are present through members of this process."""
        return {client_id for member in self._members for client_id in self._presence.of(member)}

    # What is told.

    def _note_own(self, client_ids: set[int]) -> None:
        if self._publish is not None:
            self._own |= client_ids
        self._note(client_ids)

    def _note(self, client_ids: set[int]) -> None:
        if not client_ids:
            return
        self._changed |= client_ids
        if self._telling is None:
            self._telling = self._tell_in_time()
        if self._expiry is None:
            self._schedule_expiry()

    def _tell_in_time(self) -> asyncio.Handle:
        due = self._told_at + interval(len(self._members), self._settings.PRESENCE_INTERVAL)
        if due <= self._loop.time():
            return self._loop.call_soon(self._tell)
        return self._loop.call_at(due, self._tell)

    def _tell(self) -> None:
        self._telling = None
        self._settle()
        if not self._changed:
            # The room did not survive that.
            return
        self._told_at = self._loop.time()
        changed, self._changed = self._changed, set()
        frame = self._presence.frame(changed)
        # Its sender, too: a stock client that hears nothing for 30 s takes the line for dead.
        for member in self._members:
            member.send_presence(changed, frame)
        if self._publish is not None and self._own:
            own, self._own = self._own, set()
            self._publish(own)

    # What is not renewed.

    def _schedule_expiry(self) -> None:
        self._expiry = None
        if self._presence:
            delay = self._settings.PRESENCE_TIMEOUT / 4
            self._expiry = self._loop.call_later(delay, self._expire)

    def _expire(self) -> None:
        gone = self._presence.expire(self._loop.time() - self._settings.PRESENCE_TIMEOUT)
        self._schedule_expiry()
        self._note(gone)
