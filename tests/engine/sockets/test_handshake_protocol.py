"""A usual handshake is answered as uvicorn answers it, whatever the application says."""

from __future__ import annotations

import asyncio
import logging
import re
from functools import partial
from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from collab.sockets import WebSocketProtocol
from tests.engine.transports import Pipe, new_protocol, request
from tests.harness.waiting import until

STOCK = WebSocketsSansIOProtocol
ACCEPT = {"type": "websocket.accept"}
BODY = {"type": "websocket.http.response.body", "body": b"no"}

#: Messages of the application.
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "accepted": [ACCEPT],
    "accepted, and left": [ACCEPT, {"type": "websocket.close", "code": 4000}],
    "accepted with a subprotocol": [ACCEPT | {"subprotocol": "collab"}],
    "accepted with headers": [ACCEPT | {"headers": [(b"X-Mine", b"yes")]}],
    "accepted with a frame": [ACCEPT, {"type": "websocket.send", "text": "hello"}],
    "refused": [{"type": "websocket.close"}],
    "refused with a page": [{"type": "websocket.http.response.start", "status": 404}, BODY],
    "not answered": [],
    "answered with a frame": [{"type": "websocket.send", "text": "hello"}],
    "accepted with a subprotocol that is not valid": [ACCEPT | {"subprotocol": "a\r\nb"}],
}


async def answered(
    kind: type[WebSocketsSansIOProtocol], messages: list[dict[str, Any]]
) -> tuple[dict[str, Any], bytes]:
    """Return the scope of a connection, and what its client is sent, without dates."""
    found: dict[str, Any] = {}

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        found.update(scope)
        await receive()
        for message in messages:
            await send(message)

    protocol, pipe = new_protocol(application, kind), Pipe()
    protocol.connection_made(pipe)
    protocol.data_received(request("a%20room?b=c"))
    await until(lambda: bool(found) and not protocol.tasks)
    if not pipe.is_closing():
        pipe.close()
    protocol.connection_lost(None)
    del found["extensions"]
    return found, re.sub(rb"(?i)date: [^\r]*\r\n", b"", b"".join(pipe.written))


@pytest.mark.parametrize("answer", ANSWERS)
async def test_usual_handshake_is_answered_as_by_uvicorn(answer: str) -> None:
    expected = await answered(STOCK, ANSWERS[answer])
    assert await answered(WebSocketProtocol, ANSWERS[answer]) == expected


def test_every_attribute_of_the_base_class_is_set() -> None:
    # A release of uvicorn that adds one is noticed here.
    async def compare() -> None:
        stock, own = (new_protocol(accepting, kind) for kind in (STOCK, WebSocketProtocol))
        for protocol in (stock, own):
            protocol.connection_made(Pipe())
        expected = vars(stock)
        replaced = {"app", "config", "conn", "connections", "queue", "tasks", "transport"}
        found = {name: getattr(own, name) for name in expected}
        assert {name: found[name] for name in expected.keys() - replaced - {"writable"}} == {
            name: expected[name] for name in expected.keys() - replaced - {"writable"}
        }
        assert found["writable"].is_set()
        assert found["queue"].empty()
        assert [*own.connections] == [own]

    asyncio.run(compare())


def has_answered(protocol: WebSocketsSansIOProtocol) -> bool:
    """Return whether the application has accepted a client, and has ended."""
    return protocol.handshake_complete and not protocol.tasks


async def test_default_headers_of_the_server_are_sent() -> None:
    sent, headers = [], [(b"Server", b"uvicorn"), (b"X-Mine", b"yes")]
    # The last one gets the lines that were made for the one before.
    for kind in (STOCK, WebSocketProtocol, WebSocketProtocol):
        protocol, pipe = new_protocol(accepting, kind), Pipe()
        protocol.default_headers = headers
        protocol.connection_made(pipe)
        protocol.data_received(request())
        await until(partial(has_answered, protocol))
        protocol.connection_lost(None)
        sent.append(pipe.written[0])
    assert sent[0] == sent[1] == sent[2]


async def accepting(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Accept the client, and leave."""
    await receive()
    await send(ACCEPT)


async def test_clients_share_equal_headers_but_no_secrets() -> None:
    scopes: list[dict[str, Any]] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)
        await accepting(scope, receive, send)

    for _ in range(2):
        protocol = new_protocol(application)
        protocol.connection_made(Pipe())
        protocol.data_received(request().replace(b"\r\n\r\n", b"\r\ncookie: a=b\r\n\r\n"))
        await until(partial(has_answered, protocol))
        protocol.connection_lost(None)
    one, other = (scope["headers"] for scope in scopes)
    assert one == other
    shared = {mine[0] for mine, theirs in zip(one, other, strict=True) if mine is theirs}
    assert shared == {b"host", b"upgrade", b"connection", b"sec-websocket-version"}


@pytest.mark.parametrize(
    ("header", "passes"),
    [
        (b"", False),
        (b"forwarded: for=1.2.3.4\r\n", True),
        (b"x-forwarded-for: 1.2.3.4\r\n", True),
        (b"x-forwarded-proto: https\r\n", True),
        (b"x-long: " + b"a" * 8_180 + b"\r\n", True),
    ],
    ids=["none", "forwarded", "client", "scheme", "not usual"],
)
async def test_request_passes_the_middleware_for_proxies_if_one_may_have_sent_it(
    monkeypatch: pytest.MonkeyPatch, header: bytes, passes: bool
) -> None:
    seen: list[str] = []
    original = ProxyHeadersMiddleware.__call__

    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        await original(self, scope, receive, send)

    monkeypatch.setattr(ProxyHeadersMiddleware, "__call__", call)
    protocol = new_protocol(accepting)
    protocol.connection_made(Pipe())
    protocol.data_received(request()[:-2] + header + b"\r\n")
    await until(partial(has_answered, protocol))
    protocol.connection_lost(None)
    assert bool(seen) is passes


async def test_accepted_handshake_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "uvicorn.error")
    await answered(WebSocketProtocol, [ACCEPT])
    assert [record.getMessage() for record in caplog.records] == [
        '127.0.0.1:1 - "WebSocket /ws/a%20room" [accepted]'
    ]


async def test_close_frame_is_not_answered_once_the_connection_is_closing() -> None:
    protocol, pipe = new_protocol(accepting), Pipe()
    protocol.connection_made(pipe)
    protocol.data_received(request())
    await until(partial(has_answered, protocol))
    assert pipe.is_closing()
    sent = [*pipe.written]
    protocol.data_received(b"\x88\x82\0\0\0\0\x03\xe8")
    assert pipe.written == sent
    protocol.connection_lost(None)


@pytest.mark.parametrize("is_lost", [True, False])
async def test_client_that_has_left_is_not_accepted(is_lost: bool) -> None:
    has_left, results = asyncio.Event(), list[str]()

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await has_left.wait()
        try:
            await send(ACCEPT)
        except OSError as error:
            results.append(type(error).__name__)
        results.append("ended")

    protocol, pipe = new_protocol(application), Pipe()
    protocol.connection_made(pipe)
    protocol.data_received(request())
    await until(lambda: bool(protocol.tasks))
    pipe.close()
    if is_lost:
        protocol.connection_lost(None)
    has_left.set()
    await until(lambda: not protocol.tasks)
    assert results == (["ClientDisconnected", "ended"] if is_lost else ["ended"])
    assert not any(data.startswith(b"HTTP/1.1 101") for data in pipe.written)
    if not is_lost:
        protocol.connection_lost(None)
