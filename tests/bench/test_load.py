"""Clients of the benchmark end without noise, and stay connected while their server waits."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from bench.load import Line, Member, Reader
from bench.servers import CONTESTANTS, Running
from bench.websocket import settle
from tests.harness.waiting import until

PING, PONG = b"\x82\x01\x09", b"\x82\x81\0\0\0\0\x0a"


class Wire(asyncio.Transport):
    """A connection that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


def server() -> Running:
    return Running(CONTESTANTS["hocuspocus"], 0, 0)


def opened(client: Member | Line) -> Wire:
    """Connect a client to nothing, and return what it sends."""
    wire = Wire()
    client.connection_made(wire)
    client.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    wire.sent.clear()
    return wire


async def test_error_of_a_future_without_a_waiter_is_not_reported() -> None:
    loop, reported = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    future = loop.create_future()
    settle(future, ConnectionError("closed"))
    del future
    gc.collect()
    assert not reported


async def test_error_reaches_a_client_that_waits() -> None:
    future = asyncio.get_running_loop().create_future()
    settle(future, ConnectionError("closed"))
    with pytest.raises(ConnectionError, match="closed"):
        await future


async def test_member_closes_the_connection_that_it_shares() -> None:
    line = Line(server(), Reader())
    first, second = (Member(server(), name, line=line) for name in ("a", "b"))
    wire = opened(line)
    first.close()
    second.close()
    line.connection_lost(None)
    assert wire.closed
    # Neither is told of an error.
    assert not any(member._answer.done() for member in (first, second))


async def test_writes_of_addressed_frames_are_saved_when_each_has_its_report() -> None:
    member = Member(server(), "a")
    opened(member)
    member.write(b"\0\0")
    member.write(b"\0\0")
    report = b"\x82\x04\x01a\x08\x01"
    member.data_received(report)
    assert not member.is_saved
    member.data_received(report)
    assert member.is_saved


async def test_quiet_client_of_addressed_frames_gives_signs_of_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.websocket._SIGN_INTERVAL", 0.001)
    line = Line(server(), Reader())
    Member(server(), "a", line=line)
    wire = opened(line)
    await until(lambda: len(wire.sent) >= 2)
    assert set(wire.sent) == {b"\x82\x85\0\0\0\0\x01a\x01\x01\0"}
    line.close()


@pytest.mark.parametrize("kind", ["member", "line"])
async def test_ping_of_a_server_of_addressed_frames_is_answered(kind: str) -> None:
    client = Member(server(), "a") if kind == "member" else Line(server(), Reader())
    wire = opened(client)
    client.data_received(PING)
    client.data_received(PING)
    assert wire.sent == [PONG, PONG]
