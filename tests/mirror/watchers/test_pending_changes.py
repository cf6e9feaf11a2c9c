"""Changes are recorded: their authors, and when they are due."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from collab.conf import Settings
from collab.mirror.incoming.row_edits import Author
from collab.mirror.incoming.saving import ROW
from collab.mirror.watchers import pending_changes
from collab.mirror.watchers.pending_changes import ELSEWHERE, PendingChanges

ANN, BOB = (Author(User(username=name)) for name in ("ann", "bob"))
ONE, OTHER = ("tasks", "1"), ("tasks", "2")


@pytest.fixture(autouse=True)
def one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_changes, "MAX_CHANGES", 1)


def new_pending() -> PendingChanges:
    return PendingChanges(Settings(ROWS_DELAY=1, ROWS_TEXT_DELAY=2))


def test_a_change_is_due_soon_however_often_it_is_made() -> None:
    pending = new_pending()
    for now in (0.0, 0.5):
        assert pending.add(ONE, "title", ANN, now).due == 1
    assert pending.next_due == 1
    assert pending.take(0.9, 10) == {}
    assert pending.take(1, 10)[ONE].keys() == {"title"}
    assert pending.next_due is None


def test_a_text_is_due_when_typing_pauses_or_after_a_while() -> None:
    pending = new_pending()
    dues = [pending.add(ONE, "body", ANN, now, is_typing=True).due for now in (0, 1, 15, 19.5, 25)]
    assert dues == [2, 3, 17, 20, 20]


def test_a_field_is_attributed_to_the_last_author_that_changed_it() -> None:
    pending = new_pending()
    pending.add(ONE, "title", ANN, 0)
    pending.add(ONE, "title", BOB, 0.5)
    assert pending.has_own
    assert pending.take(2, 10)[ONE]["title"].author is BOB


def test_changes_made_elsewhere_are_due_long_after_the_last_of_them() -> None:
    pending = new_pending()
    pending.add(ONE, "title", ELSEWHERE, 0)
    assert pending.add(ONE, "title", ELSEWHERE, 50).due == 110
    assert not pending.has_own
    assert pending.take(70, 10, in_hurry=True) == {}
    assert pending.add(ONE, "title", ANN, 0, is_doubtful=True).due == 60


def test_a_text_typed_with_other_processes_is_attributed_to_the_member_here() -> None:
    pending = new_pending()
    pending.add(ONE, "body", ANN, 0, is_typing=True)
    pending.add(ONE, "body", ELSEWHERE, 0.5, is_typing=True)
    assert pending.take(2, 10)[ONE]["body"].author is ANN


def test_a_row_is_taken_with_what_was_changed_in_it() -> None:
    pending = new_pending()
    pending.add(ONE, ROW, ELSEWHERE, 0)
    pending.add(ONE, "body", ANN, 59, is_typing=True)
    assert pending.take(60, 10)[ONE].keys() == {ROW, "body"}


def test_too_many_fields_are_the_row() -> None:
    pending = new_pending()
    for number in range(201):
        pending.add(ONE, str(number), ANN, 0)
    assert pending.has(ONE, "title")
    assert pending.take(2, 10)[ONE].keys() == {ROW}


def test_removing_a_row_overtakes_changes_of_others() -> None:
    pending = new_pending()
    assert pending.overtake(ONE, ANN) == {}
    pending.add(ONE, "title", ANN, 0)
    pending.add(ONE, "done", BOB, 0)
    assert pending.overtake(ONE, ANN) == {"done": BOB}
    assert pending.has_room(OTHER)
    pending.add(ONE, ROW, ANN, 0)
    pending.add(ONE, "done", BOB, 0)
    assert pending.overtake(ONE, ELSEWHERE) == {"done": BOB}
    assert pending.take(2, 10)[ONE].keys() == {ROW}


def test_rows_are_limited() -> None:
    pending = new_pending()
    assert pending.has_room(ONE)
    pending.add(ONE, "title", ANN, 0)
    assert pending.has_room(ONE)
    assert not pending.has_room(OTHER)
    pending.add(OTHER, "title", ANN, 0)
    assert len(pending.take(2, 1)) == 1
    assert len(pending.take(2, 1)) == 1


def test_restored_changes_are_older_than_those_added_since() -> None:
    pending = new_pending()
    pending.add(ONE, "title", ANN, 0)
    pending.add(ONE, "done", ANN, 0)
    taken = pending.take(2, 10)
    pending.add(ONE, "title", BOB, 2)
    pending.restore(taken)
    assert {name: note.author for name, note in pending.take(3, 10)[ONE].items()} == {
        "title": BOB,
        "done": ANN,
    }


def test_where_a_row_comes_from_says_nothing_of_its_fields() -> None:
    pending = new_pending()
    assert not pending.has(ONE, "title")
    pending.add(ONE, ROW, ELSEWHERE, 0)
    assert pending.has(ONE, ROW)
    assert not pending.has(ONE, "title")
    pending.add(ONE, "title", ELSEWHERE, 0)
    assert pending.has(ONE, "title")


def test_authors_of_a_text_take_turns() -> None:
    pending = new_pending()
    pending.add(ONE, "body", ANN, 0, is_typing=True)
    assert pending.texts_of_others(ANN) == []
    assert pending.texts_of_others(BOB) == [(ONE, "body")]
    pending.add(ONE, "body", BOB, 0, is_typing=True, before_typing="one")
    pending.add(ONE, "body", BOB, 0, is_typing=True)
    change = pending.add(ONE, "body", ANN, 0, is_typing=True, before_typing="two")
    assert change.turns == ((ANN, None), (BOB, "one"), (ANN, "two"))
    assert change.authors == {ANN, BOB}
    pending.take(100, 10)
    assert pending.texts_of_others(None) == []


def test_a_turn_whose_beginning_is_not_known_is_the_last_authors() -> None:
    pending = new_pending()
    pending.add(ONE, "body", ANN, 0, is_typing=True)
    change = pending.add(ONE, "body", BOB, 0, is_typing=True)
    assert change.turns == ((BOB, None),)


def test_texts_of_rows_that_are_replaced_are_forgotten() -> None:
    pending = new_pending()
    pending.add(ONE, "body", ANN, 0, is_typing=True)
    pending.overtake(ONE, BOB)
    assert pending.texts_of_others(BOB) == []
    for number in range(201):
        pending.add(ONE, str(number), ANN, 0, is_typing=True)
    assert pending.texts_of_others(BOB) == []


def test_turns_of_other_processes_leave_the_author() -> None:
    pending = new_pending()
    pending.add(ONE, "body", ANN, 0, is_typing=True, before_typing="one")
    change = pending.add(ONE, "body", ELSEWHERE, 0, is_typing=True, before_typing="two")
    assert (change.author, change.due) == (ANN, 2)
    assert change.turns == ((ANN, "one"), (ELSEWHERE, "two"))
    assert pending.add(ONE, "body", ELSEWHERE, 0, is_typing=True).turns == change.turns
    change = pending.add(ONE, "body", ANN, 0, is_typing=True, before_typing="three")
    assert pending.add(ONE, "body", ELSEWHERE, 0, is_typing=True).turns == change.turns


def test_authors_of_the_latest_texts_are_distinguished() -> None:
    pending = new_pending()
    for number in range(101):
        pending.add(("tasks", str(number)), "body", ANN, 0, is_typing=True)
    assert len(pending.texts_of_others(BOB)) == 100
    assert not pending.is_typed(("tasks", "0"), "body")
