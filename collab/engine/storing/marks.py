"""Progress of the storage with each open document, as far as its room has followed it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from collab_storage.base import DocumentId, Mark

__all__ = ["DocumentMarks"]

#: Version of a document that was not stored yet when it was opened.
_UNSEEN = -1


@dataclass(slots=True)
class _Progress:
    #: ``None``: unknown, as the last read failed.
    mark: Mark | None
    #: Log rows since the last compaction.
    uncompacted: int
    #: ``None``: not stored yet, or in a storage without ids.
    id: DocumentId | None


class DocumentMarks:
    """Compares the stored documents with the part of them that the rooms of this process have."""

    def __init__(self) -> None:
        self._progress: dict[str, _Progress] = {}

    def opened(
        self, name: str, version: int, log_length: int, id: DocumentId | None = None
    ) -> None:
        """Record a document as it was loaded."""
        self._progress[name] = _Progress(Mark(version, log_length), log_length, id)

    def created(self, name: str, log_length: int, id: DocumentId | None = None) -> None:
        """Record a document that was not stored before."""
        self._progress[name] = _Progress(Mark(_UNSEEN, log_length), log_length, id)

    def id_of(self, name: str) -> DocumentId | None:
        """Return the id of an open document, if it is known to be stored."""
        progress = self._progress.get(name)
        return None if progress is None else progress.id

    def identify(self, name: str, id: DocumentId | None) -> None:
        """Record the id of an open document that was not stored when it was opened."""
        if (progress := self._progress.get(name)) and progress.id is None:
            progress.id = id

    def appended(self, name: str, rows: int) -> int:
        """Count rows that this process has appended; return the length of the log."""
        if (progress := self._progress.get(name)) is None:
            return 0
        if progress.mark is not None:
            progress.mark = Mark(progress.mark.version, progress.mark.log_length + rows)
        progress.uncompacted += rows
        return progress.uncompacted

    def compacting(self, name: str) -> None:
        """Start the count of uncompacted rows again."""
        if progress := self._progress.get(name):
            progress.uncompacted = 0

    def current(self, names: Iterable[str]) -> dict[str, Mark | None]:
        """Return the marks of these documents as they are known now."""
        found = ((name, self._progress.get(name)) for name in names)
        return {name: progress.mark if progress else None for name, progress in found}

    def accept(self, name: str, found: Mark, before: Mark | None) -> bool:
        """Return whether the room has all that the storage has; otherwise it is read next.

        Args:
            name: of the document.
            found: the storage's mark.
            before: the result of :meth:`current` before the storage was asked. Rows that this
                process appends meanwhile may be counted in ``found``, or not.
        """
        if (progress := self._progress.get(name)) is None:
            return True
        is_known = _agree(before, found) or _agree(progress.mark, found)
        if not is_known:
            progress.mark = found
        elif progress.mark is not None and progress.mark.version == _UNSEEN:
            progress.mark = progress.mark._replace(version=found.version)
        return is_known

    def doubt(self, name: str) -> None:
        """Record that the document could not be read; the next poll reads it again."""
        if progress := self._progress.get(name):
            progress.mark = None

    def forget(self, name: str) -> None:
        """Forget a document that is closed."""
        self._progress.pop(name, None)


def _agree(known: Mark | None, found: Mark) -> bool:
    """Return whether a document is in the storage as this process left it."""
    return known is not None and known in (found, found._replace(version=_UNSEEN))
