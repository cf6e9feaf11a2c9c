"""Addresses that are safe to be followed with a click."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["SAFE_PROTOCOLS", "is_safe_url"]

#: Protocols that cannot run code in the page that shows the link.
SAFE_PROTOCOLS = frozenset(
    {"callto", "cid", "ftp", "ftps", "http", "https", "mailto", "sms", "tel", "xmpp"}
)
_PROTOCOL = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
#: Browsers leave these out of an address before they look at its protocol.
_IGNORED = re.compile(r"[\x00-\x20\x7f-\xa0\u1680\u180e\u2000-\u2029\u205f\u3000]")


def is_safe_url(url: Any) -> bool:
    """Return whether an address is relative or has a protocol without danger."""
    stripped = _IGNORED.sub("", str(url))
    protocol = _PROTOCOL.match(stripped)
    if protocol:
        return protocol[1].lower() in SAFE_PROTOCOLS
    # Something before a colon that is not a protocol here may be one to a browser.
    return ":" not in re.split(r"[/?#]", stripped, maxsplit=1)[0]
