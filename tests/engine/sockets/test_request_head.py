from __future__ import annotations

import pytest
from websockets.http11 import Response
from websockets.server import ServerProtocol

from collab.engine.sockets.request_head import (
    MAX_REQUEST_PART,
    UsualRequest,
    is_token,
    read_request,
)

KEY = b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = b"\r\nSec-WebSocket-Version: 13"
UPGRADE = b"\r\nUpgrade: websocket\r\nConnection: Upgrade"
HOST = b"GET /ws/room?a=b HTTP/1.1\r\nHost: example.org"
USUAL = HOST + UPGRADE + KEY + VERSION


def usual(head: bytes) -> UsualRequest:
    """Return a request that is a usual one."""
    found = read_request(head)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "lines", [b"", b"\r\nCookie:  a=b; c  \r\ncookie: second", b"\r\nX-Empty:\r\nX-1: a:b"]
)
def test_usual_request_is_read_as_by_the_library(lines: bytes) -> None:
    protocol = ServerProtocol()
    protocol.receive_data(USUAL + lines + b"\r\n\r\n")
    (expected,) = protocol.events_received()
    found = usual(USUAL + lines).for_library()
    assert found == expected
    names = [name.lower() for name, _ in expected.headers.raw_items()]
    values = [value for _, value in expected.headers.raw_items()]
    assert [*found.headers.raw_items()] == [*zip(names, values, strict=True)]


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"\r\nOrigin: https://example.org",
        b"\r\nSec-WebSocket-Protocol: one, two",
        b"\r\nSec-WebSocket-Protocol: one\r\nSec-WebSocket-Protocol: two",
        b"\r\nSec-WebSocket-Extensions: permessage-deflate",
    ],
)
def test_usual_request_is_answered_as_by_the_library(lines: bytes) -> None:
    found, library = usual(USUAL + lines), ServerProtocol()
    response = library.accept(found.for_library())
    assert isinstance(response, Response)
    del response.headers["Date"]
    response.headers["server"] = "uvicorn"
    library.send_response(response)
    assert found.answer(b"server: uvicorn\r\n") == library.data_to_send()[0]


def test_headers_that_many_clients_send_are_kept_until_there_are_too_many() -> None:
    first, again = usual(USUAL).headers, usual(USUAL).headers
    # The name and value of a host.
    assert first[0] is again[0]
    for number in range(300):
        usual(USUAL + b"\r\nUser-Agent: browser %d" % number)
    last = usual(USUAL).headers
    assert last == first
    assert last[0] is not first[0]


def test_subprotocols_are_those_that_the_client_offers() -> None:
    assert usual(USUAL).subprotocols == []
    header = b"\r\nSec-WebSocket-Protocol: "
    assert usual(USUAL + header + b"one, two" + header + b"3").subprotocols == ["one", "two", "3"]


def test_firefox_is_usual() -> None:
    assert read_request(USUAL.replace(b"Upgrade\r\nSec", b"keep-alive, Upgrade\r\nSec"))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        USUAL.replace(b"GET", b"POST"),
        USUAL.replace(b"HTTP/1.1", b"HTTP/1.0"),
        USUAL.replace(b"/ws", b"/\xc3\xa9"),
        USUAL.replace(b"/ws", b"https://example.org/ws"),
        USUAL.replace(b"/ws/room?a=b", b"*"),
        USUAL.replace(b"\r\nUp", b"\nUp"),
        USUAL.replace(b"Upgrade:", b"Upgrade :"),
        USUAL + b"\r\n: no name",
        USUAL + b"\r\nno colon",
        USUAL + b"\r\n folded: line",
        USUAL + b"\r\nX: \xe9",
        USUAL + b"\r\nX: \0",
        USUAL.replace(b": websocket", b": websocket \t"),
        USUAL + b"\r\nContent-Length: 0",
        USUAL + b"\r\ntransfer-encoding: chunked",
        USUAL + b"\r\nX: 1" * 129,
        USUAL + b"\r\nX: " + b"x" * MAX_REQUEST_PART,
        # Unusual, but valid.
        USUAL.replace(b"Upgrade\r\nSec", b"Keep-Alive,UPGRADE\r\nSec"),
        USUAL.replace(b": websocket", b": WebSocket"),
        # Not valid.
        USUAL + b"\r\nOrigin: https://example.org\r\nOrigin: https://example.com",
        USUAL + b"\r\nSec-WebSocket-Protocol: one two",
        USUAL + b"\r\nSec-WebSocket-Protocol:",
        USUAL + KEY,
        USUAL + VERSION,
        USUAL + b"\r\nHOST: example.com",
        USUAL + b"\r\nUpgrade: websocket",
        USUAL + b"\r\nConnection: Upgrade",
        USUAL.replace(b"\r\nHost: example.org", b""),
        USUAL.replace(b"example.org", b" "),
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
def test_any_other_request_is_left_to_the_library(head: bytes) -> None:
    assert read_request(head) is None


def test_a_token_has_letters_that_headers_may_have() -> None:
    assert is_token("collab.v1")
    assert not any(map(is_token, ["", "a b", "a\r\nb", "é"]))
