"""Authentication by a token: in a header, in a subprotocol, or in the first frame::

    application = ProtocolTypeRouter({
        "websocket": TokenAuthMiddleware(URLRouter(routes), authenticate=user_of_jwt),
    })

For any consumer. Inside of ``AuthMiddlewareStack`` a token takes precedence over the session.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import DataError
from rest_framework.exceptions import APIException

from collab.conf import get_settings
from collab.engine.connections.fast_path import Receive, Send
from collab.engine.hub.addresses import address_of
from collab.engine.hub.admission import Admission, current_limits
from collab.engine.serving.access_check import REFRESH_USER
from collab.exceptions import MemberError, ProtocolViolation, TooBig, Unauthenticated
from collab.live.events.encoding import frame
from collab.live.permissions import is_authenticated, resolved
from collab.wire import SUBPROTOCOL

__all__ = ["TokenAuthMiddleware", "user_of_drf_token"]

#: A subprotocol that begins so has a token.
PREFIX = "token."
#: Schemes of the header ``Authorization``.
SCHEMES = ("bearer", "token")

Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
#: Returns the user of a token, or ``None``; may be async. ``APIException``, ``PermissionDenied``,
#: ``ValueError`` and ``DataError`` refuse as well.
Authenticate = Callable[[str], Any]


class TokenAuthMiddleware:
    """Sets the user of connections that send a token.

    A token is taken from the header ``Authorization: Bearer <token>`` (or ``Token``), from a
    subprotocol ``token.<token>``, which browsers can send, or with ``first_frame`` from the first
    frame: ``{"action": "authenticate", "request_id": 1, "token": "..."}``. A token that is not
    valid refuses the connection (4401), at first and at each later check of access. Without one
    the user stays as it is.

    Args:
        app: the application inside.
        authenticate: returns the user of a token, or ``None``. A function that is not async runs in
            a thread. By default tokens are those of ``rest_framework.authtoken``.
        first_frame: let anonymous connections without a token send one in their first frame.
    """

    def __init__(
        self,
        app: Application,
        authenticate: Authenticate | None = None,
        *,
        first_frame: bool = False,
    ) -> None:
        self._app = app
        self._authenticate = authenticate or user_of_drf_token
        self._first_frame = first_frame

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        offered = scope.get("subprotocols", [])
        scope = {**scope, "subprotocols": [one for one in offered if not one.startswith(PREFIX)]}
        handshake = _Handshake(offered, receive, send)
        try:
            if token := _header_token(scope) or _subprotocol_token(offered):
                await self._log_in(scope, token)
            elif self._first_frame and not is_authenticated(scope):
                await self._read_first_frame(scope, handshake)
        except MemberError as error:
            await handshake.refuse(error)
        except _Disconnected:
            pass
        else:
            await self._app(scope, handshake.receive, handshake.send)

    async def _log_in(self, scope: dict[str, Any], token: str) -> None:
        user = await self._user_of(token)
        if user is None:
            raise Unauthenticated("The token is not valid.")
        scope["user"] = user
        scope[REFRESH_USER] = partial(self._current_user, token)

    async def _user_of(self, token: str) -> Any:
        """Return the user of a token; ``None`` if it is refused."""
        try:
            return await resolved(self._authenticate, token)
        except (APIException, PermissionDenied, ValueError, DataError):
            # PostgreSQL looks for no text with NUL.
            return None

    async def _current_user(self, token: str) -> Any:
        return await self._user_of(token) or AnonymousUser()

    async def _read_first_frame(self, scope: dict[str, Any], handshake: _Handshake) -> None:
        admission = Admission()
        try:
            # Until the application counts it.
            admission.enter(current_limits().addresses, address_of(scope))
            request = await handshake.first_frame()
            await self._log_in(scope, request["token"])
        finally:
            admission.end()
        if "action" in request:
            answer = frame(request["action"], request_id=request.get("request_id"), status=204)
            await handshake.send({"type": "websocket.send", "text": answer})


class _Disconnected(Exception):
    """The client has gone before it sent a token."""


class _Handshake:
    """The beginning of a connection, before the application inside sees it."""

    def __init__(self, offered: Sequence[str], receive: Receive, send: Send) -> None:
        self._offered = offered
        self._receive = receive
        self._send = send
        self._is_accepted = False
        #: A message that was received and that the application gets again.
        self._connect: dict[str, Any] | None = None

    async def receive(self) -> dict[str, Any]:
        """Return the next message for the application."""
        message, self._connect = self._connect, None
        return await self._receive() if message is None else message

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message of the application, which accepts at most once."""
        if message["type"] == "websocket.accept":
            await self._accept(message)
        else:
            await self._send(message)

    async def _accept(self, message: dict[str, Any]) -> None:
        if self._is_accepted:
            return
        self._is_accepted = True
        if not message.get("subprotocol") and self._offered:
            # Browsers fail a connection for which none is chosen.
            message = {**message, "subprotocol": self._offered[0]}
        await self._send(message)

    async def first_frame(self) -> dict[str, Any]:
        """Accept the connection, and return its first frame.

        Raises:
            MemberError: there is none in time, or it has no token.
        """
        settings = get_settings()
        self._connect = await self._receive()
        chosen = SUBPROTOCOL if SUBPROTOCOL in self._offered else None
        await self._accept({"type": "websocket.accept", "subprotocol": chosen})
        try:
            async with asyncio.timeout(settings.FIRST_FRAME_TIMEOUT):
                message = await self._receive()
        except TimeoutError:
            raise Unauthenticated("No token came in time.") from None
        if message["type"] == "websocket.disconnect":
            raise _Disconnected
        text = message.get("text") or ""
        if len(text) > settings.MAX_TEXT_SIZE:
            raise TooBig(f"A text frame may have at most {settings.MAX_TEXT_SIZE} bytes.")
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("token"), str):
            raise ProtocolViolation("The first frame has no token.")
        return request

    async def refuse(self, error: MemberError) -> None:
        """Close the connection; browsers see the code only if the connection was accepted."""
        if not self._is_accepted:
            await self._receive()
            if SUBPROTOCOL in self._offered:
                await self._accept({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        close = {"type": "websocket.close", "code": int(error.close_code), "reason": str(error)}
        await self._send(close)


def _header_token(scope: dict[str, Any]) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() in SCHEMES:
                return token.strip() or None
    return None


def _subprotocol_token(offered: Sequence[str]) -> str | None:
    return next((one.removeprefix(PREFIX) for one in offered if one.startswith(PREFIX)), None)


def user_of_drf_token(token: str) -> Any:
    """Return the user of a token of ``rest_framework.authtoken``; ``None`` if it is not valid."""
    from rest_framework.authentication import TokenAuthentication

    user, _ = TokenAuthentication().authenticate_credentials(token)
    return user
