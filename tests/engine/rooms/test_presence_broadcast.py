"""When members are told who is present; what they are told is tested with rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from collab.conf import Settings
from collab.engine.rooms.member import Member
from collab.engine.rooms.presence_broadcast import PresenceBroadcaster, interval
from collab.exceptions import ProtocolViolation
from collab.protocol.frames import GONE, PresenceState, decode_presence, read_bytes
from tests.engine.fakes import Socket, new_member
from tests.harness.virtual_time import in_virtual_time
from tests.harness.waiting import until


class Hall:
    """Members who are told of each other, and what other processes hear of them.

    Args:
        size: how many members.
        interval: of the setting.
        settle: called before they are told.
    """

    def __init__(
        self, size: int, interval: float = 0.25, settle: Callable[[], None] = lambda: None
    ) -> None:
        self.published: list[set[int]] = []
        people = [new_member() for _ in range(size)]
        self.members = [member for member, _ in people]
        self.sockets = [socket for _, socket in people]
        publish = self.published.append
        self.attendance = PresenceBroadcaster(
            self.members, Settings(), settle, publish, interval, max_clients=3
        )

    def move(self, clock: int, client_id: int = 7, member: int = 0) -> None:
        """Move the cursor of a member."""
        state = PresenceState(client_id, clock, "{}")
        self.attendance.receive(self.members[member], [state])

    def leave(self, member: Member) -> None:
        """Remove a member."""
        self.members.remove(member)
        self.attendance.leave(member)


def told(socket: Socket) -> list[list[PresenceState]]:
    """Return what a member was told, frame by frame."""
    return [decode_presence(read_bytes(frame, 1)[0], 10_000) for frame in socket.frames]


async def turns(number: int = 5) -> None:
    """Run a few turns of the event loop, which takes no time."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_the_first_move_after_a_pause_is_broadcast_at_once() -> None:
    hall = Hall(250)
    hall.move(1)
    await turns()
    assert told(hall.sockets[1]) == [[PresenceState(7, 1, "{}")]]


@in_virtual_time
async def test_moves_that_follow_are_broadcast_together_after_the_interval() -> None:
    hall = Hall(100)
    loop = asyncio.get_running_loop()
    hall.move(1)
    await turns()
    began = loop.time()
    for clock in range(2, 20):
        hall.move(clock)
        hall.move(clock, client_id=8, member=1)
        await turns()
    socket = hall.sockets[2]
    assert len(socket.frames) == 1
    await until(lambda: len(socket.frames) > 1)
    assert loop.time() - began == pytest.approx(0.1, abs=0.01)
    assert sorted(told(socket)[1]) == [PresenceState(7, 19, "{}"), PresenceState(8, 19, "{}")]


@pytest.mark.parametrize(
    ("size", "seconds"), [(0, 0), (2, 0.002), (10, 0.01), (50, 0.05), (250, 0.25), (2_000, 0.25)]
)
def test_the_interval_grows_with_the_members_up_to_the_setting(size: int, seconds: float) -> None:
    assert interval(size, 0.25) == pytest.approx(seconds)
    assert interval(size, 0) == 0


async def test_without_an_interval_all_is_broadcast_in_the_next_turn() -> None:
    hall = Hall(100, interval=0)
    for clock in range(1, 5):
        hall.move(clock)
        await turns()
    assert [len(states) for states in told(hall.sockets[1])] == [1, 1, 1, 1]


@in_virtual_time
async def test_however_much_one_member_moves_the_others_get_a_frame_per_interval() -> None:
    hall = Hall(100)
    loop = asyncio.get_running_loop()
    end, clock = loop.time() + 0.25, 0
    while loop.time() < end:
        clock += 1
        hall.move(clock)
        # A movement in each millisecond of the virtual clock.
        await asyncio.sleep(0.001)
    assert clock > 100
    # At once, after 0.1 and after 0.2 s.
    assert len(hall.sockets[1].frames) == 3


async def test_many_that_join_or_leave_at_once_are_broadcast_in_one_frame_each() -> None:
    hall = Hall(200, interval=0.01)
    watcher = hall.sockets[0]
    for client_id in range(1, 200):
        hall.move(1, client_id, member=client_id)
    await until(lambda: watcher.frames)
    for member in hall.members[1:]:
        hall.leave(member)
    await until(lambda: len(watcher.frames) > 1)
    came, went = told(watcher)
    assert sorted(came) == [PresenceState(number, 1, "{}") for number in range(1, 200)]
    assert sorted(went) == [PresenceState(number, 1, GONE) for number in range(1, 200)]


async def test_members_that_left_are_broadcast_although_too_many_join() -> None:
    hall = Hall(2)
    ann = hall.members[0]
    hall.attendance.receive(ann, [PresenceState(number, 1, "{}") for number in range(3)])
    await turns()
    gone = PresenceState(0, 2, GONE)
    with pytest.raises(ProtocolViolation) as raised:
        hall.attendance.receive(ann, [gone, *(PresenceState(each, 1, "{}") for each in (7, 8))])
    assert raised.value.cause == "ProtocolViolation"
    hall.leave(ann)
    await until(lambda: len(told(hall.sockets[1])) == 2)
    last = {state.client_id: state.state for state in told(hall.sockets[1])[1]}
    assert last.keys() >= {0, 1, 2}
    assert {*last.values()} == {GONE}


async def test_all_get_one_frame() -> None:
    hall = Hall(50)
    hall.move(1)
    await turns()
    assert len({id(socket.frames[0]) for socket in hall.sockets}) == 1


async def test_typed_text_is_sent_before_the_cursor_behind_it() -> None:
    hall: Hall
    order: list[str] = []

    def settle() -> None:
        order.append("text")
        assert hall.sockets[1].frames == []

    hall = Hall(2, settle=settle)
    hall.move(1)
    await turns()
    assert order == ["text"]
    assert len(hall.sockets[1].frames) == 1


async def test_nothing_is_broadcast_of_a_room_that_broke_meanwhile() -> None:
    hall = Hall(2, settle=lambda: hall.attendance.close())
    hall.move(1)
    await turns()
    assert hall.sockets[1].frames == []


async def test_other_processes_hear_of_ours_as_often_and_not_of_their_own() -> None:
    hall = Hall(50)
    peer, _ = new_member()
    hall.attendance.receive_relayed(peer, [PresenceState(100, 1, "{}")])
    hall.move(1)
    await turns()
    assert hall.published == [{7}]
    hall.move(2)
    hall.move(1, client_id=8, member=1)
    hall.leave(hall.members[0])
    await turns()
    assert hall.published == [{7}]
    await until(lambda: len(hall.published) > 1)
    assert hall.published[1] == {7, 8}
    hall.attendance.drop_relayed(peer)
    await until(lambda: told(hall.sockets[1])[-1] == [PresenceState(100, 1, GONE)])
    assert len(hall.published) == 2


async def test_a_closed_room_broadcasts_nothing() -> None:
    closed, other = Hall(50), Hall(50)
    for hall in (closed, other):
        hall.move(1)
    await turns()
    for hall in (closed, other):
        hall.move(2)
    closed.attendance.close()
    await until(lambda: len(other.sockets[1].frames) > 1)
    assert len(closed.sockets[1].frames) == 1
