"""The presence of a room's members: received from each of them, and broadcast to all.

Cursors move all the time, and each move concerns every member: sent one by one, they would cost
the square of the number of members. So presence has a pace. The first change after a pause is
broadcast at once; after that a room broadcasts the newest state of each client id that has
changed, no sooner than an interval later, which is longer the more members there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from math import inf

from collab.conf import Settings
from collab.engine.rooms.member import Member
from collab.protocol.frames import PresenceState, presence_frame
from collab.protocol.presence import Presence, PresenceOwner, TooManyClients

__all__ = ["MAX_CLIENTS", "MAX_INTERVAL", "TIMEOUT", "PresenceBroadcaster", "interval"]

#: Presence that is not renewed for so long is removed, in seconds; Yjs clients renew it every 15 s.
TIMEOUT = 30.0
#: Longest interval between presence broadcasts; smaller rooms use a share for each member.
MAX_INTERVAL = 0.25
#: Client ids that may be present through one member.
MAX_CLIENTS = 32
#: Seconds that each member adds to the interval: a room of any size sends a thousand frames
#: a second.
_SHARE = 0.001


def interval(size: int, longest: float) -> float:
    """Return the seconds between two frames in a room of ``size`` members."""
    return min(size * _SHARE, longest)


class PresenceBroadcaster:
    """Receives and broadcasts the presence of one room.

    Args:
        members: of the room, as they come and go.
        settings: for the limits.
        flush: called before a broadcast: a cursor may be in text that has just been typed.
        publish: sends the presence of client ids of this process to the others, if there may be
            any.
        max_interval: the longest interval between two broadcasts, in seconds.
        max_clients: client ids that may be present through one member.
    """

    def __init__(
        self,
        members: Collection[Member],
        settings: Settings,
        flush: Callable[[], None],
        publish: Callable[[set[int]], None] | None,
        max_interval: float = MAX_INTERVAL,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        self._presence = Presence(max_clients)
        self._members = members
        self._settings = settings
        self._flush = flush
        self._publish = publish
        self._max_interval = max_interval
        self._loop = asyncio.get_running_loop()
        #: Client ids whose presence has changed since the last broadcast, and those of this
        #: process.
        self._changed: set[int] = set()
        self._own: set[int] = set()
        self._sent_at = -inf
        self._sending: asyncio.Handle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        return bool(self._presence)

    def close(self) -> None:
        """Broadcast nothing any more."""
        for handle in (self._sending, self._expiry):
            if handle is not None:
                handle.cancel()
        self._changed.clear()

    # To one member, or one process.

    def welcome(self, member: Member) -> None:
        """Send all presence to a member that has just joined."""
        if self._presence:
            member.send_frame(self._presence.frame())

    def client_ids(self) -> Iterable[int]:
        """Return the client ids that are present."""
        return self._presence.client_ids()

    def of(self, member: Member) -> set[int]:
        """Return the client ids that are present through a member."""
        return self._presence.of(member)

    def frame(self, client_ids: Iterable[int] | None = None) -> bytes:
        """Return the frame of the states of ``client_ids``, by default of all present."""
        return self._presence.frame(client_ids)

    def states(self, client_ids: Iterable[int] | None = None) -> list[PresenceState]:
        """Return the states of ``client_ids``, by default of all present."""
        return self._presence.states(client_ids)

    def local(self) -> set[int]:
        """Return the client ids that are present through members of this process."""
        return {client_id for member in self._members for client_id in self._presence.of(member)}

    # From members and processes.

    def receive(self, member: Member, states: list[PresenceState]) -> None:
        """Record the states that a member has sent.

        Raises:
            TooManyClients: more client ids than one member may have.
        """
        try:
            verdict = self._presence.receive(member, states, self._loop.time())
        except TooManyClients as error:
            # Client ids that the first states took out do not go with the member any more.
            self._change_own(error.changed)
            raise
        if verdict.outdated:
            member.send_frame(presence_frame(verdict.outdated))
        if verdict.changed:
            self._change_own(verdict.changed)

    def leave(self, member: Member) -> None:
        """Remove the presence that came through a member."""
        self._change_own(self._presence.leave(member))

    def receive_relayed(self, peer: PresenceOwner, states: list[PresenceState]) -> None:
        """Record the presence of another process's members."""
        self._change(self._presence.receive(peer, states, self._loop.time(), trusted=True).changed)

    def drop_relayed(self, peer: PresenceOwner) -> None:
        """Remove the presence of another process's members."""
        self._change(self._presence.leave(peer))

    # Broadcasts.

    def _change_own(self, client_ids: set[int]) -> None:
        if self._publish is not None:
            self._own |= client_ids
        self._change(client_ids)

    def _change(self, client_ids: set[int]) -> None:
        if not client_ids:
            return
        self._changed |= client_ids
        if self._sending is None:
            self._sending = self._send_in_time()
        if self._expiry is None:
            self._schedule_expiry()

    def _send_in_time(self) -> asyncio.Handle:
        due = self._sent_at + interval(len(self._members), self._max_interval)
        if due <= self._loop.time():
            return self._loop.call_soon(self._send)
        return self._loop.call_at(due, self._send)

    def _send(self) -> None:
        self._sending = None
        self._flush()
        if not self._changed:
            # The room did not survive that.
            return
        self._sent_at = self._loop.time()
        changed, self._changed = self._changed, set()
        frame = self._presence.frame(changed)
        # To its sender, too: a stock client that hears nothing for 30 s takes the line for dead.
        for member in self._members:
            member.outbox.send_presence(changed, frame)
        if self._publish is not None and self._own:
            own, self._own = self._own, set()
            self._publish(own)

    # Expiry.

    def _schedule_expiry(self) -> None:
        self._expiry = None
        if self._presence:
            delay = TIMEOUT / 4
            self._expiry = self._loop.call_later(delay, self._expire)

    def _expire(self) -> None:
        gone = self._presence.expire(self._loop.time() - TIMEOUT)
        self._schedule_expiry()
        self._change(gone)
