"""Work that is not done per message or per member, counted (I9).

Real connections of a real server, counted from a client's bytes to those that others are sent. Each
number is the same for few and for many: one that grows makes the server slow long before anybody
measures it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, channel_layers
from channels.routing import URLRouter
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path
from pycrdt import Doc, TransactionEvent

from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.engine.relay.layer_channel import Message
from collab.protocol import presence
from collab.protocol.frames import (
    PresenceState,
    presence_frame,
    step1_frame,
    step2_frame,
    update_frame,
)
from collab.protocol.websocket_frames import BINARY, TEXT
from collab.protocol.yjs import updates
from collab.protocol.yjs.updates import EMPTY_UPDATE
from collab.testing import close_rooms
from collab_storage import updates as stored_updates
from collab_storage.base import LogEntry
from collab_storage.orm import ORMStorage
from tests.engine.fakes import HinderedStorage
from tests.engine.taps import Tap, party
from tests.harness.waiting import until
from tests.protocol.yjs.samples import new_doc, typed

#: Members who are told, or rooms.
SIZES = [1, 10, 200]

NOW = datetime(2026, 1, 1, tzinfo=UTC)

#: Nothing happens by itself, however slow the machine is.
CALM = {
    "WRITE_DELAY": 0.001,
    "SLEEP_DELAY": 1000,
    "RELAY_STORAGE_INTERVAL": 1000,
}

application = URLRouter([path("ws/<str:room>", YjsConsumer.as_asgi())])


class Meter:
    """Counts calls, which are made as they would be."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self._patch = patch

    def count(self, name: str, owner: Any, attribute: str) -> None:
        """Count calls of ``owner.attribute`` as ``name``."""
        original = getattr(owner, attribute)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            return original(*args, **kwargs)

        self._patch.setattr(owner, attribute, counted)

    def count_frames(self) -> None:
        """Count frames that are written, each once for all who get the same bytes object."""
        write = Tap.write
        last: list[object] = [None]

        def counted(tap: Tap, data: Any) -> None:
            if data is not last[0] and data[0] in (BINARY, TEXT):
                last[0] = data
                self.calls["frames"] += 1
            write(tap, data)

        self._patch.setattr(Tap, "write", counted)

    def count_effects(self) -> None:
        """Count transactions whose effect on a Doc of a room is computed."""
        observe = Doc.observe

        def observe_counted(doc: Doc[Any], callback: Callable[[TransactionEvent], None]) -> Any:
            def counted(event: TransactionEvent) -> None:
                self.calls["effects"] += 1
                callback(event)

            return observe(doc, counted)

        self._patch.setattr(Doc, "observe", observe_counted)

    def count_timers(self) -> None:
        """Count timers of the running loop, each by the function that it calls."""
        loop = asyncio.get_running_loop()
        original = loop.call_at

        def call_at(when: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
            self.calls[callback.__qualname__] += 1
            return original(when, callback, *args, **options)

        self._patch.setattr(loop, "call_at", call_at)

    def count_tasks(self) -> None:
        """Count tasks that the running loop makes."""

        def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
            self.calls["tasks"] += 1
            return asyncio.Task(work, loop=loop, **options)

        asyncio.get_running_loop().set_task_factory(make)

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Count what happens inside the block."""
        self.calls.clear()
        counted: Counter[str] = Counter()
        yield counted
        counted.update(self.calls)


@pytest.fixture
async def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    meter = Meter(monkeypatch)
    meter.count_tasks()
    meter.count("hops", ThreadPoolExecutor, "submit")
    meter.count("queries", BaseDatabaseWrapper, "cursor")
    meter.count("writes", HinderedStorage, "append")
    # Calls of pycrdt, of interpreted modules and of the transport: those between compiled modules
    # cannot be counted.
    meter.count("merges", stored_updates, "merge_updates")
    meter.count_effects()
    meter.count("documents encoded", Doc, "get_update")
    meter.count("documents encoded", updates, "get_update")
    meter.count("presence frames", presence, "joined_presence")
    meter.count_frames()
    return meter


class Layer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no types.
    """Stands for one that other processes could be behind; makes no tasks of its own."""

    carried: ClassVar[list[Message]] = []

    async def group_send(self, group: str, message: Message) -> None:
        self.carried.append(message)
        for channel in self.groups.get(group, ()):
            await self.send(channel, message)


@pytest.fixture(params=["one process", "several"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[HinderedStorage]:
    """A storage in memory, in a process that is alone, or could be one of several."""
    layer = Layer if request.param == "several" else InMemoryChannelLayer
    backend = f"{layer.__module__}.{layer.__qualname__}"
    hindered = f"{HinderedStorage.__module__}.{HinderedStorage.__qualname__}"
    with override_settings(
        COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": {"BACKEND": hindered}, **CALM},
        CHANNEL_LAYERS={"default": {"BACKEND": backend}},
    ):
        channel_layers.backends.clear()
        Layer.carried.clear()
        current_hub()
        yield HinderedStorage.latest
        await close_rooms()
        channel_layers.backends.clear()


@asynccontextmanager
async def busy(taps: Sequence[Tap], storage: HinderedStorage) -> AsyncIterator[asyncio.Event]:
    """Write with the first member; the returned function lets the storage, which is slow, go on.

    What comes next meets a writer that is busy, as in any server that is.
    """
    gate = storage.hold("append")
    before = storage.calls["append"]
    taps[0].send(edit())
    await until(lambda: storage.calls["append"] > before)
    relay = current_hub().relay
    await until(lambda: relay is None or relay.is_idle)
    for tap in taps:
        tap.written.clear()
    try:
        yield gate
    finally:
        gate.set()


def edit() -> bytes:
    """Return what a client sends that has written a word."""
    return update_frame(new_doc("word").get_update())


async def _rest() -> None:
    """Run what the event loop can do at once."""
    for _ in range(20):
        await asyncio.sleep(0)


def send_all(taps: Sequence[Tap], frames: Sequence[bytes]) -> None:
    """Send, in one turn of the event loop, a frame of each of the first members."""
    for tap, frame in zip(taps, frames, strict=False):
        tap.send(frame)


def merges_of(updates: int) -> int:
    """Return how often pycrdt is called to merge that many updates once."""
    calls = 0
    while updates > 1:
        updates = -(-updates // stored_updates.FAN_IN)
        calls += updates
    return calls


async def told(taps: Sequence[Tap]) -> None:
    """Wait until each of them has been told something; they are all told the same bytes."""
    await until(lambda: all(tap.written for tap in taps))
    assert len({id(data) for tap in taps for data in tap.written}) == 1


# Updates.


@pytest.mark.parametrize("size", SIZES)
async def test_an_update_is_applied_and_encoded_once(
    meter: Meter, storage: HinderedStorage, size: int
) -> None:
    frame = edit()
    async with party(application, size + 1) as taps, busy(taps, storage):
        with meter.counting() as counted:
            taps[0].send(frame)
            await told(taps[1:])
    assert counted == {"effects": 1, "frames": 1}


@pytest.mark.parametrize("size", SIZES)
async def test_the_effect_of_typed_text_is_not_computed(
    meter: Meter, storage: HinderedStorage, size: int
) -> None:
    letters = [update_frame(update) for update in typed("letters")]
    async with party(application, size + 1) as taps, busy(taps, storage):
        for letter in letters[:3]:
            # The first ones are observed: something else may come between them.
            taps[0].send(letter)
            await _rest()
        for frames in (letters[3:4], letters[4:]):
            for tap in taps:
                tap.written.clear()
            with meter.counting() as counted:
                for frame in frames:
                    taps[0].send(frame)
                await told(taps[1:])
            assert counted == {"frames": 1}


@pytest.mark.parametrize("size", SIZES)
async def test_updates_of_many_members_in_a_turn_are_merged_applied_and_encoded_once(
    meter: Meter, storage: HinderedStorage, size: int
) -> None:
    frames = [edit() for _ in range(size + 1)]
    async with party(application, size + 2) as taps, busy(taps, storage):
        with meter.counting() as counted:
            send_all(taps, frames)
            await told(taps)
    assert counted == {"merges": merges_of(size + 1), "effects": 1, "frames": 1}


@pytest.mark.parametrize("size", SIZES)
async def test_nothing_but_the_storage_is_asked_until_an_update_is_saved(
    meter: Meter, storage: HinderedStorage, size: int
) -> None:
    async with party(application, size + 1) as taps, busy(taps, storage) as gate:
        with meter.counting() as counted:
            for update in typed("letters"):
                taps[0].send(update_frame(update))
                await _rest()
            gate.set()
            await current_hub().writer.idle()
        assert all(len(tap.written) == 7 for tap in taps[1:])
    # One batch for what came while the one before was written.
    assert counted["writes"] == 1
    assert (counted["tasks"], counted["hops"], counted["queries"]) == (0, 0, 0)


@pytest.mark.parametrize("storage", ["several"], indirect=True)
@pytest.mark.parametrize("size", SIZES)
async def test_other_processes_get_one_message_for_what_a_turn_has_brought(
    storage: HinderedStorage, size: int
) -> None:
    async with party(application, size + 2) as taps, busy(taps, storage) as gate:
        Layer.carried.clear()
        send_all(taps, [edit() for _ in taps[:-1]])
        await until(lambda: "update" in changes())
        gate.set()
        await current_hub().writer.idle()
        assert changes().count("update") == 1


def changes() -> list[str]:
    """Return what there was in the messages to other processes that tell of a change."""
    parts = [part for message in Layer.carried for part in message.get("parts", [message])]
    return [key for part in parts for key in part if key in {"update", "present"}]


# Presence.


@pytest.mark.parametrize("size", SIZES)
async def test_cursors_that_move_in_an_interval_are_broadcast_in_one_frame(
    meter: Meter, storage: HinderedStorage, size: int
) -> None:
    async with party(application, size) as taps:
        move(taps, clock=1)
        await told(taps)
        for tap in taps:
            tap.written.clear()
        with meter.counting() as counted:
            for clock in range(2, 7):
                move(taps, clock)
            await told(taps)
        assert len(taps[0].written) == 1
    assert (counted["presence frames"], counted["frames"]) == (1, 1)
    assert (counted["tasks"], counted["hops"], counted["queries"]) == (0, 0, 0)


def move(taps: Sequence[Tap], clock: int) -> None:
    """Move the cursor of each member."""
    for number, tap in enumerate(taps):
        tap.send(presence_frame([PresenceState(number + 1, clock, "{}")]))


@pytest.mark.parametrize("size", SIZES)
async def test_a_state_is_encoded_once_for_all_who_come(
    meter: Meter, storage: HinderedStorage, size: int
) -> None:
    async with party(application, 10) as taps:
        move(taps, clock=1)
        await told(taps)
        meter.count("states encoded", presence, "encode_presence")
        with meter.counting() as counted:
            async with party(application, size):
                pass
    assert "states encoded" not in counted


# Joining.


@pytest.mark.parametrize("size", SIZES)
async def test_a_document_is_encoded_once_for_all_who_come(
    meter: Meter, storage: HinderedStorage, size: int
) -> None:
    async with party(application, 1) as (writer,):
        for update in typed("letters"):
            writer.send(update_frame(update))
        await current_hub().writer.idle()
        async with party(application, size) as taps:
            with meter.counting() as counted:
                for tap in taps:
                    tap.send(step1_frame(b"\0"))
                await told(taps)
    assert counted["documents encoded"] + counted["merges"] <= 1
    assert (counted["frames"], counted["tasks"], counted["hops"]) == (1, 0, 0)


async def test_a_client_that_joins_and_leaves_takes_a_task_and_no_timer(
    meter: Meter, storage: HinderedStorage
) -> None:
    async with party(application, 2):
        meter.count_timers()
        with meter.counting() as counted:
            await visit(Tap(application, "room"), step1_frame(b"\0"))
    # Others wait for their first frames, too, and one timer serves all.
    assert counted == {"tasks": 1, "frames": 2}


async def test_a_client_that_has_brought_nothing_new_has_nothing_stored_and_waits_for_nothing(
    meter: Meter, storage: HinderedStorage
) -> None:
    async with party(application, 1, "other") as taps, party(application, 1), busy(taps, storage):
        with meter.counting() as counted:
            # The answer to the server's question.
            await visit(Tap(application, "room"), step1_frame(b"\0"), step2_frame(EMPTY_UPDATE))
        assert not current_hub().writer.has("room")
    assert counted["tasks"] == 1


async def visit(tap: Tap, *frames: bytes) -> None:
    """Join, send frames, and leave, without a timer of the test's own."""
    tap.knock()
    await _rest()
    for frame in frames:
        tap.send(frame)
    await _rest()
    assert tap.is_served
    tap.hang_up()
    await _rest()
    assert not tap.is_served


# Storing.


@pytest.mark.parametrize("size", SIZES)
async def test_rooms_that_change_meanwhile_are_stored_in_one_batch(
    meter: Meter, storage: HinderedStorage, size: int
) -> None:
    async with AsyncExitStack() as stack:
        taps = [
            (await stack.enter_async_context(party(application, 1, f"room{number}")))[0]
            for number in range(size)
        ]
        gate = await stack.enter_async_context(busy(taps[:1], storage))
        with meter.counting() as counted:
            send_all(taps, [edit() for _ in taps])
            gate.set()
            await current_hub().writer.idle()
    assert counted["writes"] == 1
    assert (counted["tasks"], counted["hops"], counted["queries"]) == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("size", SIZES)
def test_a_batch_takes_as_many_statements_for_any_number_of_documents(size: int) -> None:
    append = async_to_sync(ORMStorage().append)
    names = [f"room{number}" for number in range(size + 1)]
    entries = [LogEntry(name, update, NOW) for name in names for update in typed("ab")]
    append(entries)
    with CaptureQueriesContext(connection) as captured:
        append(entries)
    assert len(captured) == 4
