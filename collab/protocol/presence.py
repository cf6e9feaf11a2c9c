"""The presence of a room: the newest state of each client id, and its owner.

A stock client repeats to the server the presence of others that it receives, over the socket and
over the browser's own channel between tabs. So a state is accepted only from the member that owns
its client id. Clocks follow y-protocols' ``awareness.js``.

States are kept as their clients have sent them. The server's data about an owner is added when its
states are sent, so that no client can say it, and it changes hands with the client id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from collab.exceptions import ProtocolViolation
from collab.protocol.frames import (
    GONE,
    PresenceState,
    encode_presence,
    joined_presence,
    unverified,
    verified,
)

__all__ = ["Presence", "PresenceOwner", "TooManyClients", "Verdict"]

#: Clocks of client ids that left, kept to recognise one that comes back with an old clock.
_MAX_DEPARTED = 1_000


class PresenceOwner(Protocol):
    """A member, as far as presence knows it."""

    user_id: str | None
    #: JSON text of the server's data about it; empty without any, and for another process, whose
    #: states have it already.
    verified: str


@dataclass(slots=True)
class _Entry:
    clock: int
    state: str
    owner: PresenceOwner
    #: The owner announced this id on its own, as a client does with its own id.
    primary: bool
    seen_at: float
    #: The state as others are sent it; ``None`` until it is needed.
    encoded: bytes | None = None

    @property
    def text(self) -> str:
        """The state as others are sent it."""
        return verified(self.state, self.owner.verified)


# Not frozen: there is one for each cursor that moves, and a frozen one takes longer to make.
@dataclass(slots=True)
class Verdict:
    """The result of a presence message.

    Args:
        changed: client ids whose presence the room broadcasts.
        outdated: states to send back to the sender: it came back with a clock that others have
            seen already, and a client that hears it has gone starts a newer clock.
    """

    changed: set[int]
    outdated: list[PresenceState]


class TooManyClients(ProtocolViolation):
    """A member has more client ids than one member may have.

    Args:
        changed: client ids whose presence the room broadcasts: the states before the limit count.
    """

    def __init__(self, changed: set[int]) -> None:
        super().__init__("Too many clients are present through this connection.")
        self.changed = changed

    @property
    def cause(self) -> str:
        return ProtocolViolation.__name__


class Presence:
    """The presence of one room.

    Args:
        max_clients: how many client ids one member may own.
    """

    def __init__(self, max_clients: int) -> None:
        self._max_clients = max_clients
        self._entries: dict[int, _Entry] = {}
        self._owned: dict[PresenceOwner, set[int]] = {}
        self._departed: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def client_ids(self) -> Iterable[int]:
        """Return the client ids that are present."""
        return self._entries.keys()

    def states(self, client_ids: Iterable[int] | None = None) -> list[PresenceState]:
        """Return the states of ``client_ids``, by default of all that are present."""
        if client_ids is None:
            client_ids = self._entries
        return [self._state(client_id) for client_id in client_ids]

    def frame(self, client_ids: Iterable[int] | None = None) -> bytes:
        """Return the frame of the states that ``states`` returns; each is encoded once."""
        if client_ids is None:
            client_ids = self._entries
        return joined_presence([self._encoded(client_id) for client_id in client_ids])

    def of(self, owner: PresenceOwner) -> set[int]:
        """Return the client ids of ``owner``."""
        return self._owned.get(owner, set())

    def receive(
        self,
        owner: PresenceOwner,
        states: list[PresenceState],
        now: float,
        *,
        trusted: bool = False,
    ) -> Verdict:
        """Record the states that ``owner`` sends; those of others' client ids are ignored.

        A ``trusted`` owner is another process: it may have any number of clients, and sends only
        its own.

        Raises:
            TooManyClients: more client ids than one member may have.
        """
        primary = trusted or (len(states) == 1 and owner not in self._owned)
        limit = None if trusted else self._max_clients
        verdict = Verdict(set(), [])
        for state in states:
            entry = self._entries.get(state.client_id)
            if entry is not None and entry.owner is owner and state.state != GONE:
                # A cursor moves: nearly all messages are this.
                if self._renew(entry, state, now):
                    verdict.changed.add(state.client_id)
            elif state.clock <= self._departed.get(state.client_id, -1):
                if state.state != GONE:
                    verdict.outdated.append(self._state(state.client_id))
            elif self._may_write(owner, state.client_id, primary):
                if state.state != GONE:
                    if limit is not None and len(self.of(owner)) >= limit:
                        raise TooManyClients(verdict.changed)
                    self._own(owner, state.client_id)
                if self._write(owner, state, primary, now):
                    verdict.changed.add(state.client_id)
        return verdict

    def leave(self, owner: PresenceOwner) -> set[int]:
        """Remove all that came through ``owner``; return the client ids that went."""
        gone = self._owned.pop(owner, set())
        for client_id in gone:
            self._depart(client_id)
        return gone

    def expire(self, before: float) -> set[int]:
        """Remove states that were last renewed before that time; return their client ids."""
        gone = {client_id for client_id, entry in self._entries.items() if entry.seen_at < before}
        for client_id in gone:
            self._disown(client_id)
            self._depart(client_id)
        return gone

    def _state(self, client_id: int) -> PresenceState:
        if entry := self._entries.get(client_id):
            return PresenceState(client_id, entry.clock, entry.text)
        return PresenceState(client_id, self._departed.get(client_id, 0), GONE)

    def _encoded(self, client_id: int) -> bytes:
        entry = self._entries.get(client_id)
        if entry is None:
            return encode_presence(*self._state(client_id))
        if entry.encoded is None:
            entry.encoded = encode_presence(client_id, entry.clock, entry.text)
        return entry.encoded

    def _renew(self, entry: _Entry, state: PresenceState, now: float) -> bool:
        """Record the owner's own newer state; return whether it is newer."""
        if state.clock <= entry.clock:
            return False
        entry.clock, entry.state, entry.encoded = state.clock, state.state, None
        entry.seen_at = now
        return True

    def _may_write(self, owner: PresenceOwner, client_id: int, primary: bool) -> bool:
        entry = self._entries.get(client_id)
        if entry is None or entry.owner is owner:
            return True
        # A second connection of the same client is announced on its own; the first may be dead
        # without the server having noticed. An echo never takes an id away.
        same_user = owner.user_id is not None and owner.user_id == entry.owner.user_id
        return primary and (same_user or not entry.primary)

    def _write(self, owner: PresenceOwner, state: PresenceState, primary: bool, now: float) -> bool:
        entry = self._entries.get(state.client_id)
        if state.state == GONE:
            if entry is None or state.clock < entry.clock:
                return False
            self._disown(state.client_id)
            self._depart(state.client_id, state.clock)
            return True
        newer = entry is None or state.clock > entry.clock
        self._departed.pop(state.client_id, None)
        # A second connection may repeat states of the first; the other members have the newest.
        clock, text = state.clock, state.state
        if entry is not None and not newer:
            # A state of another process has that process' data about its member.
            clock, text = entry.clock, unverified(entry.state)
        self._entries[state.client_id] = _Entry(clock, text, owner, primary, now)
        return newer

    def _own(self, owner: PresenceOwner, client_id: int) -> None:
        self._disown(client_id)
        self._owned.setdefault(owner, set()).add(client_id)

    def _disown(self, client_id: int) -> None:
        if entry := self._entries.get(client_id):
            self._owned[entry.owner].discard(client_id)

    def _depart(self, client_id: int, clock: int | None = None) -> None:
        entry = self._entries.pop(client_id)
        self._departed[client_id] = entry.clock if clock is None else clock
        if len(self._departed) > _MAX_DEPARTED:
            del self._departed[next(iter(self._departed))]
