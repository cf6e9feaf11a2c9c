"""Publishing from code without an event loop, over a layer that notes what it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from channels.layers import InMemoryChannelLayer

from collab.engine.relay import layer_channel
from collab.engine.relay import publisher as outlet
from collab.engine.relay.layer_key import layer_token
from collab.engine.relay.messages import order, relay_group


class NotingLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no types.
    """Shared with nobody, but says it is."""

    sent: ClassVar[list[tuple[str, Any]]] = []
    threads: ClassVar[set[str]] = set()
    away: ClassVar[bool] = False
    let: ClassVar[threading.Event] = threading.Event()
    hanging: ClassVar[bool] = False

    async def group_send(self, group: str, message: Any) -> None:
        await asyncio.to_thread(self.let.wait)
        if self.hanging:
            await asyncio.Event().wait()
        if self.away:
            raise ConnectionError("away")
        self.sent.append((group, message))
        self.threads.add(threading.current_thread().name)


@pytest.fixture(autouse=True)
def fresh(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.NotingLayer"}}
    NotingLayer.sent.clear()
    NotingLayer.threads.clear()
    NotingLayer.let.set()
    monkeypatch.setattr(outlet, "_publishers", {})
    yield
    for used in outlet._publishers.values():
        if used is not None:
            used.finish()


def finish() -> None:
    """Do what the end of the process does."""
    (used,) = outlet._publishers.values()
    assert used is not None
    used.finish()


def test_messages_reach_the_rooms_group_through_one_thread() -> None:
    messages = [order("room", "recheck", user=str(number)) for number in range(5)]
    for message in messages:
        outlet.publish("room", message)
    finish()
    group, token = relay_group("room"), layer_token()
    assert NotingLayer.sent == [(group, {**message, "token": token}) for message in messages]
    assert NotingLayer.threads == {"collab-publisher"}


def test_the_end_of_the_process_waits_for_its_messages() -> None:
    NotingLayer.let.clear()
    outlet.publish("room", order("room", "recheck", user=None))
    threading.Timer(0.05, NotingLayer.let.set).start()
    finish()
    assert len(NotingLayer.sent) == 1


def test_a_layer_that_fails_is_logged_and_nothing_is_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(NotingLayer, "away", True)
    outlet.publish("room", order("room", "recheck", user=None))
    finish()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_message_that_is_void_when_its_turn_comes_is_not_sent() -> None:
    NotingLayer.let.clear()
    outlet.publish("room", order("room", "recheck", user="1"))
    assert outlet.send_to_group(relay_group("room"), lambda: None)
    outlet.publish("room", order("room", "recheck", user="2"))
    NotingLayer.let.set()
    finish()
    assert [message["user"] for _, message in NotingLayer.sent] == ["1", "2"]


def test_a_layer_that_is_stuck_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outlet, "_MAX_WAITING", 2)
    NotingLayer.let.clear()
    for _ in range(3):
        outlet.publish("room", order("room", "recheck", user=None))
    NotingLayer.let.set()
    finish()
    assert len(NotingLayer.sent) == 2
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize(
    "layers", [{}, {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}]
)
def test_without_a_shared_layer_nothing_is_published(settings: Any, layers: Any) -> None:
    settings.CHANNEL_LAYERS = layers
    outlet.publish("room", order("room", "recheck", user=None))
    assert list(outlet._publishers.values()) == [None]


def test_a_layer_that_does_not_answer_holds_up_the_next_message_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(layer_channel, "LAYER_TIMEOUT", 0.05)
    monkeypatch.setattr(NotingLayer, "hanging", True)
    for user in ("1", "2"):
        outlet.publish("room", order("room", "recheck", user=user))
    finish()
    # It is told of once.
    assert caplog.messages == ["The channel layer fails (TimeoutError)."]
    monkeypatch.setattr(NotingLayer, "hanging", False)
    outlet.publish("room", order("room", "recheck", user="3"))
    finish()
    assert [message["user"] for _, message in NotingLayer.sent] == ["3"]
