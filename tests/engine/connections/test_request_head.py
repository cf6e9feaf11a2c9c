from __future__ import annotations

import pytest
from websockets.server import ServerProtocol

from collab.engine.connections.request_head import MAX_REQUEST_PART, read_request

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
