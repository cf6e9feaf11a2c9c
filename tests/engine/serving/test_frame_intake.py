"""Frames on the fast path mean what they mean to the socket, and each is counted."""

from __future__ import annotations

from typing import Any

import pytest

from collab.conf import get_settings
from collab.engine.connections.fast_path import socket_of
from collab.engine.runtime.counters import counters
from collab.engine.serving.frame_intake import FrameIntake
from tests.collab.test_sockets import BAD, GOOD, MAX_SIZE, STOCK, TEXT, frame, outcome
from tests.engine.transports import Line
from tests.harness.waiting import until


def opened(line: Line) -> FrameIntake:
    """Return the intake of a line's frames, which adds them to the line's events."""

    def receive(data: bytes) -> None:
        line.events.append({"type": "websocket.receive", "bytes": data})

    intake = FrameIntake(get_settings(), receive)
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


async def test_an_intake_that_opens_when_the_client_has_left_gets_nothing() -> None:
    async with Line() as line:
        await line.end()
        intake = opened(line)
        assert line.protocol.data_received == line.protocol.read  # type: ignore[attr-defined]
        intake.close()
