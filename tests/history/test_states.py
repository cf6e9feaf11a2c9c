from __future__ import annotations

import random
from typing import Any

from pycrdt import Doc, Text

from collab.history.keeping.states import decode, encode, encode_present
from collab.history.present import Present
from collab_storage.base import LogRow, StoredDocument
from collab_storage.updates import EMPTY_UPDATE
from tests.storage.yjs import HALVED, PAIR, SPLIT, applied, text, typed


def doc_with(letters: str) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, letters)
    return doc


def read(states: Any) -> str:
    return text(applied([decode(states)]))


def test_a_state_reads_as_it_was_encoded() -> None:
    doc = doc_with("Hello")
    state = encode(doc.get_update())
    assert read([state]) == "Hello"
    assert (state.insertions, state.deletions, state.base) == (5, 0, None)


def test_equal_states_have_equal_digests_however_they_came_about() -> None:
    updates = typed("Hello")
    one, other = Doc[Any](), Doc[Any]()
    for update in updates:
        one.apply_update(update)
    for update in reversed(updates):
        other.apply_update(update)
    assert encode(one.get_update()).digest == encode(other.get_update()).digest


def test_states_that_differ_in_a_deletion_have_other_digests() -> None:
    doc = doc_with("Hello")
    before = encode(doc.get_update())
    del doc.get("text", type=Text)[1:3]
    after = encode(doc.get_update())
    assert before.digest != after.digest
    assert (after.insertions, after.deletions) == (5, 2)


def test_a_small_change_is_stored_as_the_difference() -> None:
    doc = doc_with("".join(random.Random(5).choices("abcdefgh", k=3_000)))
    first = encode(doc.get_update())
    doc.get("text", type=Text).insert(5, "more")
    second = encode(doc.get_update(), [first])
    doc.get("text", type=Text).insert(9, "and more")
    third = encode(doc.get_update(), [first, second])
    assert second.base == third.base == first.digest
    assert len(third.data) < len(first.data) / 10
    assert read([first, third]) == text(doc)


def test_a_large_change_is_stored_whole() -> None:
    doc = doc_with("Hello")
    first = encode(doc.get_update())
    doc.get("text", type=Text).insert(5, " World" * 50)
    assert encode(doc.get_update(), [first]).base is None


def test_an_unchanged_state_is_the_one_that_there_is() -> None:
    doc = doc_with("Hello")
    first = encode(doc.get_update())
    assert encode(doc.get_update(), [first]) is first


def test_letters_that_were_broken_later_are_whole_in_a_version() -> None:
    whole, broken = encode(PAIR), encode(applied([PAIR, SPLIT, HALVED]).get_update())
    assert read([whole]) == "a😀b"
    assert whole.digest != broken.digest


def test_the_present_has_what_is_not_stored_yet() -> None:
    first, *others = typed("Hello")
    # Unsaved updates are behind those of the log that depend on them.
    rows = [LogRow(number, update) for number, update in enumerate([*others[1:], others[0]])]
    present = Present("doc", StoredDocument(first, rows, 1))
    assert read([encode_present(present)]) == "Hello"
    assert present.size == sum(map(len, [first, *others]))


def test_the_present_of_an_empty_document() -> None:
    assert encode_present(Present("doc", StoredDocument(None, [], 1))).insertions == 0
    assert decode([encode(EMPTY_UPDATE)]) == EMPTY_UPDATE
