"""A new connection of uvicorn, until its first bytes show what it is.

The usual request of a websocket goes to the websocket at once. uvicorn's own HTTP protocol would
parse it, put it together again, and make a protocol that parses it a second time.
"""

from __future__ import annotations

import asyncio
from logging import DEBUG, getLogger
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from collab.engine.sockets.handshake_protocol import HandshakeProtocol
from collab.engine.sockets.request_head import REQUEST_END, UsualRequest, read_request

__all__ = ["HttpProtocol"]

_logger = getLogger("uvicorn.error")


class HttpProtocol(asyncio.Protocol):
    """Begins a websocket by its usual request, and leaves any other to uvicorn's protocol.

    The request must have come whole and alone. Pages, parts of a request, and requests that are
    unusual or not valid reach uvicorn's protocol as if it had been there from the beginning.
    """

    __slots__ = ("_app_state", "_config", "_loop", "_server_state", "_transport")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._server_state: Any = server_state
        self._app_state = app_state
        self._loop = _loop

    def connection_made(self, transport: Any) -> None:
        """Count the connection, so that the server closes it when it ends."""
        self._transport = transport
        self._server_state.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, which has sent nothing."""
        self._server_state.connections.discard(self)

    def shutdown(self) -> None:
        """Close the connection, as the server ends."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Pass the connection on, with its first bytes."""
        self._server_state.connections.discard(self)
        kind: Any = self._config.ws_protocol_class
        usual = self._read(data) if _is_ours(kind) else None
        if usual is None:
            self._leave_to_uvicorn(data)
        else:
            protocol = kind(self._config, self._server_state, self._app_state)
            protocol.connection_made(self._transport)
            self._transport.set_protocol(protocol)
            protocol.join_by(usual)

    def _read(self, data: bytes) -> UsualRequest | None:
        """Return the usual request that ``data`` is, and nothing else."""
        # Behind the application, uvicorn logs what a request is.
        if not data.endswith(REQUEST_END) or _logger.isEnabledFor(DEBUG):
            return None
        return read_request(data[: -len(REQUEST_END)])

    def _leave_to_uvicorn(self, data: bytes) -> None:
        protocol: Any = AutoHTTPProtocol(  # type: ignore[call-arg]
            config=self._config,
            server_state=self._server_state,
            app_state=self._app_state,
            _loop=self._loop,
        )
        protocol.connection_made(self._transport)
        # Before the bytes, which may set another one.
        self._transport.set_protocol(protocol)
        protocol.data_received(data)


def _is_ours(kind: Any) -> bool:
    """Return whether a class of websockets begins with a request that was read already."""
    return isinstance(kind, type) and issubclass(kind, HandshakeProtocol)
