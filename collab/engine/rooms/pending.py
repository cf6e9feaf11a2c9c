"""What of an update a document can take in now, and what has to wait for others.

pycrdt holds back inside the Doc what builds upon insertions that are not there. It may lose some
of it, and what is held back may contradict what is there or comes later: then the document can
no longer be read from what was stored of it, or reads otherwise. So a room gives its Doc only
what that integrates at once. The rest waits here: outside the Doc, not stored, sent to nobody and
not told to be saved. It is its sender's, counts against a limit, and goes when the sender goes.

An item is integrated when the insertions of its client before it, its neighbours and its parent
are there; a deletion when what it deletes is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from collab.engine.rooms.edit import Edit
from collab.engine.rooms.member import Member
from collab.protocol.yjs.partial import PartialUpdate, StateVector

__all__ = ["PendingUpdates"]


class _Sender:
    """What waits of one sender.

    Attributes:
        waiting: what waits, in the order in which it came.
        last: number of the last update that came since something waits.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Edit, PartialUpdate]] = []
        self.last = 0

    def number(self, edit: Edit) -> Edit:
        self.last = max(self.last, edit.number)
        first = min((held.number for held, _ in self.waiting), default=self.last + 1)
        return replace(edit, number=first - 1)


class PendingUpdates:
    """What waits in a room, by sender; server code and the other processes are one."""

    def __init__(self) -> None:
        self._senders: dict[Member | None, _Sender] = {}

    def __bool__(self) -> bool:
        return bool(self._senders)

    def add(self, edit: Edit, waiting: PartialUpdate) -> int:
        """Keep what waits of ``edit``; return what all that waits of its sender costs."""
        sender = self._senders.setdefault(edit.member, _Sender())
        sender.waiting.append((edit, waiting))
        sender.last = max(sender.last, edit.number)
        return sum(waiting.cost for _, waiting in sender.waiting)

    def forget(self, member: Member | None) -> None:
        """Drop all that waits of a sender."""
        self._senders.pop(member, None)

    def pop_ready(self, known: StateVector) -> list[tuple[Edit, PartialUpdate]]:
        """Return what may go on, which is held no longer."""
        ripe: list[tuple[Edit, PartialUpdate]] = []
        for sender in self._senders.values():
            if found := [held for held in sender.waiting if held[1].is_ready(known)]:
                sender.waiting = [held for held in sender.waiting if held not in found]
                ripe += found
        return ripe

    def number(self, edits: Sequence[Edit]) -> list[Edit]:
        """Return ``edits``, which are to be stored, with numbers that tell the truth.

        To a member "saved" means all its updates up to that number. So those behind one that
        waits count when that is stored.
        """
        numbered = [
            sender.number(edit) if (sender := self._senders.get(edit.member)) else edit
            for edit in edits
        ]
        for member in [member for member, sender in self._senders.items() if not sender.waiting]:
            del self._senders[member]
        return numbered
