"""A week of typing: what five people write in one document, a keystroke an update.

The updates are made once and kept in a file, each behind its length, as making them takes longer
than anything that is measured with them. Beside it is the text that they make.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from pycrdt import Doc, Text, TransactionEvent, merge_updates

from tests.harness.server import ROOT

__all__ = ["DAYS", "read_updates", "text_of", "week_file", "write_updates"]

_DIRECTORY = ROOT / "build" / "bench"
_AUTHORS, DAYS = 5, 7
#: Keystrokes until somebody else has the turn.
_TURN = (20, 200)
#: One keystroke in so many takes a letter back.
_BACKSPACE = 8
_LETTERS = "eeeeeettttaaaaooooiiiinnnnsssrrrhhhlldducmfywgpbvkxqjz      ,.\n"
_SIZE = 4


class _Person:
    """A user at a keyboard.

    Args:
        number: from 0.
    """

    def __init__(self, number: int) -> None:
        self.doc: Doc[Any] = Doc(client_id=number + 1)
        #: Of keystrokes, since they were taken.
        self.updates: list[bytes] = []
        self._random = Random(number)
        self._subscription = self.doc.observe(self._changed)
        self._receiving = False

    def _changed(self, event: TransactionEvent) -> None:
        if not self._receiving:
            self.updates.append(event.update)

    def receive(self, update: bytes) -> None:
        """Take what others have written."""
        self._receiving = True
        self.doc.apply_update(update)
        self._receiving = False

    def type(self, day: int, keystrokes: int) -> list[bytes]:
        """Type somewhere in the text of a day; return the updates."""
        text: Text = self.doc.get(_name(day), type=Text)
        cursor = self._random.randint(0, len(text))
        for _ in range(keystrokes):
            if cursor and self._random.randrange(_BACKSPACE) == 0:
                cursor -= 1
                del text[cursor]
            else:
                text.insert(cursor, self._random.choice(_LETTERS))
                cursor += 1
        typed, self.updates = self.updates, []
        return typed


def _name(day: int) -> str:
    return f"day {day}"


def text_of(doc: Doc[Any]) -> str:
    """Return the text of a document of a week."""
    return "\f".join(str(doc.get(_name(day), type=Text)) for day in range(DAYS))


def _make(keystrokes: int, people: list[_Person]) -> Iterator[bytes]:
    chance, typed = Random(0), 0
    while typed < keystrokes:
        author = chance.choice(people)
        number = min(chance.randint(*_TURN), keystrokes - typed)
        updates = author.type(typed * DAYS // keystrokes, number)
        turn = merge_updates(*updates)
        for other in people:
            if other is not author:
                other.receive(turn)
        yield from updates
        typed += number


def write_updates(file: Path, updates: Iterator[bytes]) -> None:
    """Write updates to a file."""
    with file.open("wb") as stream:
        for update in updates:
            stream.write(len(update).to_bytes(_SIZE) + update)


def read_updates(file: Path) -> Iterator[bytes]:
    """Yield the updates of a file."""
    with file.open("rb") as stream:
        while size := stream.read(_SIZE):
            yield stream.read(int.from_bytes(size))


def week_file(keystrokes: int) -> Path:
    """Return a file of so many updates, made unless it is there; its text is in ``.txt``."""
    file = _DIRECTORY / f"week-{keystrokes}"
    text = file.with_suffix(".txt")
    if not text.exists():
        _DIRECTORY.mkdir(parents=True, exist_ok=True)
        people = [_Person(number) for number in range(_AUTHORS)]
        write_updates(file, _make(keystrokes, people))
        text.write_text(text_of(people[0].doc))
    return file
