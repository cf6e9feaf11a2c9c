"""Splits an update into a part that a document can integrate now and a pending part.

pycrdt keeps structs that depend on missing insertions inside the Doc. It may lose some of them, and
they may contradict structs that are there or arrive later. So a Doc gets only structs that it
integrates at once: an item is integrated when the insertions of its client before it, its
neighbours and its parent are there; a deletion when the deleted item is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

from collab.protocol.yjs.ranges import Range, encode_deletions
from collab.protocol.yjs.validation import UpdateOutline
from collab_storage.structs import SKIP, Id, Struct, read_deletions, read_struct
from collab_storage.updates import TypedText, varuint

__all__ = ["Note", "PartialUpdate", "StateVector", "advance", "can_extend"]

#: Client id -> clock up to which its insertions are there.
StateVector = dict[int, int]
#: Called with each struct that can be integrated.
Note = Callable[[Struct], None]

#: Memory of pending updates besides their bytes: of an update, and of each client in it.
_UPDATE_COST = 512
_SECTION_COST = 128


def can_extend(outline: UpdateOutline, known: StateVector) -> bool:
    """Return whether a document integrates all of an update, and had none of its insertions."""
    if (typed := outline.typed) is not None:
        right = typed.right
        return known.get(typed.client, 0) == typed.start and (
            _is_known(typed.left, typed, known)
            and (right is None or _is_known(right, typed, known))
        )
    if outline.has_gaps:
        return False
    for section in outline.sections:
        if known.get(section[0], 0) != section[1]:
            return False
    for client, end in outline.needs.items():
        if known.get(client, 0) < end:
            return False
    return not outline.deletes or _can_delete(outline, known)


def _is_known(id_: Id, typed: TypedText, known: StateVector) -> bool:
    # The form was checked: insertions of its own client are before it.
    return id_[0] == typed.client or known.get(id_[0], 0) > id_[1]


def _can_delete(outline: UpdateOutline, known: StateVector) -> bool:
    after = {section[0]: section[2] for section in outline.sections}
    return all(
        end <= after.get(client, 0) or end <= known.get(client, 0)
        for client, end in outline.deletes.items()
    )


def advance(known: StateVector, outline: UpdateOutline) -> None:
    """Add to ``known`` the insertions of an update that extends the document."""
    if (typed := outline.typed) is not None:
        known[typed.client] = typed.end
        return
    for section in outline.sections:
        known[section[0]] = section[2]


class _Section:
    """The structs of one client that an update still has."""

    __slots__ = ("began", "client", "clock", "data", "first", "position", "structs", "taken")

    def __init__(self, client: int, clock: int, structs: int, data: bytes) -> None:
        self.client = client
        self.clock = self.first = clock
        self.structs = structs
        self.data = data
        self.began = self.position = 0
        #: Number of structs from the clock ``first`` on that are integrated.
        self.taken = 0

    def advance(self, known: StateVector, note: Note | None) -> tuple[int, int] | None:
        """Skip known and integrable structs, and record the latter in ``known``.

        Returns:
            the need of the next struct: a client id and the clock up to which it must be there.
        """
        while self.structs:
            struct = read_struct(self.data, self.position, self.client, self.clock)
            after = self.clock + struct.length
            if known.get(self.client, 0) >= after:
                self.began, self.first = struct.end, after
            elif need := _need(struct, known):
                return need
            else:
                if note is not None:
                    note(struct)
                self.taken += 1
                known[self.client] = after
            self.clock, self.position = after, struct.end
            self.structs -= 1
        return None

    def cut(self) -> bytes:
        """Return the integrable structs as a section of an update, and forget them."""
        head = varuint(self.taken) + varuint(self.client) + varuint(self.first)
        taken = head + self.data[self.began : self.position]
        self.data, self.began, self.position = self.data[self.position :], 0, 0
        self.taken, self.first = 0, self.clock
        return taken


def _need(struct: Struct, known: StateVector) -> tuple[int, int] | None:
    """Return a client id and the clock that its insertions must reach before those of a struct."""
    if struct.kind == SKIP:
        return struct.client, struct.clock + struct.length
    if known.get(struct.client, 0) < struct.clock:
        return struct.client, struct.clock
    for other in (struct.left, struct.right, struct.parent):
        if other is not None and known.get(other[0], 0) <= other[1]:
            return other[0], other[1] + 1
    return None


class PartialUpdate:
    """The part of an update that a document has not integrated yet.

    Args:
        outline: of the update.
    """

    def __init__(self, outline: UpdateOutline) -> None:
        self._sections = [
            _Section(client, clock, structs, outline.update[start:stop])
            for client, clock, _, structs, start, stop in outline.sections
        ]
        self._deletions = outline.update[outline.deletions :]
        #: Client id -> the least clock up to which it must be there for anything to go on.
        self._wanted: StateVector = {}

    @property
    def is_done(self) -> bool:
        """Whether nothing is pending."""
        return not self._wanted

    @property
    def cost(self) -> int:
        """The bytes of memory that it takes up, roughly."""
        sections = sum(len(section.data) + _SECTION_COST for section in self._sections)
        return _UPDATE_COST + sections + len(self._deletions)

    def is_ready(self, known: StateVector) -> bool:
        """Return whether some of it can be integrated now."""
        return any(known.get(client, 0) >= end for client, end in self._wanted.items())

    def take(self, known: StateVector, note: Note | None = None) -> bytes:
        """Return the integrable part as an update, and add it to ``known``.

        ``note`` is called with each struct of it, in an order in which they can be integrated.
        """
        self._wanted = {}
        self._advance(known, note)
        cuts = [section.cut() for section in self._sections if section.taken]
        self._sections = [section for section in self._sections if section.structs]
        return varuint(len(cuts)) + b"".join(cuts) + self._take_deletions(known)

    def _advance(self, known: StateVector, note: Note | None) -> None:
        """Advance all sections as far as possible; each may allow others to advance."""
        #: Client id -> the sections blocked on it, the least clock first.
        blocked: dict[int, list[tuple[int, int, _Section]]] = {}
        ready = deque(enumerate(self._sections))
        while ready:
            number, section = ready.popleft()
            if need := section.advance(known, note):
                heappush(blocked.setdefault(need[0], []), (need[1], number, section))
            for_it = blocked.get(section.client)
            while for_it and for_it[0][0] <= known.get(section.client, 0):
                _, number, section_of_other = heappop(for_it)
                ready.append((number, section_of_other))
        for client, waiting in blocked.items():
            if waiting:
                self._want(client, waiting[0][0])

    def _take_deletions(self, known: StateVector) -> bytes:
        now: list[Range] = []
        later: list[Range] = []
        for client, clock, end in read_deletions(self._deletions, 0):
            have = known.get(client, 0)
            if clock < have:
                now.append((client, clock, min(end, have)))
            if have < end:
                later.append((client, max(clock, have), end))
                self._want(client, max(clock, have) + 1)
        self._deletions = encode_deletions(later)
        return encode_deletions(now)

    def _want(self, client: int, end: int) -> None:
        self._wanted[client] = min(end, self._wanted.get(client, end))
