"""Reads the usual request of a websocket's handshake, and answers it.

The library reads a request line by line in coroutines, and parses each header by its grammar, which
takes longer than the rest of the handshake.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from hashlib import sha1
from typing import Any, Final

from websockets.datastructures import Headers
from websockets.http11 import Request

__all__ = ["MAX_REQUEST_PART", "REQUEST_END", "Header", "UsualRequest", "is_token", "read_request"]

Header = tuple[bytes, bytes]

#: The end of a request.
REQUEST_END: Final = b"\r\n\r\n"
#: The largest part of a request that the library reads.
MAX_REQUEST_PART: Final = 8192

_MAX_HEADERS: Final = 128
_NAME = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
#: A request without its end. No other parser may read it differently: lines end with CRLF, no space
#: is around a name, there is no tab, no line goes on in the next one, and the target is a path of
#: this server.
_HEAD = re.compile(
    rb"GET (/[\x21-\x7e]*) HTTP/1\.1((?:\r\n%b:[\x20-\x7e]*)+)" % _NAME,
)
_TOKEN = re.compile(_NAME)
#: 16 bytes in base64.
_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")
#: Firefox sends the first one.
_CONNECTIONS = frozenset((b"keep-alive, Upgrade", b"Upgrade"))
_SUBPROTOCOLS = re.compile(rb"%b(?:, ?%b)*" % (_NAME, _NAME))
_PROTOCOL: Final = b"sec-websocket-protocol"
#: Headers that a usual request has once, or not at all.
_SINGLE = (
    b"connection",
    b"host",
    b"origin",
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"upgrade",
)
#: Headers that are the same for many clients, and hold no secret. Their lines are read once.
_COMMON = frozenset(
    (
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"connection",
        b"host",
        b"origin",
        b"pragma",
        b"sec-websocket-extensions",
        b"sec-websocket-version",
        b"upgrade",
        b"user-agent",
    )
)
#: Lines of common headers that were read, with the headers in them, and their highest number.
_MAX_KNOWN: Final = 256
# Any is a tuple that stays one object; a compiled Header is made anew where it is used.
_known: dict[bytes, Any] = {}
_FORWARDED: Final = b"forwarded"
#: RFC 6455, section 1.3.
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ANSWER: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n%b\r\n"
)


# No dataclass: a compiled one has no slots.
class UsualRequest:
    """A valid request as browsers and libraries write it.

    Args:
        target: the path, and the query.
        headers: in their order, with names in small letters.
        subprotocols: that the client offers.
        key: to be answered.
        is_proxied: a proxy may have added headers about the client.
    """

    __slots__ = ("headers", "is_proxied", "key", "subprotocols", "target")

    def __init__(
        self,
        target: str,
        headers: list[Header],
        subprotocols: list[str],
        key: bytes,
        *,
        is_proxied: bool,
    ) -> None:
        self.target = target
        self.headers = headers
        self.subprotocols = subprotocols
        self.key = key
        self.is_proxied = is_proxied

    def answer(self, lines: bytes) -> bytes:
        """Return the response that accepts it, with the lines of more headers."""
        # The digest that the protocol asks for; it protects nothing.
        digest = sha1(self.key + _GUID, usedforsecurity=False).digest()
        return _ANSWER % (b2a_base64(digest, newline=False), lines)

    def for_library(self) -> Request:
        """Return the request as the library has it."""
        headers = [(name.decode("ascii"), value.decode("ascii")) for name, value in self.headers]
        return Request(self.target, Headers(headers))


def is_token(name: str) -> bool:
    """Return whether ``name`` may be a subprotocol."""
    return name.isascii() and _TOKEN.fullmatch(name.encode()) is not None


def read_request(head: bytes) -> UsualRequest | None:
    """Return the usual request in ``head``, without its end; ``None`` leaves it to others."""
    if len(head) >= MAX_REQUEST_PART or (found := _HEAD.fullmatch(head)) is None:
        return None
    headers: list[Header] = []
    values: dict[bytes, bytes] = {}
    subprotocols: list[str] = []
    is_proxied = False
    for line in found[2].split(b"\r\n")[1:]:
        header: Any = _known.get(line) or _read_line(line)
        name: bytes = header[0]
        value: bytes = header[1]
        if name == _PROTOCOL:
            if _SUBPROTOCOLS.fullmatch(value) is None:
                return None
            subprotocols.extend([each.strip() for each in value.decode("ascii").split(",")])
        elif name in values and name in _SINGLE:
            return None
        elif name.find(_FORWARDED) >= 0:
            # The operator "in" raises an error first, for bytes.
            is_proxied = True
        values[name] = value
        headers.append(header)
    if len(headers) > _MAX_HEADERS or not _is_usual(values):
        return None
    target, key = found[1].decode("ascii"), values[b"sec-websocket-key"]
    return UsualRequest(target, headers, subprotocols, key, is_proxied=is_proxied)


def _read_line(line: bytes) -> Any:
    name, _, value = line.partition(b":")
    name = name.lower()
    header: Any = name, value.strip(b" ")
    if name in _COMMON:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[line] = header
    return header


def _is_usual(values: dict[bytes, bytes]) -> bool:
    """Return whether a handshake is as browsers and libraries write it, and has no body."""
    return (
        values.get(b"upgrade") == b"websocket"
        and values.get(b"connection") in _CONNECTIONS
        and values.get(b"sec-websocket-version") == b"13"
        and _KEY.fullmatch(values.get(b"sec-websocket-key", b"")) is not None
        and bool(values.get(b"host"))
        and b"content-length" not in values
        and b"transfer-encoding" not in values
    )
