"""The users who have documents open, in all processes: a list of them, and checks of access."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from collab.access import Access
from collab.documents.patterns import NamePattern
from collab.engine.hub.current import in_all_hubs, live_hubs
from collab.engine.hub.hub import Hub
from collab.engine.hub.identity import user_key
from collab.engine.hub.working_copies import blocking
from collab.engine.relay.messages import ALL_ROOMS, order
from collab.engine.relay.publisher import inquire, publish
from collab.engine.rooms.room import PresentMember
from collab_storage.base import check_name

__all__ = [
    "PresentUser",
    "aclose_members",
    "apresent",
    "arecheck_access",
    "asend_stateless",
    "close_members",
    "present",
    "recheck_access",
    "send_stateless",
]


@dataclass(frozen=True, slots=True)
class PresentUser:
    """A user who has a document open, in however many tabs and processes.

    Args:
        user_id: primary key as text; ``None`` for an anonymous connection, each of which counts.
        access: the highest of the user's connections.
        client_ids: of the Yjs clients that are present through these connections.
        connections: the number of connections.
        verified: the answer of ``presence()`` of the document's type; ``None`` if there is none.
    """

    user_id: str | None
    access: Access
    client_ids: tuple[int, ...]
    connections: int
    verified: dict[str, Any] | None


# Presence.


async def apresent(room_name: str) -> list[PresentUser]:
    """Return the users who have a document open, in any process.

    Processes are asked through the channel layer. While this process has the document open it
    knows which others do; otherwise the answer comes at once if there are some, and after half a
    second if there are none. A process that does not answer within two seconds is left out.
    """
    check_name(room_name)
    members, known = await _present_here(room_name)
    answers = await inquire(room_name, order(room_name, "present"), known)
    for answer in answers:
        members += answer["members"]
    return _users(members)


async def _present_here(name: str) -> tuple[list[PresentMember], set[str] | None]:
    """Return the members in this process, and the others that hold the document, if it does."""
    looks = [_ask(hub, name) for hub in live_hubs()]
    members: list[PresentMember] = []
    known: set[str] | None = None
    for is_held, found, peers in await asyncio.gather(*looks):
        members += found
        if is_held:
            known = peers if known is None else known | peers
    return members, known


async def _ask(hub: Hub, name: str) -> tuple[bool, list[PresentMember], set[str]]:
    async def look() -> tuple[bool, list[PresentMember], set[str]]:
        return (name, True) in hub.rooms, hub.present(name), hub.peers_of(name)

    if hub.is_here():
        return await look()
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(look(), hub.loop))


def _users(members: Iterable[PresentMember]) -> list[PresentUser]:
    by_user: dict[object, list[PresentMember]] = {}
    for number, member in enumerate(members):
        # Each anonymous connection for itself.
        key = number if member["user_id"] is None else member["user_id"]
        by_user.setdefault(key, []).append(member)
    return [_user(connections) for connections in by_user.values()]


def _user(connections: list[PresentMember]) -> PresentUser:
    verified = next((each["verified"] for each in connections if each["verified"]), "null")
    return PresentUser(
        user_id=connections[0]["user_id"],
        access=Access(max(each["access"] for each in connections)),
        client_ids=tuple(sorted({one for each in connections for one in each["client_ids"]})),
        connections=len(connections),
        verified=json.loads(verified),
    )


# Access.


async def arecheck_access(
    room_name: str | None = None,
    user: object = None,
    *,
    prefix: str | None = None,
    pattern: str | None = None,
) -> None:
    """Run ``authorize()`` again for the members of documents, in every process.

    Args:
        room_name: the document.
        user: only for this user's connections.
        prefix: instead of ``room_name``, for all documents whose names begin with it; ``""`` for
            all there are.
        pattern: instead of ``room_name``, for all documents whose names match it, in the syntax of
            ``register()``.

    Raises:
        TypeError: not exactly one of ``room_name``, ``prefix`` and ``pattern`` is given.
        ImproperlyConfigured: ``pattern`` is not valid.
    """
    user_id = user_key(user)
    if [room_name, prefix, pattern].count(None) != 2:
        raise TypeError("recheck_access() takes one of room_name, prefix and pattern.")
    if room_name is not None:
        in_all_hubs(lambda hub: hub.recheck_access(room_name, user_id))
        publish(room_name, order(room_name, "recheck", user=user_id))
        return
    beginning = NamePattern(pattern).prefix if pattern is not None else prefix or ""
    in_all_hubs(lambda hub: hub.recheck_matching(beginning, pattern, user_id))
    fields = {"prefix": beginning, "pattern": pattern, "user": user_id}
    publish(ALL_ROOMS, order(ALL_ROOMS, "recheck_matching", **fields))


# Messages to members.


async def asend_stateless(room_name: str, payload: str, *, exclude: object = None) -> None:
    """Send a message that is not part of the document to its members, in every process.

    It reaches those who are connected now; nothing is stored. Clients of Hocuspocus get the event
    ``stateless``, as does ``CollabProvider``; other clients of y-websocket get nothing.

    Args:
        room_name: the document.
        payload: a text.
        exclude: a member of this process that does not get it, such as the sender.

    Raises:
        TypeError: ``payload`` is not a text.
    """
    if not isinstance(payload, str):
        raise TypeError("The payload of a stateless message is a text; encode other values.")
    in_all_hubs(lambda hub: hub.send_stateless(room_name, payload, exclude))
    publish(room_name, order(room_name, "stateless", payload=payload))


async def aclose_members(room_name: str, reason: str = "", user: object = None) -> None:
    """Close a document for its members, in every process.

    Clients of y-websocket connect again. Providers of Hocuspocus emit ``close`` with the reason,
    keep their connection, and do not open the document again by themselves.

    Args:
        room_name: the document.
        reason: sent to the clients.
        user: only for this user's connections.
    """
    user_id = user_key(user)
    in_all_hubs(lambda hub: hub.close_members(room_name, reason, user_id))
    publish(room_name, order(room_name, "close", reason=reason, user=user_id))


# The twins for synchronous code.
close_members = blocking(aclose_members)
present = blocking(apresent)
recheck_access = blocking(arecheck_access)
send_stateless = blocking(asend_stateless)
