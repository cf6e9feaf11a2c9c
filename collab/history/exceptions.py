"""Errors of the history of documents."""

from __future__ import annotations

from collab.exceptions import CollabError

__all__ = ["HistoryError", "InvalidTitle", "NoHistory", "VersionNotFound"]


class HistoryError(CollabError):
    """The history of a document cannot do it."""


class NoHistory(HistoryError):
    """The storage does not keep versions of documents."""


class InvalidTitle(HistoryError, ValueError):
    """The title of a version is too long, or has characters that databases refuse."""


class VersionNotFound(HistoryError, LookupError):
    """The document has no such version."""
