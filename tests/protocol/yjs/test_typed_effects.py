"""Typed text whose effect on a document is the text itself."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text

from collab.conf import Settings
from collab.engine.rooms.context import RoomContext
from collab.engine.rooms.room import Room
from collab.exceptions import ProtocolViolation
from collab.protocol.yjs.partial import can_extend
from collab.protocol.yjs.typed_effects import TypedEffects, are_ascii
from collab.protocol.yjs.updates import EMPTY_UPDATE, apply, merge
from collab.protocol.yjs.validation import check_structure
from collab_storage.updates import TypedText, deletions, read_typed, state_vector
from tests.protocol.yjs.samples import changes, new_doc

Id = tuple[int, int]


def letter(client: int, clock: int, left: Id, right: Id | None, text: bytes = b"x") -> bytes:
    """Return the update that inserts a letter behind an item, and before another one."""
    head = bytes((1, 1, client, clock, 0xC4 if right else 0x84))
    return head + bytes((*left, *(right or ()), len(text))) + text + b"\0"


def row(client: int, clock: int, left: Id, right: Id | None, size: int) -> list[TypedText]:
    """Return letters that are typed one after the other."""
    lefts = [left, *((client, clock + at) for at in range(size - 1))]
    return [read(letter(client, clock + at, each, right)) for at, each in enumerate(lefts)]


def read(update: bytes) -> TypedText:
    typed = read_typed(update)
    assert typed is not None
    return typed


def known(effects: TypedEffects, texts: list[TypedText]) -> list[bool]:
    return [effects.are_known([text]) for text in texts]


def test_the_third_letter_of_a_row_between_two_things_has_no_other_effect() -> None:
    effects = TypedEffects()
    assert known(effects, row(2, 0, (1, 0), (1, 1), 5)) == [False, False, True, True, True]


def test_text_behind_everything_else_has_no_other_effect() -> None:
    effects = TypedEffects()
    assert known(effects, [*row(2, 0, (1, 0), None, 1), *row(3, 0, (1, 1), None, 1)]) == [True] * 2


@pytest.mark.parametrize(
    "after",
    [
        row(2, 4, (2, 3), (1, 2), 1),
        row(2, 4, (2, 2), (1, 1), 1),
        row(2, 5, (2, 4), (1, 1), 1),
        row(3, 4, (3, 3), (1, 1), 1),
    ],
    ids=["before another thing", "behind another thing", "a later clock", "another client"],
)
def test_the_effect_of_text_that_continues_no_row_is_computed(after: list[TypedText]) -> None:
    effects = TypedEffects()
    known(effects, row(2, 0, (1, 0), (1, 1), 4))
    assert known(effects, after) == [False]


def test_a_row_begins_anew_after_anything_else() -> None:
    effects = TypedEffects()
    texts = row(2, 0, (1, 0), (1, 1), 8)
    known(effects, texts[:4])
    assert not effects.are_known([None])
    assert known(effects, texts[4:]) == [False, False, True, True]


def test_a_row_begins_anew_after_a_text_with_another_effect() -> None:
    effects = TypedEffects()
    texts = row(2, 0, (1, 0), (1, 1), 8)
    known(effects, texts[:2])
    effects.doubt()
    assert known(effects, texts[2:6]) == [False, False, True, True]


def test_letters_that_come_at_once_continue_a_row_if_each_does() -> None:
    effects = TypedEffects()
    texts = row(2, 0, (1, 0), (1, 1), 9)
    others = row(3, 0, (1, 0), (1, 1), 1)
    known(effects, texts[:2])
    assert effects.are_known(texts[2:5])
    assert not effects.are_known([*texts[5:7], *others])
    assert not effects.are_known(texts[7:])


def test_letters_that_begin_in_a_batch_show_nothing() -> None:
    effects = TypedEffects()
    texts = row(2, 0, (1, 0), (1, 1), 6)
    assert not effects.are_known(texts[:2])
    assert known(effects, texts[2:]) == [False, False, True, True]


def test_letters_in_a_row_wait_and_are_one_text() -> None:
    effects = TypedEffects()
    texts = row(2, 0, (1, 0), (1, 1), 6)
    waits = [effects.are_known([text]) and effects.wait([text]) for text in texts[:4]]
    assert waits == [False, False, True, True]
    assert effects.are_known(texts[4:]) and effects.wait(texts[4:])
    assert effects.take_waiting() == merge([text.update for text in texts[2:]])
    assert effects.waiting is None


def test_text_that_continues_no_row_does_not_wait() -> None:
    effects = TypedEffects()
    for text in (*row(2, 0, (1, 0), None, 1), *row(3, 0, (1, 1), None, 1)):
        assert effects.are_known([text]) and not effects.wait([text])
    assert effects.waiting is None


def test_a_long_row_is_applied_now_and_then() -> None:
    effects = TypedEffects()
    texts = row(2, 0, (1, 0), (1, 1), 120)
    known(effects, texts[:2])
    waits = [effects.are_known([text]) and effects.wait([text]) for text in texts[2:]]
    assert waits == [True] * 100 + [False] * 18


def test_letters_beyond_ascii_differ_from_others() -> None:
    ascii_text, other = read(letter(2, 0, (1, 0), None)), read(b"\1\1\2\0\x84\1\0\2\xc3\xa9\0")
    assert are_ascii([ascii_text, ascii_text])
    assert not are_ascii([ascii_text, other])
    assert not are_ascii([None])


def shared_types() -> Doc[Any]:
    """Return a document of one client with texts, lists and entries of maps, some deleted."""
    doc: Doc[Any] = Doc(client_id=1)
    doc["text"] = text = Text("abcd")
    entries: Map[Any] = Map({"key": "old", "other": "gone"})
    doc["map"] = entries
    entries["key"] = "new"
    del entries["other"]
    entries["inner"] = Text("ef")
    doc["list"] = items = Array(["g", Text("hi"), "j"])
    del text[1:3]
    del items[2]
    return doc


TYPES: dict[str, Any] = {"text": Text, "map": Map, "list": Array}
START = shared_types().get_update()
SIZE = state_vector(shared_types().get_state())[1]


def test_pycrdt_shows_with_the_first_letters_whether_later_ones_have_another_effect() -> None:
    kinds = set()
    for left, right in permutations(range(SIZE), 2):
        doc, plain = new_doc(START), []
        for text in row(2, 0, (1, left), (1, right), 6):
            with changes(doc) as effects:
                apply(doc, text.update)
            plain.append(effects == [text.update])
        assert all(plain[2:]) or not all(plain[:2])
        kinds.add(all(plain))
    assert kinds == {True, False}


@st.composite
def histories(draw: st.DrawFn) -> list[bytes]:
    """Return updates of hostile clients: text between any two things, rows of it, and deletions."""
    clocks = {1: SIZE, 2: 0, 3: 0}
    updates: list[bytes] = []

    def thing() -> Id:
        client = draw(st.sampled_from([each for each, clock in clocks.items() if clock]))
        return client, draw(st.integers(0, clocks[client] - 1))

    for _ in range(draw(st.integers(1, 6))):
        if draw(st.integers(0, 4)) == 0:
            client, clock = thing()
            updates.append(bytes((0, 1, client, 1, clock, 1)))
            continue
        client, left = draw(st.sampled_from((2, 3))), thing()
        right = draw(st.none() | st.builds(thing))
        for _ in range(draw(st.integers(1, 5))):
            updates.append(letter(client, clocks[client], left, right))
            left = client, clocks[client]
            clocks[client] += 1
    return updates


@pytest.mark.parametrize("ask", [False, True], ids=["at the end", "after each"])
@given(histories())
async def test_the_effect_of_hostile_text_is_sent(ask: bool, history: list[bytes]) -> None:
    room = Room("notes", new_doc(START), RoomContext(Settings()))
    document = room._document
    reference = new_doc(START)
    for update in history:
        try:
            found = check_structure(update)
        except ProtocolViolation:
            # Behind itself, or before what it is behind.
            continue
        if not can_extend(found, state_vector(document.state())):
            continue
        with changes(reference) as effects:
            apply(reference, update)
        news = document.apply(update, [found.typed], watched=False)
        if found.typed is None or found.typed.right is not None:
            assert news == (effects[0] if effects else EMPTY_UPDATE)
        if ask:
            assert state_vector(document.state()) == state_vector(reference.get_state())
    doc = document.doc
    assert deletions(doc) == deletions(reference)
    assert [doc.get(name, type=kind).to_py() for name, kind in TYPES.items()] == [
        reference.get(name, type=kind).to_py() for name, kind in TYPES.items()
    ]
    room.close()
