"""Groups of connections over processes, by a channel layer that the tests have in hand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, ClassVar

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers

from collab.engine.relay import layer_channel
from collab.engine.relay import publisher as outlet
from collab.engine.relay.layer_key import layer_token
from collab.engine.relay.messages import this_process
from collab.live import LiveConsumer, action
from collab.live.events import groups
from collab.live.events.groups import Event, join, leave, local_members, send
from tests.harness.virtual_time import in_virtual_time
from tests.harness.waiting import until
from tests.live.talking import talking


class Layer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no types.
    """Shared with other processes, as far as anybody can tell."""

    sent: ClassVar[list[Any]] = []
    calls: ClassVar[list[str]] = []
    let: ClassVar[threading.Event] = threading.Event()
    failing: ClassVar[set[str]] = set()
    hanging: ClassVar[set[str]] = set()
    expiry: ClassVar[int] = 86400

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "group_expiry": self.expiry})

    def _fail(self, verb: str) -> None:
        self.calls.append(verb)
        if verb in self.failing:
            raise ConnectionError("away")

    async def new_channel(self, prefix: str = "specific") -> Any:
        self._fail("new_channel")
        return await super().new_channel(prefix)

    async def receive(self, channel: str) -> Any:
        self._fail("receive")
        return await super().receive(channel)

    async def group_add(self, group: str, channel: str) -> None:
        self._fail("group_add")
        if "group_add" in self.hanging:
            await asyncio.Event().wait()
        await super().group_add(group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        self._fail("group_discard")
        await super().group_discard(group, channel)

    async def group_send(self, group: str, message: Any) -> None:
        if message.get("from") == "another process":
            await super().group_send(group, message)
        else:
            await asyncio.to_thread(self.let.wait)
            self.sent.append(message["events"])


@pytest.fixture(autouse=True)
def layer(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.Layer"}}
    for kept in (Layer.sent, Layer.calls, Layer.failing, Layer.hanging):
        kept.clear()
    Layer.let.set()
    Layer.expiry = 86400
    monkeypatch.setattr(outlet, "_publishers", {})
    monkeypatch.setattr(layer_channel, "LAYER_PAUSE", 0.01)
    yield
    for used in outlet._publishers.values():
        if used is not None:
            used.finish()


class Ear:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def receive_event(self, event: Event) -> None:
        self.heard.append(event.payload)


def event(payload: str, group: str = "news") -> Event:
    return Event("told", group, payload)


async def from_another_process(*payloads: str, group: str = "news") -> None:
    message = {
        "type": "collab.live",
        "token": layer_token(),
        "from": "another process",
        "events": [("told", group, payload, None) for payload in payloads],
    }
    await channel_layers["default"].group_send(groups._layer_group(group), message)


async def test_an_event_reaches_the_members_of_its_group_only() -> None:
    ann, bob, eve = Ear(), Ear(), Ear()
    await join("news", ann)
    await join("news", bob)
    await join("other", eve)
    await from_another_process("1", "2")
    await until(lambda: ann.heard == bob.heard == [1, 2])
    assert local_members("news") == {ann, bob}
    await leave("news", ann)
    await leave("news", ann)
    await from_another_process("3")
    await until(lambda: bob.heard == [1, 2, 3])
    assert (ann.heard, eve.heard) == ([1, 2], [])
    await leave("news", bob)
    await leave("other", eve)
    assert local_members("news") == set()


async def test_this_process_is_in_a_group_of_the_layer_once_for_all_connections() -> None:
    ears = [Ear() for _ in range(10)]
    for ear in ears:
        await join("news", ear)
    assert Layer.calls.count("group_add") == 1
    for ear in ears:
        await leave("news", ear)
    assert Layer.calls.count("group_discard") == 1
    assert not channel_layers["default"].groups


async def test_events_of_this_process_arrive_here_without_the_layer() -> None:
    ann = Ear()
    await join("news", ann)
    Layer.let.clear()
    send(event("1"))
    await until(lambda: ann.heard == [1])
    Layer.let.set()
    await until(lambda: len(Layer.sent) == 1)
    # Its own messages come back from a layer.
    own = {
        "type": "collab.live",
        "token": layer_token(),
        "from": this_process(),
        "events": [("told", "news", "1", None)],
    }
    await InMemoryChannelLayer.group_send(
        channel_layers["default"], groups._layer_group("news"), own
    )
    await from_another_process("2")
    await until(lambda: ann.heard == [1, 2])
    await leave("news", ann)


async def test_events_sent_while_the_layer_is_busy_are_one_message_in_order() -> None:
    Layer.let.clear()
    for number in range(100):
        send(event(str(number)))
    Layer.let.set()
    await until(lambda: sum(map(len, Layer.sent)) == 100)
    assert len(Layer.sent) <= 100
    assert [told[2] for events in Layer.sent for told in events] == [str(n) for n in range(100)]
    assert len(Layer.sent) < 10


async def test_events_for_a_layer_that_is_stuck_are_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outlet, "_MAX_WAITING", 2)
    Layer.let.clear()
    for number in range(5):
        send(event(str(number)))
    assert sum(map(len, groups._unsent._events.values())) <= 2
    assert "Channel layer backlog full" in caplog.text


async def test_without_a_layer_nothing_waits_for_it(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {}
    ann = Ear()
    await join("news", ann)
    send(event("1"))
    await until(lambda: ann.heard == [1])
    assert not groups._unsent._events
    await leave("news", ann)


_who = ContextVar("_who", default="nobody")


async def test_recipients_do_not_run_in_the_context_of_the_sender() -> None:
    class Asking(Ear):
        def receive_event(self, event: Event) -> None:
            self.heard.append(_who.get())

    ann = Asking()
    await join("news", ann)
    _who.set("secret")
    send(event("1"))
    await until(lambda: ann.heard == ["nobody"])
    await leave("news", ann)


@pytest.mark.parametrize("verb", ["new_channel", "group_add"])
async def test_groups_joined_while_the_layer_is_away_are_joined_there_later(
    verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    Layer.failing.add(verb)
    ann = Ear()
    await join("news", ann)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    Layer.failing.clear()
    await until(lambda: channel_layers["default"].groups)
    await from_another_process("1")
    await until(lambda: ann.heard == [1])
    await leave("news", ann)


async def test_a_layer_that_was_away_is_joined_anew(caplog: pytest.LogCaptureFixture) -> None:
    ann = Ear()
    await join("news", ann)
    Layer.failing.add("receive")
    await from_another_process("1")
    await until(lambda: caplog.records)
    channel_layers["default"].groups.clear()
    Layer.failing.clear()
    await until(lambda: channel_layers["default"].groups)
    await from_another_process("2")
    await until(lambda: ann.heard == [1, 2])
    assert len(caplog.records) == 1
    await leave("news", ann)


async def test_a_layer_that_forgets_is_reminded() -> None:
    Layer.expiry = 0
    ann = Ear()
    await join("news", ann)
    await until(lambda: Layer.calls.count("group_add") > 2)
    await leave("news", ann)


async def test_a_failure_while_leaving_affects_no_other() -> None:
    ann = Ear()
    await join("news", ann)
    Layer.failing.add("group_discard")
    await leave("news", ann)
    assert local_members("news") == set()


async def test_a_layer_that_stays_away_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    ann = Ear()
    await join("news", ann)
    Layer.failing |= {"receive", "group_add"}
    await from_another_process("1")
    await until(lambda: Layer.calls.count("group_add") > 3)
    assert len(caplog.records) <= 1 + Layer.calls.count("group_add")
    Layer.failing.clear()
    await leave("news", ann)


@in_virtual_time
async def test_a_layer_that_does_not_answer_is_waited_for_once() -> None:
    ann, bob = Ear(), Ear()
    Layer.hanging.add("group_add")
    await join("news", ann)
    asked = Layer.calls.count("group_add")
    for number in range(100):
        await join(f"group {number}", bob)
    assert Layer.calls.count("group_add") <= asked + 1
    Layer.hanging.clear()
    await until(lambda: len(channel_layers["default"].groups) == 101)
    await from_another_process("1", group="group 99")
    await until(lambda: bob.heard == [1])
    for number in range(100):
        await leave(f"group {number}", bob)
    await leave("news", ann)
    assert not channel_layers["default"].groups


@pytest.mark.parametrize(
    "message", [{"from": "another"}, {"from": "another", "events": [("told", "news")]}, {}]
)
async def test_a_message_of_another_version_is_dropped_and_the_next_arrives(
    message: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    ann = Ear()
    await join("news", ann)
    group = groups._layer_group("news")
    message = {"type": "collab.live", "token": layer_token(), **message}
    await InMemoryChannelLayer.group_send(channel_layers["default"], group, message)
    await from_another_process("1")
    await until(lambda: ann.heard == [1])
    assert caplog.messages == ["Channel layer message is not valid; events dropped."]
    await leave("news", ann)


async def test_a_failing_recipient_does_not_keep_an_event_from_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Deaf(Ear):
        def receive_event(self, event: Event) -> None:
            raise LookupError

    ears = [Deaf(), Ear(), Deaf()]
    for ear in ears:
        await join("news", ear)
    send(event("1"))
    send(event("2"))
    await until(lambda: ears[1].heard == [1, 2])
    assert caplog.messages == ["Delivery of an event of group 'news' failed."] * 4
    for ear in ears:
        await leave("news", ear)


@pytest.mark.parametrize(
    "name", ["news", "Nachrichten für alle", "a" * 255, "a:b/c\n", "\U0001f600"]
)
def test_groups_have_any_names(name: str) -> None:
    assert groups.check_name(name) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "1 to 255"),
        ("a" * 256, "1 to 255"),
        (5, "1 to 255"),
        ("collab.user.1", "is reserved"),
        ("a\0", "databases cannot store"),
        ("a\ud800", "databases cannot store"),
    ],
)
def test_names_that_no_group_can_have_are_refused(name: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        groups.check_name(name)


class Chart(LiveConsumer):
    """Hears of a group from the beginning."""

    async def on_connected(self) -> None:
        await self.add_group("chart")

    @action
    async def leave(self) -> None:
        await self.remove_group("chart")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("broken", ["failing", "hanging"])
async def test_a_layer_that_is_away_does_not_block_joining(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_channel, "LAYER_TIMEOUT", 0.05)
    getattr(Layer, broken).add("group_add")
    async with talking(Chart) as ann:
        await until(lambda: local_members("chart"))
        send(Event("point", "chart", "1"))
        assert (await ann.next(action="point"))["data"] == 1
        Layer.failing.add("group_discard")
        await ann.call("leave")
        assert not local_members("chart")
