from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map, read_message

from collab.access import Access
from collab.conf import Settings
from collab.engine.rooms import integrator, presence_broadcast
from collab.engine.rooms import room as rooms_room
from collab.engine.rooms.context import RoomContext
from collab.engine.rooms.encoded_document import DocumentBytes
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.engine.runtime.counters import counters
from collab.exceptions import Restarting, TooBig, TryAgainLater
from collab.protocol.effects import PresenceChange, PresenceRequest, Reply, RoomUpdate, StateRequest
from collab.protocol.frames import (
    GONE,
    PresenceState,
    decode_presence,
    presence_frame,
    update_frame,
)
from collab.protocol.yjs.updates import EMPTY_UPDATE, merge
from collab.protocol.yjs.validation import check_structure
from collab.wire import CloseCode
from collab_storage.updates import state_vector
from tests.engine.fakes import Socket, new_member, room_of
from tests.harness.virtual_time import in_virtual_time
from tests.harness.waiting import until
from tests.protocol.yjs import poison
from tests.protocol.yjs.samples import HELLO, changes, content, insert, new_doc, text, typed
from tests.storage.yjs import HALVED, PAIR, SPLIT

LETTERS = typed("abcdef")


class Store:
    """Keeps what the room hands over."""

    def __init__(self) -> None:
        self.edits: list[RoomUpdate[Member]] = []
        self.is_full = False

    def has_room(self, name: str) -> bool:
        return not self.is_full

    def put(self, name: str, edits: Sequence[RoomUpdate[Member]]) -> None:
        self.edits += edits

    @property
    def text(self) -> str:
        """The text of a document that had "hello" before."""
        return text(new_doc(merge([HELLO, *(edit.data for edit in self.edits)])))


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def room(store: Store) -> Room:
    return make_room(store)


def make_room(store: Store | None = None, start: bytes = HELLO, **options: Any) -> Room:
    limits = {key: options.pop(key) for key in list(options) if key.isupper()}
    return Room("notes", new_doc(start), RoomContext(Settings(**limits), store=store, **options))


def change(
    room: Room, member: Member, update: bytes, number: int = 1, *, whole: bool = False
) -> None:
    outline = check_structure(update)
    room.handle(member, RoomUpdate(update, number, whole, outline))


async def turn() -> None:
    """Run one turn of the event loop."""
    await asyncio.sleep(0)


def received(socket: Socket, start: bytes = HELLO) -> str:
    """Return the text of a client that had ``start`` and applied what has come."""
    doc = new_doc(start)
    for frame in socket.frames:
        if frame[0] == 0 and frame[1] != 0:
            doc.apply_update(read_message(frame[2:]))
    return text(doc)


def presence_in(socket: Socket) -> list[PresenceState]:
    return [
        state
        for frame in socket.frames
        if frame[0] == 1
        for state in decode_presence(read_message(frame[1:]), 10_000)
    ]


# Bursts.


@pytest.fixture
async def crowd(monkeypatch: pytest.MonkeyPatch) -> tuple[Room, Member, Socket]:
    """Return a room that counts as large, where bursts last, with a writer and a reader."""
    monkeypatch.setattr(rooms_room, "LARGE_ROOM", 2)
    monkeypatch.setattr(rooms_room, "BURST_DELAY", 1000.0)
    room = make_room()
    writer, _ = new_member(room)
    _, reader = new_member(room)
    return room, writer, reader


async def test_a_burst_in_a_large_room_is_sent_in_few_frames(
    crowd: tuple[Room, Member, Socket],
) -> None:
    room, writer, reader = crowd
    for number, update in enumerate(LETTERS[:2]):
        change(room, writer, update, number + 1)
    await turn()
    assert len(reader.frames) == 1
    for number, update in enumerate(LETTERS[2:]):
        change(room, writer, update, number + 3)
        await turn()
    assert len(reader.frames) == 1
    room.flush()
    assert len(reader.frames) == 2
    assert "abcdef" in received(reader)


async def test_a_burst_is_sent_when_its_time_is_over(
    crowd: tuple[Room, Member, Socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    room, writer, reader = crowd
    monkeypatch.setattr(rooms_room, "BURST_DELAY", 0.01)
    for number, update in enumerate(LETTERS[:2]):
        change(room, writer, update, number + 1)
    await turn()
    change(room, writer, LETTERS[2], 3)
    await until(lambda: "abc" in received(reader))


async def test_updates_that_come_alone_are_never_held_up(
    crowd: tuple[Room, Member, Socket],
) -> None:
    room, writer, reader = crowd
    for number, update in enumerate(LETTERS):
        change(room, writer, update, number + 1)
        await turn()
        assert len(reader.frames) == number + 1


# Joining.


async def test_a_writer_is_asked_for_what_the_server_lacks(room: Room) -> None:
    member, socket = new_member()
    room.join(member)
    assert socket.frames == [b"\0\0\3" + new_doc(HELLO).get_state()]
    assert room_of(member) is room


async def test_a_reader_is_asked_for_nothing(room: Room) -> None:
    member, socket = new_member(access=Access.READ)
    room.join(member)
    assert socket.frames == []


async def test_a_newcomer_sees_every_member_at_once(room: Room) -> None:
    ann, _ = new_member(room)
    state = PresenceState(7, 1, '{"name":"Ann"}')
    room.handle(ann, PresenceChange([state]))
    bob, socket = new_member()
    room.join(bob)
    assert presence_in(socket) == [state]


async def test_a_full_room_admits_no_client(store: Store) -> None:
    room = make_room(store, MAX_ROOM_MEMBERS=1)
    new_member(room)
    member, _ = new_member()
    with pytest.raises(TryAgainLater):
        room.join(member)
    assert member not in room.members


async def test_the_last_to_leave_leaves_the_room_empty() -> None:
    emptied: list[str] = []
    room = make_room(on_empty=lambda: emptied.append("notes"))
    ann, _ = new_member(room)
    bob, _ = new_member(room)
    room.leave(ann)
    assert emptied == []
    room.leave(bob)
    assert emptied == ["notes"]


# Changes.


async def test_a_change_reaches_the_others_and_the_store_once(room: Room, store: Store) -> None:
    ann, from_ann = new_member(room)
    _, from_bob = new_member(room)
    update = insert(new_doc(HELLO), "!", 5)
    change(room, ann, update, number=4)
    await turn()
    assert received(from_bob) == "hello!"
    assert from_ann.messages == []
    assert text(room.doc) == "hello!"
    (edit,) = store.edits
    assert (edit.data, edit.member, edit.number) == (update, ann, 4)


async def test_a_turn_is_one_flush_one_frame_and_no_task(room: Room, store: Store) -> None:
    ann, from_ann = new_member(room)
    bob, from_bob = new_member(room)
    others = [new_member(room)[1] for _ in range(20)]
    tasks = asyncio.all_tasks()
    for number, letter in enumerate(LETTERS):
        change(room, (ann, bob)[number % 2], letter, number)
    await turn()
    assert asyncio.all_tasks() == tasks
    frames = [socket.frames[0] for socket in others]
    assert all(len(socket.frames) == 1 for socket in others)
    # Encoded once: it is one object, in everybody's hands.
    assert len({id(frame) for frame in frames}) == 1
    assert received(others[0], EMPTY_UPDATE) == "abcdef"
    # Each of several senders gets it as well.
    assert from_ann.frames[0] is from_bob.frames[0] is frames[0]
    assert [edit.member for edit in store.edits] == [ann, bob] * 3


async def test_a_known_update_is_not_sent_again(room: Room, store: Store) -> None:
    ann, _ = new_member(room)
    _, socket = new_member(room)
    change(room, ann, HELLO)
    await turn()
    change(room, ann, HELLO)
    change(room, ann, HELLO)
    await turn()
    assert socket.frames == []
    # The store tells the sender in its turn.
    assert [edit.data for edit in store.edits] == [EMPTY_UPDATE] * 3


async def test_a_deletion_that_several_members_make_is_sent_once(room: Room, store: Store) -> None:
    ann, _ = new_member(room)
    _, socket = new_member(room)
    doc = new_doc(HELLO)
    with changes(doc) as deletions:
        del content(doc)[:2]
    (deleted,) = deletions
    for _ in range(2):
        change(room, ann, deleted)
        change(room, ann, deleted)
        await turn()
    assert socket.frames == [update_frame(deleted)]
    assert [edit.data for edit in store.edits] == [deleted] * 2 + [EMPTY_UPDATE] * 2


async def test_a_whole_document_is_cut_down_to_its_news(room: Room, store: Store) -> None:
    ann, _ = new_member(room)
    bob, socket = new_member(room)
    doc = new_doc(HELLO)
    news = insert(doc, "!", 5)
    change(room, bob, LETTERS[0])
    change(room, ann, doc.get_update(), whole=True)
    assert [edit.data for edit in store.edits] == [LETTERS[0], news]
    assert socket.frames == [update_frame(news)]


async def test_an_echo_comes_from_the_store_and_not_before(room: Room) -> None:
    ann, from_ann = new_member(room, echo_updates=True)
    bob, from_bob = new_member(room)
    change(room, ann, LETTERS[0])
    change(room, bob, LETTERS[1])
    await turn()
    assert received(from_ann, LETTERS[0]) == "ab"
    assert received(from_ann, EMPTY_UPDATE) == ""
    assert received(from_bob, EMPTY_UPDATE) == "ab"


async def test_without_a_store_the_echo_comes_at_once() -> None:
    room = make_room()
    ann, socket = new_member(room, echo_updates=True)
    change(room, ann, LETTERS[0])
    room.edit(LETTERS[1])
    await turn()
    assert received(socket, EMPTY_UPDATE) == "ab"


async def test_a_member_that_left_is_heard_to_the_end(room: Room, store: Store) -> None:
    ann, _ = new_member(room)
    _, socket = new_member(room)
    change(room, ann, LETTERS[0])
    room.leave(ann)
    await turn()
    assert received(socket, EMPTY_UPDATE) == "a"
    assert store.text == text(room.doc)


async def test_nothing_new_is_taken_while_too_much_waits(room: Room, store: Store) -> None:
    ann, _ = new_member(room)
    store.is_full = True
    with pytest.raises(TryAgainLater):
        change(room, ann, LETTERS[0])


async def test_a_document_has_a_largest_size(store: Store) -> None:
    room = make_room(store, MAX_DOCUMENT_SIZE=300)
    ann, _ = new_member(room)
    letters = typed("x" * 100, client_id=2)
    # As so many updates they are too much, as one text they are not.
    assert sum(map(len, letters)) > 300
    for number, letter in enumerate(letters):
        change(room, ann, letter, number)
        await turn()
    assert text(room.doc).count("x") == 100
    with pytest.raises(TooBig):
        change(room, ann, new_doc("y" * 200).get_update())
    assert "y" not in text(room.doc)


# Questions.


async def test_questions_are_answered_to_the_member_that_asks(room: Room) -> None:
    ann, from_ann = new_member(room)
    _, from_bob = new_member(room)
    room.handle(ann, StateRequest(b"\0"))
    room.handle(ann, PresenceRequest())
    room.handle(ann, Reply(b"reply"))
    room.handle(ann, None)
    assert from_ann.frames == [*room.answer(b"\0"), presence_frame([]), b"reply"]
    assert received(from_ann, EMPTY_UPDATE) == "hello"
    assert from_bob.messages == []


async def test_an_update_just_received_is_part_of_the_answer(room: Room) -> None:
    ann, socket = new_member(room)
    change(room, ann, LETTERS[0])
    room.handle(ann, StateRequest(b"\0"))
    assert sorted(received(socket, EMPTY_UPDATE)) == sorted("helloa")


async def test_the_full_state_is_encoded_once_between_changes(room: Room) -> None:
    sockets = []
    for _ in range(3):
        member, socket = new_member(room)
        room.handle(member, StateRequest(b"\0"))
        sockets.append(socket)
    assert len({id(socket.frames[0]) for socket in sockets}) == 1
    room.edit(LETTERS[0])
    await turn()
    assert room.answer(b"\0")[0] is not sockets[0].frames[0]


# Server code.


async def test_changes_of_server_code_in_the_doc_are_sent_and_stored(
    room: Room, store: Store
) -> None:
    _, socket = new_member(room)
    with room.doc.transaction():
        content(room.doc).insert(5, "!")
        content(room.doc).insert(6, "?")
    await turn()
    assert received(socket) == "hello!?"
    assert len(socket.frames) == len(store.edits) == 1
    assert room.answer(b"\0")[0] != socket.frames[0]


async def test_server_code_and_members_may_change_it_in_one_turn(room: Room, store: Store) -> None:
    ann, from_ann = new_member(room)
    bob, from_bob = new_member(room)
    content(room.doc).insert(5, "!")
    change(room, ann, LETTERS[0])
    change(room, bob, LETTERS[0])
    content(room.doc).insert(6, "?")
    await turn()
    assert received(from_ann) == received(from_bob) == text(room.doc)
    assert len(from_bob.frames) == 1
    assert store.text == text(room.doc)


async def test_an_update_that_the_storage_has_is_not_stored_again(room: Room, store: Store) -> None:
    _, socket = new_member(room)
    room.edit(LETTERS[0], stored=True)
    room.edit(LETTERS[1])
    await turn()
    assert received(socket, EMPTY_UPDATE) == "ab"
    assert [edit.data for edit in store.edits] == [LETTERS[1]]


async def test_a_broadcast_reaches_all(room: Room) -> None:
    sockets = [new_member(room)[1] for _ in range(2)]
    room.broadcast(b"\x09")
    assert [socket.frames for socket in sockets] == [[b"\x09"]] * 2


async def test_all_members_can_be_sent_away(room: Room) -> None:
    sockets = [new_member(room)[1] for _ in range(2)]
    room.close_members(Restarting())
    assert [socket.close_code for socket in sockets] == [1012] * 2


# Presence.


async def test_presence_reaches_every_member_once_a_turn(room: Room) -> None:
    ann, from_ann = new_member(room)
    _, from_bob = new_member(room)
    _, from_cid = new_member(room)
    for clock in range(1, 20):
        room.handle(ann, PresenceChange([PresenceState(7, clock, "{}")]))
    await turn()
    assert presence_in(from_bob) == [PresenceState(7, 19, "{}")]
    assert from_bob.frames[0] is from_cid.frames[0]
    # Its sender as well: a client that hears nothing takes the connection for dead.
    assert from_ann.frames[0] is from_bob.frames[0]


async def test_a_member_that_leaves_vanishes_for_the_others(room: Room) -> None:
    ann, _ = new_member(room)
    _, socket = new_member(room)
    room.handle(ann, PresenceChange([PresenceState(7, 1, "{}")]))
    await turn()
    room.leave(ann)
    await until(lambda: presence_in(socket)[-1] == PresenceState(7, 1, GONE))


async def test_presence_that_is_not_renewed_vanishes_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence_broadcast, "TIMEOUT", 0.02)
    room = make_room()
    ann, _ = new_member(room)
    _, socket = new_member(room)
    room.handle(ann, PresenceChange([PresenceState(7, 1, "{}")]))
    await until(lambda: PresenceState(7, 1, GONE) in presence_in(socket))
    assert not room.presence
    room.close()


async def test_a_client_that_returns_with_an_old_clock_receives_the_newer_one(room: Room) -> None:
    ann, _ = new_member(room)
    room.handle(ann, PresenceChange([PresenceState(7, 3, "{}")]))
    room.leave(ann)
    back, socket = new_member(room)
    room.handle(back, PresenceChange([PresenceState(7, 3, "{}")]))
    assert presence_in(socket) == [PresenceState(7, 3, GONE)]


async def test_presence_that_says_nothing_new_is_not_sent(room: Room) -> None:
    ann, _ = new_member(room)
    _, socket = new_member(room)
    room.handle(ann, PresenceChange([]))
    await turn()
    assert socket.messages == []


# Updates that cannot be applied.


async def test_an_update_that_cannot_be_applied_costs_its_sender_the_connection(
    room: Room, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    ann, from_ann = new_member(room)
    eve, from_eve = new_member(room, user_id="eve")
    _, from_bob = new_member(room)
    good = insert(new_doc(HELLO), "!", 5)
    with caplog.at_level(logging.WARNING, "collab"):
        change(room, eve, LETTERS[0])
        change(room, ann, good)
        change(room, eve, poison.RAISING, 2)
        await turn()
    assert from_eve.close_code == 1008
    assert from_ann.close_code is from_bob.close_code is None
    assert sorted(received(from_bob)) == sorted("hello!a")
    assert [edit.data for edit in store.edits] == [LETTERS[0], good]
    (record,) = caplog.records
    assert (record.__dict__["room"], record.__dict__["user"]) == ("notes", "eve")
    # The room goes on.
    change(room, ann, LETTERS[1])
    await turn()
    assert sorted(received(from_bob)) == sorted("hello!ab")


@pytest.mark.parametrize("whole", [True, False])
async def test_alone_it_harms_no_member_either(room: Room, store: Store, whole: bool) -> None:
    eve, from_eve = new_member(room)
    _, from_bob = new_member(room)
    change(room, eve, poison.RAISING, whole=whole)
    await turn()
    assert from_eve.close_code == 1008
    assert from_bob.messages == []
    assert store.edits == []
    assert text(room.doc) == "hello"


@pytest.mark.parametrize("bad", [poison.RAISING, poison.PANICKING, poison.POISONING])
async def test_server_code_may_bring_it_too(room: Room, store: Store, bad: bytes) -> None:
    _, socket = new_member(room)
    room.edit(bad)
    room.edit(LETTERS[0])
    await turn()
    assert received(socket) == store.text == text(room.doc)
    assert sorted(text(room.doc)) == sorted("helloa")


async def test_changes_of_server_code_in_that_turn_are_kept(room: Room, store: Store) -> None:
    eve, _ = new_member(room)
    _, socket = new_member(room)
    content(room.doc).insert(5, "!")
    change(room, eve, LETTERS[0])
    change(room, eve, poison.RAISING, 2)
    await turn()
    assert sorted(received(socket)) == sorted("hello!a")
    assert store.text == text(room.doc)


class Project:
    """Makes Docs with an observer."""

    def __init__(self, filling: bytes = EMPTY_UPDATE) -> None:
        self.filling = filling
        self.made: list[Doc[Any]] = []
        self.on_made: Callable[[], object] = lambda: None
        self.seen: list[bytes] = []

    async def make_doc(self) -> Doc[Any]:
        self.made.append(new_doc(self.filling))
        self.made[-1].observe(lambda event: self.seen.append(event.update))
        self.on_made()
        return self.made[-1]


async def test_a_doc_that_broke_is_replaced_by_one_that_the_project_makes(store: Store) -> None:
    project = Project()
    room = make_room(store, make_doc=project.make_doc)
    _, socket = new_member(room)
    room.edit(poison.RAISING)
    room.edit(LETTERS[0])
    await until(lambda: project.made)
    assert room.doc is project.made[0]
    assert sorted(text(room.doc)) == sorted("helloa")
    assert received(socket, EMPTY_UPDATE) == "a"
    # It has the project's observers.
    project.seen.clear()
    room.edit(LETTERS[1])
    await turn()
    assert len(project.seen) == 1
    assert store.text == text(room.doc)


@pytest.mark.parametrize("is_closed", [True, False])
async def test_a_doc_of_the_project_that_cannot_be_used_is_freed(is_closed: bool) -> None:
    project = Project(filling=EMPTY_UPDATE if is_closed else HELLO)
    room = make_room(make_doc=project.make_doc)
    room.edit(poison.RAISING)
    room.edit(poison.RAISING)
    if is_closed:
        project.on_made = room.close
    room.flush()
    await until(lambda: project.made)
    await turn()
    doc = weakref.ref(project.made.pop())
    assert text(room.doc) == "hello"
    gc.collect()
    assert doc() is None


async def test_a_document_goes_on_without_observers_that_the_project_cannot_make(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def make_doc() -> Doc[Any]:
        raise LookupError

    room = make_room(make_doc=make_doc)
    room.edit(poison.RAISING)
    await until(lambda: "make_ydoc() failed" in caplog.text)
    assert text(room.doc) == "hello"


async def test_a_doc_that_broke_unnoticed_is_made_anew_when_it_is_read(store: Store) -> None:
    project = Project()
    room = make_room(store, make_doc=project.make_doc)
    room.edit(LETTERS[0])
    await turn()
    # What the project does with the Doc is not checked.
    room.doc.apply_update(poison.SILENTLY_POISONING)
    member, socket = new_member(room)
    room.handle(member, StateRequest(b"\0"))
    assert sorted(received(socket, EMPTY_UPDATE)) == sorted("helloa")
    await until(lambda: project.made)


async def test_a_document_that_cannot_be_made_anew_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken: list[str] = []
    room = make_room(on_broken=lambda: broken.append("notes"))
    _, socket = new_member(room)
    # The Doc writes down what cannot be read.
    room.doc.apply_update(poison.CORRUPTING)
    with caplog.at_level(logging.ERROR, "collab"):
        room.edit(poison.RAISING)
        await turn()
    assert broken == ["notes"]
    assert socket.close_code == 1011
    assert "beyond repair" in caplog.text
    room.close()


async def test_an_error_that_is_no_panic_is_not_hidden(room: Room) -> None:
    room._document._doc = object()  # type: ignore[assignment]
    room._document._state = None
    with pytest.raises(AttributeError):
        room.state()


async def test_an_exception_that_ends_the_process_is_not_caught(store: Store) -> None:
    class Interrupting(Store):
        def put(self, name: str, edits: Sequence[RoomUpdate[Member]]) -> None:
            raise KeyboardInterrupt

    room = make_room(Interrupting())
    room.edit(HELLO)
    with pytest.raises(KeyboardInterrupt):
        room.flush()


# Updates that arrive before those they build upon.


def out_of_order() -> list[bytes]:
    """Return updates each of which builds upon the one after it; the first deletes."""
    doc = new_doc(client_id=9)
    updates = [insert(doc, "abc"), insert(doc, "def", 3)]
    state = doc.get_state()
    del content(doc)[1:5]
    updates.append(doc.get_update(state))
    return updates[::-1]


async def test_updates_may_come_in_any_order(room: Room, store: Store) -> None:
    ann, _ = new_member(room)
    _, socket = new_member(room)
    for number, update in enumerate(out_of_order(), 1):
        change(room, ann, update, number)
        await turn()
    assert sorted(text(room.doc)) == sorted("helloaf")
    assert received(socket) == text(room.doc)
    assert store.text == text(room.doc)


async def test_a_pending_update_is_neither_stored_nor_sent_before_its_dependencies_come(
    room: Room, store: Store
) -> None:
    ann, from_ann = new_member(room)
    _, from_bob = new_member(room)
    deletion, later, first = out_of_order()
    change(room, ann, merge([deletion, later]), 1)
    await turn()
    carol, from_carol = new_member(room)
    room.handle(carol, StateRequest(b"\0"))
    assert received(from_carol, EMPTY_UPDATE) == "hello"
    assert (store.edits, from_bob.messages) == ([], [])
    change(room, ann, first, 2)
    await turn()
    assert sorted(received(from_bob)) == sorted("helloaf")
    assert received(from_bob) == received(from_carol) == store.text == text(room.doc)
    assert from_ann.messages == []


async def test_nothing_is_said_to_be_saved_while_something_before_it_waits(
    room: Room, store: Store
) -> None:
    ann, _ = new_member(room)
    deletion, later, first = out_of_order()
    change(room, ann, LETTERS[0], 1)
    change(room, ann, deletion, 2)
    await turn()
    change(room, ann, LETTERS[1], 3)
    change(room, ann, first, 4)
    await turn()
    assert [edit.number for edit in store.edits] == [1, 1, 1, 1]
    change(room, ann, later, 5)
    await turn()
    assert [edit.number for edit in store.edits] == [1, 1, 1, 1, 5, 5]
    change(room, ann, LETTERS[2], 6)
    await turn()
    assert store.edits[-1].number == 6
    assert store.text == text(room.doc)


async def test_a_doc_that_holds_something_back_after_all_is_made_anew(store: Store) -> None:
    project = Project()
    room = make_room(store, make_doc=project.make_doc)
    eve, from_eve = new_member(room)

    first, _, third = typed("xyz", client_id=9)
    update = merge([first, third])
    outline = check_structure(update)
    # It is not noticed that there is something between them.
    outline.has_gaps = False
    room.handle(eve, RoomUpdate(update, 1, False, outline))
    await turn()
    assert from_eve.close_code == CloseCode.PROTOCOL_VIOLATION
    await until(lambda: project.made)
    assert text(room.doc) == "hello"
    assert store.edits == []


async def test_pending_updates_go_with_their_sender(room: Room, store: Store) -> None:
    ann, _ = new_member(room)
    _, later, first = out_of_order()
    change(room, ann, later)
    await turn()
    room.leave(ann)
    change(room, ann, later)
    await turn()
    bob, from_bob = new_member(room)
    change(room, bob, first)
    await turn()
    assert sorted(text(room.doc)) == sorted("helloabc")
    # Bob has it from somewhere, too.
    change(room, bob, later)
    await turn()
    assert sorted(text(room.doc)) == sorted("helloabcdef")
    assert from_bob.close_code is None


async def test_too_much_that_waits_closes_its_sender_only(store: Store) -> None:
    room = make_room(store, MAX_PENDING=5_000)
    eve, from_eve = new_member(room)
    ann, from_ann = new_member(room)
    change(room, ann, out_of_order()[0])
    for update in typed("x" * 20)[1:]:
        change(room, eve, update)
    await turn()
    assert from_eve.close_code == CloseCode.TOO_BIG
    assert from_ann.close_code is None
    assert store.edits == []


async def test_a_client_of_whose_document_a_part_is_missing_edits_the_rest(
    room: Room, store: Store
) -> None:
    _, later, _ = out_of_order()
    ann, from_ann = new_member(room)
    doc = new_doc(HELLO)
    doc.apply_update(later)
    change(room, ann, doc.get_update(), 1, whole=True)
    change(room, ann, insert(doc, "!", 5), 2)
    await turn()
    assert text(room.doc) == store.text == "hello!"
    assert from_ann.close_code is None


async def test_updates_of_server_code_and_of_other_processes_wait_as_well(
    room: Room, store: Store
) -> None:
    deletion, later, first = out_of_order()
    room.edit_relayed(deletion)
    room.edit(later, stored=True)
    await turn()
    assert text(room.doc) == "hello"
    room.edit_relayed(first)
    await turn()
    assert sorted(text(room.doc)) == sorted("helloaf")
    assert store.edits == []


async def test_too_much_that_waits_for_other_processes_is_forgotten(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    # They bring it again.
    room = make_room(store, MAX_DOCUMENT_SIZE=5_000)
    first, *later = typed("x" * 20)
    for update in later:
        room.edit_relayed(update)
    await turn()
    assert "dropped" in caplog.text
    room.edit_relayed(merge([first, *later]))
    await turn()
    assert text(room.doc).count("x") == 20


async def test_of_a_large_document_that_is_read_again_only_the_news_is_looked_at(
    room: Room,
) -> None:
    doc = new_doc("x" * 70_000, client_id=9)
    room.edit(doc.get_update())
    await turn()
    insert(doc, "!")
    room.edit_relayed(doc.get_update())
    await turn()
    assert text(room.doc).count("!") == 1


async def test_pending_updates_survive_a_rebase_and_a_rebuild(room: Room, store: Store) -> None:
    ann, _ = new_member(room)
    deletion, later, first = out_of_order()
    change(room, ann, deletion)
    await turn()
    change(room, ann, later)
    await turn()
    room._document._rebase()
    room.edit(poison.RAISING)
    await turn()
    change(room, ann, first)
    await turn()
    assert sorted(text(room.doc)) == sorted("helloaf")
    assert store.text == text(room.doc)


async def test_an_update_that_stays_pending_for_ever_delays_no_other(
    room: Room, store: Store
) -> None:
    eve, _ = new_member(room)
    ann, _ = new_member(room)
    _, socket = new_member(room)
    change(room, eve, out_of_order()[0])
    await turn()
    for number, letter in enumerate(LETTERS):
        change(room, ann, letter, number)
        await turn()
        room.edit(letter)
        room.edit(letter)
        await turn()
    assert [edit.data for edit in store.edits if edit.data != EMPTY_UPDATE] == LETTERS
    assert socket.frames == [update_frame(letter) for letter in LETTERS]
    assert sorted(text(room.doc)) == sorted("helloabcdef")


async def test_a_pending_update_that_contradicts_the_document_harms_no_other_member(
    room: Room, store: Store
) -> None:
    eve, _ = new_member(room)
    ann, from_ann = new_member(room)
    change(room, eve, poison.CONTRADICTING)
    await turn()
    # What it waits for is written by somebody else.
    change(room, ann, insert(new_doc(client_id=2), "abcdefgh"))
    await turn()
    change(room, ann, LETTERS[0], 2)
    await turn()
    assert from_ann.close_code is None
    assert store.text == text(room.doc)
    assert sorted(store.text) == sorted("helloabcdefgha")
    newcomer, socket = new_member(room)
    room.handle(newcomer, StateRequest(b"\0"))
    assert received(socket, EMPTY_UPDATE) == text(room.doc)


async def test_a_pending_update_that_cannot_be_applied_costs_its_sender_the_connection(
    room: Room, store: Store
) -> None:
    eve, from_eve = new_member(room)
    ann, from_ann = new_member(room)
    # A child of a letter of client 8, which is not there.
    change(room, eve, poison.RAISING.replace(b"\0\1\1\1k", b"\0\x08\0\1k"))
    await turn()
    assert from_eve.close_code is None
    letter = insert(new_doc(client_id=8), "a")
    change(room, ann, letter)
    await turn()
    assert from_eve.close_code == CloseCode.PROTOCOL_VIOLATION
    assert from_ann.close_code is None
    assert [edit.data for edit in store.edits] == [letter]
    assert store.text == text(room.doc)


async def test_a_pending_update_may_contain_known_structs(room: Room, store: Store) -> None:
    ann, _ = new_member(room)
    first, second, third = typed("xyz", client_id=9)
    for number, update in enumerate((first, merge([first, third]), second)):
        change(room, ann, update, number)
        await turn()
    assert sorted(store.text) == sorted(text(room.doc)) == sorted("helloxyz")


# Gaps.


def asked_for(socket: Socket) -> list[bytes]:
    """Return the state vectors with which a client was asked for missing updates."""
    return [read_message(frame[2:]) for frame in socket.frames if frame[:2] == b"\0\0"]


async def test_a_member_whose_update_is_pending_is_asked_for_what_is_missing(room: Room) -> None:
    ann, from_ann = new_member(room)
    _, from_bob = new_member(room)
    _, later, first = out_of_order()
    change(room, ann, later)
    await until(lambda: asked_for(from_ann))
    assert asked_for(from_ann) == [room.state()]
    change(room, ann, merge([later, first]), 2, whole=True)
    assert sorted(text(room.doc)) == sorted("helloabcdef")
    assert (len(asked_for(from_ann)), asked_for(from_bob)) == (1, [])


@in_virtual_time
async def test_however_many_updates_are_pending_their_sender_is_asked_once_in_an_interval(
    store: Store,
) -> None:
    room = make_room(store)
    ann, from_ann = new_member(room)
    for number, update in enumerate(typed("xyz" * 5, client_id=9)[1:]):
        change(room, ann, update, number)
        await turn()
        await turn()
    assert len(asked_for(from_ann)) == 1
    assert room.pending_updates == 14
    # What has become pending since is asked for as well, a little later.
    await until(lambda: len(asked_for(from_ann)) == 2)


async def test_a_client_that_lacks_it_as_well_is_not_asked_again_and_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrator, "_QUESTION_INTERVAL", 0.0)
    ann, from_ann = new_member(room, greeted=True)
    deletion, later, first = out_of_order()
    change(room, ann, later, 1)
    await until(lambda: asked_for(from_ann))
    for number in range(2, 10):
        change(room, ann, merge([later, deletion]), number, whole=True)
        for _ in range(5):
            await turn()
    assert len(asked_for(from_ann)) == 1
    # The answers have taken the place of each other.
    assert room.pending_updates == 1
    # Another update of the same kind is a reason to ask again.
    change(room, ann, later, 10)
    await until(lambda: len(asked_for(from_ann)) == 2)
    bob, _ = new_member(room)
    change(room, bob, first)
    await turn()
    assert sorted(text(room.doc)) == sorted("helloaf")


async def test_a_client_that_said_hello_learns_how_many_of_its_updates_are_pending(
    room: Room, store: Store
) -> None:
    ann, from_ann = new_member(room, greeted=True)
    stock, from_stock = new_member(room)
    deletion, later, first = out_of_order()
    for member in (ann, stock):
        change(room, member, deletion, 1)
        change(room, member, later, 2)
    await until(lambda: from_ann.replies and asked_for(from_stock))
    assert [reply["data"] for reply in from_ann.replies] == [{"count": 2}]
    change(room, ann, first, 3)
    await until(lambda: len(from_ann.replies) == 2)
    assert from_ann.replies[-1]["action"] == "pending"
    assert from_ann.replies[-1]["data"] == {"count": 0}
    assert from_stock.replies == []
    assert {edit.number for edit in store.edits if edit.member is ann} == {3}


async def test_nothing_is_said_to_be_saved_that_an_answer_repeats_and_is_pending(
    room: Room, store: Store
) -> None:
    ann, _ = new_member(room)
    _, later, first = out_of_order()
    change(room, ann, later, 1)
    change(room, ann, merge([HELLO, later]), 2, whole=True)
    change(room, ann, LETTERS[0], 3)
    await turn()
    assert [edit.number for edit in store.edits] == [0]
    change(room, ann, first, 4)
    await turn()
    assert store.edits[-1].number == 4


@in_virtual_time
async def test_a_client_whose_answer_is_refused_for_good_is_asked_again_after_a_growing_pause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = make_room(MAX_DOCUMENT_SIZE=300)
    too_big = insert(new_doc(), "x" * 400)
    for _ in range(2):
        member, socket = new_member(user_id="ann")
        room.join(member)
        await until(partial(asked_for, socket))
        with pytest.raises(TooBig) as raised:
            change(room, member, too_big, whole=True)
        member.question.refuse(raised.value)
        # That may go away by itself.
        member.question.refuse(TryAgainLater())
        room.leave(member)
    pauses = [record.getMessage() for record in caplog.records]
    assert len(pauses) == 2
    assert "MAX_DOCUMENT_SIZE" in pauses[0]
    # Another user is asked at once; an answer that is accepted ends the pause.
    bob, from_bob = new_member(user_id="bob")
    room.join(bob)
    assert asked_for(from_bob)
    ann, from_ann = new_member(user_id="ann")
    room.join(ann)
    room.welcome(ann)
    assert not asked_for(from_ann)
    change(room, ann, EMPTY_UPDATE, whole=True)
    again, from_again = new_member(user_id="ann")
    room.join(again)
    assert asked_for(from_again)
    room.leave(ann)
    await turn()
    assert not asked_for(from_ann)


async def test_gaps_are_counted(room: Room) -> None:
    ann, from_ann = new_member(room)
    before = counters.gaps
    change(room, ann, out_of_order()[1])
    room.edit_relayed(out_of_order()[1])
    await until(lambda: asked_for(from_ann))
    assert counters.gaps == before + 1
    change(room, ann, out_of_order()[1])
    await turn()
    room.close()


# Halves of surrogate pairs.


@pytest.mark.parametrize(("update", "expected"), [(HALVED, "a\ufffdb"), (SPLIT, "a\ufffdX\ufffdb")])
async def test_an_edit_inside_a_surrogate_pair_makes_what_yjs_makes_of_it(
    store: Store, update: bytes, expected: str
) -> None:
    project = Project()
    room = make_room(store, start=PAIR, make_doc=project.make_doc)
    ann, from_ann = new_member(room)
    _, from_bob = new_member(room)
    change(room, ann, update)
    await until(lambda: project.made)
    assert text(room.doc) == expected
    # Members are sent the bytes of the sender.
    assert from_bob.frames == [update_frame(update)]
    assert [edit.data for edit in store.edits] == [update]
    carol, from_carol = new_member(room)
    room.handle(carol, StateRequest(b"\0"))
    assert received(from_carol, EMPTY_UPDATE) == expected
    assert from_ann.close_code is None


async def test_a_pair_and_an_edit_inside_it_may_come_in_one_turn_or_one_update() -> None:
    for updates in ([PAIR, SPLIT], [merge([PAIR, SPLIT])]):
        room = make_room(start=EMPTY_UPDATE)
        ann, from_ann = new_member(room)
        for number, update in enumerate(updates):
            change(room, ann, update, number)
        await turn()
        assert text(room.doc) == "a\ufffdX\ufffdb"
        assert from_ann.close_code is None


async def test_pairs_that_members_have_typed_are_broken_as_well(room: Room) -> None:
    ann, _ = new_member(room)
    change(room, ann, insert(new_doc(client_id=8), "é𝄞"))
    change(room, ann, insert(new_doc(client_id=9), "😀😀"))
    await turn()
    # The second half of the second letter, and the first half of the only one of client 8.
    change(room, ann, bytes.fromhex("0002" + "0901" + "0301" + "0801" + "0101"))
    await turn()
    change(room, ann, LETTERS[0])
    await turn()
    assert sorted(text(room.doc)) == sorted("helloaé\ufffd😀\ufffd")


async def test_of_a_pair_whose_first_half_is_known_half_is_integrated(room: Room) -> None:
    ann, from_ann = new_member(room)
    change(room, ann, insert(new_doc(client_id=9), "a"), 1)
    change(room, ann, insert(new_doc(client_id=9), "😀"), 2)
    await turn()
    assert from_ann.close_code is None
    assert sorted(text(room.doc)) == sorted("helloa\ufffd")


async def test_a_room_that_sleeps_breaks_pairs_when_it_wakes() -> None:
    source = DocumentBytes(PAIR, new_doc(PAIR).get_state())
    room = Room("notes", source, RoomContext(Settings()))
    room.edit(SPLIT)
    room.flush()
    room._document.sleep()
    assert text(new_doc(room.encode(b"\0"))) == "a\ufffdX\ufffdb"


# Types inside each other.


async def test_an_update_that_nests_too_deeply_costs_its_sender_the_connection(
    store: Store,
) -> None:
    room = make_room(store, MAX_NESTING=10)
    ann, from_ann = new_member(room)
    eve, from_eve = new_member(room)
    _, from_bob = new_member(room)
    good, bad = poison.nested(6), poison.nested(6, start=6)
    # In one turn, with something that is to be kept.
    change(room, eve, good, 1)
    change(room, eve, bad, 2)
    change(room, ann, LETTERS[0])
    await turn()
    assert (from_eve.close_code, from_ann.close_code) == (CloseCode.TOO_BIG, None)
    assert [edit.data for edit in store.edits] == [good, LETTERS[0]]
    assert sorted(received(from_bob)) == sorted("helloa")
    # What is deleted is deleted level by level.
    change(room, ann, b"\0\1\2\1\0\1", 2)
    change(room, ann, LETTERS[1], 3)
    await turn()
    assert from_ann.close_code is None
    assert store.text == text(room.doc)


async def test_a_pending_update_that_nests_too_deeply_costs_its_sender_the_connection(
    store: Store,
) -> None:
    room = make_room(store, MAX_NESTING=10)
    ann, from_ann = new_member(room)
    eve, from_eve = new_member(room)
    change(room, eve, poison.nested(6, start=6))
    await turn()
    change(room, ann, poison.nested(6))
    await turn()
    assert (from_eve.close_code, from_ann.close_code) == (CloseCode.TOO_BIG, None)
    assert [edit.data for edit in store.edits] == [poison.nested(6)]


async def test_server_code_may_nest_as_it_likes(store: Store) -> None:
    room = make_room(store, MAX_NESTING=10)
    room.edit(poison.nested(20))
    await turn()
    assert [edit.data for edit in store.edits] == [poison.nested(20)]
    ann, from_ann = new_member(room)
    change(room, ann, poison.nested(1, start=20))
    await turn()
    assert from_ann.close_code == CloseCode.TOO_BIG


async def test_a_doc_that_was_made_anew_is_measured_anew(store: Store) -> None:
    room = make_room(store, MAX_NESTING=10)
    ann, _ = new_member(room)
    change(room, ann, poison.nested(10))
    await turn()
    room.edit(poison.RAISING)
    await turn()
    eve, from_eve = new_member(room)
    change(room, eve, poison.nested(1, start=10))
    await turn()
    assert from_eve.close_code == CloseCode.TOO_BIG


# The bytes beside the Doc.


async def test_the_bytes_beside_the_doc_do_not_grow_with_its_history(room: Room) -> None:
    ann, _ = new_member(room)
    doc = new_doc(HELLO)
    for number in range(2_100):
        change(room, ann, insert(doc, "x", 5), number)
        del content(doc)[5:6]
        change(room, ann, doc.get_update(room.doc.get_state()), number)
        await turn()
    assert room.size < 64 * 1024
    assert text(room.doc) == "hello"
    room.edit(poison.RAISING)
    await turn()
    assert text(room.doc) == "hello"


async def test_large_updates_are_folded_as_well(room: Room) -> None:
    ann, _ = new_member(room)
    large = new_doc("x" * 70_000)
    change(room, ann, large.get_update())
    await turn()
    await turn()
    assert not room._document._record.has_tail
    assert len(text(room.doc)) == 70_005


# Other processes.


class RoomLink:
    """Notes what the room tells other processes."""

    def __init__(self) -> None:
        self.published: list[bytes] = []
        self.published_stored: list[bytes] = []
        self.presence: list[set[int]] = []
        self.confirmed = 0
        #: What other processes have not confirmed.
        self.unconfirmed: list[bytes] = []

    def publish(self, update: bytes) -> Callable[[], None]:
        self.published.append(update)
        return self._confirm

    def _confirm(self) -> None:
        self.confirmed += 1

    def publish_stored(self, update: bytes) -> None:
        self.published_stored.append(update)

    def publish_presence(self, client_ids: set[int]) -> None:
        self.presence.append(client_ids)

    def adopt(self, before: float | None = None) -> list[bytes]:
        updates, self.unconfirmed = self.unconfirmed, []
        return updates


@pytest.fixture
def link() -> RoomLink:
    return RoomLink()


async def test_a_turn_is_published_to_other_processes_with_the_receipt_at_its_end(
    store: Store, link: RoomLink
) -> None:
    room = make_room(store, peers=link)
    ann, _ = new_member(room)
    change(room, ann, LETTERS[0], 1)
    change(room, ann, LETTERS[1], 2)
    room.edit(LETTERS[2], stored=True)
    await turn()
    assert [text(new_doc(update)) for update in link.published] == ["abc"]
    assert [edit.data for edit in store.edits] == [*LETTERS[:2], EMPTY_UPDATE]
    receipt = store.edits[-1].on_stored
    assert receipt is not None
    receipt()
    assert link.confirmed == 1


async def test_an_update_that_is_stored_already_needs_no_receipt(
    store: Store, link: RoomLink
) -> None:
    room = make_room(store, peers=link)
    room.edit(LETTERS[0], stored=True)
    await turn()
    assert (link.published, link.published_stored) == ([], [LETTERS[0]])
    assert store.edits == []


async def test_updates_of_other_processes_are_neither_stored_nor_sent_back(
    store: Store, link: RoomLink
) -> None:
    room = make_room(store, peers=link)
    _, socket = new_member(room)
    room.edit_relayed(LETTERS[0])
    await turn()
    assert received(socket, EMPTY_UPDATE) == "a"
    assert (link.published, link.published_stored, store.edits) == ([], [], [])


async def test_only_a_turns_own_changes_are_published_to_other_processes(
    store: Store, link: RoomLink
) -> None:
    room = make_room(store, peers=link)
    ann, _ = new_member(room)
    room.edit_relayed(LETTERS[0])
    change(room, ann, LETTERS[1], 1)
    await turn()
    assert link.published == [LETTERS[1]]


async def test_unconfirmed_updates_are_stored_before_a_whole_document(
    store: Store, link: RoomLink
) -> None:
    # A client that has it may send it again, and is told then that it is saved.
    room = make_room(store, peers=link)
    ann, _ = new_member(room)
    room.edit_relayed(LETTERS[0])
    link.unconfirmed.append(LETTERS[0])
    change(room, ann, merge([HELLO, LETTERS[0]]), whole=True)
    room.adopt()
    assert [(edit.data, edit.member) for edit in store.edits] == [
        (LETTERS[0], None),
        (EMPTY_UPDATE, ann),
    ]


async def test_a_room_in_memory_stores_nothing_of_theirs_either(link: RoomLink) -> None:
    link.unconfirmed.append(LETTERS[0])
    make_room(peers=link).adopt()
    assert link.unconfirmed == []


async def test_presence_is_published_to_other_processes_and_comes_from_them(link: RoomLink) -> None:
    room = make_room(Store(), peers=link)
    ann, from_ann = new_member(room)
    room.handle(ann, PresenceChange([PresenceState(7, 1, "{}")]))
    assert room.presence.local() == {7}
    peer = Peer()
    states = [PresenceState(client_id, 1, "{}") for client_id in range(100, 200)]
    room.presence.receive_relayed(peer, states)
    await turn()
    assert room.presence.local() == {7}
    assert len(presence_in(from_ann)) == 101
    room.presence.drop_relayed(peer)
    room.leave(ann)
    assert not room.presence
    await until(lambda: link.presence == [{7}, {7}])


@dataclass(eq=False)
class Peer:
    user_id: str | None = None
    verified: str = ""


# Its end.


async def test_a_closed_room_lets_go_of_its_doc(store: Store) -> None:
    room = make_room(store)
    ann, _ = new_member(room)
    room.handle(ann, PresenceChange([PresenceState(7, 1, "{}")]))
    change(room, ann, LETTERS[0])
    doc = weakref.ref(room.doc)
    room.leave(ann)
    room.close()
    del room, ann
    gc.collect()
    assert doc() is None


async def test_observers_are_taken_off_when_the_last_member_has_left(store: Store) -> None:
    room = make_room(store)
    ann, _ = new_member(room)
    # The project's; it may want to take it off itself until then.
    subscription = room.doc.observe(lambda event: None)
    room.close()
    room.doc.unobserve(subscription)
    doc = weakref.ref(room.doc)
    room.leave(ann)
    del room, ann
    gc.collect()
    assert doc() is None


async def test_a_closed_room_does_nothing_more(room: Room, store: Store) -> None:
    ann, _ = new_member(room)
    _, socket = new_member(room)
    change(room, ann, LETTERS[0])
    room.close()
    room.edit(LETTERS[1])
    content(room.doc).insert(0, "!")
    await turn()
    room.flush()
    assert socket.messages == []
    assert store.edits == []


# All of it at random.


@given(st.data())
@settings(max_examples=50)
def test_members_and_store_converge_whatever_comes_in_a_turn(data: st.DataObject) -> None:
    asyncio.run(converge(data))


async def converge(data: st.DataObject) -> None:
    store = Store()
    room = make_room(store)
    docs = [new_doc(HELLO) for _ in range(3)]
    members = [new_member(room) for _ in docs]
    evil, from_evil = new_member(room)
    for number in range(data.draw(st.integers(1, 12))):
        who = data.draw(st.integers(0, 4))
        if who == 4 and from_evil.close_code is None:
            change(room, evil, poison.RAISING, number)
        elif who == 3:
            content(room.doc).insert(0, "s")
        elif who < 3:
            doc = docs[who]
            at = data.draw(st.integers(0, len(content(doc))))
            change(room, members[who][0], insert(doc, "abc"[who], at), number)
        if data.draw(st.booleans()):
            await turn()
    await turn()
    texts = set()
    for doc, (_, socket) in zip(docs, members, strict=True):
        assert socket.close_code is None
        texts.add(received(socket, doc.get_update()))
    stored = merge([HELLO, *(edit.data for edit in store.edits)])
    assert texts == {text(room.doc)} == {text(new_doc(stored))}


@given(st.data())
@settings(max_examples=50)
def test_stored_updates_read_as_they_were_live_whatever_a_client_holds_back(
    data: st.DataObject,
) -> None:
    asyncio.run(hold_back(data))


async def hold_back(data: st.DataObject) -> None:
    store = Store()
    room = make_room(store)
    evil, _ = new_member(room)
    lies = [told(data), told(data)]
    doc = new_doc(HELLO)
    ann, from_ann = new_member(room)
    for number in range(data.draw(st.integers(1, 10))):
        if data.draw(st.booleans()):
            letter = insert(doc, "a", data.draw(st.integers(0, len(content(doc)))))
            change(room, ann, letter, number)
        else:
            lie = data.draw(st.sampled_from(lies))
            part = data.draw(st.lists(st.sampled_from(lie), min_size=1, max_size=4))
            change(room, evil, merge(part), number, whole=data.draw(st.booleans()))
        if data.draw(st.booleans()):
            await turn()
            for frame in from_ann.frames:
                if frame[1]:
                    doc.apply_update(read_message(frame[2:]))
    await turn()
    assert from_ann.close_code is None
    # Each of Ann's letters is there, nothing is held back in the Doc, and all have the same.
    stored = new_doc(merge([HELLO, *(edit.data for edit in store.edits)]))
    assert received(from_ann, doc.get_update()) == text(stored) == text(room.doc)
    assert stored.get("map", type=Map).to_py() == room.doc.get("map", type=Map).to_py()
    assert state_vector(stored.get_state()) == state_vector(room.doc.get_state())
    room.close()


def told(data: st.DataObject) -> list[bytes]:
    """Return updates of client 66, who tells others something else."""
    doc = new_doc(HELLO, client_id=66)
    with changes(doc) as updates:
        for kind in data.draw(st.lists(st.sampled_from("tdm"), min_size=2, max_size=6)):
            if kind == "t":
                content(doc).insert(len(content(doc)), data.draw(st.sampled_from(["x", "yz"])))
            elif kind == "m":
                doc.get("map", type=Map)["key"] = data.draw(st.integers(0, 9))
            else:
                del content(doc)[data.draw(st.integers(0, len(content(doc)) - 1)) :]
                content(doc).insert(len(content(doc)), "w")
    return updates
