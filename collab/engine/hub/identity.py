"""Identity of a connection: its user and its session."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, Protocol

from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.runtime.background import BackgroundTasks
from collab.engine.runtime.per_loop import PerLoop

__all__ = [
    "OpenRooms",
    "RecentLogouts",
    "belongs_to",
    "current_logouts",
    "follow_user",
    "session_digest",
    "session_of",
    "user_id_of",
    "user_key",
]

#: Seconds from when a session is read until the hub knows the connection, at most.
_REMEMBERED: Final = 10.0
#: Logouts that are remembered, at most; the earliest is dropped.
_MAX_LOGOUTS: Final = 10_000

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
    return session is not None and session_of(scope) == session


def session_of(scope: Mapping[str, Any]) -> str | None:
    """Return the digest of a connection's session; ``None`` without one."""
    key = getattr(scope.get("session"), "session_key", None)
    return None if key is None else session_digest(key)


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


class RecentLogouts:
    """The users and sessions of one event loop that ended a moment ago.

    The session of a connection is read before the connection reaches the hub. A logout between the
    two finds no connection that it could end.
    """

    def __init__(self) -> None:
        #: Times, by kind and by the user's primary key or the session's digest; the earliest first.
        self._times: dict[tuple[str, str], float] = {}

    def add(self, user_id: str | None, session: str | None) -> None:
        """Record that a user, or the session of a digest, has ended."""
        now = time.monotonic()
        for kind, key in (("user", user_id), ("session", session)):
            if key is not None:
                self._times.pop((kind, key), None)
                self._times[kind, key] = now
        while len(self._times) > _MAX_LOGOUTS or self._is_earliest_over(now):
            del self._times[next(iter(self._times))]

    def concern(self, scope: Mapping[str, Any]) -> bool:
        """Return whether the user of a connection may have logged out before the hub knew it."""
        if not self._times:
            return False
        earliest = time.monotonic() - _REMEMBERED
        keys = ("user", user_id_of(scope) or ""), ("session", session_of(scope) or "")
        return any(self._times.get(key, 0.0) > earliest for key in keys)

    def _is_earliest_over(self, now: float) -> bool:
        return any(at < now - _REMEMBERED for at in islice(self._times.values(), 1))


_logouts = PerLoop(RecentLogouts)
#: Return the recent logouts of the running event loop.
current_logouts = _logouts.current
