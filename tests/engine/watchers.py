"""Fakes for tests of watching: members without a network, and a clock that is set by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from channels.routing import URLRouter
from django.urls import path
from pycrdt import Doc, Text, create_update_message

from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.engine.hub.hub import Hub
from tests.harness.communicator import Communicator

__all__ = ["MEMORY", "ManualLoop", "hub", "join", "typed", "visitor"]

MEMORY = {"BACKEND": "collab_storage.memory.MemoryStorage"}


@dataclass(eq=False)
class ManualTimer:
    """A call that is made when its time has come."""

    when: float
    callback: Callable[[], object]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ManualLoop:
    """Of an event loop the clock and the timers; time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[ManualTimer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> ManualTimer:
        timer = ManualTimer(when, callback)
        self._timers.append(timer)
        return timer

    def pass_time(self, seconds: float) -> None:
        """Advance the time without work of the loop, and then call what is due."""
        self.now += seconds
        due = [timer for timer in self._timers if timer.when <= self.now]
        self._timers = [timer for timer in self._timers if timer.when > self.now]
        for timer in due:
            if not timer.is_cancelled:
                timer.callback()


@asynccontextmanager
async def hub() -> AsyncIterator[Hub]:
    """The hub of this event loop, closed when the test has ended."""
    yield current_hub()
    await current_hub().close()


def visitor(room: str, consumer: type[YjsConsumer] = YjsConsumer, **scope: Any) -> Communicator:
    """Return a client of a room that is not yet connected."""
    application = URLRouter([path("ws/<str:room>", consumer.as_asgi())])
    client = Communicator(application, f"ws/{room}", subprotocols=["collab"])
    client.scope.update(scope)
    return client


@asynccontextmanager
async def join(
    room: str, consumer: type[YjsConsumer] = YjsConsumer, **scope: Any
) -> AsyncIterator[Communicator]:
    """Connect to a room and read what a member is sent first."""
    member = visitor(room, consumer, **scope)
    connected, code = await member.connect()
    assert connected, code
    await member.receive_from()
    yield member
    await member.disconnect()


def typed(text: str) -> bytes:
    """Return a frame in which a client says that it has typed ``text``."""
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, text)
    return create_update_message(doc.get_update())
