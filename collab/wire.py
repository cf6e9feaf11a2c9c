"""Numbers on the wire; ``client-js/src/wire.ts`` lists the same, and a test compares the two."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["SUBPROTOCOL", "VERIFIED", "CloseCode", "MessageType", "SyncType"]

#: Offered by clients that understand close codes and JSON frames. A stock client reconnects
#: whatever the close code, so without it a refusal is an HTTP 403, after which it backs off.
SUBPROTOCOL = "collab"
#: Key in presence states that only the server sets: data about the user from the document's type.
VERIFIED = "verified"


class MessageType(IntEnum):
    """First varuint of a binary frame, as in y-websocket."""

    SYNC = 0
    AWARENESS = 1
    AUTH = 2
    QUERY_AWARENESS = 3


class SyncType(IntEnum):
    """Second varuint of a sync frame, as in y-protocols' sync.js."""

    STEP1 = 0
    STEP2 = 1
    UPDATE = 2


class CloseCode(IntEnum):
    """Reasons for which the server ends a connection; from 4400 on, reconnecting is of no use."""

    NORMAL = 1000
    PROTOCOL_VIOLATION = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    TRY_LATER = 1013
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    NOT_FOUND = 4404
