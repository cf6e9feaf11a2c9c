"""Reads the request of a handshake again, after uvicorn's parser has accepted it.

uvicorn passes it on as bytes. The library reads them line by line in coroutines, which takes longer
than the rest of the handshake.
"""

from __future__ import annotations

import re

from websockets.datastructures import Headers
from websockets.http11 import Request

__all__ = ["MAX_REQUEST_PART", "read_request"]

#: The largest part of a request that the library reads.
MAX_REQUEST_PART = 8192

_MAX_HEADERS = 128
_REQUEST_LINE = re.compile(rb"GET ([\x21-\x7e]+) HTTP/1\.1")
_HEADER_LINE = re.compile(rb"([-!#$%&'*+.^_`|~0-9a-zA-Z]+):[\t ]*([\t\x20-\x7e]*)")
#: Headers that announce a body, which a handshake has not.
_BODY_HEADERS = ("Content-Length", "Transfer-Encoding")


def read_request(head: bytes) -> Request | None:
    """Return the usual request in ``head``, without its end; ``None`` leaves it to the library."""
    first, *lines = head.split(b"\r\n")
    usual = _REQUEST_LINE.fullmatch(first)
    if usual is None or len(head) >= MAX_REQUEST_PART or len(lines) > _MAX_HEADERS:
        return None
    headers = Headers()
    for line in lines:
        if (header := _HEADER_LINE.fullmatch(line)) is None:
            return None
        headers[header[1].decode("ascii")] = header[2].rstrip(b"\t ").decode("ascii")
    if any(name in headers for name in _BODY_HEADERS):
        return None
    return Request(usual[1].decode("ascii"), headers)
