from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from typing import Any

import pytest
from pycrdt import Doc, read_message

from collab.access import Access
from collab.conf import Settings
from collab.engine.rooms.context import RoomContext
from collab.engine.rooms.member import Member
from collab.engine.rooms.outbox import Outbox
from collab.engine.rooms.room import Room
from collab.protocol.frames import (
    GONE,
    PresenceState,
    decode_presence,
    presence_frame,
    update_frame,
)
from collab.protocol.session import Session
from collab.protocol.yjs.updates import EMPTY_STATE, EMPTY_UPDATE
from collab.wire import CloseCode
from tests.engine.fakes import Socket, new_member
from tests.harness.waiting import DEADLINE, until
from tests.protocol.yjs.samples import HELLO, content, new_doc, text, typed

UPDATES = typed("abcdef")


@pytest.fixture
async def room() -> Room:
    return Room("notes", new_doc(), RoomContext(Settings()))


def read(socket: Socket) -> str:
    """Return the text of a client that applies what it has received."""
    doc: Doc[Any] = Doc()
    for frame in socket.frames:
        if frame[0] == 0 and frame[1] != 0:
            doc.apply_update(read_message(frame[2:]))
    return text(doc)


def send(member: Member, *updates: bytes) -> None:
    for update in updates:
        member.outbox.send_update(update, update_frame(update))


def presence_of(frame: bytes) -> list[PresenceState]:
    return decode_presence(read_message(frame[1:]), 10_000)


# A client that reads.


async def test_a_frame_is_sent_without_a_task_as_it_is(room: Room) -> None:
    member, socket = new_member(room)
    tasks = asyncio.all_tasks()
    frame = update_frame(HELLO)
    member.outbox.send_update(HELLO, frame)
    assert asyncio.all_tasks() == tasks
    (message,) = socket.messages
    # One object for all members.
    assert message["bytes"] is frame


async def test_frames_that_a_server_writes_at_once_do_not_go_through_asgi(room: Room) -> None:
    frames, taken = [], True
    socket = Socket()

    def write(frame: bytes | str) -> bool:
        frames.append(frame)
        return taken

    session = Session(Access.WRITE, Settings(), durable=True)
    member = Member(socket, session, Outbox(socket.send, write, Settings(), socket.evict, None))
    member.send_frame("text")
    send(member, HELLO)
    assert frames == ["text", update_frame(HELLO)]
    assert socket.messages == []
    taken = False
    member.send_frame(b"later")
    assert socket.frames == [b"later"]
    member.close(CloseCode.NORMAL, "")
    send(member, HELLO)
    assert len(frames) == 3


async def test_bytes_and_text_go_out_as_such(room: Room) -> None:
    member, socket = new_member(room)
    member.send_frame(b"bytes")
    member.send_frame('{"action": "text"}')
    assert socket.frames == [b"bytes"]
    assert socket.replies == [{"action": "text"}]


async def test_a_state_is_sent_as_far_as_it_is_not_known(room: Room) -> None:
    room.doc.apply_update(HELLO)
    known = new_doc(UPDATES[0])
    member, socket = new_member(room)
    member.send_state(known.get_state())
    member.send_state(new_doc(HELLO).get_state())
    assert [frame[:2] for frame in socket.frames] == [b"\0\1"] * 2
    assert read_message(socket.frames[1][2:]) == EMPTY_UPDATE
    assert read(socket) == "hello"


async def test_presence_goes_out_as_it_is(room: Room) -> None:
    member, socket = new_member(room)
    frame = presence_frame([PresenceState(7, 1, "{}")])
    member.outbox.send_presence([7], frame)
    (message,) = socket.messages
    assert message["bytes"] is frame


async def test_saved_is_sent_to_clients_that_said_hello(room: Room) -> None:
    member, socket = new_member(room, greeted=True)
    member.send_saved(3)
    assert [reply["data"] for reply in socket.replies] == [{"count": 3}]
    stock, silent = new_member(room)
    stock.send_saved(3)
    assert silent.messages == []


async def test_saved_is_sent_late_to_clients_that_say_hello_late(room: Room) -> None:
    member, socket = new_member(room)
    member.send_saved(3)
    member.session.greeted = True
    member.send_reports()
    member.send_reports()
    assert [reply["data"] for reply in socket.replies] == [{"count": 3}]


async def test_the_saved_count_never_sinks(room: Room) -> None:
    member, socket = new_member(room, greeted=True)
    member.send_saved(3)
    member.send_saved(2)
    assert [reply["data"] for reply in socket.replies] == [{"count": 3}]


async def test_an_echo_is_for_those_who_want_it(room: Room) -> None:
    member, socket = new_member(room, echo_updates=True)
    member.echo(HELLO)
    member.echo(EMPTY_UPDATE)
    assert socket.frames == [update_frame(HELLO)]
    other, silent = new_member(room)
    other.echo(HELLO)
    assert silent.frames == []


async def test_closing_sends_code_and_reason_once(room: Room) -> None:
    member, socket = new_member(room)
    assert not member.is_closed
    member.close(CloseCode.TOO_BIG, "é" * 100)
    member.close(CloseCode.INTERNAL, "again")
    member.send_frame(b"late")
    assert member.is_closed
    # A close frame holds 123 bytes, and no half of a letter.
    assert socket.messages == [{"type": "websocket.close", "code": 1009, "reason": "é" * 61}]


async def test_a_client_that_is_gone_is_sent_no_more(room: Room) -> None:
    member, socket = new_member(room)
    socket.break_off()
    member.send_frame(b"frame")
    assert member.is_closed
    member.send_frame(b"another")
    assert socket.messages == []


async def test_a_send_that_needs_a_task_has_one(room: Room) -> None:
    """As that of a middleware with a timeout around it."""
    member, socket = new_member(room)

    async def send(message: dict[str, Any]) -> None:
        async with asyncio.timeout(DEADLINE):
            await socket.send(message)

    member.outbox._send = send
    sent = asyncio.Event()

    def turn() -> None:
        member.send_frame(b"first")
        for update in UPDATES:
            member.outbox.send_update(update, update_frame(update))
        sent.set()

    # Nothing that a room does by itself runs in a task.
    asyncio.get_running_loop().call_soon(turn)
    await sent.wait()
    await until(lambda: read(socket) == "abcdef")
    assert socket.frames[0] == b"first"
    member.send_frame(b"last")
    await until(lambda: socket.frames[-1] == b"last")


async def test_a_send_that_fails_ends_the_connection_and_is_logged(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    member, socket = new_member(room, user_id="ann")

    async def send(message: dict[str, Any]) -> None:
        raise LookupError("a middleware's own")

    member.outbox._send = send
    member.send_frame(b"frame")
    await until(lambda: socket.evicted)
    assert member.is_closed
    (record,) = caplog.records
    assert (record.__dict__["room"], record.__dict__["user"]) == ("notes", "ann")
    assert "(LookupError)" in record.getMessage()


# A client that does not read.


async def test_a_blocked_send_delays_no_other_and_is_finished_in_its_turn(room: Room) -> None:
    slow, blocked = new_member(room)
    quick, socket = new_member(room)
    blocked.block()
    for member in (slow, quick):
        send(member, *UPDATES)
    assert len(socket.frames) == len(UPDATES)
    assert blocked.frames == []
    blocked.unblock()
    await until(lambda: read(blocked) == "abcdef")


async def test_waiting_updates_are_sent_merged(room: Room) -> None:
    member, socket = new_member(room)
    socket.block()
    send(member, *UPDATES)
    socket.unblock()
    await until(lambda: read(socket) == "abcdef")
    assert len(socket.frames) == 2
    # It is quick again, and needs no task.
    tasks = asyncio.all_tasks()
    send(member, HELLO)
    assert asyncio.all_tasks() == tasks
    assert socket.frames[-1] == update_frame(HELLO)


async def test_frames_that_wait_for_one_client_are_sent_to_no_other(room: Room) -> None:
    (first, one), (second, other) = new_member(room), new_member(room)
    for socket in (one, other):
        socket.block()
    # Something that is under way, and then what waits.
    for frame in (b"under way", b"waits"):
        first.send_frame(frame)
    second.send_frame(b"under way")
    send(first, *UPDATES)
    for socket in (one, other):
        socket.unblock()
    await until(lambda: not (first.outbox.is_blocked or second.outbox.is_blocked))
    assert len(one.frames) == 3
    assert other.frames == [b"under way"]


async def test_beyond_the_limit_one_full_state_stands_for_all(room: Room) -> None:
    _, socket = new_member(room, MAX_MEMBER_BACKLOG=3 * len(UPDATES[0]))
    socket.block()
    for update in UPDATES:
        room.edit(update)
        room.flush()
    socket.unblock()
    await until(lambda: read(socket) == "abcdef")
    assert socket.frames[1:] == [*room.answer(EMPTY_STATE)]


async def test_a_full_state_is_sent_once_however_often_it_is_asked_for(room: Room) -> None:
    content(room.doc).insert(0, "hello")
    room.flush()
    member, socket = new_member(room)
    socket.block()
    member.send_frame(b"first")
    for _ in range(100):
        member.send_state(b"\1\1\1")
    send(member, *UPDATES)
    socket.unblock()
    await until(lambda: len(socket.frames) == 2)
    assert socket.frames == [b"first", *room.answer(EMPTY_STATE)]


async def test_answers_to_a_member_are_added_up_whether_it_reads_or_not(room: Room) -> None:
    content(room.doc).insert(0, "hello" * 100)
    room.flush()
    member, socket = new_member(room)
    member.send_state(EMPTY_STATE)
    member.send_all_presence()
    assert member.take_answered() == sum(map(len, socket.frames))
    assert member.take_answered() == 0
    socket.block()
    member.send_frame(b"first")
    for _ in range(3):
        # One answer stands for all.
        member.send_state(EMPTY_STATE)
    assert member.take_answered() == room.size


async def test_presence_is_sent_by_the_newest_state_of_each(room: Room) -> None:
    ann, _ = new_member(room)
    member, socket = new_member(room)
    socket.block()
    member.send_frame(b"first")
    for clock in range(1, 50):
        state = PresenceState(7, clock, '{"cursor":1}')
        room.presence.receive(ann, [state])
        member.outbox.send_presence([7], presence_frame([state]))
    room.presence.receive(ann, [PresenceState(8, 1, "{}")])
    room.presence.receive(ann, [PresenceState(8, 2, GONE)])
    member.outbox.send_presence([8], b"")
    socket.unblock()
    await until(lambda: len(socket.frames) == 2)
    assert sorted(presence_of(socket.frames[1])) == [
        PresenceState(7, 49, '{"cursor":1}'),
        PresenceState(8, 2, GONE),
    ]


async def test_the_last_saved_count_stands_for_all(room: Room) -> None:
    member, socket = new_member(room, greeted=True)
    socket.block()
    member.send_frame(b"first")
    for count in range(1, 50):
        member.send_saved(count)
    socket.unblock()
    await until(lambda: socket.replies)
    assert [reply["data"] for reply in socket.replies] == [{"count": 49}]


async def test_one_that_asks_on_without_reading_is_disconnected(room: Room) -> None:
    member, socket = new_member(room)
    socket.block()
    for _ in range(2_000):
        member.send_frame(b"reply")
        if socket.evicted:
            break
    assert socket.evicted
    assert member.is_closed
    member.detach()


async def test_replies_wait_up_to_a_number_of_bytes(room: Room) -> None:
    member, socket = new_member(room, MAX_MEMBER_BACKLOG=1000)
    socket.block()
    # The first is on its way, and one of any size may wait.
    for size in (10, 2000):
        member.send_frame(b"x" * size)
    assert not socket.evicted
    socket.unblock()
    await until(lambda: len(socket.frames) == 2)
    socket.block()
    for size in (10, 600, 400):
        member.send_frame(b"x" * size)
    assert not socket.evicted
    member.send_frame("x")
    assert socket.evicted


async def test_however_often_a_slow_reader_asks_for_presence_it_receives_it_once(
    room: Room,
) -> None:
    ann, _ = new_member(room)
    room.presence.receive(ann, [PresenceState(7, 1, '{"cursor":1}')])
    member, socket = new_member(room)
    socket.block()
    member.send_frame(b"first")
    for _ in range(200):
        member.send_all_presence()
    socket.unblock()
    await until(lambda: len(socket.frames) == 2)
    assert presence_of(socket.frames[1]) == [PresenceState(7, 1, '{"cursor":1}')]
    assert not socket.evicted


async def test_a_close_comes_after_the_replies_that_wait_and_stands_for_the_rest(
    room: Room,
) -> None:
    member, socket = new_member(room)
    socket.block()
    member.send_frame(b"first")
    member.send_frame(b"second")
    send(member, *UPDATES)
    member.close(CloseCode.INTERNAL, "")
    socket.unblock()
    await until(lambda: socket.close_code)
    assert socket.frames == [b"first", b"second"]


async def test_one_that_takes_nothing_for_too_long_is_disconnected(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    member, socket = new_member(room, user_id="ann", SEND_TIMEOUT=0.01)
    socket.block()
    with caplog.at_level(logging.WARNING, "collab"):
        member.send_frame(b"frame")
        await until(lambda: socket.evicted)
    assert member.is_closed
    (record,) = caplog.records
    assert (record.__dict__["room"], record.__dict__["user"]) == ("notes", "ann")


async def test_a_later_frame_may_also_take_too_long(room: Room) -> None:
    member, socket = new_member(room, SEND_TIMEOUT=0.02)
    socket.block()
    member.send_frame(b"first")
    member.send_frame(b"second")
    socket.unblock()
    await until(lambda: socket.frames)
    socket.block()
    send(member, *UPDATES)
    await until(lambda: socket.evicted or len(socket.frames) > 1)
    if not socket.evicted:
        send(member, *UPDATES)
        await until(lambda: socket.evicted)


async def test_a_client_that_goes_while_a_frame_waits_is_sent_no_more(room: Room) -> None:
    member, socket = new_member(room)
    socket.block()
    member.send_frame(b"first")
    member.send_frame(b"second")
    socket.break_off()
    await until(lambda: member.is_closed)
    assert socket.messages == []


async def test_detaching_ends_a_blocked_send(room: Room) -> None:
    tasks = asyncio.all_tasks()
    member, socket = new_member(room)
    socket.block()
    member.send_frame(b"frame")
    assert asyncio.all_tasks() != tasks
    member.detach()
    await until(lambda: asyncio.all_tasks() == tasks)
    socket.unblock()
    assert socket.messages == []


class Turns:
    """Waits for the next turn of the event loop, again and again."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __await__(self) -> Generator[None, None, None]:
        for _ in range(self.count):
            yield


async def test_a_send_may_wait_in_any_way_and_handle_what_is_thrown_into_it(room: Room) -> None:
    sent: list[Any] = []

    async def send(message: dict[str, Any]) -> None:
        await Turns(3)
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            await Turns(1)
            sent.append(message)

    member, _ = new_member(room)
    member.outbox._send = send
    member.send_frame(b"frame")
    await until(lambda: sent)


async def test_a_send_that_ends_when_it_is_cancelled_is_let_end(room: Room) -> None:
    """Some servers take a cancelled send for a sent one."""
    started = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    tasks = asyncio.all_tasks()
    member, _ = new_member(room)
    member.outbox._send = send
    member.send_frame(b"frame")
    await started.wait()
    await Turns(2)
    member.detach()
    await until(lambda: asyncio.all_tasks() == tasks)


async def test_a_sender_may_wait_until_the_client_has_read(room: Room) -> None:
    member, socket = new_member(room)
    await member.ready()
    socket.block()
    member.send_frame(b"first")
    waiting = asyncio.create_task(member.ready())
    await asyncio.sleep(0)
    assert not waiting.done()
    socket.unblock()
    await waiting
    member.send_frame(b"second")
    await until(lambda: socket.frames[-1] == b"second")
