"""Hundreds who come at once are let in a few at a time, and nobody is kept out."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Opcode

from collab.engine.sockets.join_queue import current_join_queue
from tests.collab.test_sockets import frame
from tests.engine.transports import Pipe, fill_join_queue, new_protocol, request
from tests.harness.waiting import until

#: What may be let in while those who are inside are not looked at.
FEW = 10


async def test_members_get_a_turn_after_a_few_newcomers() -> None:
    inside: list[int] = []
    for number in range(100):
        current_join_queue().add(partial(inside.append, number))
    seen = 0
    while seen < 100:
        await asyncio.sleep(0)
        assert len(inside) - seen <= FEW
        seen = len(inside)
    assert inside == [*range(100)]


async def test_a_few_join_at_once_in_each_turn() -> None:
    inside: list[int] = []
    for _ in range(3):
        inside.clear()
        for number in range(FEW // 2):
            current_join_queue().add(partial(inside.append, number))
        assert inside == [*range(FEW // 2)]
        await asyncio.sleep(0)


async def test_a_newcomer_joins_behind_others_that_wait() -> None:
    inside: list[int] = []
    for number in range(2 * FEW):
        current_join_queue().add(partial(inside.append, number))
    await asyncio.sleep(0)
    current_join_queue().add(partial(inside.append, 2 * FEW))
    await until(lambda: len(inside) == 2 * FEW + 1)
    assert inside == [*range(2 * FEW + 1)]


async def test_a_newcomer_that_cannot_be_admitted_keeps_out_no_other() -> None:
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    inside: list[int] = []

    def stumble() -> None:
        raise LookupError

    fill_join_queue()
    for let_in in (stumble, partial(inside.append, 1)):
        current_join_queue().add(let_in)
    await until(lambda: inside)
    assert [type(error["exception"]) for error in errors] == [LookupError]


@pytest.fixture
def events() -> list[dict[str, Any]]:
    """The events that the application receives."""
    return []


@pytest.fixture
async def newcomer(events: list[dict[str, Any]]) -> WebSocketsSansIOProtocol:
    """A connection that has sent nothing yet."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        events.append(await receive())
        await send({"type": "websocket.accept"})
        while events[-1]["type"] != "websocket.disconnect":
            events.append(await receive())

    protocol = new_protocol(application)
    protocol.connection_made(Pipe())
    return protocol


def pipe(protocol: WebSocketsSansIOProtocol) -> Pipe:
    assert isinstance(protocol.transport, Pipe)
    return protocol.transport


async def its_turn_is_over() -> None:
    over = asyncio.Event()
    current_join_queue().add(over.set)
    await over.wait()


async def test_frames_that_come_before_its_turn_are_received_in_its_turn(
    newcomer: WebSocketsSansIOProtocol, events: list[dict[str, Any]]
) -> None:
    fill_join_queue()
    whole = request()
    for piece in (whole[:50], whole[50:], frame(b"early"), frame(b"", Opcode.CLOSE)):
        newcomer.data_received(piece)
    assert not newcomer.handshake_initiated
    await until(lambda: len(events) == 3)
    assert [event["type"] for event in events] == [
        *("websocket.connect", "websocket.receive", "websocket.disconnect")
    ]
    assert events[1]["bytes"] == b"early"


async def test_a_connection_lost_before_its_turn_is_not_admitted(
    newcomer: WebSocketsSansIOProtocol, events: list[dict[str, Any]]
) -> None:
    fill_join_queue()
    newcomer.data_received(request())
    newcomer.connection_lost(None)
    await its_turn_is_over()
    assert (newcomer.handshake_initiated, events) == (False, [])


async def test_a_connection_that_waits_when_the_server_shuts_down_is_answered_so(
    newcomer: WebSocketsSansIOProtocol, events: list[dict[str, Any]]
) -> None:
    fill_join_queue()
    newcomer.data_received(request())
    newcomer.shutdown()
    await its_turn_is_over()
    assert b"".join(pipe(newcomer).written).startswith(b"HTTP/1.1 500")
    assert (pipe(newcomer).is_closing(), events) == (True, [])
