"""What was changed in the rows of a document: by whom, and when it is to be checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser

from collab.conf import Settings
from collab.mirror.incoming.client_changes import Author
from collab.mirror.incoming.saving import ROW

__all__ = ["LEFT", "NOBODY", "UNKNOWN", "Note", "Notes", "RowKey", "Taken"]

#: Of a row: its mirror's ``map_name``, and its key.
RowKey = tuple[str, str]

#: Who has changed what no member of this process has: one of another process, which checks it,
#: or the server.
NOBODY = Author(AnonymousUser())
#: Who has changed what nobody has checked, as the process that was to do so may have ended.
LEFT = Author(AnonymousUser())
UNKNOWN = {NOBODY, LEFT}

#: Fields of a row that are told apart; if more have changed, the row has.
_MAX_FIELDS = 200
#: A text that is typed in without a pause is saved after so many times the delay.
_LONGEST_TYPING = 10


@dataclass(frozen=True, slots=True)
class Note:
    """Something in a row was changed.

    Args:
        author: by whom.
        first: when that began.
        due: when to check it.
    """

    author: Author
    first: float
    due: float


#: By row, and by field or the row as a whole.
Taken = dict[RowKey, dict[str, Note]]


class Notes:
    """Notes by row, and by field or of the row as a whole.

    Args:
        settings: for the delays and the limit.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rows: dict[RowKey, dict[str, Note]] = {}

    def __iter__(self) -> Iterator[Note]:
        return (note for notes in self._rows.values() for note in notes.values())

    @property
    def is_pressing(self) -> bool:
        """There is something of a member's."""
        return any(note.author is not NOBODY for note in self)

    @property
    def next_due(self) -> float | None:
        """When the first of them is due."""
        return min((note.due for note in self), default=None)

    def overtake(self, row: RowKey, author: Author) -> dict[str, Author]:
        """Forget who has changed fields of a row that ``author`` has removed, or replaced.

        Returns:
            who it was by field, but for ``author``.
        """
        notes = self._rows.get(row, {})
        fields = {name: notes.pop(name).author for name in list(notes) if name != ROW}
        if not notes:
            self._rows.pop(row, None)
        return {name: found for name, found in fields.items() if found is not author}

    def has_room(self, row: RowKey) -> bool:
        """Tell whether one of ``row`` may be added."""
        return row in self._rows or len(self._rows) < self._settings.MAX_ROW_CHANGES

    def add(
        self,
        row: RowKey,
        name: str,
        author: Author,
        now: float,
        *,
        is_typing: bool = False,
        is_doubtful: bool = False,
    ) -> Note:
        """Note that ``author`` has changed a field, or the row; who does so last is who did it.

        If that is doubtful, other processes get the time to check it first.
        """
        notes = self._rows.setdefault(row, {})
        if len(notes) >= _MAX_FIELDS and name not in notes:
            notes.clear()
            name = ROW
        before = notes.get(name)
        if before is not None and author is NOBODY and is_typing:
            # What the member has typed is in there, too.
            return before
        first = before.first if before is not None and before.author is author else now
        if author in UNKNOWN or is_doubtful:
            # From the last change on: who has made it may still be typing.
            due = now + self._settings.ROWS_CHECK_INTERVAL
        else:
            due = self._due(is_typing, first, now)
        note = notes[name] = Note(author, first, due)
        return note

    def _due(self, is_typing: bool, first: float, now: float) -> float:
        if is_typing:
            pause = self._settings.ROWS_TEXT_DELAY
            return min(now + pause, first + pause * _LONGEST_TYPING)
        return first + self._settings.ROWS_DELAY

    def take(self, now: float, limit: int, *, in_hurry: bool = False) -> Taken:
        """Return what is due, of so many rows at most; ``in_hurry``, all that is of members.

        It is forgotten here.
        """
        taken = Taken()
        for row, notes in self._rows.items():
            due = {
                name: note
                for name, note in notes.items()
                if note.due <= now or (in_hurry and note.author is not NOBODY)
            }
            if due:
                # Who has changed a field is not who has changed the row.
                taken[row] = dict(notes) if ROW in due else due
            if len(taken) == limit:
                break
        self._forget(taken)
        return taken

    def _forget(self, taken: Taken) -> None:
        for row, notes in taken.items():
            left = {name: note for name, note in self._rows.pop(row).items() if name not in notes}
            if left:
                self._rows[row] = left

    def put_back(self, taken: Taken) -> None:
        """Remember what was taken; where there is something newer, that is what counts."""
        for row, notes in taken.items():
            self._rows[row] = {**notes, **self._rows.get(row, {})}

    def is_noted(self, row: RowKey, name: str) -> bool:
        """Tell whether it is known who has changed the field, or the row as a whole."""
        notes = self._rows.get(row, {})
        # That a row has come from elsewhere says nothing of what is changed in it later.
        return name in notes or (ROW in notes and notes[ROW].author is not NOBODY)
