"""The handshake of one connection: it is accepted or refused."""

from __future__ import annotations

from typing import Any

from collab.engine.connections.fast_path import Send
from collab.wire import SUBPROTOCOL

__all__ = ["Handshake"]


class Handshake:
    """Answers a client's request to open a websocket.

    Args:
        scope: of the connection.
        send: of the ASGI server.
    """

    __slots__ = ("_scope", "_send", "is_accepted")

    def __init__(self, scope: dict[str, Any], send: Send) -> None:
        self._scope = scope
        self._send = send
        self.is_accepted = False

    async def accept(self, subprotocol: str | None = None, headers: Any = None) -> None:
        """Accept it, with the subprotocol of ``CollabProvider`` if that was offered."""
        if subprotocol is None and self._offers_subprotocol:
            subprotocol = SUBPROTOCOL
        self.is_accepted = True
        message: dict[str, Any] = {"type": "websocket.accept", "subprotocol": subprotocol}
        if headers:
            message["headers"] = list(headers)
        await self._send(message)

    async def close(self, code: int, reason: str | None) -> None:
        """Close a connection that has no member; if it is not accepted yet, refuse it.

        Only a client that is accepted learns the code. One that offers the subprotocol expects
        that; any other is refused with HTTP 403, after which it waits longer and longer.
        """
        if not self.is_accepted and self._offers_subprotocol:
            await self.accept()
        message: dict[str, Any] = {"type": "websocket.close", "code": int(code)}
        if reason:
            message["reason"] = reason
        await self._send(message)

    @property
    def _offers_subprotocol(self) -> bool:
        return SUBPROTOCOL in self._scope.get("subprotocols", ())
