from __future__ import annotations

from itertools import count, pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map

from collab.engine.rooms.member import Member
from collab.engine.rooms.pending import PendingUpdates
from collab.protocol.effects import RoomUpdate
from collab.protocol.yjs.partial import PartialUpdate, StateVector, advance, can_extend
from collab.protocol.yjs.updates import EMPTY_UPDATE, merge
from collab.protocol.yjs.validation import check_structure
from collab_storage.updates import is_covered, state_vector
from tests.engine.fakes import new_member
from tests.protocol.yjs.samples import HELLO, changes, content, insert, new_doc, text, typed


def waiting(update: bytes) -> PartialUpdate:
    return PartialUpdate(check_structure(update))


def is_extension(update: bytes, doc: Doc[Any]) -> bool:
    return can_extend(check_structure(update), known(doc))


def known(doc: Doc[Any]) -> StateVector:
    return state_vector(doc.get_state())


def section(client: int, clock: int, *structs: str) -> bytes:
    return bytes((len(structs), client, clock)) + bytes.fromhex("".join(structs))


def update(*sections: bytes, deletions: bytes = b"\0") -> bytes:
    return bytes((len(sections),)) + b"".join(sections) + deletions


# What extends a document.


def test_the_next_letter_extends_and_no_other_does() -> None:
    letters = typed("abc", client_id=2)
    doc = new_doc(letters[0])
    assert [is_extension(letter, doc) for letter in letters] == [False, True, False]


def test_one_that_extends_may_be_followed_by_the_next() -> None:
    first, second = map(check_structure, typed("ab", client_id=2))
    state: StateVector = {}
    advance(state, first)
    assert state == {2: 1}
    assert can_extend(second, state)


def test_an_update_that_builds_on_a_letter_of_another_client_needs_it() -> None:
    doc = new_doc(HELLO, client_id=2)
    letter = insert(doc, "!", 5)
    assert is_extension(letter, new_doc(HELLO))
    assert not is_extension(letter, Doc())


def test_a_deletion_needs_what_it_deletes_known_or_in_the_same_update() -> None:
    doc = new_doc(HELLO, client_id=2)
    with changes(doc) as updates:
        del content(doc)[1:3]
    assert is_extension(updates[0], new_doc(HELLO))
    assert not is_extension(updates[0], Doc())
    assert is_extension(doc.get_update(), Doc())


def test_an_update_that_skips_clocks_does_not_extend() -> None:
    letters = typed("abc", client_id=2)
    assert not is_extension(merge([letters[0], letters[2]]), Doc())


# What is taken of an update, and what waits.


def test_structs_that_can_be_integrated_are_returned_and_the_rest_waits() -> None:
    letters = typed("abcd", client_id=2)
    held = waiting(merge([letters[0], letters[2], letters[3]]))
    state: StateVector = {}
    assert text(new_doc(held.take(state))) == "a"
    assert state == {2: 1}
    assert not held.is_done and not held.is_ready(state)
    assert held.take(state) == EMPTY_UPDATE
    state = {2: 2}
    assert held.is_ready(state)
    doc = new_doc(merge(letters[:2]))
    doc.apply_update(held.take(state))
    assert text(doc) == "abcd"
    assert held.is_done


def test_structs_that_have_become_known_meanwhile_are_skipped() -> None:
    letters = typed("abcd", client_id=2)
    held = waiting(merge(letters[1:3]))
    held.take({})
    state = {2: 3}
    assert held.take(state) == EMPTY_UPDATE
    assert held.is_done and state == {2: 3}


def test_structs_may_wait_for_each_other_across_clients() -> None:
    ann, bob = new_doc(client_id=2), new_doc(client_id=3)
    parts = []
    for writer, other in [(ann, bob), (bob, ann)] * 3:
        with changes(writer) as updates:
            content(writer).insert(len(content(writer)), "x")
        parts.append(updates[0])
        other.apply_update(updates[0])
    state: StateVector = {}
    taken = waiting(merge(parts)).take(state)
    assert text(new_doc(taken)) == "x" * 6
    assert state == {2: 3, 3: 3}


def test_structs_that_wait_for_each_other_in_a_circle_wait_for_ever() -> None:
    held = waiting(update(section(2, 0, "84030001" + "61"), section(3, 0, "84020001" + "61")))
    state: StateVector = {}
    assert held.take(state) == EMPTY_UPDATE
    assert state == {} and not held.is_done


def test_a_deletion_is_taken_as_far_as_it_can_be() -> None:
    doc = new_doc(HELLO)
    held = waiting(update(deletions=b"\1\1\2\1\3\6\2"))
    doc.apply_update(held.take(known(doc)))
    assert text(doc) == "ho"
    assert not held.is_done
    state = {1: 7}
    assert held.is_ready(state)
    assert held.take(state) == update(deletions=b"\1\1\1\6\1")
    assert not held.is_done


def test_a_pending_update_costs_more_than_its_bytes() -> None:
    single = waiting(update(section(2, 1, "8402000161")))
    assert single.cost > 500
    many = update(*(section(client, 1, "0001") for client in range(100)))
    assert waiting(many).cost - single.cost > 100 * 100


edits = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("idms"), st.integers(0, 99)))


@given(edits, st.data())
def test_in_any_order_and_in_any_parts_nothing_is_lost_and_a_doc_holds_nothing_back(
    steps: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    updates = written(steps)
    shuffled = data.draw(st.permutations(updates))
    cut = data.draw(st.lists(st.integers(0, len(updates)), max_size=4))
    bounds = sorted({0, len(updates), *cut})
    parts = [shuffled[a:b] for a, b in pairwise(bounds)]
    doc: Doc[Any] = Doc()
    state: StateVector = {}
    held = [waiting(merge(part)) for part in parts]
    # Each round takes in at least one update.
    for _ in updates:
        for one in held:
            taken = one.take(state)
            doc.apply_update(taken)
            assert known(doc) == state
            assert is_covered(doc.get_state(), taken)
    assert all(one.is_done for one in held)
    assert is_covered(doc.get_state(), merge([EMPTY_UPDATE, *updates]))


def written(steps: list[tuple[int, str, int]]) -> list[bytes]:
    """Return the updates of three people, each of whom has what the others did."""
    docs = [new_doc(client_id=client) for client in (5, 6, 7)]
    updates = []
    for who, what, where in steps:
        shared = content(docs[who])
        at = where % (len(shared) + 1)
        with changes(docs[who]) as made:
            if what == "i":
                shared.insert(at, "ab")
            elif what == "d":
                del shared[at : min(at + 3, len(shared))]
            elif what == "m":
                docs[who].get("map", type=Map)["key"] = Map({"n": where})
            else:
                # Only half of it reaches the others, who go on meanwhile.
                shared.insert(0, "c")
        updates += made
        for doc in docs:
            for one in made if what != "s" else ():
                doc.apply_update(one)
    return updates


# What is kept for whom.


def held_for(numbers: list[int]) -> tuple[PendingUpdates, Any]:
    member, _ = new_member()
    held = PendingUpdates()
    for number in numbers:
        one = waiting(update(section(2, number, "0001")))
        one.take({})
        held.add(RoomUpdate(EMPTY_UPDATE, number, member=member, partial=one))
    return held, member


def numbers_of(held: PendingUpdates, *edits: RoomUpdate[Member]) -> list[int]:
    held.number(edits)
    return [edit.number for edit in edits]


def test_nothing_counts_that_comes_behind_what_waits() -> None:
    held, member = held_for([2, 4])
    other, _ = new_member()
    edits: tuple[RoomUpdate[Member], ...] = (
        RoomUpdate(EMPTY_UPDATE, 3, member=member),
        RoomUpdate(EMPTY_UPDATE, 9, member=other),
        RoomUpdate(EMPTY_UPDATE),
    )
    assert numbers_of(held, *edits) == [1, 9, 0]
    assert [edit.number for edit in held.pop_ready({2: 2})] == [2]
    assert numbers_of(held, RoomUpdate(EMPTY_UPDATE, 2, member=member)) == [3]
    assert numbers_of(held, RoomUpdate(EMPTY_UPDATE, 5, member=member)) == [3]
    held.pop_ready({2: 4})
    assert numbers_of(held, RoomUpdate(EMPTY_UPDATE, 4, member=member)) == [5]
    assert numbers_of(held, RoomUpdate(EMPTY_UPDATE, 6, member=member)) == [6]


def test_forgotten_pending_updates_delay_no_later_ones() -> None:
    held, member = held_for([1, 2])
    held.forget(member)
    assert held.pop_ready({2: 9}) == []
    assert numbers_of(held, RoomUpdate(EMPTY_UPDATE, 3, member=member)) == [3]


def test_the_cost_is_of_all_that_a_sender_has_waiting() -> None:
    member, _ = new_member()
    held, numbers = PendingUpdates(), count(1)
    costs = []
    for number in (1, 2, 3):
        one = waiting(update(section(2, number, "0001")))
        one.take({})
        update_of = RoomUpdate(EMPTY_UPDATE, next(numbers), member=member, partial=one)
        costs.append(held.add(update_of))
    assert costs == [costs[0], 2 * costs[0], 3 * costs[0]]
