"""Reads the request of a handshake again, after uvicorn's parser has accepted it, and answers it.

uvicorn passes it on as bytes. The library reads them line by line in coroutines, and parses each
header by its grammar, which takes longer than the rest of the handshake.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha1

from websockets.datastructures import Headers
from websockets.http11 import Request

__all__ = ["MAX_REQUEST_PART", "Header", "UsualRequest", "is_token", "read_request"]

Header = tuple[bytes, bytes]

#: The largest part of a request that the library reads.
MAX_REQUEST_PART = 8192

_MAX_HEADERS = 128
_NAME = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
_REQUEST_LINE = re.compile(rb"GET ([\x21-\x7e]+) HTTP/1\.1")
_HEADER_LINE = re.compile(rb"(%b):[\t ]*([\t\x20-\x7e]*)" % _NAME)
_TOKEN = re.compile(_NAME)
#: 16 bytes in base64.
_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")
#: Firefox sends the first one.
_CONNECTIONS = ([b"keep-alive, Upgrade"], [b"Upgrade"])
_SUBPROTOCOLS = re.compile(rb"%b(?:, ?%b)*" % (_NAME, _NAME))
#: Headers that announce a body, which a handshake has not.
_LENGTH, _CODING = b"content-length", b"transfer-encoding"
#: RFC 6455, section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n%b\r\n"
)


@dataclass(slots=True)
class UsualRequest:
    """A valid request as browsers and libraries write it.

    Args:
        target: the path, and the query.
        headers: as they came.
        subprotocols: that the client offers.
        key: to be answered.
    """

    target: str
    headers: list[Header]
    subprotocols: list[str]
    key: bytes

    def answer(self, headers: Iterable[Header]) -> bytes:
        """Return the response that accepts it, with more headers."""
        # The digest that the protocol asks for; it protects nothing.
        digest = sha1(self.key + _GUID, usedforsecurity=False).digest()
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        return _ANSWER % (b64encode(digest), lines)

    def for_library(self) -> Request:
        """Return the request as the library has it."""
        headers = [(name.decode("ascii"), value.decode("ascii")) for name, value in self.headers]
        return Request(self.target, Headers(headers))


def is_token(name: str) -> bool:
    """Return whether ``name`` may be a subprotocol."""
    return name.isascii() and _TOKEN.fullmatch(name.encode()) is not None


def read_request(head: bytes) -> UsualRequest | None:
    """Return the usual request in ``head``, without its end; ``None`` leaves it to the library."""
    if len(head) >= MAX_REQUEST_PART:
        return None
    first, *lines = head.split(b"\r\n")
    usual = _REQUEST_LINE.fullmatch(first)
    if usual is None or len(lines) > _MAX_HEADERS:
        return None
    headers: list[Header] = []
    values: dict[bytes, list[bytes]] = {}
    for line in lines:
        if (header := _HEADER_LINE.fullmatch(line)) is None:
            return None
        name, value = header[1], header[2].rstrip(b"\t ")
        headers.append((name, value))
        values.setdefault(name.lower(), []).append(value)
    if not _is_usual(values):
        return None
    offers = values.get(b"sec-websocket-protocol", [])
    subprotocols = [each.strip() for offer in offers for each in offer.decode("ascii").split(",")]
    return UsualRequest(
        usual[1].decode("ascii"), headers, subprotocols, values[b"sec-websocket-key"][0]
    )


def _is_usual(values: dict[bytes, list[bytes]]) -> bool:
    """Return whether a handshake is as browsers and libraries write it."""
    keys = values.get(b"sec-websocket-key", ())
    return (
        values.get(b"upgrade") == [b"websocket"]
        and values.get(b"connection") in _CONNECTIONS
        and values.get(b"sec-websocket-version") == [b"13"]
        and len(values.get(b"origin", ())) < 2
        and all(map(_SUBPROTOCOLS.fullmatch, values.get(b"sec-websocket-protocol", ())))
        and len(keys) == 1
        and _KEY.fullmatch(keys[0]) is not None
        and _LENGTH not in values
        and _CODING not in values
    )
