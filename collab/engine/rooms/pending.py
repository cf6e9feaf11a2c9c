"""Updates of a room that build on updates that are missing.

pycrdt keeps such updates inside the Doc. It may lose some of them, and they may contradict others
that are there or arrive later: then the document can no longer be read from its stored updates, or
reads otherwise. So a room gives its Doc only structs that the Doc integrates at once. The
rest is pending here: outside the Doc, not stored, not sent and not reported as saved. It
belongs to its sender, who is asked for the missing ones; it counts against a limit, and goes when
the sender goes.

An item is integrated when the insertions of its client before it, its neighbours and its parent
are there; a deletion when the deleted item is.
"""

from __future__ import annotations

from collections.abc import Sequence

from collab.engine.rooms.member import Member
from collab.protocol.effects import RoomUpdate
from collab.protocol.yjs.partial import StateVector

__all__ = ["PendingUpdates"]


class _Sender:
    """The pending updates of one sender.

    Attributes:
        pending: in the order in which they arrived.
        last: number of the last update that arrived since one is pending.
        is_asked: it was asked for missing updates since the last of them arrived.
    """

    def __init__(self) -> None:
        self.pending: list[RoomUpdate[Member]] = []
        self.last = 0
        self.is_asked = False

    def add(self, update: RoomUpdate[Member]) -> None:
        self.last = max(self.last, update.number)
        if update.is_whole:
            # An answer has everything that the client had sent before, and all that it has: to
            # ask again would bring the same again.
            update.number = min([update.number, *(each.number for each in self.pending)])
            self.pending = [update]
            self.is_asked, update.is_whole = True, False
        else:
            self.pending.append(update)
            self.is_asked = False

    def number(self, update: RoomUpdate[Member]) -> None:
        self.last = max(self.last, update.number)
        first = min((pending.number for pending in self.pending), default=self.last + 1)
        update.number = first - 1


class PendingUpdates:
    """The pending updates of a room, by sender; server code and other processes are one."""

    def __init__(self) -> None:
        self._senders: dict[Member | None, _Sender] = {}

    def __bool__(self) -> bool:
        return bool(self._senders)

    def __len__(self) -> int:
        """Return the number of pending updates; may be called from any thread."""
        return sum(len(sender.pending) for sender in list(self._senders.values()))

    def add(self, update: RoomUpdate[Member]) -> int:
        """Keep the part of an update that is pending; return the cost of all of its sender."""
        sender = self._senders.setdefault(update.member, _Sender())
        sender.add(update)
        return sum(update.partial.cost for update in sender.pending if update.partial)

    def question(self) -> None:
        """Ask members whose updates are pending for those that the document lacks.

        Each is asked once for updates that have become pending since, and the client is sent how
        many are.
        """
        for member, sender in list(self._senders.items()):
            if member is not None and sender.pending:
                member.send_pending(len(sender.pending))
                if not sender.is_asked:
                    sender.is_asked = True
                    member.ask()

    def forget(self, member: Member | None) -> None:
        """Drop all pending updates of a sender."""
        self._senders.pop(member, None)

    def pop_ready(self, known: StateVector) -> list[RoomUpdate[Member]]:
        """Remove and return the updates that can be integrated now, at least in part."""
        ready: list[RoomUpdate[Member]] = []
        for sender in self._senders.values():
            still_pending: list[RoomUpdate[Member]] = []
            for update in sender.pending:
                is_ready = update.partial and update.partial.is_ready(known)
                (ready if is_ready else still_pending).append(update)
            sender.pending = still_pending
        return ready

    def number(self, updates: Sequence[RoomUpdate[Member]]) -> None:
        """Number ``updates`` before they are stored: up to a number they are reported as saved.

        To a member "saved" means all its updates up to that number. So updates behind a pending
        one count when that is stored.
        """
        if not self._senders:
            return
        for update in updates:
            if sender := self._senders.get(update.member):
                sender.number(update)
        for member in [member for member, sender in self._senders.items() if not sender.pending]:
            del self._senders[member]
            if member is not None:
                member.send_pending(0)
