"""Everything that a room works with besides its document and its members."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from pycrdt import Doc

from collab.conf import Settings
from collab.engine.rooms.encoded_document import DocumentBytes
from collab.engine.rooms.member import Member
from collab.protocol.effects import RoomUpdate
from collab.protocol.yjs.validation import UpdateOutline

__all__ = ["Peers", "RoomContext", "Source", "Store", "WatchedRoom", "Watcher"]

#: The content of a document that is opened.
Source: TypeAlias = Doc[Any] | DocumentBytes


class Store(Protocol):
    """The queue of updates to store."""

    def has_room(self, name: str) -> bool:
        """Return whether another update of the document may be queued."""

    def put(self, name: str, updates: Sequence[RoomUpdate[Member]]) -> None:
        """Store updates of a document soon, and report them to their members as saved.

        An empty update is only reported, once all before it are stored.
        """


class Peers(Protocol):
    """The rooms of the same document in other processes."""

    def publish(self, update: bytes) -> Callable[[], None]:
        """Send ``update`` to them; call the result when it is stored."""

    def publish_stored(self, update: bytes) -> None:
        """Send them an update that is stored already."""

    def publish_presence(self, client_ids: set[int]) -> None:
        """Send them the newest presence of these client ids."""

    def adopt(self, before: float | None = None) -> list[bytes]:
        """Return their updates that they have not confirmed as stored."""


class WatchedRoom(Protocol):
    """A room as its watchers see it."""

    @property
    def members(self) -> Collection[Member]:
        """The connections in the room."""

    @property
    def doc(self) -> Doc[Any]:
        """The Doc with the document's content."""

    @property
    def author(self) -> Member | None:
        """The sender of the update that is being applied; ``None`` unless it is a member."""


class Watcher(Protocol):
    """Follows a room's document for another app, such as ``collab.mirror``."""

    def attach(self, room: WatchedRoom) -> None:
        """Observe ``room.doc``, which has its content.

        It is new to the room, or ``room.author`` has just changed more of it than can be watched.
        """

    def detach(self) -> None:
        """Remove the observers from the Doc that was attached last."""

    def receive(self, member: Member | None, outline: UpdateOutline) -> None:
        """Look at an update of ``member``, or part of one, before it is applied."""

    @property
    def is_busy(self) -> bool:
        """Whether something that it has seen is not dealt with yet."""

    async def settle(self) -> None:
        """Deal with everything that it has seen, at once."""


@dataclass(frozen=True, slots=True)
class RoomContext:
    """The surroundings of one room.

    Args:
        settings: for the limits.
        store: stores updates; ``None`` if the room lives in memory only.
        peers: the other processes, if there may be any.
        watchers: follow the document; if there are any, each member's updates are applied alone,
            so that ``author`` names their sender.
        check_update: called with each update of a member and its outline, before it is applied;
            raises a ``MemberError`` to refuse it.
        make_doc: makes an empty Doc with the project's observers, each time that the room needs a
            new one; ``None`` if a plain Doc does, and the room may do without one at times.
        on_empty: called when the last member has left.
        on_broken: called when the document is beyond repair; the room is not used again.
    """

    settings: Settings
    store: Store | None = None
    peers: Peers | None = None
    watchers: Sequence[Watcher] = ()
    check_update: Callable[[Member, UpdateOutline | None], None] | None = None
    make_doc: Callable[[], Awaitable[Doc[Any]]] | None = None
    on_empty: Callable[[], object] = lambda: None
    on_broken: Callable[[], object] = lambda: None
