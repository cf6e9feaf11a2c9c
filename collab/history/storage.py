"""The storage of the history."""

from __future__ import annotations

from collab.conf import get_storage
from collab.history.exceptions import NoHistory
from collab_storage.versions import HistoryStorage

__all__ = ["history_storage"]


def history_storage() -> HistoryStorage:
    """Return the project's storage.

    Raises:
        NoHistory: it does not keep versions.
    """
    storage = get_storage()
    if not isinstance(storage, HistoryStorage):
        raise NoHistory(f"{type(storage).__qualname__} does not keep versions of documents.")
    return storage
