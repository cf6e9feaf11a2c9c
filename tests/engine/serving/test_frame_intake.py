"""Frames on the fast path mean what they mean to the socket, and each is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.websocket import client_frame
from collab.conf import Settings, get_settings
from collab.engine.connections.fast_path import TURN_FRAMES, Socket, socket_of
from collab.engine.runtime.counters import counters
from collab.engine.serving.frame_intake import FrameIntake
from tests.collab.test_sockets import (
    BAD,
    GOOD,
    MAX_SIZE,
    STOCK,
    TEXT,
    cut,
    frame,
    outcome,
)
from tests.engine.transports import Line
from tests.harness.waiting import until


def opened(
    line: Line,
    receive: Callable[[bytes], None] | None = None,
    settings: Settings | None = None,
    receive_text: Callable[[str], None] | None = None,
) -> FrameIntake:
    """Return the intake of a line's frames, which by default adds them to the line's events."""

    def add(data: bytes) -> None:
        line.events.append({"type": "websocket.receive", "bytes": data})

    intake = FrameIntake(settings or get_settings(), receive or add, receive_text)
    socket = socket_of(line.scope)
    assert socket is not None
    intake.open_fast_path(socket)
    intake.busy -= 1
    return intake


async def taken(pieces: list[bytes]) -> tuple[list[Any], bytes]:
    """Return what is received with an intake, and what the client is sent."""
    async with Line(max_size=MAX_SIZE) as line:
        intake = opened(line)
        await line.feed(pieces)
        sent = await line.end()
        intake.close()
        return line.events, sent


@pytest.mark.parametrize("name", [*GOOD, *BAD])
async def test_each_frame_means_what_it_means_to_the_library(name: str) -> None:
    frames = [frame(b"first"), *(GOOD | BAD)[name]]
    expected = await outcome(STOCK, frames)
    assert await taken(frames) == expected
    assert await taken([b"".join(frames)]) == expected


@pytest.mark.parametrize("name", ["binary", "shortest with two bytes", "fragments"])
async def test_a_frame_may_be_split_at_every_byte(name: str) -> None:
    frames = [*GOOD[name], *GOOD["binary"]]
    expected, data = await outcome(STOCK, frames), b"".join(frames)
    for place in range(1, len(data)):
        assert await taken([data[:place], data[place:]]) == expected


@given(
    st.lists(st.sampled_from([*GOOD.values()]), max_size=6),
    st.lists(st.sampled_from([*BAD.values()]), max_size=1),
    st.lists(st.sampled_from([*GOOD.values()]), max_size=2),
    st.data(),
)
def test_however_frames_arrive_the_messages_are_those_of_the_library(
    good: list[list[bytes]], bad: list[list[bytes]], late: list[list[bytes]], data: st.DataObject
) -> None:
    frames = [part for message in good + bad + late for part in message]
    stream = b"".join(frames)
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))

    async def compare() -> None:
        assert await taken(cut(stream, places)) == await outcome(STOCK, frames)

    asyncio.run(compare())


#: Payloads that do something to the connection, when they are received.
ACTIONS: dict[bytes, Callable[[FrameIntake, Socket], Any]] = {
    b"fail": lambda intake, socket: 1 / 0,
    b"keep busy": lambda intake, socket: setattr(intake, "busy", intake.busy + 1),
    b"inject": lambda intake, socket: socket.inject({"type": "own"}),
    b"close": lambda intake, socket: intake.close(),
}


async def traced(pieces: list[bytes], burst: int, *, alone: bool) -> list[Any]:
    """Return the number of events after each piece, all of them, and what the client is sent.

    Args:
        pieces: of the client's bytes.
        burst: frames that it may send.
        alone: the socket reads all of them.
    """
    async with Line(max_size=MAX_SIZE) as line:
        socket: Any = line.protocol

        def receive(data: bytes) -> None:
            line.events.append({"type": "received", "bytes": data})
            if data in ACTIONS:
                ACTIONS[data](intake, socket)

        intake = opened(line, receive, Settings(MESSAGE_RATE=0.001, MESSAGE_BURST=burst))
        trace: list[Any] = []
        for piece in pieces:
            if not socket.transport.is_closing():
                (socket.read if alone else socket.data_received)(piece)
                trace.append(len(line.events))
        sent = await line.end()
        intake.close()
        events = [(event["type"], event.get("bytes"), event.get("code")) for event in line.events]
        return [trace, events, sent]


@given(
    st.lists(
        st.sampled_from([*GOOD.values(), *([frame(payload)] for payload in ACTIONS)])
        | st.binary(max_size=130).map(lambda payload: [frame(payload)])
        | st.integers(1, 2 * TURN_FRAMES).map(lambda number: [frame(b"many")] * number),
        max_size=12,
    ),
    st.sampled_from([[], *BAD.values()]),
    st.sampled_from([3, 1_000]),
    st.data(),
)
def test_the_intake_does_with_frames_what_the_socket_does(
    messages: list[list[bytes]], end: list[bytes], burst: int, data: st.DataObject
) -> None:
    stream = b"".join(part for message in [*messages, end] for part in message)
    pieces = cut(stream, data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))

    async def compare() -> None:
        expected = await traced(pieces, burst, alone=True)
        assert await traced(pieces, burst, alone=False) == expected

    asyncio.run(compare())


@pytest.mark.parametrize("others", [0, 1, 30], ids=["short", "one other", "others"])
async def test_no_more_frames_of_one_read_are_handled_in_a_turn_than_the_socket_handles(
    others: int,
) -> None:
    async with Line() as line:
        opened(line)
        frames = [frame(b"a")] * 50 + [frame(bytes(200))] * others + [frame(b"a")] * 200
        line.protocol.data_received(b"".join(frames))
        assert len(line.events) == TURN_FRAMES
        await until(lambda: len(line.events) == len(frames))


async def test_bytes_of_a_frame_that_look_like_another_are_part_of_it() -> None:
    async with Line() as line:
        opened(line)
        data = client_frame(client_frame(b"inner"))
        await line.feed([data[:6], data[6:]])
        assert [event["bytes"] for event in line.events] == [client_frame(b"inner")]


@pytest.mark.parametrize("name", ["a reserved bit", "close without a reason"])
async def test_no_frame_is_received_behind_the_last(name: str) -> None:
    async with Line() as line:
        opened(line)
        for piece in (frame(b"first"), *BAD[name], frame(b"late")):
            line.protocol.data_received(piece)
        await until(lambda: len(line.events) == 2)
        assert [event["type"] for event in line.events] == [
            *("websocket.receive", "websocket.disconnect")
        ]


async def test_a_frame_that_is_larger_than_allowed_is_refused_however_short_it_is() -> None:
    async with Line(max_size=10) as line:
        opened(line)
        await line.feed([frame(bytes(10)), frame(bytes(11))])
        await until(lambda: len(line.events) == 2)
        assert line.events[1]["code"] == 1009


async def test_each_frame_is_counted_alone_and_among_others() -> None:
    async with Line() as line:
        opened(line)
        before = counters.received_frames, counters.received_bytes
        await line.feed([frame(b"one"), frame(b"two") + frame(b"three")])
        assert len(line.events) == 3
        after = counters.received_frames, counters.received_bytes
        assert after == (before[0] + 3, before[1] + 11)


async def test_frames_become_events_while_another_is_handled_and_after_the_end() -> None:
    async with Line() as line:
        intake = opened(line)
        before = counters.received_frames
        intake.busy += 1
        line.protocol.data_received(frame(b"one"))
        await until(lambda: len(line.events) == 1)
        intake.busy -= 1
        line.protocol.data_received(frame(b"text", TEXT))
        line.protocol.data_received(frame(b"two"))
        await until(lambda: len(line.events) == 3)
        assert counters.received_frames == before + 1
        intake.close()
        # The transport goes on calling it.
        intake.data_received(frame(b"three"))
        await until(lambda: len(line.events) == 4)
        assert [event.get("text", event.get("bytes")) for event in line.events] == [
            *(b"one", "text", b"two", b"three")
        ]
        assert counters.received_frames == before + 1


async def test_texts_are_taken_in_their_order_among_other_frames() -> None:
    async with Line() as line:
        opened(line, line.events.append, receive_text=line.events.append)
        before = counters.received_frames, counters.received_bytes
        line.protocol.data_received(frame(b"1") + frame("zwölf".encode(), TEXT) + frame(b"3"))
        assert line.events == [b"1", "zwölf", b"3"]
        # Bytes are charged, of a text its letters.
        after = counters.received_frames, counters.received_bytes
        assert after == (before[0] + 3, before[1] + 7)


async def test_a_text_that_is_not_valid_ends_the_connection_as_the_socket_does() -> None:
    async with Line() as line:
        opened(line, line.events.append, receive_text=line.events.append)
        line.protocol.data_received(frame(b"1") + frame(b"\xff", TEXT) + frame(b"3"))
        assert line.events == [b"1"]
        await until(lambda: len(line.events) == 2)
        assert line.events[1]["type"] == "websocket.disconnect"
        assert line.events[1]["code"] == 1007


async def test_work_behind_a_text_is_left_to_the_connection() -> None:
    def fail(text: str) -> None:
        raise ValueError(text)

    async with Line() as line:
        settings = Settings(MESSAGE_RATE=0.001, MESSAGE_BURST=1)
        opened(line, settings=settings, receive_text=lambda text: None)
        line.protocol.data_received(frame(b"fine", TEXT) + frame(b"too much", TEXT))
        await until(lambda: len(line.events) == 1)
        assert line.events[0]["type"] == "collab.throttled"
    async with Line() as line:
        opened(line, receive_text=fail)
        line.protocol.data_received(frame(b"bad", TEXT))
        await until(lambda: len(line.events) == 1)
        assert str(line.events[0]["error"]) == "bad"


async def test_an_intake_that_opens_when_the_client_has_left_gets_nothing() -> None:
    async with Line() as line:
        await line.end()
        intake = opened(line)
        assert line.protocol.data_received == line.protocol.read  # type: ignore[attr-defined]
        intake.close()


async def test_a_connection_that_handles_an_event_rests_when_that_is_done() -> None:
    # An intake is busy until its connection waits for the first event.
    intake = FrameIntake(Settings(), lambda frame: None)
    intake.rest()
    assert intake.may_rest
