"""Rooms whose content sleeps as bytes, and wakes."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text, get_state, read_message

from collab.access import Access
from collab.conf import Settings
from collab.engine.rooms.context import RoomContext
from collab.engine.rooms.encoded_document import DocumentBytes
from collab.engine.rooms.live_document import LiveDocument
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.exceptions import TooBig
from collab.protocol.effects import RoomUpdate, StateRequest
from collab.protocol.frames import update_frame
from collab.protocol.yjs.updates import EMPTY_STATE, EMPTY_UPDATE, merge
from collab.protocol.yjs.validation import check_structure
from collab_storage.updates import deletions, state_vector
from tests.engine.fakes import Socket, new_member, room_of
from tests.harness.virtual_time import in_virtual_time
from tests.harness.waiting import until
from tests.protocol.yjs import poison
from tests.protocol.yjs.samples import HELLO, changes, content, insert, new_doc, text, typed
from tests.storage.test_subdocuments import MOST, kept_by

LETTERS = typed("abcdef")
#: State vector of a client with the first start.
SOME = new_doc(HELLO).get_state()
#: Typed behind the first letter of client 1.
OF_OTHERS = b"\1\1\3\0\x84\1\0\1?\0"
HUGE = new_doc("x" * 1_200_000, client_id=7)


class Store:
    """Keeps what the room hands over."""

    def has_room(self, name: str) -> bool:
        return True

    def __init__(self) -> None:
        self.edits: list[RoomUpdate[Member]] = []

    def put(self, name: str, edits: Sequence[RoomUpdate[Member]]) -> None:
        self.edits += edits


def make_room(start: bytes = HELLO, **options: Any) -> Room:
    limits = {key: options.pop(key) for key in list(options) if key.isupper()}
    return Room("notes", new_doc(start), RoomContext(Settings(**limits), **options))


async def make_doc() -> Doc[Any]:
    return Doc()


def stored_room(start: bytes = HELLO, **options: Any) -> Room:
    source = DocumentBytes(start, new_doc(start).get_state())
    return Room("notes", source, RoomContext(Settings(**options)))


@pytest.fixture
async def room() -> Room:
    room = make_room()
    sleep(room)
    return room


def inside(room: Room) -> LiveDocument:
    return room._document


def sleep(room: Room) -> None:
    inside(room).sleep()
    assert inside(room).is_asleep


def text_of(room: Room) -> str:
    """Return the text without waking the room."""
    return text(new_doc(room.encode(EMPTY_STATE)))


def change(room: Room, member: Member, update: bytes, number: int = 1) -> None:
    room.handle(member, RoomUpdate(update, number, False, check_structure(update)))
    room.flush()


def received(socket: Socket, start: bytes = HELLO) -> Doc[Any]:
    """Return what a client has that had ``start`` and applied what has come."""
    doc = new_doc(start)
    for frame in socket.frames:
        if frame[0] == 0 and frame[1] != 0:
            doc.apply_update(read_message(frame[2:]))
    return doc


# Asleep.


async def test_joining_and_reading_make_no_doc(room: Room) -> None:
    member, socket = new_member(room)
    knows = new_doc(HELLO)
    room_of(member).welcome(member)
    assert socket.frames == [b"\0\0\3" + knows.get_state()]
    for state in (EMPTY_STATE, knows.get_state()):
        room.handle(member, StateRequest(state))
    assert text(received(socket, b"\0\0")) == "hello"
    assert room.has(HELLO)
    assert not room.has(LETTERS[0])
    assert room.size == len(HELLO)
    assert inside(room).is_asleep


async def test_a_newcomer_that_has_nothing_makes_no_doc() -> None:
    store = Store()
    room = make_room(store=store)
    sleep(room)
    member, _ = new_member(room)
    nothing: RoomUpdate[Member] = RoomUpdate(EMPTY_UPDATE, 1, True, check_structure(EMPTY_UPDATE))
    room.handle(member, nothing)
    assert inside(room).is_asleep
    # Who waits to be told that it is saved, is told so.
    assert [(edit.member, edit.number) for edit in store.edits] == [(member, 1)]


async def test_a_change_wakes_it_and_reaches_all(room: Room) -> None:
    ann, _ = new_member(room)
    _, socket = new_member(room, access=Access.READ)
    change(room, ann, LETTERS[0])
    assert not inside(room).is_asleep
    assert text(received(socket)) == text_of(room)
    assert "a" in text_of(room)


async def test_a_known_update_is_not_sent_again() -> None:
    store = Store()
    room = make_room(store=store)
    sleep(room)
    ann, _ = new_member(room)
    _, socket = new_member(room, access=Access.READ)
    change(room, ann, HELLO)
    assert socket.frames == []
    assert {edit.data for edit in store.edits} == {b"\0\0"}


async def test_text_typed_into_a_deleted_one_is_sent_as_it_came_and_deleted_everywhere() -> None:
    parent = Doc[Any](client_id=1)
    parent["inner"] = Map({"text": Text("deleted")})
    start = parent.get_update()
    author = new_doc(start)
    with changes(author) as letters:
        for at in range(7, 11):
            author.get("inner", type=Map)["text"].insert(at, "!")
    with changes(parent) as deletion:
        del parent.get("inner", type=Map)["text"]
    room = make_room(start)
    ann, _ = new_member(room)
    _, socket = new_member(room, access=Access.READ)
    for update in (*deletion, *letters):
        change(room, ann, update)
    assert socket.frames[-1] == update_frame(letters[-1])
    docs = [received(socket, start), new_doc(room.encode(EMPTY_STATE))]
    sleep(room)
    docs.append(new_doc(room.encode(EMPTY_STATE)))
    assert [deletions(doc)[author.client_id] for doc in docs] == [[(0, 4)]] * 3
    assert all(doc.get("inner", type=Map).to_py() == {} for doc in docs)


@pytest.mark.parametrize("others", [[], [OF_OTHERS]], ids=["alone", "many"])
async def test_text_between_things_of_two_types_is_sent_with_what_else_it_changes(
    others: list[bytes],
) -> None:
    start = new_doc("ab", client_id=1)
    start["map"] = Map({"key": "value"})
    # Behind the first letter, and before an entry of a map: pycrdt deletes the second letter.
    strange = b"\1\1\2\0\xc4\1\0\1\2\1!\0"
    reference = new_doc(start.get_update())
    with changes(reference) as effects:
        reference.apply_update(merge([*others, strange]))
    assert effects[0] != merge([*others, strange])
    room = make_room(start.get_update())
    ann, _ = new_member(room)
    _, socket = new_member(room, access=Access.READ)
    for update in (*others, strange):
        room.handle(ann, RoomUpdate(update, 1, False, check_structure(update)))
    room.flush()
    assert socket.frames == [update_frame(effects[0])]


async def test_a_letter_between_others_need_not_be_read_again_for_the_storage() -> None:
    store = Store()
    room = make_room(store=store)
    ann, _ = new_member(room)
    change(room, ann, insert(new_doc(HELLO), "!", 2))
    (edit,) = store.edits
    assert edit.outline is not None
    assert edit.data is edit.outline.update


async def test_a_deletion_between_letters_is_cut_down_to_what_is_new() -> None:
    room = make_room()
    ann, _ = new_member(room)
    _, socket = new_member(room, access=Access.READ)
    doc = new_doc(HELLO)
    with changes(doc) as updates:
        content(doc).insert(5, "!")
        del content(doc)[0]
        for at, letter in enumerate("abcd"):
            content(doc).insert(at, letter)
    for number in (0, 1, 2, 1, 3, 4, 5, 1):
        change(room, ann, updates[number])
    assert socket.frames == [update_frame(update) for update in updates]
    assert text(received(socket)) == "abcdello!"


def read(frames: Sequence[bytes]) -> str:
    doc = new_doc()
    for frame in frames:
        doc.apply_update(read_message(frame[2:]))
    return text(doc)


def after_sleep(room: Room) -> str:
    sleep(room)
    return text(room.doc)


Question = Callable[[Room], str]
QUESTIONS: dict[str, Question] = {
    "a newcomer": lambda room: read(room.answer(EMPTY_STATE)),
    "a client that has a part": lambda room: read([update_frame(HELLO), *room.answer(SOME)]),
    "server code": lambda room: text(room.doc),
    "the storage": lambda room: text(new_doc(room.encode(EMPTY_STATE))),
    "server code after a sleep": after_sleep,
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
async def test_a_row_of_letters_is_in_every_answer_meanwhile(ask: Question) -> None:
    room = make_room()
    ann, _ = new_member(room)
    _, socket = new_member(room, access=Access.READ)
    doc = new_doc(HELLO)
    with changes(doc) as letters:
        for at in range(2, 12):
            content(doc).insert(at, str(at % 10))
    for letter in letters[:6]:
        change(room, ann, letter)
    assert inside(room)._effects.waiting is not None
    assert ask(room) == "he234567llo"
    for letter in letters[6:]:
        change(room, ann, letter)
    assert ask(room) == text(received(socket)) == "he2345678901llo"


async def test_changes_of_server_code_are_sent_after_letters_that_were_typed() -> None:
    room = make_room()
    ann, _ = new_member(room)
    _, socket = new_member(room, access=Access.READ)
    doc = new_doc(HELLO)
    change(room, ann, insert(doc, "!", 5))
    content(room.doc).insert(0, "> ")
    room.flush()
    change(room, ann, insert(doc, "?", 6))
    assert text(received(socket)) == "> hello!?" == text(room.doc)


async def test_a_doc_that_is_not_needed_is_freed() -> None:
    room = make_room()
    doc = weakref.ref(inside(room)._awake())
    sleep(room)
    gc.collect()
    assert doc() is None


@in_virtual_time
async def test_a_doc_that_server_code_may_observe_is_kept() -> None:
    room = make_room(SLEEP_DELAY=0.001)
    doc = room.doc
    seen: list[object] = []
    doc.observe(seen.append)
    ann, _ = new_member(room)
    change(room, ann, LETTERS[0])
    # Much longer than SLEEP_DELAY, on the virtual clock.
    await asyncio.sleep(1)
    change(room, ann, LETTERS[1])
    assert room.doc is doc
    assert len(seen) == 2


async def test_a_room_that_sleeps_returns_its_doc_when_asked(room: Room) -> None:
    assert text(room.doc) == "hello"
    _, socket = new_member(room, access=Access.READ)
    content(room.doc).insert(5, "!")
    room.flush()
    assert text(received(socket)) == "hello!" == text_of(room)


async def test_it_falls_asleep_when_nothing_has_changed_for_a_while() -> None:
    room = make_room(SLEEP_DELAY=0.001)
    await until(lambda: inside(room).is_asleep)
    ann, _ = new_member(room)
    change(room, ann, LETTERS[0])
    assert not inside(room).is_asleep
    await until(lambda: inside(room).is_asleep)
    assert sorted(text_of(room)) == sorted("helloa")
    sleep(room)


async def test_a_large_document_is_kept_awake_for_longer() -> None:
    rooms = [stored_room(start) for start in (HELLO, HUGE.get_update())]
    for room in rooms:
        ann, _ = new_member(room)
        change(room, ann, LETTERS[0])
    small, large = (inside(room)._sleep_handle for room in rooms)
    assert small is not None
    assert large is not None
    assert large.when() - small.when() > Settings().SLEEP_DELAY


async def test_rooms_of_docs_that_are_not_plain_do_not_sleep() -> None:
    assert inside(make_room(make_doc=make_doc))._sleep_handle is None


@in_virtual_time
async def test_a_room_that_is_closed_does_nothing_any_more() -> None:
    room = make_room(SLEEP_DELAY=0.001)
    content(inside(room)._awake()).insert(0, "x" * 70_000)
    room.close()
    # Much longer than SLEEP_DELAY, on the virtual clock.
    await asyncio.sleep(1)
    assert not inside(room).is_asleep
    sleep(closed := make_room())
    closed.close()


async def test_a_document_may_begin_without_a_doc() -> None:
    room = stored_room()
    assert inside(room).is_asleep
    assert text_of(room) == "hello"
    ann, _ = new_member(room)
    change(room, ann, insert(new_doc(HELLO), "!", 5))
    assert text_of(room) == text(room.doc) == "hello!"


# Subdocuments.


def subdocuments() -> bytes:
    doc: Doc[Any] = Doc()
    with doc.transaction():
        for number in range(2_000):
            content(doc).insert(0 if number % 2 else number // 2, "abc")
    for number in range(20):
        doc.get("map", type=Map)[f"{number}"] = Doc()
    return doc.get_update()


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells the memory.")
@pytest.mark.parametrize("source", ["bytes", "doc", "member"])
async def test_a_room_with_subdocuments_is_freed_when_it_sleeps_or_is_closed(source: str) -> None:
    update = subdocuments()
    state = get_state(update)

    def open_and_close() -> None:
        if source == "bytes":
            room = Room("notes", DocumentBytes(update, state), RoomContext(Settings()))
        else:
            room = make_room(update if source == "doc" else b"\0\0")
        if source == "member":
            member, _ = new_member(room)
            change(room, member, update)
            room.leave(member)
        inside(room)._awake()
        before = room.encode(EMPTY_STATE)
        room._document.repair()
        sleep(room)
        # Nothing is missing; the options of a subdocument have no order.
        assert len(room.encode(EMPTY_STATE)) == len(before)
        inside(room)._awake()
        room.close()

    assert kept_by(open_and_close) < MOST


# Bytes that cannot be applied.


async def test_poison_wakes_it_and_harms_its_sender_only(room: Room) -> None:
    eve, from_eve = new_member(room)
    change(room, eve, poison.RAISING)
    assert from_eve.close_code == 1008
    assert text_of(room) == "hello"


async def test_a_document_that_no_doc_can_be_made_of_is_given_up() -> None:
    broken: list[str] = []
    source = DocumentBytes(b"\xff", EMPTY_STATE)
    context = RoomContext(Settings(), on_broken=lambda: broken.append("notes"))
    room = Room("notes", source, context)
    ann, socket = new_member(room)
    change(room, ann, LETTERS[0])
    assert broken == ["notes"]
    assert socket.close_code == 1011


async def test_limits_hold_for_a_room_that_has_slept() -> None:
    room = make_room(MAX_NESTING=3, MAX_DOCUMENT_SIZE=100)
    ann, from_ann = new_member(room)
    change(room, ann, poison.nested(2, "list"))
    sleep(room)
    change(room, ann, poison.nested(1, "list", start=2))
    sleep(room)
    with pytest.raises(TooBig):
        change(room, ann, insert(new_doc(), "x" * 100))
    assert from_ann.close_code is None
    change(room, ann, poison.nested(1, "list", start=3))
    assert from_ann.close_code == 1009


# Answers.


async def test_equal_questions_get_one_answer_until_something_changes(room: Room) -> None:
    state = new_doc(HELLO).get_state()
    (answer,) = room.answer(state)
    assert room.answer(state)[0] is answer
    assert room.answer(b"\1\7\1") != [answer]
    room.edit(LETTERS[0])
    room.flush()
    assert room.answer(state)[0] is not answer


async def test_of_a_large_document_that_changes_only_the_changes_are_encoded() -> None:
    room = make_room(HUGE.get_update())
    (whole,) = room.answer(EMPTY_STATE)
    doc = new_doc(HUGE.get_update())
    frames = []
    for letter in "ab":
        room.edit(insert(doc, letter))
        room.flush()
        frames.append(room.answer(EMPTY_STATE))
    assert frames[0][0] is frames[1][0]
    assert len(frames[1][0]) == len(whole)
    assert len(frames[1][1]) < 100
    ann, socket = new_member(room)
    room.handle(ann, StateRequest(EMPTY_STATE))
    assert text(received(socket, b"\0\0")) == text(doc)


async def test_a_slow_reader_gets_a_large_document_and_its_changes() -> None:
    room = make_room(HUGE.get_update())
    ann, socket = new_member(room)
    socket.block()
    ann.send_frame(b"first")
    room.answer(EMPTY_STATE)
    doc = new_doc(HUGE.get_update())
    room.edit(insert(doc, "y"))
    room.flush()
    ann.send_state(EMPTY_STATE)
    socket.unblock()
    await until(lambda: len(socket.frames) == 3)
    assert socket.frames[1:] == room.answer(EMPTY_STATE)
    assert text(received(socket, b"\0\0")) == text(doc)


async def test_a_large_document_is_not_encoded_for_many_small_changes() -> None:
    room = make_room(HUGE.get_update())
    base = room.answer(EMPTY_STATE)[0]
    doc = new_doc(HUGE.get_update())
    for number in range(1_100):
        room.edit(insert(doc, "y", number))
        room.flush()
    await asyncio.sleep(0)
    sleep(room)
    assert len(inside(room)._record._tail) == 1
    assert room.answer(EMPTY_STATE)[0][2:] == base[2:]
    room.edit(insert(doc, "z"))
    room.flush()
    assert text_of(room) == text(doc) == text(room.doc)


async def test_a_tail_that_has_outgrown_the_base_is_folded_into_it_for_the_night() -> None:
    room = make_room(HUGE.get_update())
    room.edit(new_doc("y" * 1_200_000).get_update())
    room.flush()
    sleep(room)
    await asyncio.sleep(0)
    assert inside(room).is_asleep
    assert not inside(room)._record.has_tail
    assert len(text_of(room)) == 2_400_000


# Whatever comes.


@given(st.data())
@settings(max_examples=60)
def test_a_room_that_sleeps_at_times_equals_one_that_never_does(data: st.DataObject) -> None:
    asyncio.run(compare(data))


async def compare(data: st.DataObject) -> None:
    stores = [Store(), Store()]
    sleeper = make_room(store=stores[0])
    other = make_room(store=stores[1], make_doc=make_doc)
    docs = [new_doc(HELLO, client_id=client) for client in (2, 3)]
    members = [[new_member(room) for _ in docs] for room in (sleeper, other)]
    unsent: list[list[bytes]] = [[], []]
    for number in range(data.draw(st.integers(1, 14))):
        who = data.draw(st.integers(0, 1))
        unsent[who] += write(data, docs[who])
        if data.draw(st.booleans()):
            sleep(sleeper)
        if data.draw(st.booleans()):
            updates = data.draw(st.permutations(unsent[who]))
            for of_room in members:
                for update in updates:
                    change(room_of(of_room[who][0]), of_room[who][0], update, number)
            unsent[who] = []
        if data.draw(st.booleans()):
            late, told = new_member(sleeper)
            sleeper.handle(late, StateRequest(EMPTY_STATE))
            assert everything(received(told, b"\0\0")) == everything(new_doc(other.encode(b"\0")))
        assert state_vector(sleeper.state()) == state_vector(other.state())
    for one, another in zip(*members, strict=True):
        assert everything(received(one[1])) == everything(received(another[1]))
    assert everything(sleeper.doc) == everything(other.doc)
    stored = [merge([HELLO, *(edit.data for edit in store.edits)]) for store in stores]
    assert everything(new_doc(stored[0])) == everything(new_doc(stored[1])) == everything(other.doc)


def write(data: st.DataObject, doc: Doc[Any]) -> list[bytes]:
    """Change something, and return that as updates."""
    with changes(doc) as updates:
        length = len(content(doc))
        at = data.draw(st.integers(0, length))
        match data.draw(st.integers(0, 3)):
            case 0 if at < length:
                del content(doc)[at : at + 1]
            case 1:
                doc.get("map", type=Map)[data.draw(st.sampled_from("ab"))] = at
            case 2:
                doc.get("map", type=Map)["inner"] = Map({"at": at})
            case _:
                content(doc).insert(at, "ab")
    return updates


def everything(doc: Doc[Any]) -> tuple[str, Any]:
    return text(doc), doc.get("map", type=Map).to_py()
