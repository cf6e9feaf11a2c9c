"""A connection is served as by uvicorn's HTTP protocol, whatever it begins with."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from collab.engine.connections.fast_path import EXTENSION
from collab.engine.sockets import http_protocol
from collab.sockets import HttpProtocol, WebSocketProtocol
from tests.engine.transports import fill_join_queue
from tests.harness.waiting import DEADLINE, until

OWN: Any = AutoHTTPProtocol

#: A handshake as a browser sends it.
HANDSHAKE = (
    b"GET /ws/a%20room?b=c HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nOrigin: https://example.org\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PAGE = b"GET /page HTTP/1.1\r\nHost: example.org\r\n\r\n"
FRAME = Frame(Opcode.BINARY, b"hello").serialize(mask=True)
CLOSE = Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True)


class Wire(asyncio.Transport):
    """A transport that passes bytes to the protocol that was set last, and keeps what is written.

    Args:
        protocol: the first one.
    """

    def __init__(self, protocol: Any) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 80)})
        self.protocol = protocol
        self.written = b""
        self._is_closing = False
        protocol.connection_made(self)

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self.protocol.connection_lost(None)

    def pause_reading(self) -> None:
        """Do nothing: tests do not send too much."""

    def resume_reading(self) -> None:
        """Nothing has been held back."""


class Server:
    """One server without sockets, whose application answers pages and echoes messages.

    Args:
        kind: the class of its HTTP protocol.
        options: of uvicorn.
    """

    def __init__(self, kind: Any, **options: Any) -> None:
        self.scopes: list[dict[str, Any]] = []
        options = {"ws": WebSocketProtocol, "log_config": None} | options
        self._config = uvicorn.Config(self._application, interface="asgi3", http=kind, **options)
        self._config.load()
        self._kind = kind
        self.state = ServerState()

    def connect(self) -> Wire:
        """Return the transport of a new connection."""
        app_state: dict[str, Any] = {"of": "lifespan"}
        return Wire(self._kind(config=self._config, server_state=self.state, app_state=app_state))

    async def answer(self, pieces: list[bytes]) -> bytes:
        """Return all that a client is sent that sends these bytes, and then leaves."""
        wire = self.connect()
        for piece in pieces:
            if not wire.is_closing():
                wire.protocol.data_received(piece)
        for _ in range(20):
            await asyncio.sleep(0)
        wire.close()
        await until(lambda: not (self.state.tasks or self.state.connections))
        return re.sub(rb"(?i)date: [^\r]*\r\n", b"", wire.written)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        kept = {name: value for name, value in scope.items() if name != "extensions"}
        self.scopes.append(kept)
        if scope["type"] == "http":
            event = await receive()
            body = event.get("body", b"")
            size = b"%d" % len(body)
            headers = [(b"content-length", size)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        kept["extensions"] = {*scope["extensions"]}
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": event.get("bytes")})


async def compare(pieces: list[bytes], **options: Any) -> tuple[list[dict[str, Any]], bytes]:
    """Return the scopes and the answer, which are those of uvicorn's own protocol."""
    own, ours = Server(OWN, **options), Server(HttpProtocol, **options)
    expected = await own.answer(pieces)
    assert await ours.answer(pieces) == expected
    assert ours.scopes == own.scopes
    assert ours.state.total_requests == own.state.total_requests
    return ours.scopes, expected


def changed(line: bytes, new: bytes) -> bytes:
    """Return the handshake with another line."""
    assert line in HANDSHAKE
    return HANDSHAKE.replace(line, new)


#: Beginnings of connections.
BEGINNINGS = {
    "a page": [PAGE],
    "pages": [PAGE * 3],
    "a page in pieces": [PAGE[:5], PAGE[5:20], PAGE[20:]],
    "a form": [b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\na=b"],
    "an old page": [b"GET / HTTP/1.0\r\n\r\n"],
    "no HTTP": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    "a handshake": [HANDSHAKE],
    "a handshake, and frames": [HANDSHAKE, FRAME, FRAME + CLOSE],
    "a handshake in pieces": [HANDSHAKE[:9], HANDSHAKE[9:], FRAME],
    "a handshake without its end": [HANDSHAKE[:-2], b"\r\n", FRAME],
    "a handshake with frames behind it": [HANDSHAKE + FRAME, FRAME],
    "two handshakes": [HANDSHAKE * 2, FRAME],
    "a handshake behind a page": [PAGE, HANDSHAKE, FRAME],
    "a handshake behind a line": [b"\r\n" + HANDSHAKE, FRAME],
    "HTTP/1.0": [changed(b"HTTP/1.1", b"HTTP/1.0")],
    "HTTP/2.0": [changed(b"HTTP/1.1", b"HTTP/2.0")],
    "small letters": [HANDSHAKE[:30] + HANDSHAKE[30:-40].lower() + HANDSHAKE[-40:]],
    "another server": [changed(b"/ws", b"http://example.com/ws")],
    "a path of two slashes": [changed(b"/ws", b"//example.com/ws")],
    "a fragment": [changed(b"b=c", b"b=c#d?e")],
    "no path": [changed(b"/ws/a%20room", b"*")],
    "two hosts": [changed(b"Connection", b"Host: example.com\r\nConnection")],
    "no host": [changed(b"Host: example.org\r\n", b"")],
    "two origins": [changed(b"Connection", b"Origin: https://example.com\r\nConnection")],
    "two keys": [changed(b"Upgrade: ", b"sec-websocket-key: abc\r\nUpgrade: ")],
    "two upgrades": [changed(b"Upgrade: ", b"Upgrade: h2c\r\nUpgrade: ")],
    "another upgrade": [changed(b"websocket\r", b"h2c\r")],
    "another method": [changed(b"GET", b"POST")],
    "a body": [changed(b"Upgrade: ", b"Content-Length: 5\r\nUpgrade: ") + b"hello", FRAME],
    "a body in chunks": [
        changed(b"Upgrade: ", b"Transfer-Encoding: chunked\r\nUpgrade: ") + b"0\r\n\r\n",
    ],
    "an expectation": [changed(b"Upgrade: ", b"Expect: 100-continue\r\nUpgrade: "), FRAME],
    "a folded header": [changed(b"Upgrade: ", b"X: a\r\n b\r\nUpgrade: "), FRAME],
    "a space behind a name": [changed(b"Upgrade: ", b"Upgrade : ")],
    "a line without a colon": [changed(b"Upgrade: ", b"X\r\nUpgrade: ")],
    "a bare line feed": [changed(b"\r\nUpgrade", b"\nUpgrade")],
    "spaces around a value": [changed(b"Upgrade: ", b"X: \t a b\t \r\nUpgrade:\t"), FRAME],
    "a tab behind a value": [changed(b"websocket\r", b"websocket \t\r")],
    "letters of no alphabet": [changed(b"Upgrade: ", b"X: \xe9\r\nUpgrade: ")],
    "a control character": [changed(b"Upgrade: ", b"X: \x01\r\nUpgrade: ")],
    "subprotocols": [changed(b"Upgrade: ", b"Sec-WebSocket-Protocol: a, b\r\nUpgrade: ")],
    "cookies": [changed(b"Upgrade: ", b"Cookie: a=b\r\nCookie: c=d\r\nUpgrade: "), FRAME],
    "another connection": [changed(b"n: Upgrade", b"n: close, upgrade"), FRAME],
    "a proxy": [
        changed(b"Upgrade: ", b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nUpgrade: ")
    ],
    "many headers": [changed(b"Upgrade: ", b"X: a\r\n" * 200 + b"Upgrade: ")],
    "a large header": [changed(b"Upgrade: ", b"X: " + b"a" * 9_000 + b"\r\nUpgrade: ")],
}


@pytest.mark.parametrize("name", BEGINNINGS)
async def test_connection_is_served_as_by_uvicorn(name: str) -> None:
    await compare(BEGINNINGS[name])


@pytest.mark.parametrize(
    "options",
    [
        {"root_path": "/below"},
        {"ws": WebSocketsSansIOProtocol},
        {"ws": "none"},
        {"limit_concurrency": 1},
        {"headers": [("x-mine", "yes")]},
        {"proxy_headers": False},
        {"forwarded_allow_ips": "*"},
    ],
    ids=lambda options: "".join(options),
)
async def test_options_of_uvicorn_mean_the_same(options: dict[str, Any]) -> None:
    for name in ("a page", "a handshake", "a proxy", "another method"):
        await compare(BEGINNINGS[name], **options)


REQUEST_LINE, *HEADER_LINES = HANDSHAKE.split(b"\r\n")[:-2]
#: Lines of other requests.
LINES = [b"GET /a HTTP/1.0", b"POST /b HTTP/1.1", b"Content-Length: 1", b"X:", b" folded", b""]


def spoiled(lines: list[bytes], wrong: bytes, place: int) -> bytes:
    """Return a request of these lines, with something at a place where it does not belong."""
    data = b"\r\n".join([*lines, b"", b""])
    place %= len(data) + 1
    return data[:place] + wrong + data[place:]


header_lines = st.permutations([*HEADER_LINES, b"Cookie: a=b"])
requests = st.one_of(
    st.sampled_from([HANDSHAKE, PAGE, FRAME]),
    st.builds(
        spoiled,
        header_lines.map(lambda lines: [REQUEST_LINE, *lines]),
        st.binary(max_size=2),
        st.integers(0, 400),
    ),
    st.builds(
        spoiled,
        st.lists(st.sampled_from([REQUEST_LINE, *HEADER_LINES, *LINES])),
        st.just(b""),
        st.just(0),
    ),
    st.binary(max_size=40),
)


@given(st.lists(requests, min_size=1, max_size=3), st.lists(st.integers(0, 1000), max_size=3))
@example([HANDSHAKE, FRAME], [len(HANDSHAKE)])
def test_any_bytes_in_any_packets_are_answered_as_by_uvicorn(
    parts: list[bytes], places: list[int]
) -> None:
    data = b"".join(parts)
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    pieces = [data[start:end] for start, end in pairwise(bounds) if start < end]
    asyncio.run(compare(pieces))


# What is served without uvicorn's protocol.


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the HTTP protocols of uvicorn that are made from now on."""
    found: list[Any] = []

    class Counted(OWN):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            found.append(self)

    monkeypatch.setattr(http_protocol, "AutoHTTPProtocol", Counted)
    return found


async def test_only_a_usual_handshake_needs_no_protocol_of_uvicorn(made: list[Any]) -> None:
    scopes, answer = await compare(BEGINNINGS["a handshake, and frames"])
    assert answer.startswith(b"HTTP/1.1 101")
    assert not made
    assert [scope["extensions"] for scope in scopes] == [{"websocket.http.response", EXTENSION}]
    await compare(BEGINNINGS["a page"])
    assert len(made) == 1


async def test_handshake_is_left_to_uvicorn_while_it_logs_for_debugging(
    made: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "uvicorn.error")
    await compare(BEGINNINGS["a handshake, and frames"])
    assert len(made) == 1


# Connections that have sent nothing.


@pytest.mark.parametrize("kind", [OWN, HttpProtocol])
async def test_connection_that_sends_nothing_is_counted_and_closed_with_the_server(
    kind: Any,
) -> None:
    server = Server(kind)
    wire = server.connect()
    assert len(server.state.connections) == 1
    for connection in [*server.state.connections]:
        connection.shutdown()
    assert wire.is_closing()
    await until(lambda: not server.state.connections)


@pytest.mark.parametrize("kind", [OWN, HttpProtocol])
async def test_connections_that_send_nothing_count_for_the_limit_of_all(kind: Any) -> None:
    server = Server(kind, limit_concurrency=2)
    idle = server.connect()
    assert (await answered_beside(server, PAGE)).startswith(b"HTTP/1.1 503")
    idle.close()
    await until(lambda: not server.state.connections)
    assert (await answered_beside(server, PAGE)).startswith(b"HTTP/1.1 200")


async def answered_beside(server: Server, data: bytes) -> bytes:
    """Return what a client is sent that sends ``data``, whoever else is connected."""
    wire, before = server.connect(), len(server.state.connections) - 1
    wire.protocol.data_received(data)
    await until(lambda: bool(wire.written))
    wire.close()
    await until(lambda: len(server.state.connections) == before)
    return wire.written


async def test_handshake_that_waits_for_its_turn_ends_with_the_server() -> None:
    server = Server(HttpProtocol)
    wire = server.connect()
    fill_join_queue()
    wire.protocol.data_received(HANDSHAKE)
    for connection in [*server.state.connections]:
        connection.shutdown()
    await until(lambda: not (server.state.connections or server.state.tasks))
    assert wire.written.startswith(b"HTTP/1.1 500")
    assert not server.scopes


# Over sockets.


@pytest.mark.parametrize("kind", [OWN, HttpProtocol])
async def test_pages_and_websockets_share_a_port(kind: Any) -> None:
    server = Server(kind)
    config = uvicorn.Config(
        server._application, interface="asgi3", http=kind, ws=WebSocketProtocol, log_config=None
    )
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serving = asyncio.create_task(running.serve(sockets=[listener]))
        idle = await asyncio.open_connection("127.0.0.1", port)
        for data, status in ((PAGE, b"200"), (HANDSHAKE, b"101"), (b"\0\r\n\r\n", b"400")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            async with asyncio.timeout(DEADLINE):
                assert status in await reader.readuntil(b"\r\n")
            writer.close()
            await writer.wait_closed()
        running.should_exit = True
        async with asyncio.timeout(DEADLINE):
            assert await idle[0].read() == b""
            await serving
        idle[1].close()
        await idle[1].wait_closed()
