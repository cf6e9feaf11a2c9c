"""The addresses of a connection, as uvicorn puts them into its scope."""

from __future__ import annotations

from typing import Any

__all__ = ["addresses_of"]

#: Of this server, and of the client.
Addresses = tuple[tuple[str, int | None] | None, tuple[str, int] | None]


def addresses_of(transport: Any) -> Addresses:
    """Return the addresses of this server and of the client.

    uvicorn asks the socket, for which uvloop makes a socket object each time. A transport knows
    them already.
    """
    own, other = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    client = (str(other[0]), int(other[1])) if isinstance(other, tuple) else None
    if isinstance(own, tuple):
        return (str(own[0]), int(own[1])), client
    return (own, None) if isinstance(own, str) else None, client
