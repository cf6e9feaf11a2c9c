"""Idle connections are pinged in time, with one timer for all of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bench.websocket import client_frame
from collab.engine.sockets.keepalive import current_ping_schedule
from tests.engine.transports import Line
from tests.harness.virtual_time import in_virtual_time


class Client:
    """A connection that records when it is pinged."""

    def __init__(self) -> None:
        self.pinged_at: list[float] = []

    def send_keepalive_ping(self) -> None:
        self.pinged_at.append(asyncio.get_running_loop().time())


class Broken:
    """A connection that cannot be pinged."""

    def send_keepalive_ping(self) -> None:
        raise LookupError


async def passing(seconds: float) -> None:
    # The clock of these tests jumps to the next timer.
    await asyncio.sleep(seconds)


class Timers:
    """Counts the timers of an event loop."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        call_at = loop.call_at
        self.started = 0

        def counted(*args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            self.started += 1
            return call_at(*args, **kwargs)

        patch.setattr(loop, "call_at", counted)


@in_virtual_time
async def test_each_connection_is_pinged_once_after_the_interval() -> None:
    schedule, now = current_ping_schedule(20), asyncio.get_running_loop().time()
    first, second = Client(), Client()
    schedule.add(first)
    await passing(5)
    schedule.add(second)
    await passing(100)
    assert (first.pinged_at, second.pinged_at) == ([now + 20], [now + 25])


@in_virtual_time
async def test_a_connection_that_is_added_again_waits_again() -> None:
    schedule, now, client = current_ping_schedule(20), asyncio.get_running_loop().time(), Client()
    schedule.add(client)
    await passing(15)
    schedule.add(client)
    await passing(100)
    assert client.pinged_at == [now + 35]


@in_virtual_time
async def test_a_removed_connection_is_not_pinged() -> None:
    schedule, now = current_ping_schedule(20), asyncio.get_running_loop().time()
    gone, here = Client(), Client()
    schedule.add(gone)
    schedule.add(here)
    schedule.remove(gone)
    await passing(100)
    assert (gone.pinged_at, here.pinged_at) == ([], [now + 20])
    # A connection that is not due may be removed, too.
    schedule.remove(gone)


@in_virtual_time
async def test_a_connection_that_cannot_be_pinged_keeps_out_no_other() -> None:
    errors: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: errors.append(context["exception"]))
    schedule, client = current_ping_schedule(20), Client()
    schedule.add(Broken())
    schedule.add(client)
    await passing(21)
    assert len(client.pinged_at) == 1
    assert [type(error) for error in errors] == [LookupError]


async def test_connections_of_one_interval_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, clients = Timers(monkeypatch), [Client() for _ in range(100)]
    schedule = current_ping_schedule(3600)
    for client in clients:
        schedule.add(client)
    assert timers.started == 1
    assert current_ping_schedule(3600) is schedule
    assert current_ping_schedule(7200) is not schedule
    for client in clients:
        schedule.remove(client)


async def test_a_websocket_that_answers_is_pinged_again() -> None:
    async with Line(ping_interval=0.01) as line:
        ping = await line.reader.readexactly(6)
        line.writer.write(client_frame(ping[2:], 0x8A))
        assert (await line.reader.readexactly(6))[:2] == b"\x89\x04"


async def test_a_websocket_is_pinged_until_it_is_closed() -> None:
    async with Line(ping_interval=0.01) as line:
        # A ping of the server has four bytes.
        assert (await line.reader.readexactly(6))[:2] == b"\x89\x04"
    assert not await line.reader.read()
