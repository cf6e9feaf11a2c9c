from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text, XmlElement, XmlFragment

from collab_storage.base import LogRow, StoredDocument
from collab_storage.compaction import compact, read_news, read_stored
from collab_storage.memory import MemoryStorage
from collab_storage.structs import GC, SHARED_TYPE, STRING, read_structs
from collab_storage.surrogates import SurrogatePairs, as_yjs, break_pairs
from collab_storage.testing.material import entry
from collab_storage.updates import merge, state_vector

from .yjs import HALVED, PAIR, SPLIT, applied, text

CASES = [([PAIR, SPLIT], "a\ufffdX\ufffdb"), ([PAIR, HALVED], "a\ufffdb"), ([PAIR], "a😀b")]


def stored(*log: bytes) -> StoredDocument:
    return StoredDocument(None, [LogRow(number, data) for number, data in enumerate(log)], 1)


@pytest.mark.parametrize(("updates", "expected"), CASES)
def test_a_pair_that_an_update_breaks_is_read_as_yjs_reads_it(
    updates: list[bytes], expected: str
) -> None:
    assert text(applied(as_yjs(updates))) == expected
    assert text(applied(as_yjs([merge(updates)]))) == expected
    assert text(applied([read_stored(stored(*updates)).update])) == expected


@pytest.mark.parametrize(("updates", "expected"), CASES)
async def test_it_stays_so_when_the_log_is_compacted(updates: list[bytes], expected: str) -> None:
    storage = MemoryStorage()
    await storage.append([entry(data=update) for update in updates])
    await compact(storage, "doc")
    folded = await storage.load("doc")
    assert folded is not None
    assert not folded.log
    assert text(applied([read_stored(folded).update])) == expected


@pytest.mark.parametrize(("updates", "expected"), CASES)
async def test_a_room_that_reads_the_log_again_gets_the_same(
    updates: list[bytes], expected: str
) -> None:
    news = await read_news(stored(*updates), b"\0")
    assert text(applied([news])) == expected


def test_other_bytes_are_not_touched() -> None:
    doc: Doc[Any] = Doc()
    root = doc.get("x", type=XmlFragment)
    root.children.append(XmlElement("p", {"title": "😀"}))
    doc["map"] = Map({"😀": "😀", "inner": Map({"text": Text("😀")})})
    doc["text"] = Text("é😀")
    # Garbage, once it is deleted.
    doc["map"]["gone"] = Map({"text": Text("😀")})
    del doc["map"]["gone"]
    update = applied([doc.get_update()]).get_update()
    assert {struct.kind for struct in read_structs(update)} >= {GC, STRING, SHARED_TYPE}
    assert break_pairs(update, frozenset()) == break_pairs(update, {(0, 0)}) == update
    assert as_yjs([update, HALVED]) == [update, HALVED]


def test_updates_of_which_one_is_not_valid_stay_as_they_are() -> None:
    for bad in (b"", b"\1\1\1\0\x1f", PAIR[:-3]):
        assert as_yjs([PAIR, SPLIT, bad]) == [PAIR, SPLIT, bad]


def test_pairs_are_read_once_and_kept_from_then_on() -> None:
    reads = []

    def read() -> list[bytes]:
        reads.append(1)
        return [PAIR]

    pairs = SurrogatePairs(read)
    pairs.add(PAIR)
    assert reads == []
    assert pairs.broken_by(SPLIT) == pairs.broken_by(HALVED) == {(1, 2)}
    assert pairs.known([(1, 2), (1, 3), (2, 2)]) == {(1, 2)}
    later = PAIR.replace(b"\1\1\1\0\4\1\4text", b"\1\1\1\4\x84\1\3", 1)
    pairs.add(later)
    # In any order, as updates of a log may come.
    pairs.add(PAIR)
    assert pairs.broken_by(b"\0\1\1\2\6\1\2\1") == {(1, 2), (1, 6)}
    assert reads == [1]
    pairs.forget()
    assert pairs.broken_by(SPLIT)
    assert reads == [1, 1]


@given(st.text("a😀é𝄞", min_size=1, max_size=5), st.integers(0, 10))
def test_ascii_breaks_the_same_pairs_whether_that_is_known_or_not(start: str, place: int) -> None:
    doc: Doc[Any] = Doc(client_id=1)
    doc["text"] = Text(start)
    update = b"\1\1\2\0\xc4" + bytes((1, place, 1, place + 1)) + b"\1X\0"
    one, other = (SurrogatePairs(lambda: [doc.get_update()]) for _ in range(2))
    assert one.broken_by(update, is_ascii=True) == other.broken_by(update)


@given(st.lists(st.text("a😀é𝄞", min_size=1, max_size=5), min_size=1, max_size=5), st.data())
def test_a_broken_pair_has_the_length_of_the_pair(words: list[str], data: st.DataObject) -> None:
    doc: Doc[Any] = Doc(client_id=1)
    for word in words:
        doc.get("text", type=Text).insert(0, word)
    update = doc.get_update()
    ids = [(1, clock) for clock in range(sum(map(len, words)) * 2)]
    broken = break_pairs(update, set(data.draw(st.lists(st.sampled_from(ids)))))
    lengths = [[struct.length for struct in read_structs(each)] for each in (update, broken)]
    assert lengths[0] == lengths[1]
    copy = applied([broken])
    assert state_vector(copy.get_state()) == state_vector(doc.get_state())
    assert all(
        one == other or other == "\ufffd"
        for one, other in zip(*map(_units, (text(doc), text(copy))), strict=True)
    )


def _units(string: str) -> list[str]:
    """Return a text with each pair as two letters."""
    return [unit for letter in string for unit in (letter * 2 if letter > "\uffff" else letter)]
