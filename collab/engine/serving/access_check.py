"""Asks the project for a client's access: before it connects, and while it is connected."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from collab.access import Access
from collab.conf import Settings
from collab.engine.connections.refusals import denial, refusal_of
from collab.engine.hub.identity import user_id_of
from collab.engine.runtime.counters import counters
from collab.engine.runtime.timers import DeadlineExceeded, finish_within
from collab.engine.serving.current_users import current_user
from collab.exceptions import MemberError, TryAgainLater

__all__ = ["ANSWER_TIMEOUT", "REFRESH_USER", "AccessCheck", "is_rechecking"]

logger = logging.getLogger("collab.consumers")

_LATE = "%s() has not answered within %g s; its client is asked to connect again later."

#: A check that takes longer has failed, in seconds.
ANSWER_TIMEOUT = 30.0
#: Key in a scope for an async function that returns its user as of now, if no session does.
REFRESH_USER = "collab.refresh_user"

#: Whether the project is asked about a client that is connected, maybe with many others.
is_rechecking: ContextVar[bool] = ContextVar("collab_is_rechecking", default=False)


class AccessCheck:
    """The access of one client, as the project answered last (I12).

    A refusal is obeyed, whether the project returns or raises it. An error that is not a refusal
    leaves the last answer in force, for at most ``ACCESS_GRACE`` seconds.

    Args:
        scope: of the connection; its ``user`` is kept up to date.
        authorize: the project's.
        settings: for the times.
    """

    __slots__ = ("_answered_at", "_authorize", "_loop", "_scope", "_settings", "access")

    def __init__(
        self,
        scope: dict[str, Any],
        authorize: Callable[[], Awaitable[Access]],
        settings: Settings,
    ) -> None:
        self._scope = scope
        self._authorize: Callable[[], Awaitable[Access]] | None = authorize
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._answered_at = self._loop.time()
        self.access = Access.NONE

    async def ask(self) -> Access:
        """Ask the project, and return the client's access: to read at least.

        Raises:
            MemberError: the client is refused, or the project has not answered in time.
            Exception: the project could not answer.
        """
        try:
            return await finish_within(ANSWER_TIMEOUT, self._ask())
        except DeadlineExceeded:
            name = getattr(self._authorize, "__qualname__", self._authorize)
            logger.error(_LATE, name, ANSWER_TIMEOUT, extra={"user": user_id_of(self._scope)})
            raise TryAgainLater("Your access cannot be checked now.") from None

    async def _ask(self) -> Access:
        authorize = self._authorize
        try:
            access = self.access if authorize is None else await authorize()
        except Exception as error:
            refusal = refusal_of(error, user_id_of(self._scope))
            if refusal is None or refusal is error:
                raise
            raise refusal from error
        self._answered_at = self._loop.time()
        if access < Access.READ:
            raise denial(user_id_of(self._scope))
        return access

    async def ask_again(self) -> Access:
        """Ask on behalf of the current user, who may have logged out; see :meth:`ask`.

        Raises:
            TimeoutError: the project has not answered in time.
        """
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await self._refresh_user()
            token = is_rechecking.set(True)
            try:
                return await self._ask()
            finally:
                is_rechecking.reset(token)

    @property
    def has_expired(self) -> bool:
        """Whether the project has not answered for so long that its last answer is void."""
        return self._loop.time() - self._answered_at > self._settings.ACCESS_GRACE

    def record(self, access: Access) -> bool:
        """Record the client's access from now on; return whether it has changed."""
        is_changed = access != self.access
        counters.access_changes[access.label] += is_changed
        self.access = access
        return is_changed

    def release(self) -> None:
        """Ask no more: the connection has ended, and its access stays the last answer."""
        self._authorize = None

    def forget_user(self) -> None:
        """Treat the client as anonymous from now on: its user has logged out."""
        # The app of users need not be installed.
        from django.contrib.auth.models import AnonymousUser

        self._scope["user"] = AnonymousUser()

    def denial(self) -> MemberError:
        """Return the error for a client without access."""
        return denial(user_id_of(self._scope))

    async def _refresh_user(self) -> None:
        """Set ``scope["user"]`` to the user as of now, possibly anonymous."""
        if refresh := self._scope.get(REFRESH_USER):
            self._scope["user"] = await refresh()
            return
        session = self._scope.get("session")
        if session is not None and user_id_of(self._scope) is not None:
            self._scope["user"] = await current_user(session, self._scope["user"])
