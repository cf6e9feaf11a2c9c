"""Connections without a network: uvicorn's protocol objects, to which bytes are handed.

What a client sends is taken in before ``send`` returns, so that a test can tell what follows from
it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

from tests.collab.test_sockets import frame
from tests.engine.transports import Pipe, new_protocol, request
from tests.harness.waiting import until

__all__ = ["Tap", "party"]


class Tap(Pipe):
    """A connection to ``application``; it keeps what the server writes."""

    def __init__(self, application: Any, room: str) -> None:
        super().__init__()
        self._request = request(room)
        self._protocol: Any = new_protocol(application)

    def knock(self) -> None:
        """Send the request, and wait for nothing."""
        self._protocol.connection_made(self)
        self._protocol.data_received(self._request)

    def hang_up(self) -> None:
        """Be gone, and wait for nothing."""
        self._protocol.connection_lost(None)

    @property
    def is_served(self) -> bool:
        """Whether the server has a task for the connection, or will have one at the next event."""
        return bool(self._protocol.tasks) or self.is_resting

    @property
    def is_resting(self) -> bool:
        """Whether the server will have a task for the connection at the next event."""
        return self._protocol.queue.on_event is not None

    async def __aenter__(self) -> Self:
        self.knock()
        # The server's answer, and a step 1.
        await until(lambda: len(self.written) > 1)
        assert self.written[0].startswith(b"HTTP/1.1 101")
        return self

    async def __aexit__(self, *error: object) -> None:
        self.hang_up()
        await until(lambda: not self.is_served)

    def send(self, message: bytes) -> None:
        """Deliver a message of the client."""
        self.receive(frame(message))

    def receive(self, data: bytes) -> None:
        """Deliver bytes of the client."""
        self._protocol.data_received(data)


@asynccontextmanager
async def party(application: Any, size: int, room: str = "room") -> AsyncIterator[list[Tap]]:
    """Connect a number of taps to a room; what they received meanwhile is forgotten."""
    async with AsyncExitStack() as stack:
        taps = [await stack.enter_async_context(Tap(application, room)) for _ in range(size)]
        for tap in taps:
            tap.written.clear()
        yield taps
