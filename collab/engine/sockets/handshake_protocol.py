"""uvicorn's websocket until it is open: its turn to join, its request, its application."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from logging import DEBUG, INFO, getLogger
from socket import AF_INET, AF_INET6, IPPROTO_TCP
from types import FrameType
from typing import Any, Literal
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_path_with_query_string,
    is_ssl,
)
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol

from collab.engine.connections.fast_path import EXTENSION
from collab.engine.connections.frame_writer import FrameWriter
from collab.engine.runtime.counters import counters
from collab.engine.sockets.addresses import addresses_of
from collab.engine.sockets.inbox import Inbox
from collab.engine.sockets.join_queue import current_join_queue
from collab.engine.sockets.keepalive import PingSchedule, current_ping_schedule
from collab.engine.sockets.request_head import (
    MAX_REQUEST_PART,
    REQUEST_END,
    Header,
    UsualRequest,
    is_token,
    read_request,
)
from collab.engine.sockets.resting import has_only
from collab.engine.sockets.shared_values import shared
from collab.wire import CloseCode

__all__ = ["WRITABLE", "HandshakeProtocol"]

_logger = getLogger("uvicorn.error")

#: Limit of bytes that the system accepts and has not sent yet. Without it, the system copies and
#: keeps megabytes for each client that opens a large document.
_MAX_UNSENT = 128 * 1024
_UNSENT_OPTION = getattr(socket, "TCP_NOTSENT_LOWAT", None)

#: Shared by all connections that accept more. A set event never waits, so it needs no event loop.
WRITABLE = asyncio.Event()
WRITABLE.set()


class HandshakeProtocol(WebSocketsSansIOProtocol):
    """A websocket of uvicorn that is about to be open."""

    # Of the base class; an object of more than 30 attributes has a dict of its own, of 1.5 KB.
    __slots__ = (
        "app_state",
        "asgi_version",
        "connections",
        "default_headers",
        "last_ping_rtt",
        "pending_ping_payload",
        "ping_interval",
        "ping_sent_at",
        "ping_timeout",
        "ping_timer",
        "pong_timer",
        "root_path",
        "scheme",
        "server",
        "tasks",
        "writer",
    )
    # Most connections keep these, and few read them. An attribute of the class takes ten times as
    # long to read as one of the object, so those that each frame needs are not here.
    handshake_initiated = close_sent = disconnected = False
    close_timer = initial_response = None
    close_timeout = 10.0
    curr_msg_data_type: Literal["text", "bytes"] = "bytes"

    #: The beginning of a frame, or frames that are read later.
    partial: bytearray
    #: The library's state, released while the connection is open and between messages.
    library: ServerProtocol | None
    queue: Inbox  # type: ignore[assignment]
    #: The request, if it is a usual one and not answered yet.
    _usual: UsualRequest | None = None
    #: Bytes that the client sent before its turn to join.
    _request = b""
    #: The system accepts no more bytes than it can send soon.
    _is_limited = False
    #: Ends the connection of a client that does not read in time what is left for it.
    _abort_timer: asyncio.TimerHandle | None = None
    #: Continues the application, which rests, in its context.
    _resume: Callable[[], Awaitable[None]] | None = None
    _context: Context
    #: The connections that are pinged, this one among them once it is accepted.
    _pings: PingSchedule | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # Not that of the base class, which makes a state of the library and a queue of asyncio that
        # would be dropped at once. A test compares the attributes with those that it sets.
        self.config = config
        self.app = config.loaded_app
        self.loop = _loop or asyncio.get_running_loop()
        self.logger = _logger
        self.root_path = config.root_path
        self.asgi_version = config.asgi_version
        self.app_state = app_state
        self.connections = server_state.connections
        self.tasks = server_state.tasks
        self.default_headers = server_state.default_headers
        self.queue = Inbox()
        self.handshake_complete = self.read_paused = False
        self.library = None
        self.writable = WRITABLE
        self.ping_interval = config.ws_ping_interval
        self.ping_timeout = config.ws_ping_timeout
        self.ping_timer = None
        self.pong_timer = None
        self.pending_ping_payload = None
        self.ping_sent_at = self.last_ping_rtt = 0.0
        self.frames = []

    # Nothing sets it: the base class's __init__ is not called.
    @property
    def conn(self) -> ServerProtocol:  # type: ignore[override]
        """The library's state; made again if it was released."""
        if self.library is None:
            # It decides now what may be sent.
            self.writer.is_open = False
            # Without extensions: an update gains nothing from compression, and a frame that
            # inflates costs more than was charged for it.
            self.library = ServerProtocol(
                state=OPEN if self.handshake_complete else CONNECTING,
                max_size=self.config.ws_max_size,
                logger=self.logger,
            )
        return self.library

    def connection_made(self, transport: Any) -> None:
        """Begin, as the base class does, which also logs it for debugging."""
        if self.logger.isEnabledFor(DEBUG):
            super().connection_made(transport)
        self.connections.add(self)
        self.transport = transport
        self.writer = FrameWriter(transport)
        server, self.client = addresses_of(transport)
        self.server = shared(server)
        self.scheme = "wss" if is_ssl(transport) else "ws"

    def limit_unsent(self) -> None:
        """Make the system take no more than it can send soon, from the first call on.

        A large document is sent in pieces, and other connections run in between.
        """
        if self._is_limited:
            return
        self._is_limited = True
        sock = self.transport.get_extra_info("socket")
        is_tcp = sock is not None and sock.family in (AF_INET, AF_INET6)
        if is_tcp and _UNSENT_OPTION is not None:
            sock.setsockopt(IPPROTO_TCP, _UNSENT_OPTION, _MAX_UNSENT)

    def join_by(self, usual: UsualRequest) -> None:
        """Begin with a request that was read already, once this connection may join."""
        self._usual = usual
        current_join_queue().add(self._come_in)

    def _knock(self, data: bytes) -> None:
        """Keep the request, and bytes that follow it, until this connection may join."""
        is_first = not self._request and self._usual is None
        self._request += data
        if is_first:
            current_join_queue().add(self._come_in)

    def _come_in(self) -> None:
        """Begin with the request, unless the client has left."""
        if self.transport.is_closing():
            return
        rest = self._request if self._usual is not None else self._read_request()
        if self._usual is not None:
            self._begin(self._usual)
        self._request = b""
        if self.handshake_initiated and rest:
            self._wait_for_handshake(rest)

    def _read_request(self) -> bytes:
        """Read the request, and return the bytes behind it."""
        request, end, rest = self._request.partition(REQUEST_END)
        if end and not self.logger.isEnabledFor(DEBUG):
            self._usual = read_request(request)
        if self._usual is None:
            super().data_received(request + end)
            if not self.handshake_initiated:
                self._refuse_request(request)
        return rest

    def _refuse_request(self, request: bytes) -> None:
        """Answer a request that the library does not accept, and close the connection."""
        # The library counts the end of a line.
        lines = request.split(b"\r\n")
        is_too_large = any(len(line) + len(b"\r\n") > MAX_REQUEST_PART for line in lines)
        status = b"431 Request Header Fields Too Large" if is_too_large else b"400 Bad Request"
        counters.refuse(CloseCode.PROTOCOL_VIOLATION, "Handshake")
        self.transport.write(b"HTTP/1.1 %b\r\nConnection: close\r\n\r\n" % status)
        self.transport.close()

    def _wait_for_handshake(self, data: bytes) -> None:
        """Keep frames that come before the application has accepted the connection."""
        self.partial += data
        self.transport.pause_reading()

    def handle_connect(self, event: Request) -> None:
        """Begin with a request that the library has read."""
        self.partial = bytearray()
        super().handle_connect(event)

    def _begin(self, usual: UsualRequest) -> None:
        """Ask the application about a usual request, as the base class does about any."""
        self.partial = bytearray()
        self.handshake_initiated = True
        path, _, query = usual.target.partition("?")
        self.scope = {
            "type": "websocket",
            "asgi": {"version": self.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": self.scheme,
            "server": self.server,
            "client": self.client,
            "root_path": self.root_path,
            "path": self.root_path + unquote(path),
            "raw_path": f"{self.root_path}{path}".encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": usual.headers,
            "subprotocols": usual.subprotocols,
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }
        self.queue.put_nowait({"type": "websocket.connect"})
        self._start(self.run_asgi())

    async def send(self, message: Any) -> None:
        """Send a message of the application."""
        usual, self._usual = self._usual, None
        if usual is None or not self._accept(usual, message):
            if usual is not None and not self.disconnected:
                # The library makes any other answer.
                self.request = usual.for_library()
                self.response = self.conn.accept(self.request)
            await super().send(message)

    def _accept(self, usual: UsualRequest, message: Any) -> bool:
        """Accept a usual request if that can be done at once; return whether."""
        subprotocol = message.get("subprotocol")
        if (
            message["type"] != "websocket.accept"
            or message.get("headers")
            or not (subprotocol is None or is_token(subprotocol))
            or self.writable is not WRITABLE
            or self.disconnected
        ):
            return False
        if self.logger.isEnabledFor(INFO):
            url = get_path_with_query_string(self.scope)
            self.logger.info('%s - "WebSocket %s" [accepted]', get_client_addr(self.scope), url)
        if not self.transport.is_closing():
            self.handshake_complete = True
            lines = _default_lines(self.default_headers)
            if subprotocol is not None:
                lines += b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode()
            self.transport.write(usual.answer(lines))
            self.start_keepalive()
        return True

    # The application.

    def run_asgi(self) -> Any:
        """Run the application, which finds the socket in its scope."""
        scope: Any = self.scope
        scope["extensions"][EXTENSION] = {"socket": self}
        application = self.app
        if self._usual is not None and not self._usual.is_proxied:
            application = _without_proxies(application)
        # The base class logs the scope's URL, whose query may have a token.
        names = "type", "client", "root_path", "path"
        logged: Any = {"query_string": b"", **{name: scope[name] for name in names}}
        self.scope = logged
        return self._run(partial(application, scope, self.receive, self.send))

    def _start(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> None:
        """Run the application in a task, which the server waits for when it ends."""
        task = self.loop.create_task(work, context=context)
        task.add_done_callback(self.on_task_complete)
        self.tasks.add(task)

    async def _run(self, application: Callable[[], Awaitable[Any]]) -> None:
        """Run the application until it ends or rests, as the base class does."""
        try:
            result = await application()
        except ClientDisconnected:
            pass
        except BaseException:
            self.logger.exception("Exception in ASGI application\n")
            self.send_500_response()
        else:
            if self._resume is not None:
                return
            if not self.handshake_complete:
                self.logger.error("ASGI callable returned without completing handshake.")
                self.send_500_response()
            elif result is not None:
                self.logger.error("ASGI callable should return None, but returned '%s'.", result)
        if self.close_timer is None:
            self.transport.close()
        self._limit_end()

    def rest(self, resume: Callable[[], Awaitable[None]], frame: FrameType) -> bool:
        """Call ``resume`` at the next event, if the application can return; return whether it can.

        Args:
            resume: continues the application.
            frame: of the coroutine that returns then.
        """
        if not self.queue.empty() or not has_only(frame.f_back, _RUN):
            return False
        self._resume, self._context = resume, copy_context()
        self.queue.on_event = self.wake
        return True

    def wake(self) -> None:
        """Continue the application, if it rests."""
        resume, self._resume, self.queue.on_event = self._resume, None, None
        if resume is not None:
            self._start(self._run(resume), self._context)

    # Keeping it open.

    def start_keepalive(self) -> None:
        """Ping the client when it was not pinged for an interval, if there is one."""
        if self.ping_interval:
            self._pings = current_ping_schedule(self.ping_interval)
            self._pings.add(self)

    def schedule_ping(self) -> None:
        """Ping the client again when the interval is over."""
        assert self._pings is not None
        self._pings.add(self)

    def stop_keepalive(self) -> None:
        """Ping the client no more."""
        if self._pings is not None:
            self._pings.remove(self)
        if self.pong_timer is not None:
            super().stop_keepalive()

    # The end.

    def eof_received(self) -> None:
        """Close the connection of a client that sends no more."""
        self._limit_end()

    def keepalive_timeout(self) -> None:
        """Close the connection of a client that answered no ping."""
        super().keepalive_timeout()
        self._limit_end()

    def _limit_end(self) -> None:
        """Limit the time in which the client reads what is left for it.

        Its transport would keep that, and an open file, for as long as the client likes. No limit
        counts the connection by then, and a process that ends would wait for it.
        """
        if self._abort_timer is None and self in self.connections:
            self._abort_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Inform the application."""
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        super().connection_lost(exc)


#: Headers of the server that were written last. It makes new ones each second. One object, so that
#: event loops in several threads cannot mix it up.
_last_headers: tuple[list[Header] | None, bytes] = None, b""


def _default_lines(headers: list[Header]) -> bytes:
    """Return the lines of the headers that the server adds to each answer."""
    global _last_headers
    last, lines = _last_headers
    if headers is not last:
        lines = b"".join([b"%b: %b\r\n" % (name.lower(), value) for name, value in headers])
        _last_headers = headers, lines
    return lines


_RUN = HandshakeProtocol._run.__code__


def _without_proxies(application: Any) -> Any:
    """Return the application without uvicorn's middleware for the headers of proxies.

    Its coroutine would wait as long as the connection lasts.
    """
    return application.app if type(application) is ProxyHeadersMiddleware else application
