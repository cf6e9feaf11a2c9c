"""The benchmark sees what a server loses, and what it tells twice."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, Text, merge_updates

from bench.authors import author
from bench.clocks import (
    Clocks,
    DoubledUpdate,
    LostUpdate,
    Range,
    covers,
    extend,
    join,
    ranges,
    state,
)
from bench.documents import typed_document
from bench.websocket import BINARY, TEXT, split

ANN, BOB = author(0), author(1)


def test_updates_one_by_one_extend_what_a_member_has() -> None:
    clocks: Clocks = {}
    for clock in range(50):
        extend(clocks, ranges(ANN.update(clock)))
    assert clocks == {ANN.client_id: 50}


def test_merged_update_counts_as_all_that_it_carries() -> None:
    merged = merge_updates(*map(ANN.update, range(50)), *map(BOB.update, range(30)))
    assert sorted(ranges(merged)) == [Range(ANN.client_id, 0, 50), Range(BOB.client_id, 0, 30)]


def test_lost_update_is_found() -> None:
    clocks: Clocks = {}
    extend(clocks, ranges(ANN.update(0)))
    with pytest.raises(LostUpdate, match="has 1 of author 1000, gets 2 to 3"):
        extend(clocks, ranges(ANN.update(2)))


def test_update_lost_out_of_a_merged_one_is_found() -> None:
    merged = merge_updates(ANN.update(0), ANN.update(1), ANN.update(3))
    with pytest.raises(LostUpdate):
        extend({}, ranges(merged))


def test_doubled_update_is_found() -> None:
    clocks: Clocks = {}
    extend(clocks, ranges(merge_updates(ANN.update(0), ANN.update(1))))
    with pytest.raises(DoubledUpdate):
        extend(clocks, ranges(ANN.update(1)))


def test_whole_document_for_a_slow_reader_counts_as_what_is_new() -> None:
    document = typed_document(10_000)
    (length,) = document.clocks.values()
    clocks = {**document.clocks, BOB.client_id: 3}
    whole = ranges(merge_updates(document.data, *map(BOB.update, range(5))))
    assert extend(clocks, whole) == [Range(BOB.client_id, 3, 2)]
    assert clocks == {1: length, BOB.client_id: 5}


def test_document_that_was_asked_for_may_have_what_is_known_already() -> None:
    clocks = {ANN.client_id: 5}
    join(clocks, [Range(BOB.client_id, 0, 2), Range(ANN.client_id, 0, 3)])
    assert clocks == {ANN.client_id: 5, BOB.client_id: 2}
    assert covers(clocks, {ANN.client_id: 4, BOB.client_id: 2})
    assert not covers(clocks, {BOB.client_id: 3})


def test_gap_in_a_document_is_found() -> None:
    with pytest.raises(LostUpdate, match="a document has 0 of author 1001, and 1 and more"):
        join({}, [Range(BOB.client_id, 1, 2)])


def test_writer_may_get_back_what_it_wrote_or_not() -> None:
    clocks: Clocks = {}
    extend(clocks, ranges(ANN.update(7)), own=(ANN.client_id,))
    extend(clocks, ranges(ANN.update(7)), own=(ANN.client_id,))


def test_lengths_are_those_of_yjs_whatever_the_letters_and_deletions() -> None:
    doc: Doc[Any] = Doc(client_id=7)
    text = doc.get("text", type=Text)
    text += "aé😀, and more"
    del text[1:7]
    # 1 + 1 + 2 code units of UTF-16, and 10 more.
    assert state(ranges(doc.get_update())) == {7: 14}


def test_frames_are_cut_out_of_what_comes() -> None:
    frames = b"\x82\x03abc" + b"\x81\x7e\x01\x00" + b"x" * 256
    assert split(frames + b"\x82\x05ab") == ([(BINARY, b"abc"), (TEXT, b"x" * 256)], 265, 7)
