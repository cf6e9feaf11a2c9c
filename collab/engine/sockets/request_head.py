"""Reads the request of a handshake again, after uvicorn's parser has accepted it, and answers it.

uvicorn passes it on as bytes. The library reads them line by line in coroutines, and parses each
header by its grammar, which takes longer than the rest of the handshake.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from functools import lru_cache
from time import time

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.utils import accept_key

__all__ = ["MAX_REQUEST_PART", "ServerState", "read_request"]

#: The largest part of a request that the library reads.
MAX_REQUEST_PART = 8192

_MAX_HEADERS = 128
_NAME = r"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
_REQUEST_LINE = re.compile(r"GET ([\x21-\x7e]+) HTTP/1\.1")
_HEADER_LINE = re.compile(rf"({_NAME}):[\t ]*([\t\x20-\x7e]*)")
#: 16 bytes in base64.
_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
#: Firefox sends the first one.
_CONNECTIONS = (["keep-alive, Upgrade"], ["Upgrade"])
_SUBPROTOCOLS = re.compile(rf"{_NAME}(?:, ?{_NAME})*")
#: Headers that announce a body, which a handshake has not.
_LENGTH, _CODING = "Content-Length", "Transfer-Encoding"


def read_request(head: bytes) -> Request | None:
    """Return the usual request in ``head``, without its end; ``None`` leaves it to the library."""
    if len(head) >= MAX_REQUEST_PART or not head.isascii():
        return None
    first, *lines = head.decode("ascii").split("\r\n")
    usual = _REQUEST_LINE.fullmatch(first)
    if usual is None or len(lines) > _MAX_HEADERS:
        return None
    headers = Headers()
    for line in lines:
        if (header := _HEADER_LINE.fullmatch(line)) is None:
            return None
        headers[header[1]] = header[2].rstrip("\t ")
    if _LENGTH in headers or _CODING in headers:
        return None
    return Request(usual[1], headers)


class ServerState(ServerProtocol):
    """The library's state of a connection, without extensions and subprotocols."""

    def accept(self, request: Request) -> Response:
        """Return the answer to a request; the usual one is not parsed by the library."""
        if (key := _usual_key(request)) is None:
            return super().accept(request)
        self.accept_called = True
        headers = Headers()
        headers["Date"] = _date(int(time()))
        headers["Upgrade"] = "websocket"
        headers["Connection"] = "Upgrade"
        headers["Sec-WebSocket-Accept"] = accept_key(key)
        return Response(101, "Switching Protocols", headers)


def _usual_key(request: Request) -> str | None:
    """Return the key of a handshake as browsers and libraries write it."""
    values = request.headers.get_all
    keys = values("Sec-WebSocket-Key")
    is_usual = (
        # The oldest library reads no other method, and does not say so.
        getattr(request, "method", "GET") == "GET"
        and getattr(request, "protocol", "HTTP/1.1") == "HTTP/1.1"
        and values("Upgrade") == ["websocket"]
        and values("Connection") in _CONNECTIONS
        and values("Sec-WebSocket-Version") == ["13"]
        and len(values("Origin")) < 2
        and all(map(_SUBPROTOCOLS.fullmatch, values("Sec-WebSocket-Protocol")))
        and len(keys) == 1
        and _KEY.fullmatch(keys[0]) is not None
    )
    return keys[0] if is_usual else None


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
