"""A client's token for one document, its user, and the project's answer to it."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from collab.access import Access
from collab.conf import Settings
from collab.engine.hub.identity import user_id_of
from collab.engine.serving.access_check import REFRESH_USER, AccessCheck
from collab.exceptions import Forbidden, MemberError, Unauthenticated

__all__ = ["Authenticator", "Credentials", "reason_of"]

#: Seconds within which a client sends a new token, if its last one is not valid any more.
_TOKEN_TIMEOUT = 10.0


class Authenticator(Protocol):
    """A client's connection, as its credentials know it."""

    scope: dict[str, Any]
    settings: Settings

    async def authenticate(self, name: str, token: str) -> Any:
        """Ask the project for the access of a client with a token to a document."""


class Credentials:
    """A client's token for one document, and its user.

    The user is that of the connection's session, unless the project names another.

    Args:
        connection: of the client.
        name: of the document.
    """

    def __init__(self, connection: Authenticator, name: str) -> None:
        self._connection = connection
        self._name = name
        #: The connection's scope, with the user that the project names.
        self.scope = connection.scope
        self.token = ""
        #: Set when the token comes that is being waited for.
        self._renewal: asyncio.Event | None = None
        self.check = AccessCheck(connection.scope, self._authorize, connection.settings)

    @property
    def user_id(self) -> str | None:
        """Primary key of the user as text; ``None`` for an anonymous one."""
        return user_id_of(self.scope)

    @property
    def has_session(self) -> bool:
        """Whether the user is that of the connection's session."""
        return self.scope is self._connection.scope

    @property
    def is_awaited(self) -> bool:
        """Whether a new token is being waited for."""
        return self._renewal is not None

    def renew(self, token: str) -> None:
        """Use another token from now on."""
        self.token = token
        if self._renewal is not None:
            self._renewal.set()

    async def renewed(self) -> None:
        """Wait until the client has sent a token again.

        Raises:
            Unauthenticated: it has not within some seconds.
        """
        self._renewal = asyncio.Event()
        try:
            async with asyncio.timeout(_TOKEN_TIMEOUT):
                await self._renewal.wait()
        except TimeoutError:
            raise Unauthenticated("The token is not valid any more.") from None
        finally:
            self._renewal = None

    async def _authorize(self) -> Access:
        answer = await self._connection.authenticate(self._name, self.token)
        if isinstance(answer, tuple):
            answer, user = answer
            self._set_user(user)
        return Access(answer)

    def _set_user(self, user: Any) -> None:
        before = self.user_id
        if user is self._connection.scope.get("user"):
            self.scope = self._connection.scope
        else:
            # The session, if there is one, is another user's.
            others = {"session", REFRESH_USER}
            own = {key: value for key, value in self._connection.scope.items() if key not in others}
            self.scope = {**own, "user": user}
        if self.check.access > Access.NONE and self.user_id not in (before, None):
            raise Forbidden("The token is of another user: open the document again.")

    def forget_user(self) -> None:
        """Treat the user of the session as anonymous from now on; a token is asked about again."""
        if self.has_session:
            self.check.forget_user()


def reason_of(error: MemberError, default: str) -> str:
    """Return the project's reason for a refusal, if it has one."""
    text = str(error)
    return default if text == type(error).__doc__ else text
