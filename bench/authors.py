"""The text that is written: the same updates for every server and in every room."""

from __future__ import annotations

from functools import cache
from random import Random

from collab_storage.updates import varuint

__all__ = ["FIRST_AUTHOR", "Author", "author"]

#: Client ids of authors are this and their numbers.
FIRST_AUTHOR = 1_000

#: Characters that an author types without a move of the cursor.
_RUN = 20
_LETTERS = "the quick brown fox jumps over the lazy dog "


#: The beginning of an update of one item, and its end: nothing is deleted.
_ONE_ITEM, _NOTHING_DELETED = b"\1\1", b"\0"
#: What an item is, in the first byte of it: a text, which stands behind one item, before another.
_IS_TEXT, _HAS_LEFT, _HAS_RIGHT = 4, 0x80, 0x40
#: Where an item is that has no neighbours: in the text of that name.
_PLACE = b"\1\4text"


class Author:
    """Types: each update inserts a character behind the one before, or now and then elsewhere.

    An update is put together here, as the document of a client would do, which searches the place
    of each character from the beginning of the text: soon, its author would be slower than servers.

    Args:
        number: tells authors of one room apart.
    """

    def __init__(self, number: int) -> None:
        self.client_id = FIRST_AUTHOR + number
        self._id = varuint(self.client_id)
        self._random = Random(number)
        self._updates: list[bytes] = []
        #: By the clock of each character, and by -1 for the beginning of the text: the clock of the
        #: character behind it.
        self._behind: dict[int, int | None] = {-1: None}
        #: The clock of the character that the cursor is behind.
        self._cursor = -1

    def update(self, clock: int) -> bytes:
        """Return the update that inserts the character of that clock."""
        while clock >= len(self._updates):
            self._updates.append(self._type(len(self._updates)))
        return self._updates[clock]

    def _type(self, clock: int) -> bytes:
        # Nobody writes a whole book from start to end without going back once.
        if clock % _RUN == 0:
            self._cursor = self._random.randrange(-1, clock)
        left = self._cursor
        right = self._behind[left]
        self._behind[left], self._behind[clock] = clock, right
        self._cursor = clock
        return self._item(clock, left, right, _LETTERS[clock % len(_LETTERS)])

    def _item(self, clock: int, left: int, right: int | None, letter: str) -> bytes:
        """Return the update of one item, as yrs and Yjs encode it."""
        kind, neighbours = _IS_TEXT, b""
        if left >= 0:
            kind, neighbours = kind | _HAS_LEFT, self._id + varuint(left)
        if right is not None:
            kind, neighbours = kind | _HAS_RIGHT, neighbours + self._id + varuint(right)
        head = _ONE_ITEM + self._id + varuint(clock) + bytes((kind,))
        return head + (neighbours or _PLACE) + b"\1" + letter.encode() + _NOTHING_DELETED


@cache
def author(number: int) -> Author:
    """Return the author of that number, who remembers what was typed before."""
    return Author(number)
