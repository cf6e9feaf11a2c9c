"""Values that a session hands to the room: an update, a question, or a frame to send back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Generic, TypeVar

from collab.protocol.frames import PresenceState
from collab.protocol.yjs.partial import PartialUpdate
from collab.protocol.yjs.validation import UpdateOutline

__all__ = [
    "CommentUpdate",
    "Effect",
    "Origin",
    "PresenceChange",
    "PresenceRequest",
    "Reply",
    "RoomUpdate",
    "StateRequest",
]

M = TypeVar("M")


class Origin(Enum):
    """Where an update comes from, which decides what is still to be done with it."""

    #: A member, or server code that has its bytes: apply, store, publish.
    SENT = auto()
    #: Server code, which made it in the room's Doc: store, publish.
    DOC = auto()
    #: The storage, where this process put it: apply, publish.
    STORAGE = auto()
    #: Another process, which stores it: apply.
    RELAY = auto()


# Not frozen: there is one for each keystroke, and making a frozen one takes three times as long.
@dataclass(slots=True, eq=False)
class RoomUpdate(Generic[M]):
    """An update from its arrival until it is stored.

    Args:
        data: Yjs update bytes; an empty update for a receipt.
        number: of the update among those of its member, from 1.
        is_whole: it answers a step 1, so most of it may be known already.
        outline: of the bytes, if they have been read already.
        origin: where it comes from.
        member: the sender; ``None`` for server code and other processes.
        partial: the part that cannot be integrated yet.
        on_stored: called when it is stored.
        queued_at: when it was queued for the storage.
    """

    data: bytes
    number: int = 0
    is_whole: bool = False
    outline: UpdateOutline | None = None
    origin: Origin = Origin.SENT
    member: M | None = None
    partial: PartialUpdate | None = None
    on_stored: Callable[[], None] | None = None
    queued_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CommentUpdate(Generic[M]):
    """An update of a member that may change nothing but the formats of comments."""

    update: RoomUpdate[M]


@dataclass(frozen=True, slots=True)
class StateRequest:
    """A member's question for what a document of state vector ``state`` lacks."""

    state: bytes


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """States of client ids that are present through a member."""

    states: list[PresenceState]


@dataclass(frozen=True, slots=True)
class PresenceRequest:
    """A member's question for all presence."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A frame for the member alone."""

    frame: bytes | str


Effect = (
    RoomUpdate[M]
    | CommentUpdate[M]
    | StateRequest
    | PresenceChange
    | PresenceRequest
    | Reply
    | None
)
