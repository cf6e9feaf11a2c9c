"""Identity of a connection: its user and its session."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.runtime.background import BackgroundTasks

__all__ = ["OpenRooms", "belongs_to", "follow_user", "session_digest", "user_id_of", "user_key"]

_tasks = BackgroundTasks("collab-identity", logging.getLogger("collab.consumers"))


class OpenRooms(Protocol):
    """The rooms of an event loop."""

    @property
    def rooms(self) -> Mapping[tuple[str, bool], Room]:
        """The open rooms, by name and whether the document is stored."""

    async def wait_saved(self, *names: str) -> None:
        """Wait until all updates to documents are stored."""


def session_digest(key: str) -> str:
    """Return a digest that identifies a session to other processes; its key is a secret."""
    return hashlib.sha256(f"collab:{key}".encode()).hexdigest()


def belongs_to(scope: Mapping[str, Any], user_id: str | None, session: str | None) -> bool:
    """Return whether a connection is of this user, or of the session of this digest."""
    if user_id is not None and user_id_of(scope) == user_id:
        return True
    key = getattr(scope.get("session"), "session_key", None)
    return session is not None and key is not None and session_digest(key) == session


def user_id_of(scope: Mapping[str, Any]) -> str | None:
    """Return the primary key of a connection's user as text; ``None`` if it is anonymous."""
    return user_key(scope.get("user"))


def user_key(user: object) -> str | None:
    """Return the primary key of a user as text; ``None`` without a user."""
    key = getattr(user, "pk", None)
    return None if key is None else str(key)


def follow_user(member: Member, hub: OpenRooms) -> None:
    """Attribute later updates of a member to the present user of its connection.

    Updates so far stay those of the former user: they are stored first.
    """
    if member.user_id != user_id_of(member.connection.scope):
        _tasks.start(_attribute(member, hub), "attribute", member.room_name)


async def _attribute(member: Member, hub: OpenRooms) -> None:
    if (name := member.room_name) is not None:
        for stored in (True, False):
            if room := hub.rooms.get((name, stored)):
                room.flush()
        await hub.wait_saved(name)
    member.user_id = user_id_of(member.connection.scope)
