"""Asks the project what a client may do: before it connects, and again while it is connected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from channels.auth import get_user
from channels.db import database_sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth import SESSION_KEY

from collab.access import Access
from collab.engine.runtime.counters import counters
from collab.exceptions import Forbidden, MemberError, Unauthenticated

__all__ = ["AccessCheck", "user_id_of"]


def user_id_of(scope: dict[str, Any]) -> str | None:
    """Return the primary key of a connection's user as text; ``None`` if it is anonymous."""
    key = getattr(scope.get("user"), "pk", None)
    return None if key is None else str(key)


class AccessCheck:
    """The access of one client, as the project answered last.

    Args:
        scope: of the connection; its ``user`` is kept up to date.
        authorize: the project's.
    """

    __slots__ = ("_authorize", "_scope", "access")

    def __init__(self, scope: dict[str, Any], authorize: Callable[[], Awaitable[Access]]) -> None:
        self._scope = scope
        self._authorize = authorize
        self.access = Access.NONE

    async def ask(self) -> None:
        """Ask the project for the first time.

        Raises:
            MemberError: the client is refused.
        """
        self.access = await self._authorize()
        if self.access < Access.READ:
            raise self.refusal()

    async def ask_again(self) -> Access:
        """Ask for the current user, who may have logged out, and return the answer."""
        await self._refresh_user()
        return await self._authorize()

    def record(self, access: Access) -> None:
        """Record that access is ``access`` from now on."""
        counters.access_changes[access.label] += access != self.access
        self.access = access

    def refusal(self) -> MemberError:
        """Return the error for a client without access."""
        return Unauthenticated() if user_id_of(self._scope) is None else Forbidden()

    async def _refresh_user(self) -> None:
        """Set ``scope["user"]`` to the user of the session as it is now, possibly anonymous."""
        session, user_id = self._scope.get("session"), user_id_of(self._scope)
        if session is None or user_id is None:
            return
        if await database_sync_to_async(session.get)(SESSION_KEY) == user_id:
            engine = import_module(django_settings.SESSION_ENGINE)
            current = engine.SessionStore(session.session_key)
            self._scope["user"] = await get_user({**self._scope, "session": current})
