"""Values that a session hands to the room: an update, a question, or a frame to send back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    "ReaderState",
    "Reply",
    "RoomUpdate",
    "StateRequest",
    "StatelessMessage",
]

M = TypeVar("M")


class Origin(Enum):
    """The origin of an update, which decides whether it is stored and published."""

    #: A member, or server code that has its bytes: apply, store, publish.
    SENT = auto()
    #: Server code, which made it in the room's Doc: store, publish.
    DOC = auto()
    #: The storage, where this process put it: apply, publish.
    STORAGE = auto()
    #: Another process, which stores it: apply.
    RELAY = auto()


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
    """

    # No dataclass: there is one for each keystroke, and a compiled dataclass has no slots.
    __slots__ = (
        "data",
        "is_whole",
        "member",
        "number",
        "on_stored",
        "origin",
        "outline",
        "partial",
    )

    def __init__(
        self,
        data: bytes,
        number: int = 0,
        is_whole: bool = False,
        outline: UpdateOutline | None = None,
        origin: Origin = Origin.SENT,
        member: M | None = None,
        partial: PartialUpdate | None = None,
        on_stored: Callable[[], None] | None = None,
    ) -> None:
        self.data = data
        self.number = number
        self.is_whole = is_whole
        self.outline = outline
        self.origin = origin
        self.member = member
        self.partial = partial
        self.on_stored = on_stored

    def integrated(self) -> RoomUpdate[M]:
        """Return it as a part of it was integrated, without the part that is still pending."""
        return RoomUpdate(
            self.data,
            self.number,
            self.is_whole,
            self.outline,
            self.origin,
            self.member,
            on_stored=self.on_stored,
        )


class CommentUpdate(Generic[M]):
    """An update of a member that may change nothing but the formats of comments."""

    __slots__ = ("update",)

    def __init__(self, update: RoomUpdate[M]) -> None:
        self.update = update


@dataclass(frozen=True)
class StateRequest:
    """A member's request for the updates that a document of state vector ``state`` lacks."""

    state: bytes


@dataclass(frozen=True)
class PresenceChange:
    """States of client ids that are present through a member."""

    states: list[PresenceState]


@dataclass(frozen=True)
class PresenceRequest:
    """A member's question for all presence."""


@dataclass(frozen=True)
class ReaderState:
    """Everything that a client has which may only read, where the protocol has it sent."""

    update: bytes


@dataclass(frozen=True)
class StatelessMessage:
    """A member's message to the project that is not part of the document."""

    payload: str


@dataclass(frozen=True)
class Reply:
    """A frame for the member alone."""

    frame: bytes | str


Effect = (
    RoomUpdate[M]
    | CommentUpdate[M]
    | StateRequest
    | PresenceChange
    | PresenceRequest
    | ReaderState
    | Reply
    | None
)
