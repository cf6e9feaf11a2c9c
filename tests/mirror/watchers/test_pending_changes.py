"""What was changed is noted: who did it, and when it is to be checked."""

from __future__ import annotations

from django.contrib.auth.models import User

from collab.conf import Settings
from collab.mirror.incoming.client_changes import Author
from collab.mirror.incoming.saving import ROW
from collab.mirror.watchers.pending_changes import NOBODY, Notes

ANN, BOB = (Author(User(username=name)) for name in ("ann", "bob"))
ONE, OTHER = ("tasks", "1"), ("tasks", "2")


def new_notes() -> Notes:
    return Notes(
        Settings(ROWS_DELAY=1, ROWS_TEXT_DELAY=2, ROWS_CHECK_INTERVAL=60, MAX_ROW_CHANGES=1)
    )


def test_a_change_is_due_soon_however_often_it_is_made() -> None:
    notes = new_notes()
    for now in (0.0, 0.5):
        assert notes.add(ONE, "title", ANN, now).due == 1
    assert notes.next_due == 1
    assert notes.take(0.9, 10) == {}
    assert notes.take(1, 10)[ONE].keys() == {"title"}
    assert notes.next_due is None


def test_a_text_is_due_when_nobody_types_any_more_or_after_a_while() -> None:
    notes = new_notes()
    dues = [notes.add(ONE, "body", ANN, now, is_typing=True).due for now in (0, 1, 15, 19.5, 25)]
    assert dues == [2, 3, 17, 20, 20]


def test_who_changes_something_last_has_changed_it() -> None:
    notes = new_notes()
    notes.add(ONE, "title", ANN, 0)
    notes.add(ONE, "title", BOB, 0.5)
    assert notes.is_pressing
    assert notes.take(2, 10)[ONE]["title"].author is BOB


def test_what_others_change_is_due_long_after_their_last_change() -> None:
    notes = new_notes()
    notes.add(ONE, "title", NOBODY, 0)
    assert notes.add(ONE, "title", NOBODY, 50).due == 110
    assert not notes.is_pressing
    assert notes.take(70, 10, in_hurry=True) == {}
    assert notes.add(ONE, "title", ANN, 0, is_doubtful=True).due == 60


def test_who_types_with_others_is_who_has_typed() -> None:
    notes = new_notes()
    notes.add(ONE, "body", ANN, 0, is_typing=True)
    notes.add(ONE, "body", NOBODY, 0.5, is_typing=True)
    assert notes.take(2, 10)[ONE]["body"].author is ANN


def test_a_row_is_taken_with_what_was_changed_in_it() -> None:
    notes = new_notes()
    notes.add(ONE, ROW, NOBODY, 0)
    notes.add(ONE, "body", ANN, 59, is_typing=True)
    assert notes.take(60, 10)[ONE].keys() == {ROW, "body"}


def test_too_many_fields_are_the_row() -> None:
    notes = new_notes()
    for number in range(201):
        notes.add(ONE, str(number), ANN, 0)
    assert notes.is_noted(ONE, "title")
    assert notes.take(2, 10)[ONE].keys() == {ROW}


def test_who_removes_a_row_overtakes_others() -> None:
    notes = new_notes()
    assert notes.overtake(ONE, ANN) == {}
    notes.add(ONE, "title", ANN, 0)
    notes.add(ONE, "done", BOB, 0)
    assert notes.overtake(ONE, ANN) == {"done": BOB}
    assert notes.has_room(OTHER)
    notes.add(ONE, ROW, ANN, 0)
    notes.add(ONE, "done", BOB, 0)
    assert notes.overtake(ONE, NOBODY) == {"done": BOB}
    assert notes.take(2, 10)[ONE].keys() == {ROW}


def test_rows_are_limited() -> None:
    notes = new_notes()
    assert notes.has_room(ONE)
    notes.add(ONE, "title", ANN, 0)
    assert notes.has_room(ONE)
    assert not notes.has_room(OTHER)
    notes.add(OTHER, "title", ANN, 0)
    assert len(notes.take(2, 1)) == 1
    assert len(notes.take(2, 1)) == 1


def test_what_is_put_back_is_older_than_what_was_noted_since() -> None:
    notes = new_notes()
    notes.add(ONE, "title", ANN, 0)
    notes.add(ONE, "done", ANN, 0)
    taken = notes.take(2, 10)
    notes.add(ONE, "title", BOB, 2)
    notes.put_back(taken)
    assert {name: note.author for name, note in notes.take(3, 10)[ONE].items()} == {
        "title": BOB,
        "done": ANN,
    }


def test_where_a_row_comes_from_says_nothing_of_its_fields() -> None:
    notes = new_notes()
    assert not notes.is_noted(ONE, "title")
    notes.add(ONE, ROW, NOBODY, 0)
    assert notes.is_noted(ONE, ROW)
    assert not notes.is_noted(ONE, "title")
    notes.add(ONE, "title", NOBODY, 0)
    assert notes.is_noted(ONE, "title")
