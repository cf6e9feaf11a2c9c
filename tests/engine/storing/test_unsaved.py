from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from collab.engine.rooms.member import Member
from collab.engine.storing.unsaved import UnsavedUpdate, UnsavedUpdates
from collab.protocol.effects import RoomUpdate
from collab.protocol.yjs.updates import EMPTY_UPDATE, merge
from collab.protocol.yjs.validation import check_structure
from tests.engine.fakes import new_member
from tests.protocol.yjs.samples import HELLO, new_doc, text, typed


class Interrupted(list[UnsavedUpdate]):
    """Updates that another thread replaces while they are read, unless it has to wait."""

    def __init__(self, change: Callable[[], Any]) -> None:
        super().__init__()
        self.thread = threading.Thread(target=change)

    def __iter__(self) -> Iterator[UnsavedUpdate]:
        self.thread.start()
        # A thread that does not have to wait is done long before.
        self.thread.join(0.05)
        return super().__iter__()


async def test_an_update_that_goes_in_flight_meanwhile_is_found_once() -> None:
    updates = UnsavedUpdates()
    updates.add("notes", [RoomUpdate(HELLO)])
    [update] = updates.waiting["notes"]
    updates.in_flight["notes"] = queue = Interrupted(lambda: updates.take(["notes"]))
    assert updates.of("notes") == [update]
    queue.thread.join()
    assert updates.in_flight == {"notes": [update]}


def letters(update: bytes, member: Member, number: int) -> RoomUpdate[Member]:
    """Return an update of a member as a room hands it over that has just integrated it."""
    return RoomUpdate(update, number, outline=check_structure(update), member=member)


@pytest.mark.parametrize("size", [1, 4])
async def test_letters_of_some_who_type_at_once_wait_as_one_update_of_each(size: int) -> None:
    updates, members = UnsavedUpdates(), [new_member()[0] for _ in range(size)]
    texts = [typed("letters", client_id) for client_id in range(1, size + 1)]
    for number in range(1, 7):
        for member, typing in zip(members, texts, strict=True):
            updates.add("notes", [letters(typing[number], member, number)])
    waiting = updates.waiting["notes"]
    assert [(update.member, update.number) for update in waiting] == [(each, 6) for each in members]
    assert [update.data for update in waiting] == [merge(typing[1:]) for typing in texts]
    assert updates.size == sum(len(update) for typing in texts for update in typing[1:])


async def test_letters_of_more_are_all_kept() -> None:
    updates, members = UnsavedUpdates(), [new_member()[0] for _ in range(6)]
    texts = [typed("letters", client_id) for client_id in range(1, 7)]
    for number in range(7):
        for member, typing in zip(members, texts, strict=True):
            updates.add("notes", [letters(typing[number], member, number)])
    whole = merge([update.data for update in updates.of("notes")])
    assert text_of(whole) == text_of(merge([update for typing in texts for update in typing]))


async def test_letters_that_another_connection_types_on_are_not_those_of_the_first() -> None:
    updates, (ann, _), (bob, _) = UnsavedUpdates(), new_member(), new_member()
    _, one, other = typed("abc", 1)
    updates.add("notes", [letters(one, ann, 1), letters(other, bob, 1)])
    assert [update.member for update in updates.of("notes")] == [ann, bob]


async def test_letters_of_which_a_part_was_known_are_stored_as_they_were_integrated() -> None:
    updates, (ann, _) = UnsavedUpdates(), new_member()
    _, one, other = typed("abc", 1)
    known = letters(one, ann, 2)
    known.data = EMPTY_UPDATE
    updates.add("notes", [letters(one, ann, 1), known, letters(other, ann, 3)])
    assert [update.number for update in updates.of("notes")] == [3, 2]
    assert merge([update.data for update in updates.of("notes")]) == merge([one, other])


async def test_receipts_for_letters_are_kept_until_these_are_stored() -> None:
    updates, (ann, _), told = UnsavedUpdates(), new_member(), list[int]()
    _, *typing = typed("abcd", 1)
    for number, update in enumerate(typing):
        edit = letters(update, ann, number)
        edit.on_stored = partial(told.append, number)
        updates.add("notes", [edit])
    updates.take(["notes"])
    [landed] = updates.land("notes")
    for receipt in landed.receipts or ():
        receipt()
    assert told == [0, 1, 2]
    assert updates.size == 0


def text_of(update: bytes) -> str:
    return "".join(sorted(text(new_doc(update))))
