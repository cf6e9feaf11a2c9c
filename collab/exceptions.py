"""Errors of the document server::

    CollabError
     ├── ContentError               content that cannot be read or written
     │    ├── InvalidContent        it does not fit the schema of its editor
     │    ├── Conflict              it was changed since the writer had read it
     │    └── TextNotFound          the text that an edit replaces is not there, or more than once
     └── MemberError                ends one member's connection with its ``close_code``
          ├── ProtocolViolation     1008
          ├── TooBig                1009
          ├── RoomFailed            1011
          ├── Restarting            1012
          ├── TryAgainLater         1013
          ├── Unauthenticated       4401
          ├── Forbidden             4403
          └── NoSuchDocument        4404

The storage's errors are in ``collab_storage.exceptions``; ``DocumentNotFound`` and
``DocumentExists`` are named here too, since ``collab.documents`` raises them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from collab_storage.exceptions import (
    DocumentExists,
    DocumentNotFound,
    InvalidName,
    StorageError,
    StorageUnavailable,
)

from .wire import CloseCode

__all__ = [
    "CollabError",
    "Conflict",
    "ContentError",
    "DocumentExists",
    "DocumentNotFound",
    "Forbidden",
    "InvalidContent",
    "InvalidName",
    "MemberError",
    "NoSuchDocument",
    "ProtocolViolation",
    "Restarting",
    "RoomFailed",
    "StorageError",
    "StorageUnavailable",
    "TextNotFound",
    "TooBig",
    "TryAgainLater",
    "Unauthenticated",
]


class CollabError(Exception):
    """The document server refuses an operation, or cannot do it."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class ContentError(CollabError, ValueError):
    """The content cannot be read or written."""


class InvalidContent(ContentError):
    """The content does not fit the schema, so that an editor would delete it."""


class TextNotFound(ContentError):
    """The text that an edit replaces is not in the document, or more than once."""


class Conflict(ContentError):
    """The content was changed since the writer had read it.

    Args:
        message: a description.
        wanted: the content that the writer wanted, as JSON.
        current: the content of the document now, as JSON.
    """

    def __init__(self, message: str, *, wanted: Any = None, current: Any = None) -> None:
        super().__init__(message)
        self.wanted = wanted
        self.current = current

    def __reduce__(self) -> Any:
        return _conflict, (str(self), self.wanted, self.current)


def _conflict(message: str, wanted: Any, current: Any) -> Conflict:
    return Conflict(message, wanted=wanted, current=current)


class MemberError(CollabError):
    """Ends one member's connection; the message is sent to that member as the reason.

    Args:
        message: the reason.
        limit: the setting that was exceeded, if one was.
    """

    close_code: ClassVar[CloseCode]

    def __init__(self, message: str | None = None, *, limit: str | None = None) -> None:
        super().__init__(message)
        self.limit = limit

    @property
    def cause(self) -> str:
        """The label that refusals are counted by: the exceeded setting, or the kind of error."""
        return self.limit or type(self).__name__


class ProtocolViolation(MemberError):
    """The frame breaks the Yjs websocket protocol."""

    close_code = CloseCode.PROTOCOL_VIOLATION


class TooBig(MemberError):
    """The frame, or the document with it, is larger than the server accepts."""

    close_code = CloseCode.TOO_BIG


class RoomFailed(MemberError):
    """The document could not be opened; the server's log says why."""

    close_code = CloseCode.INTERNAL


class Restarting(MemberError):
    """The server restarts; connect again."""

    close_code = CloseCode.RESTART


class TryAgainLater(MemberError):
    """The server is at one of its limits; try again later."""

    close_code = CloseCode.TRY_LATER


class Unauthenticated(MemberError):
    """Log in to open this document."""

    close_code = CloseCode.UNAUTHENTICATED


class Forbidden(MemberError):
    """You may not open this document."""

    close_code = CloseCode.FORBIDDEN


class NoSuchDocument(MemberError):
    """There is no such document."""

    close_code = CloseCode.NOT_FOUND
