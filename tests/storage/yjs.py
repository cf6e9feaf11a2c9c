"""Yjs documents to test with."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from pycrdt import Doc, Text

__all__ = [
    "HALVED",
    "PAIR",
    "PANIC",
    "SPLIT",
    "applied",
    "concurrent_updates",
    "text",
    "typed",
    "typed_behind",
]

#: Makes pycrdt panic if it is applied to a Doc that has 110 letters of client 5.
PANIC = bytes.fromhex("010105642801016d047f067c3f80000000")

#: The text "a😀b" by client 1, as Yjs writes it: the letter is a surrogate pair.
PAIR = bytes.fromhex("0101010004010474657874") + b"\6a\xf0\x9f\x98\x80b\0"
#: Client 2 inserts "X" between the halves of the letter; the second half is deleted.
SPLIT = bytes.fromhex("01010200c401010102015800")
HALVED = bytes.fromhex("000101010201")


def applied(updates: Iterable[bytes]) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    for update in updates:
        doc.apply_update(update)
    return doc


def text(doc: Doc[Any]) -> str:
    return str(doc.get("text", type=Text))


def typed(letters: str, client_id: int | None = None) -> list[bytes]:
    """Return the updates of typing ``letters`` one by one."""
    doc: Doc[Any] = Doc(client_id=client_id)
    updates = []
    for letter in letters:
        state = doc.get_state()
        content = doc.get("text", type=Text)
        content += letter
        updates.append(doc.get_update(state))
    return updates


def typed_behind(
    update: bytes, texts: Iterable[str], client_id: int, place: int | None = None
) -> list[bytes]:
    """Return the updates of typing ``texts`` into a document, by default at its end."""
    doc = applied([update])
    other: Doc[Any] = Doc(client_id=client_id)
    other.apply_update(doc.get_update())
    updates, content = [], other.get("text", type=Text)
    place = len(str(content)) if place is None else place
    for each in texts:
        state = other.get_state()
        content.insert(place, each)
        place += len(each.encode())
        updates.append(other.get_update(state))
    return updates


def concurrent_updates(seed: int, count: int, *, clients: int = 5) -> list[bytes]:
    """Return updates of several clients who edit one text and hear of each other now and then.

    Now and then one of them says more than is new, so that updates overlap.
    """
    chance = random.Random(seed)
    docs: list[Doc[Any]] = [Doc(client_id=number + 1) for number in range(clients)]
    states = [[doc.get_state()] for doc in docs]
    updates = []
    for _ in range(count):
        number = chance.randrange(clients)
        doc, content = docs[number], docs[number].get("text", type=Text)
        if chance.random() < 0.6 or len(content) < 3:
            content.insert(chance.randint(0, len(content)), chance.choice("abcd") * 2)
        else:
            start = chance.randrange(len(content) - 1)
            del content[start : start + 2]
        since = states[number][-1] if chance.random() < 0.8 else chance.choice(states[number])
        updates.append(doc.get_update(since))
        states[number].append(doc.get_state())
        if chance.random() < 0.2:
            other = chance.randrange(clients)
            docs[other].apply_update(doc.get_update())
            states[other].append(docs[other].get_state())
    return updates
