from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text, TransactionEvent, get_state

from collab.exceptions import ProtocolViolation
from collab.protocol.yjs.poisoned_doc import PoisonedDoc
from collab.protocol.yjs.updates import (
    EMPTY_STATE,
    EMPTY_UPDATE,
    apply,
    check,
    cut,
    merge,
    outline,
)
from collab_storage.updates import is_panic
from tests.protocol.yjs import poison
from tests.protocol.yjs.samples import HELLO, new_doc, text, typed


@pytest.mark.parametrize("is_private", [False, True])
def test_an_update_is_applied_with_and_without_pycrdts_transaction(is_private: bool) -> None:
    doc, seen = new_doc(), list[bytes]()
    doc.observe(lambda event: seen.append(event.update))
    apply(doc, HELLO, is_private=is_private)
    assert (text(doc), seen) == ("hello", [HELLO])
    with doc.transaction():
        doc["text"] += "!"
    assert text(doc) == "hello!"


def test_an_empty_document_has_the_empty_state_and_the_empty_update() -> None:
    doc: Doc[Any] = Doc()
    assert doc.get_state() == EMPTY_STATE
    assert doc.get_update() == EMPTY_UPDATE


# Checking.


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=2, max_size=5),
    st.integers(0, 60),
    st.binary(max_size=3),
    st.integers(1, 2**53 - 1),
)
def test_typed_text_that_pycrdt_is_not_asked_about_is_text_that_it_decodes(
    letters: str, place: int, bytes_there: bytes, client_id: int
) -> None:
    update = typed(letters, client_id)[-1]
    changed = update[:place] + bytes_there + update[place + len(bytes_there) :]
    try:
        found = outline(changed)
    except ProtocolViolation:
        return
    if found.typed is not None:
        get_state(changed)


def test_an_update_passes_unchanged() -> None:
    assert check(HELLO) is HELLO


@pytest.mark.parametrize(
    "update",
    [
        b"",
        b"\0",
        HELLO[:-1],
        HELLO + b"\0",
        poison.ENDLESS,
        poison.PANICKING,
        poison.CORRUPTING,
        # Of the right form, but with a letter that is no UTF-8, and a format that is no JSON.
        b"\1\1\2\0\4\1\4text\1\xff\0",
        b"\1\1\2\0\6\1\4text\1k\1{\0",
    ],
)
def test_bytes_that_are_not_an_update_are_a_violation(update: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        check(update)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_an_update_or_a_violation(data: bytes) -> None:
    try:
        check(data)
    except ProtocolViolation:
        return


@given(st.data())
def test_a_mutated_update_is_refused_or_harms_nothing_but_its_doc(data: st.DataObject) -> None:
    update = bytearray(new_doc("some text", client_id=2).get_update())
    for _ in range(data.draw(st.integers(1, 3))):
        update[data.draw(st.integers(0, len(update) - 1))] = data.draw(st.integers(0, 255))
    doc = new_doc("hello", client_id=1)
    try:
        apply(doc, check(bytes(update)))
    except (ProtocolViolation, PoisonedDoc):
        return
    # What the Doc took in can be encoded and read again.
    assert text(new_doc(doc.get_update())) == text(doc)


# Merging.


@given(st.lists(st.integers(0, 99), min_size=1, max_size=100))
def test_merged_updates_hold_what_each_of_them_holds(chosen: list[int]) -> None:
    updates = typed("x" * 100)
    doc = new_doc(merge([updates[index] for index in chosen]))
    for update in updates:
        doc.apply_update(update)
    assert text(doc) == "x" * 100


def test_merging_one_update_does_no_work() -> None:
    assert merge([HELLO]) is HELLO


def test_structs_that_a_document_has_are_cut_off() -> None:
    letters = typed("ab", client_id=2)
    assert cut(merge(letters), new_doc(letters[0]).get_state()) == letters[1]


def test_an_update_that_cannot_be_cut_is_poison() -> None:
    with pytest.raises(PoisonedDoc):
        cut(b"\xff", EMPTY_STATE)


def test_an_interruption_of_the_cut_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(update: bytes, state: bytes) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("collab.protocol.yjs.updates.get_update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cut(HELLO, EMPTY_STATE)


# Applying.


def test_an_update_that_cannot_be_applied_poisons() -> None:
    for update in (poison.RAISING, poison.PANICKING, poison.POISONING):
        with pytest.raises(PoisonedDoc):
            apply(new_doc("hello", client_id=1), update)


def test_pycrdts_panic_is_known_by_its_name() -> None:
    with pytest.raises(BaseException) as caught:
        new_doc("hello", client_id=1).apply_update(poison.PANICKING)
    assert is_panic(caught.value)
    assert not isinstance(caught.value, Exception)
    assert not is_panic(SystemExit())


def test_an_observer_that_raises_is_logged_and_the_update_applied(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(event: TransactionEvent) -> None:
        raise LookupError("the project's own")

    doc: Doc[Any] = Doc()
    doc.observe(fail)
    with caplog.at_level(logging.ERROR, "collab"):
        apply(doc, HELLO)
    assert text(doc) == "hello"
    assert "the project's own" in caplog.text


def test_an_observer_that_ends_the_process_ends_it() -> None:
    def end(event: TransactionEvent) -> None:
        raise KeyboardInterrupt

    doc: Doc[Any] = Doc()
    doc.observe(end)
    with pytest.raises(BaseException) as caught:
        apply(doc, HELLO)
    assert not isinstance(caught.value, PoisonedDoc)


def test_types_that_are_read_from_a_doc_stay_usable() -> None:
    doc: Doc[Any] = Doc()
    content = doc.get("text", type=Text)
    apply(doc, HELLO)
    assert str(content) == "hello"
