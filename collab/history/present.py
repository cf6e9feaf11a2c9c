"""A document at this moment, for work on its bytes."""

from __future__ import annotations

from typing import NamedTuple

from collab_storage.base import StoredDocument
from collab_storage.compaction import read_stored
from collab_storage.surrogates import as_yjs
from collab_storage.updates import merge

__all__ = ["Present"]


class Present(NamedTuple):
    """A document at this moment.

    Args:
        name: the document, for the log.
        stored: as it is stored, with the updates of members that are not yet.
    """

    name: str
    stored: StoredDocument

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(map(len, self.stored.updates))

    @property
    def update(self) -> bytes:
        """The state as one update."""
        read = read_stored(self.stored, self.name)
        return merge(as_yjs([read.update, read.rest]))
