from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text, merge_updates

from collab_storage.updates import (
    deletions,
    has_no_news,
    is_covered,
    merge,
    read_typed,
    state_vector,
)

from .yjs import applied, concurrent_updates, text, typed, typed_behind

seeds = st.integers(0, 2**32)


def contents(doc: Doc[Any]) -> tuple[Any, ...]:
    return text(doc), state_vector(doc.get_state()), deletions(doc)


class TestMerge:
    @given(seeds, st.integers(1, 60))
    def test_order_and_repetition_do_not_matter(self, seed: int, count: int) -> None:
        updates = concurrent_updates(seed, count)
        shuffled = updates + random.Random(seed).choices(updates, k=count // 3)
        random.Random(seed).shuffle(shuffled)
        assert contents(applied([merge(shuffled)])) == contents(applied(updates))

    @given(seeds, st.integers(2, 60), st.data())
    def test_updates_that_wait_for_missing_ones_are_kept(
        self, seed: int, count: int, data: st.DataObject
    ) -> None:
        updates = concurrent_updates(seed, count)
        missing = data.draw(st.sets(st.sampled_from(range(count)), min_size=1, max_size=5))
        late = [updates[number] for number in missing]
        early = [update for number, update in enumerate(updates) if number not in missing]
        parts = [merge(part) for part in (early, late) if part]
        assert contents(applied([merge(parts)])) == contents(applied(updates))

    def test_many_updates_are_merged_in_groups(self) -> None:
        doc: Doc[Any] = Doc()
        updates = []
        for number in range(300):
            state = doc.get_state()
            doc.get("map", type=Map)[str(number)] = number
            updates.append(doc.get_update(state))
        assert merge(updates) == merge_updates(*updates)

    def test_typed_text_becomes_as_short_as_if_it_had_been_typed_at_once(self) -> None:
        first, *letters = typed("x" * 300, 7)
        (at_once,) = typed_behind(first, ["x" * 299], 7)
        assert merge(letters) == at_once

    def test_updates_that_were_read_as_typed_text_are_merged_as_their_bytes_are(self) -> None:
        updates = [*typed("äb€", 1), *typed("cd", 2)]
        assert merge([read_typed(update) or update for update in updates]) == merge(updates)

    def test_text_typed_between_others_is_joined_in_its_place(self) -> None:
        before = typed("()", 1)
        letters = typed_behind(merge(before), "äb€😀e", 2, place=1)
        (whole,) = typed_behind(merge(before), ["äb€😀e"], 2, place=1)
        assert merge(letters) == whole
        assert text(applied([*before, merge(letters)])) == "(äb€😀e)"

    def test_a_text_of_another_place_is_not_joined(self) -> None:
        before = merge(typed("()", 1))
        letters = typed_behind(before, "ab", 2, place=1)
        elsewhere = typed_behind(merge([before, *letters]), "cd", 2, place=0)
        behind = typed_behind(merge([before, *letters, *elsewhere]), "ef", 2)
        updates = [*letters, *elsewhere, *behind]
        assert text(applied([before, merge(updates)])) == text(applied([before, *updates]))

    def test_a_text_before_that_of_another_author_is_not_joined_to_one_at_the_end(self) -> None:
        (first,) = typed("x", 9)
        (a,) = typed_behind(first, "a", 1)
        (z,) = typed_behind(merge([first, a]), "z", 2)
        doc: Doc[Any] = Doc(client_id=1)
        for update in (first, a, z):
            doc.apply_update(update)
        state = doc.get_state()
        doc.get("text", type=Text).insert(2, "b")
        b = doc.get_update(state)
        assert text(applied([first, merge([a, b, z])])) == text(applied([first, a, z, b])) == "xabz"

    @given(seeds, st.integers(2, 80))
    def test_text_typed_by_several_authors_is_joined_as_it_is_applied(
        self, seed: int, count: int
    ) -> None:
        chance, docs = random.Random(seed), [Doc[Any](client_id=number) for number in (1, 2, 3)]
        updates: list[bytes] = [*typed("a letter", 9)]
        for doc in docs:
            doc.apply_update(merge(updates))
        places = [0, 3, 8]
        for _ in range(count):
            number = chance.randrange(3)
            state, content = docs[number].get_state(), docs[number].get("text", type=Text)
            if chance.random() < 0.1:
                start = str(content)[: chance.randint(0, len(str(content)))]
                places[number] = len(start.encode())
            letter = chance.choice("abé😀 ")
            content.insert(places[number], letter)
            places[number] += len(letter.encode())
            updates.append(docs[number].get_update(state))
        merged = merge(updates)
        assert contents(applied([merged])) == contents(applied(updates))
        assert len(merged) <= len(merge_updates(*updates))

    def test_nothing_to_merge(self) -> None:
        with pytest.raises(ValueError, match="no update"):
            merge([])

    @pytest.mark.parametrize("update", [b"", b"\xff\xff", b"\1\1\1"])
    def test_bytes_that_are_not_an_update_are_refused(self, update: bytes) -> None:
        for updates in ([update], [*typed("abc"), update]):
            with pytest.raises(ValueError):
                merge(updates)


class TestIsCovered:
    @given(seeds, st.integers(1, 40), st.data())
    def test_exactly_if_nothing_is_held_back(
        self, seed: int, count: int, data: st.DataObject
    ) -> None:
        updates = concurrent_updates(seed, count, clients=3)
        missing = data.draw(st.sets(st.sampled_from(range(count)), max_size=3))
        early = [update for number, update in enumerate(updates) if number not in missing]
        if not early:
            return
        merged = merge(early)
        doc = applied([merged])
        if is_covered(doc.get_state(), merged):
            # So the Doc can stand for the bytes, whatever comes later.
            later = [doc.get_update(), *(updates[number] for number in missing)]
            assert contents(applied([merge(later)])) == contents(applied(updates))
        else:
            assert missing

    def test_an_insertion_that_waits(self) -> None:
        first, second = typed("ab")
        doc = applied([second])
        assert not is_covered(doc.get_state(), second)
        doc.apply_update(first)
        assert is_covered(doc.get_state(), second) and is_covered(doc.get_state(), first)

    def test_a_deletion_that_waits(self) -> None:
        doc: Doc[Any] = Doc()
        doc["map"] = shared = Map({"key": 1})
        state, insertion = doc.get_state(), doc.get_update()
        del shared["key"]
        deletion = doc.get_update(state)
        late = applied([deletion])
        assert not is_covered(late.get_state(), deletion)
        late.apply_update(insertion)
        assert is_covered(late.get_state(), deletion)

    def test_an_update_of_nothing(self) -> None:
        assert is_covered(Doc().get_state(), b"\0\0")


class TestDeletions:
    def test_neighbouring_ranges_are_one(self) -> None:
        updates = typed("abcdef", client_id=2**52)
        doc = applied(updates)
        other = applied(updates)
        for number in (4, 1, 1, 1):
            del doc.get("text", type=Text)[number]
        del other.get("text", type=Text)[1:5]
        assert deletions(doc) == deletions(other) == {2**52: [(1, 5)]}
        assert state_vector(doc.get_state()) == {2**52: 6}


class TestHasNoNews:
    @given(seeds, st.integers(1, 40), st.data())
    def test_exactly_if_applying_the_update_changes_nothing(
        self, seed: int, count: int, data: st.DataObject
    ) -> None:
        updates = concurrent_updates(seed, count)
        known = updates[: data.draw(st.integers(0, count))]
        doc, other = applied(known), applied(updates)
        state = doc.get_state()
        update = other.get_update()
        before = contents(doc)
        is_same = has_no_news(state, doc.get_update(state), update)
        doc.apply_update(update)
        assert is_same == (contents(doc) == before)

    def test_a_deletion_alone_is_news(self) -> None:
        doc, other = (applied(updates) for updates in [typed("abc")] * 2)
        state, rest = doc.get_state(), doc.get_update(doc.get_state())
        assert has_no_news(state, rest, other.get_update())
        with other.transaction():
            other.get("text", type=Text).clear()
        assert not has_no_news(state, rest, other.get_update())
        assert has_no_news(state, other.get_update(state), other.get_update())
