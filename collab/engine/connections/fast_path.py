"""How a connection gets past ASGI, with a server that lets it.

An ASGI server queues each frame for a task that it wakes up, and takes each answer out of a
dictionary, in a coroutine. Where the server's class for websockets is that of
:mod:`collab.sockets`, its scope offers the socket itself, and what is on the hot path is a plain
call in both directions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

__all__ = ["EXTENSION", "Receive", "Send", "Socket", "socket_of"]

#: What the scope's ``extensions`` call it.
EXTENSION = "collab.socket"

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Socket(Protocol):
    """One connection of the server."""

    #: Is offered each binary frame that no other waits before, and tells whether it has taken
    #: it; what it has not is received as usual. It must not raise.
    take: Callable[[bytes], bool] | None

    def write(self, payload: bytes | str) -> bool:
        """Send a frame if that can be done at once, and tell whether it could."""

    def tell(self, event: dict[str, Any]) -> None:
        """Let the application receive ``event`` before any frame that comes later."""

    async def receive(self) -> Any:
        """The application's ``receive``."""

    async def send(self, message: Any) -> None:
        """The application's ``send``."""


def socket_of(scope: dict[str, Any]) -> Socket | None:
    """Return the connection's socket, if the server offers it."""
    found: Socket | None = scope.get("extensions", {}).get(EXTENSION, {}).get("socket")
    return found
