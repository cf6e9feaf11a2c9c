"""Access of a member to a document, and signed grants of it."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from django.core.signing import BadSignature, TimestampSigner

__all__ = ["GRANT_AGE", "GRANT_PREFIX", "Access", "grant", "granted_access", "granted_to"]

#: Seconds for which a grant is valid.
GRANT_AGE: Final = 24 * 60 * 60
#: Prefix of the websocket subprotocols that carry a grant.
GRANT_PREFIX: Final = "collab.grant."
#: A part of a grant that includes the versions of the document.
_HISTORY: Final = "history"


class Access(IntEnum):
    """Access to a document, in ascending order: ``access >= Access.READ`` is true for writers."""

    NONE = 0
    READ = 1
    #: To read, and to add and remove the formats that the document's type has for comments.
    COMMENT = 2
    WRITE = 3

    @property
    def label(self) -> str:
        """The word clients see: ``none``, ``read``, ``comment`` or ``write``."""
        return _LABELS[self]


# Python 3.11 takes long to find the name of a member.
_LABELS: Final = tuple(access.name.lower() for access in Access)
_NO_ACCESS: Final = Access.NONE


def grant(name: str, access: Access, *, history: bool = False) -> str:
    """Return a token that gives its holder ``access`` to the document ``name`` for a day.

    It has the letters of a subprotocol only.

    Args:
        name: the document.
        access: to the document.
        history: also to its versions.
    """
    extent = [_HISTORY] if history else []
    return _signer().sign_object([name, access.label, *extent], compress=True)


def granted_access(token: str, name: str, *, history: bool = False) -> Access:
    """Return the access to ``name`` that a token grants; none if it is not valid (any more).

    Args:
        token: the signed token.
        name: the document.
        history: to its versions.
    """
    try:
        document, label, *extent = _signer().unsign_object(token, max_age=GRANT_AGE)
    except BadSignature:
        return Access.NONE
    if document != name or (history and _HISTORY not in extent):
        return Access.NONE
    return Access[label.upper()]


def granted_to(scope: dict[str, Any], name: str) -> Access:
    """Return the access to ``name`` that a connection's token grants, if it has one."""
    granted = _NO_ACCESS
    for offered in scope.get("subprotocols", ()):
        if offered.startswith(GRANT_PREFIX):
            granted = max(granted, granted_access(offered.removeprefix(GRANT_PREFIX), name))
    return granted


def _signer() -> TimestampSigner:
    return TimestampSigner(sep=".", salt="collab.grant")
