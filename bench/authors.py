"""The text that is written: the same updates for every server and in every room."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from pycrdt import Doc, Text

__all__ = ["FIRST_AUTHOR", "Author", "author"]

#: Client ids of authors are this and their numbers.
FIRST_AUTHOR = 1_000

#: Characters that an author types without a move of the cursor.
_RUN = 20
#: Updates that are made at once.
_CHUNK = 100
_LETTERS = "the quick brown fox jumps over the lazy dog "


class Author:
    """Types: each update inserts a character behind the one before, or now and then elsewhere.

    Args:
        number: tells authors of one room apart.
    """

    def __init__(self, number: int) -> None:
        self.client_id = FIRST_AUTHOR + number
        self._random = Random(number)
        self._cursor = 0
        self._updates: list[bytes] = []
        self._doc: Doc[Any] = Doc(client_id=self.client_id)
        self._text: Text = self._doc.get("text", type=Text)

    def update(self, clock: int) -> bytes:
        """Return the update that inserts the character of that clock."""
        while clock >= len(self._updates):
            self._updates += [self._type() for _ in range(_CHUNK)]
        return self._updates[clock]

    def _type(self) -> bytes:
        length = len(self._text)
        # Nobody writes a whole book from start to end without going back once.
        if length % _RUN == 0:
            self._cursor = self._random.randint(0, length)
        known = self._doc.get_state()
        self._text.insert(self._cursor, _LETTERS[length % len(_LETTERS)])
        self._cursor += 1
        return self._doc.get_update(known)


@cache
def author(number: int) -> Author:
    """Return the author of that number, who remembers what was typed before."""
    return Author(number)
