"""pycrdt-websocket's server without storage, as an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

# Installed in an environment of its own.
from pycrdt.websocket import ASGIServer, WebsocketServer

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

rooms = WebsocketServer()
serve = ASGIServer(rooms)


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Keep the rooms open as long as the server runs."""
    if scope["type"] != "lifespan":
        await serve(scope, receive, send)
        return
    await receive()
    async with rooms:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
