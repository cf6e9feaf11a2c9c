"""What is on its way into a room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from collab.engine.rooms.member import Member
from collab.protocol.yjs.validation import UpdateOutline

__all__ = ["Edit"]


# Not frozen: there is one for each keystroke, and making a frozen one takes three times as long.
@dataclass(slots=True)
class Edit:
    """An update on its way into the room.

    Args:
        update: Yjs update bytes.
        member: who sent it; ``None`` for server code.
        number: of the update among those of the member.
        applied: it is in the Doc already.
        stored: it is in the storage already, or somebody else's to store.
        relayed: it came from another process.
        on_stored: called when it is stored.
        outline: of the update, if it has been read already.
    """

    update: bytes
    member: Member | None = None
    number: int = 0
    applied: bool = False
    stored: bool = False
    relayed: bool = False
    on_stored: Callable[[], None] | None = None
    outline: UpdateOutline | None = field(default=None, compare=False, repr=False)
