from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import read_message

from collab.engine.rooms.encoded_document import Answers, EncodedDocument
from collab.protocol.frames import step2_frame, update_frame
from collab.protocol.yjs.updates import EMPTY_STATE, EMPTY_UPDATE
from tests.protocol.yjs.samples import HELLO, changes, content, new_doc, text, typed

LETTERS = typed("abcdef", client_id=2)
LARGE = 70_000
STATES = [bytes((1, client, 1)) for client in range(8)]


def record_of(base: bytes, tail: Sequence[bytes] = ()) -> EncodedDocument:
    record = EncodedDocument(base)
    for update in tail:
        record.add(update)
    return record


def read(frames: Sequence[bytes]) -> str:
    doc = new_doc()
    for frame in frames:
        doc.apply_update(read_message(frame[2:]))
    return text(doc)


def test_a_base_is_the_answer_as_it_is() -> None:
    record = record_of(HELLO)
    assert record.frames() == [step2_frame(HELLO)]
    assert record.frames()[0] is record.frames()[0]


def test_the_answer_comes_last_so_that_who_has_it_has_all() -> None:
    record = record_of(HELLO, LETTERS)
    first, last = record.frames()
    assert first == update_frame(HELLO)
    assert (last[0], last[1]) == (0, 1)
    assert sorted(read([first, last])) == sorted("helloabcdef")


def test_encoded_frames_are_reused_until_an_update_is_added() -> None:
    record = record_of(HELLO, LETTERS[:3])
    first, last = record.frames()
    assert [frame is before for frame, before in zip(record.frames(), [first, last], strict=True)]
    record.add(LETTERS[3])
    again = record.frames()
    assert again[0] is first
    assert sorted(read(again)) == sorted("helloabcd")


def test_nothing_is_an_empty_update() -> None:
    record = EncodedDocument()
    assert (record.size, record.frames()) == (2, [step2_frame(EMPTY_UPDATE)])
    assert record.lacking(EMPTY_STATE) == EMPTY_UPDATE


def test_the_tail_grows_with_the_base_but_not_for_ever() -> None:
    large, huge = (new_doc("x" * size).get_update() for size in (2 * LARGE, 3_000_000))
    assert not record_of(HELLO, LETTERS).is_outgrown
    assert record_of(HELLO, [new_doc("x" * LARGE).get_update()]).is_outgrown
    assert not record_of(large, [new_doc("x" * LARGE).get_update()]).is_outgrown
    assert record_of(huge, [new_doc("x" * 1_100_000).get_update()]).is_outgrown


def test_a_long_tail_is_folded() -> None:
    *updates, last, another = typed("x" * 1_002, client_id=2)
    record = record_of(HELLO, updates)
    assert record.add(last)
    before = record.size
    record.merge_tail()
    assert not record.add(another)
    assert record.has_tail
    assert record.size < before


@pytest.mark.parametrize("tail", [0, 3, 6])
def test_updates_that_a_client_lacks_are_read_from_the_bytes(tail: int) -> None:
    record = record_of(HELLO, LETTERS[:tail])
    knows = new_doc(HELLO)
    for update in LETTERS[: tail // 2]:
        knows.apply_update(update)
    lacking = record.lacking(knows.get_state())
    assert len(lacking) < len(HELLO) + sum(map(len, LETTERS[:tail]))
    knows.apply_update(lacking)
    assert text(knows) == text(new_doc(record.lacking(EMPTY_STATE)))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=12), st.data())
def test_it_reads_as_a_doc_with_the_same_updates(
    edits: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Two write, and sometimes delete; all is told to the other at once."""
    docs = [new_doc(HELLO, client_id=client) for client in (2, 3, 4)]
    record, news = EncodedDocument(HELLO), [HELLO]
    for who, at in edits:
        with changes(docs[who]) as updates:
            if at < len(text(docs[who])):
                content(docs[who]).insert(at, "abc")
            else:
                content(docs[who]).clear()
        for update in updates:
            for doc in docs:
                doc.apply_update(update)
            record.add(update)
            news.append(update)
        if data.draw(st.booleans()):
            record.merge_tail()
        if data.draw(st.booleans()):
            record.replace(docs[who].get_update())
    assert read(record.frames()) == text(docs[0])
    late = new_doc()
    for update in news[: data.draw(st.integers(0, len(news)))]:
        late.apply_update(update)
    late.apply_update(record.lacking(late.get_state()))
    assert text(late) == text(docs[0])


def test_an_answer_is_kept_until_the_document_changes() -> None:
    answers = Answers()
    answers.keep(STATES[0], b"answer")
    assert answers.get(STATES[0]) == b"answer"
    assert answers.get(STATES[1]) is None
    answers.forget()
    assert answers.get(STATES[0]) is None


def test_large_answers_that_are_kept_are_few() -> None:
    answers, large = Answers(), b"x" * 200_000
    for state in STATES:
        answers.keep(state, large)
    assert [state for state in STATES if answers.get(state)] == [STATES[-1]]


def test_small_answers_are_kept_beside_each_other() -> None:
    answers = Answers()
    for state in STATES:
        answers.keep(state, state * 1000)
    assert [answers.get(state) for state in STATES] == [state * 1000 for state in STATES]
