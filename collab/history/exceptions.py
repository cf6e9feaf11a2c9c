"""Errors of the history of documents."""

from __future__ import annotations

from collab.exceptions import CollabError

__all__ = ["HistoryError", "NoHistory", "VersionNotFound"]


class HistoryError(CollabError):
    """The history of a document cannot do it."""


class NoHistory(HistoryError):
    """The storage does not keep versions of documents."""


class VersionNotFound(HistoryError, LookupError):
    """The document has no such version."""
