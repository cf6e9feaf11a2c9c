"""The end of an application, and of its connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.engine.transports import Pipe, new_protocol, request
from tests.harness.waiting import until

Send = Callable[[dict[str, Any]], Awaitable[None]]


def connect(application: Any) -> tuple[Pipe, Any]:
    pipe, protocol = Pipe(), new_protocol(application)
    protocol.connection_made(pipe)
    protocol.data_received(request())
    return pipe, protocol


async def test_a_client_whose_application_returns_without_an_answer_gets_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def application(scope: Any, receive: Any, send: Send) -> None:
        """Answer nothing."""

    pipe, protocol = connect(application)
    await until(pipe.is_closing)
    assert pipe.written[0].startswith(b"HTTP/1.1 500")
    assert "without completing handshake" in caplog.text
    protocol.connection_lost(None)


async def test_an_application_that_returns_a_value_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def application(scope: Any, receive: Any, send: Send) -> str:
        await send({"type": "websocket.accept"})
        return "odd"

    pipe, protocol = connect(application)
    await until(pipe.is_closing)
    assert "should return None, but returned 'odd'" in caplog.text
    protocol.connection_lost(None)


async def test_an_application_that_sends_to_a_client_that_has_left_ends_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    has_left = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await has_left.wait()
        await send({"type": "websocket.send", "text": "hello"})

    pipe, protocol = connect(application)
    await until(lambda: bool(pipe.written))
    protocol.connection_lost(None)
    has_left.set()
    await until(pipe.is_closing)
    assert caplog.text == ""


async def test_an_application_may_return_before_the_client_has_answered_its_close() -> None:
    async def application(scope: Any, receive: Any, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})

    pipe, protocol = connect(application)
    await until(lambda: not protocol.tasks)
    assert pipe.written[-1].endswith(b"\x0f\xa0")
    assert not pipe.is_closing()
    protocol.connection_lost(None)
