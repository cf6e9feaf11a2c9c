"""Rooms, connections without a document, and connections that are about to join."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial

from collab.engine.hub.identity import belongs_to, current_logouts
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room

__all__ = ["Key", "LiveRooms", "PendingJoin", "RoomOpening"]

#: A document's name, and whether it is stored: a room in memory only is another room.
Key = tuple[str, bool]


class PendingJoin:
    """A connection that is being authorized and has not joined yet, as long as the block runs.

    Args:
        pending: those of all documents, by name.
        name: of the document.
        user_id: of the connection.
    """

    # A function with contextmanager would make three times as many calls for each connection.
    __slots__ = ("_name", "_pending", "needs_recheck", "user_id")

    def __init__(
        self, pending: dict[str, set[PendingJoin]], name: str, user_id: str | None
    ) -> None:
        self._pending = pending
        self._name = name
        self.user_id = user_id
        #: Whether the connection's access may have changed meanwhile.
        self.needs_recheck = False

    def __enter__(self) -> PendingJoin:
        self._pending.setdefault(self._name, set()).add(self)
        return self

    def __exit__(self, *error: object) -> None:
        others = self._pending[self._name]
        others.discard(self)
        if not others:
            del self._pending[self._name]


@dataclass(eq=False)
class RoomOpening:
    """A room whose document is being loaded."""

    task: asyncio.Task[Room]
    #: Edits of server code that were committed meanwhile; the load may have missed them.
    edits: list[bytes] = field(default_factory=list)


class LiveRooms:
    """Everything of one event loop that is open, being opened, or about to be joined."""

    def __init__(self) -> None:
        self.rooms: dict[Key, Room] = {}
        self.opening: dict[Key, RoomOpening] = {}
        #: The tasks that remove updates stored after their document was deleted or renamed.
        self.clearing: dict[str, set[asyncio.Task[None]]] = {}
        #: Connections without a document.
        self.lobby: set[Member] = set()
        self._joining: dict[Key, int] = {}
        self._pending: dict[str, set[PendingJoin]] = {}

    def add_clearing(self, name: str, task: asyncio.Task[None]) -> None:
        """Have the next opening of a document of this name wait for ``task``."""
        self.clearing.setdefault(name, set()).add(task)
        task.add_done_callback(partial(self._end_clearing, name))

    def _end_clearing(self, name: str, task: asyncio.Task[None]) -> None:
        self.clearing[name].remove(task)
        if not self.clearing[name]:
            del self.clearing[name]

    async def cleared(self, name: str) -> None:
        """Wait until nothing is left of a document that was deleted or renamed."""
        while clearing := self.clearing.get(name):
            await asyncio.wait(clearing)

    @property
    def members(self) -> list[Member]:
        """All connections."""
        return [*self.lobby, *(member for room in self.rooms.values() for member in room.members)]

    def members_in(self, name: str) -> list[Member]:
        """Return the members of a document, stored or not."""
        return [member for room in self.rooms_of(name) for member in room.members]

    def rooms_of(self, name: str) -> list[Room]:
        """Return the rooms of a name: that of the stored document, and one in memory only."""
        rooms = (self.rooms.get((name, stored)) for stored in (True, False))
        return [room for room in rooms if room is not None]

    def members_of(self, user_id: str | None, session: str | None) -> list[Member]:
        """Return the connections of a user, or of the session of this digest."""
        return [
            member
            for member in self.members
            if belongs_to(member.connection.scope, user_id, session)
        ]

    @property
    def is_empty(self) -> bool:
        """Nothing is open or about to be."""
        return not (self.rooms or self.lobby or self.opening or self._joining)

    def holds(self, name: str) -> bool:
        """Return whether a stored document is live here; may be called from any thread."""
        return (name, True) in self.rooms or (name, True) in self.opening

    def is_idle(self, key: Key) -> bool:
        """Return whether a room is open, and nothing uses it: no connection, no waiting check."""
        room = self.rooms.get(key)
        return room is not None and not room.is_used and key not in self._joining

    def begin_joining(self, key: Key) -> None:
        """Keep a room from being idle until :meth:`end_joining` is called as often."""
        self._joining[key] = self._joining.get(key, 0) + 1

    def end_joining(self, key: Key) -> None:
        """End the time in which a room is not idle, unless others are joining."""
        left = self._joining[key] - 1
        if left:
            self._joining[key] = left
        else:
            del self._joining[key]

    def pending_join(self, name: str, user_id: str | None) -> PendingJoin:
        """Record during the block, which authorizes and joins, whether access changes."""
        return PendingJoin(self._pending, name, user_id)

    @property
    def pending_names(self) -> set[str]:
        """The documents that connections are about to join."""
        return set(self._pending)

    def recheck_pending(self, name: str, user_id: str | None = None) -> None:
        """Require another check of connections that are about to join, by default of all users."""
        for pending in self._pending.get(name, ()):
            # A token may still say who an anonymous one is.
            if user_id is None or pending.user_id in (None, user_id):
                pending.needs_recheck = True

    def record_logout(self, user_id: str | None, session: str | None) -> None:
        """Require another check of connections that are about to join, and of later ones."""
        current_logouts().add(user_id, session)
        for name in self._pending:
            self.recheck_pending(name)
