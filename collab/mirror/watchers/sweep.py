"""Comparing all rows of a document, where more was edited than could be recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from collab.mirror.incoming.row_edits import Author, RowKey
from collab.mirror.watchers.pending_changes import ELSEWHERE

__all__ = ["Sweep"]


class Sweep:
    """Which rows are still to be compared, from when on, and as whose edits."""

    def __init__(self) -> None:
        #: The authors of differences; ``None`` while there is nothing to compare.
        self.author: Author | None = None
        self.due = 0.0
        #: Several authors may have edited the rows.
        self.is_doubtful = False
        #: When to begin because of edits in other processes.
        self.later: float | None = None
        self._left: deque[RowKey] | None = None
        self._is_repeated = False

    def request(self, author: Author, due: float) -> None:
        """Compare all rows from ``due`` on; if that has begun, once more afterwards."""
        if self.author is None:
            self.author, self.due = author, due
        elif author is not self.author:
            self.is_doubtful = True
            others = {author, self.author} - {ELSEWHERE}
            self.author = others.pop() if len(others) == 1 else ELSEWHERE
        self._is_repeated = self._left is not None

    @property
    def next_due(self) -> float | None:
        """The time of the next comparison."""
        return self.later if self.author is None else self.due

    @property
    def has_begun(self) -> bool:
        """Whether some rows have been compared."""
        return self._left is not None

    def begin(self, rows: Iterable[RowKey]) -> None:
        """Begin to compare these rows."""
        self._left = deque(rows)

    def take(self, limit: int) -> list[RowKey]:
        """Return the next rows, at most ``limit``."""
        assert self._left is not None
        return [self._left.popleft() for _ in range(min(limit, len(self._left)))]

    def end_if_done(self) -> None:
        """End the comparison if no rows are left."""
        if not self._left:
            self.end()

    def end(self) -> None:
        """End the comparison; it begins anew if it was requested meanwhile."""
        self._left = None
        if not self._is_repeated:
            self.author, self.is_doubtful = None, False
        self._is_repeated = False
