"""Changes of a document's rows until they are checked: their authors, and when they are due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.contrib.auth.models import AnonymousUser

from collab.conf import Settings
from collab.mirror.incoming.row_edits import Author, RowKey
from collab.mirror.incoming.saving import ROW

__all__ = [
    "CHECK_INTERVAL",
    "ELSEWHERE",
    "MAX_CHANGES",
    "UNCHECKED",
    "UNKNOWN",
    "DueChanges",
    "PendingChange",
    "PendingChanges",
]

#: The author of changes by members of another process, which checks them, or by the server.
ELSEWHERE = Author(AnonymousUser())
#: The author of changes that perhaps no process checks, as theirs may have ended.
UNCHECKED = Author(AnonymousUser())
UNKNOWN = {ELSEWHERE, UNCHECKED}

#: Changes by members of another process are checked after so long, in seconds, in case that process
#: does not save them.
CHECK_INTERVAL = 60.0
#: Changed rows of a document that are checked one by one; beyond it all rows are checked.
MAX_CHANGES = 10_000
#: Fields of a row that are recorded each; if more have changed, the row has.
_MAX_FIELDS = 200
#: A text that is typed in without a pause is saved after this many times the delay.
_LONGEST_TYPING = 10


#: Texts whose authors are distinguished; of older ones the last author is that of all changes.
_MAX_TEXTS = 100

#: Authors in order, and the text when each one began.
Turns = tuple[tuple[Author, str | None], ...]


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A change in a row.

    Args:
        author: of the last change.
        first: when the author began.
        due: when to check it.
        turns: of several authors who type in a text by turns, and the text when each one began,
            if it is known. Turns of others than this process's
            members do not change the author.
    """

    author: Author
    first: float
    due: float
    turns: Turns = ()

    @property
    def authors(self) -> set[Author]:
        """All authors of the change."""
        return {self.author, *(author for author, _ in self.turns)}


def _turns(before: PendingChange | None, author: Author, text: str | None) -> Turns:
    """Return the turns in a text when ``author`` types in it, which was ``text`` before."""
    if before is not None and before.turns:
        if before.turns[-1][0] is author:
            return before.turns
        if text is not None:
            return (*before.turns, (author, text))
        if author is ELSEWHERE:
            return before.turns
        text = None
    return ((author, text),)


#: By row, and by field or the row as a whole.
DueChanges = dict[RowKey, dict[str, PendingChange]]


class PendingChanges:
    """Changes by row, and by field or of the row as a whole.

    Args:
        settings: for the delays and the limit.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rows: DueChanges = {}
        #: Texts that are being typed in, the latest at the end.
        self._texts: dict[tuple[RowKey, str], None] = {}

    def __iter__(self) -> Iterator[PendingChange]:
        return (change for changes in self._rows.values() for change in changes.values())

    def texts_of_others(self, author: Author | None) -> list[tuple[RowKey, str]]:
        """Return the texts in which another author than this one has typed last."""
        return [
            (row, name)
            for row, name in self._texts
            if (turns := self._rows[row][name].turns) and turns[-1][0] is not author
        ]

    def is_typed(self, row: RowKey, name: str) -> bool:
        """Return whether authors of a text are recorded."""
        return (row, name) in self._texts

    @property
    def has_own(self) -> bool:
        """Whether this process has to check some of them."""
        return any(change.author is not ELSEWHERE for change in self)

    @property
    def next_due(self) -> float | None:
        """The time at which the first of them is due."""
        return min((change.due for change in self), default=None)

    def overtake(self, row: RowKey, author: Author) -> dict[str, Author]:
        """Remove changes of fields of a row that ``author`` has removed, or replaced.

        Returns:
            the authors by field, but for ``author``.
        """
        changes = self._rows.get(row, {})
        fields = {name: changes.pop(name).author for name in list(changes) if name != ROW}
        if not changes:
            self._rows.pop(row, None)
        self._forget_texts()
        return {name: found for name, found in fields.items() if found is not author}

    def has_room(self, row: RowKey) -> bool:
        """Return whether a change of ``row`` may be added."""
        return row in self._rows or len(self._rows) < MAX_CHANGES

    def add(
        self,
        row: RowKey,
        name: str,
        author: Author,
        now: float,
        *,
        is_typing: bool = False,
        is_doubtful: bool = False,
        before_typing: str | None = None,
    ) -> PendingChange:
        """Add a change of a field, or the row, by its last author.

        If the author is doubtful, other processes get the time to check it first. The text
        ``before_typing`` is given, if it is known, when a turn begins.
        """
        changes = self._rows.setdefault(row, {})
        if len(changes) >= _MAX_FIELDS and name not in changes:
            changes.clear()
            self._forget_texts()
            name, is_typing = ROW, False
        before = changes.get(name)
        turns: Turns = ()
        if is_typing:
            turns = _turns(before, author, before_typing)
            self._add_text(row, name)
            if author is ELSEWHERE and before is not None and before.author not in UNKNOWN:
                # The text has the member's typing, too.
                changes[name] = replace(before, turns=turns)
                return changes[name]
        first = before.first if before is not None and before.author is author else now
        if author in UNKNOWN or is_doubtful:
            # From the last change on: its author may still be typing.
            due = now + CHECK_INTERVAL
        else:
            due = self._due(is_typing, first, now)
        changes[name] = PendingChange(author, first, due, turns)
        return changes[name]

    def _add_text(self, row: RowKey, name: str) -> None:
        self._texts.pop((row, name), None)
        self._texts[row, name] = None
        if len(self._texts) > _MAX_TEXTS:
            del self._texts[next(iter(self._texts))]

    def _due(self, is_typing: bool, first: float, now: float) -> float:
        if is_typing:
            pause = self._settings.ROWS_TEXT_DELAY
            return min(now + pause, first + pause * _LONGEST_TYPING)
        return first + self._settings.ROWS_DELAY

    def take(self, now: float, limit: int, *, in_hurry: bool = False) -> DueChanges:
        """Remove and return the due changes of at most ``limit`` rows.

        With ``in_hurry`` all that this process has to check are due.
        """
        taken = DueChanges()
        for row, changes in self._rows.items():
            due = {
                name: change
                for name, change in changes.items()
                if change.due <= now or (in_hurry and change.author is not ELSEWHERE)
            }
            if due:
                # The author of a field is not that of the row.
                taken[row] = dict(changes) if ROW in due else due
            if len(taken) == limit:
                break
        self._remove(taken)
        self._forget_texts()
        return taken

    def _remove(self, taken: DueChanges) -> None:
        for row, changes in taken.items():
            left = {name: each for name, each in self._rows.pop(row).items() if name not in changes}
            if left:
                self._rows[row] = left

    def _forget_texts(self) -> None:
        self._texts = {
            (row, name): None for row, name in self._texts if name in self._rows.get(row, ())
        }

    def restore(self, taken: DueChanges) -> None:
        """Add changes again that were taken; newer ones win."""
        for row, changes in taken.items():
            self._rows[row] = {**changes, **self._rows.get(row, {})}

    def has(self, row: RowKey, name: str) -> bool:
        """Return whether the author of the field, or of the row as a whole, is known."""
        changes = self._rows.get(row, {})
        # A row from elsewhere may have later changes from here.
        return name in changes or (ROW in changes and changes[ROW].author is not ELSEWHERE)
