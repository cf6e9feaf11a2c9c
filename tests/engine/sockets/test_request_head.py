from __future__ import annotations

import pytest
from websockets.http11 import Request
from websockets.server import ServerProtocol

from collab.engine.sockets.request_head import MAX_REQUEST_PART, ServerState, read_request

HOST = b"GET /ws/room?a=b HTTP/1.1\r\nHost: example.org"


@pytest.mark.parametrize(
    "lines", [b"", b"\r\nCookie:\ta=b; c \t\r\ncookie: second", b"\r\nX-Empty:\r\nX-1: a:b"]
)
def test_usual_request_is_read_as_by_the_library(lines: bytes) -> None:
    protocol = ServerProtocol()
    protocol.receive_data(HOST + lines + b"\r\n\r\n")
    (expected,) = protocol.events_received()
    found = read_request(HOST + lines)
    assert found == expected
    assert found is not None
    assert [*found.headers.raw_items()] == [*expected.headers.raw_items()]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"POST / HTTP/1.1",
        b"GET / HTTP/1.0",
        b"GET /\xc3\xa9 HTTP/1.1",
        HOST + b"\r\nno colon",
        HOST + b"\r\n folded: line",
        HOST + b"\r\nX: \xe9",
        HOST + b"\r\nX: \0",
        HOST + b"\r\nContent-Length: 0",
        HOST + b"\r\ntransfer-encoding: chunked",
        HOST + b"\r\nX: 1" * 129,
        HOST + b"\r\nX: " + b"x" * MAX_REQUEST_PART,
    ],
)
def test_any_other_request_is_left_to_the_library(head: bytes) -> None:
    assert read_request(head) is None


KEY = b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = b"\r\nSec-WebSocket-Version: 13"
UPGRADE = b"\r\nUpgrade: websocket\r\nConnection: Upgrade"
USUAL = HOST + UPGRADE + KEY + VERSION


def answer(state: ServerProtocol, head: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return the answer to a request, without its date."""
    request = read_request(head)
    assert request is not None
    response = state.accept(request)
    headers = [(name, text) for name, text in response.headers.raw_items() if name != "Date"]
    return response.status_code, headers, bytes(response.body or b"")


@pytest.mark.parametrize(
    "head",
    [
        USUAL,
        USUAL.replace(b"Upgrade\r\nSec", b"keep-alive, Upgrade\r\nSec"),
        USUAL + b"\r\nOrigin: https://example.org",
        USUAL + b"\r\nSec-WebSocket-Protocol: one, two",
        USUAL + b"\r\nSec-WebSocket-Protocol: one\r\nSec-WebSocket-Protocol: two",
        USUAL + b"\r\nSec-WebSocket-Extensions: permessage-deflate",
        # Unusual, but valid.
        USUAL.replace(b"Upgrade\r\nSec", b"Keep-Alive,UPGRADE\r\nSec"),
        USUAL.replace(b": websocket", b": WebSocket"),
        # Not valid.
        USUAL + b"\r\nOrigin: https://example.org\r\nOrigin: https://example.com",
        USUAL + b"\r\nSec-WebSocket-Protocol: one two",
        USUAL + b"\r\nSec-WebSocket-Protocol:",
        USUAL + KEY,
        USUAL + VERSION,
        USUAL.replace(KEY, b""),
        USUAL.replace(VERSION, b""),
        USUAL.replace(UPGRADE, b""),
        USUAL.replace(b"==", b"="),
        USUAL.replace(b"ZQ==", b"ZSE="),
        USUAL.replace(b"ZQ==", b"ZR=="),
        USUAL.replace(b": 13", b": 12"),
        USUAL.replace(b": websocket", b": websocket, h2c"),
    ],
)
def test_handshake_is_answered_as_by_the_library(head: bytes) -> None:
    assert answer(ServerState(), head) == answer(ServerProtocol(), head)


def test_answer_has_a_date() -> None:
    request = read_request(USUAL)
    assert isinstance(request, Request)
    assert ServerState().accept(request).headers["Date"].endswith(" GMT")
