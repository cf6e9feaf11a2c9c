"""The addresses that connections are counted by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

from collab.conf import get_settings

__all__ = ["address_of"]

#: Number of addresses whose keys are cached: parsing one takes longer than the rest of a join here.
_MAX_CACHED = 1_000
_FORWARDED_FOR = b"x-forwarded-for"


def address_of(scope: Mapping[str, Any]) -> str | None:
    """Return the key that counts a connection's address, ``None`` if the address is not known.

    Each client of IPv6 has 2**64 addresses, so these count as one. Behind ``TRUSTED_PROXIES``
    proxies, each of which appends to ``X-Forwarded-For`` the address that connects to it, the
    client's is at that place from the right: addresses further left are the client's own claim.
    """
    given = _forwarded(scope, get_settings().TRUSTED_PROXIES) or _direct(scope)
    return _key(given) if given else None


@lru_cache(_MAX_CACHED)
def _key(given: str) -> str:
    try:
        address = ip_address(given)
    except ValueError:
        # Not of the Internet, a Unix socket's path for example.
        return given
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"{IPv6Address(address.packed[:8] + bytes(8))}/64"
        address = address.ipv4_mapped
    return str(address)


def _direct(scope: Mapping[str, Any]) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _forwarded(scope: Mapping[str, Any], proxies: int) -> str | None:
    if not proxies:
        return None
    lines = [value for name, value in scope.get("headers", ()) if name == _FORWARDED_FOR]
    hops = b",".join(lines).decode("latin-1").split(",")
    # A request with fewer hops has not come through the proxies.
    return _without_port(hops[-proxies].strip()) if len(hops) >= proxies else None


def _without_port(hop: str) -> str:
    """Return the address of a hop, which some proxies write with a port."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
