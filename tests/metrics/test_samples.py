"""The counters of a process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text, create_update_message

from collab.access import Access
from collab.conf import Settings
from collab.consumers import YjsConsumer
from collab.engine.connections.throttle import Throttle
from collab.engine.runtime.counters import Counters, counters
from collab.engine.runtime.timers import LoopLag
from collab.metrics import read_metrics, snapshot
from collab.protocol.frames import step1_frame
from collab.protocol.yjs.updates import EMPTY_STATE
from tests.engine.watchers import MEMORY, ManualLoop, hub, join, typed, visitor
from tests.harness.waiting import until


@contextmanager
def counting() -> Iterator[dict[str, float]]:
    """Yield a dictionary that has, after the block, how much the block raised each number."""
    raised: dict[str, float] = {}
    before = snapshot()
    yield raised
    raised |= {name: value - before.get(name, 0) for name, value in snapshot().items()}


def test_all_that_is_counted_is_shown() -> None:
    shown = {name.removeprefix("collab_").removesuffix("_total") for name in snapshot()}
    given = Counters()
    plain = {name for name in dir(given) if isinstance(getattr(given, name), int | float)}
    summaries = {"flushes", "flush_seconds", "store_batches", "store_seconds"}
    assert plain - summaries <= shown
    for what in ("flush", "store"):
        assert {f"{what}_seconds_count", f"{what}_seconds_sum"} <= shown


def test_each_metric_has_its_own_name_and_a_description() -> None:
    metrics = list(read_metrics())
    names = [metric.name for metric in metrics]
    assert len(names) == len(set(names))
    assert all(name.startswith("collab_") for name in names)
    assert all(metric.help.endswith(".") for metric in metrics)


async def test_traffic_of_members_is_counted() -> None:
    with (
        override_settings(COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY}),
        counting() as raised,
    ):
        async with hub() as here, join("room") as ann, join("room") as bob:
            frame = typed("hello")
            await ann.send_to(bytes_data=frame)
            assert await bob.receive_from()
            assert (await ann.receive_nothing()) is True
            await until(lambda: not here.writer.unsaved_size)
    assert raised["collab_joins_total"] == 2
    assert raised["collab_received_frames_total"] == raised["collab_received_updates_total"] == 1
    assert raised["collab_received_bytes_total"] == len(frame)
    assert raised["collab_sent_updates_total"] == 1
    assert raised["collab_sent_bytes_total"] >= len(frame)
    assert raised["collab_flush_seconds_count"] >= 1
    assert raised["collab_store_seconds_count"] == raised["collab_stored_rows_total"] == 1
    assert 0 < raised["collab_flush_seconds_sum"] < 10
    assert 0 < raised["collab_store_seconds_sum"] < 10


async def test_rooms_and_members_of_all_event_loops_are_counted() -> None:
    inside, leave = threading.Event(), threading.Event()

    async def stay() -> None:
        async with hub(), join("there"):
            inside.set()
            await asyncio.to_thread(leave.wait)

    with override_settings(COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY}):
        other = threading.Thread(target=asyncio.run, args=[stay()])
        other.start()
        await asyncio.to_thread(inside.wait)
        async with hub(), join("here"), join("here"):
            numbers = snapshot()
        leave.set()
        await asyncio.to_thread(other.join)
    assert (numbers["collab_rooms"], numbers["collab_members"]) == (2, 3)
    assert (snapshot()["collab_rooms"], snapshot()["collab_members"]) == (0, 0)


async def test_updates_whose_dependencies_are_missing_are_counted_until_these_come() -> None:
    doc: Doc[Any] = Doc()
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    for letter in "abc":
        doc.get("text", type=Text).insert(0, letter)
    doc.unobserve(subscription)
    first, *later = map(create_update_message, updates)
    with override_settings(COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY}):
        async with hub(), join("room") as ann, join("another") as bob:
            assert snapshot()["collab_pending_updates"] == 0
            for member in (ann, bob):
                for frame in later:
                    await member.send_to(bytes_data=frame)
            await until(lambda: snapshot()["collab_pending_updates"] == 4)
            await ann.send_to(bytes_data=first)
            await until(lambda: snapshot()["collab_pending_updates"] == 2)
            await bob.disconnect()
            await until(lambda: snapshot()["collab_pending_updates"] == 0)


async def test_batches_that_fail_are_counted_apart() -> None:
    counters = Counters()
    with counters.storing(3):
        pass
    with pytest.raises(OSError), counters.storing(4):
        raise OSError
    assert (counters.store_batches, counters.stored_rows, counters.store_failures) == (1, 3, 1)


def test_refusals_are_counted_by_code_and_cause() -> None:
    before = snapshot()
    counters.refuse(1013, "MAX_ROOMS")
    name = 'collab_refusals_total{cause="MAX_ROOMS",code="1013"}'
    assert snapshot()[name] == before.get(name, 0) + 1


async def test_frames_that_end_a_connection_are_counted_by_cause() -> None:
    with override_settings(
        COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY, "MAX_FRAME_SIZE": 100}
    ):
        async with hub():
            with counting() as raised:
                async with join("room") as member:
                    await member.send_to(bytes_data=bytes(101))
                    assert (await member.receive_output())["code"] == 1009
                async with join("another") as member:
                    await member.send_to(bytes_data=b"\x09")
                    assert (await member.receive_output())["code"] == 1008
    assert raised['collab_refusals_total{cause="MAX_FRAME_SIZE",code="1009"}'] == 1
    assert raised['collab_refusals_total{cause="ProtocolViolation",code="1008"}'] == 1


class Moody(YjsConsumer):
    """Gives everybody the access that a test says."""

    mood = Access.WRITE

    async def authorize(self) -> Access:
        return type(self).mood


async def test_changes_of_access_are_counted_and_losing_it_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        override_settings(COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY}),
        counting() as raised,
    ):
        async with hub() as here, join("room", Moody) as member:
            await member.send_to(text_data='{"action": "hello", "request_id": 1}')
            await member.receive_from()
            here.recheck_access("room")
            monkeypatch.setattr(Moody, "mood", Access.READ)
            here.recheck_access("room")
            assert "read" in await member.receive_from()
            monkeypatch.setattr(Moody, "mood", Access.NONE)
            here.recheck_access("room")
            assert (await member.receive_output())["code"] == 4401
    assert raised['collab_access_changes_total{access="read"}'] == 1
    assert raised['collab_access_changes_total{access="none"}'] == 1
    assert raised['collab_refusals_total{cause="Unauthenticated",code="4401"}'] == 1


async def test_a_connection_that_the_project_refuses_is_counted() -> None:
    class Closed(YjsConsumer):
        async def connect(self) -> None:
            await self.close(4403)

    with (
        override_settings(COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY}),
        counting() as raised,
    ):
        async with hub():
            member = visitor("room", Closed)
            await member.connect()
            await member.disconnect()
    assert raised['collab_refusals_total{cause="close",code="4403"}'] == 1


# Members that are slowed down.


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3000)), max_size=50))
def test_frames_beyond_the_rates_wait(frames: list[tuple[float, int]]) -> None:
    settings = Settings(MESSAGE_RATE=10, MESSAGE_BURST=5, BYTE_RATE=1000, BYTE_BURST=2000)
    throttle, now, waited, taken = Throttle(settings), 1000.0, 0.0, 0
    for pause, size in frames:
        now += pause
        wait = throttle.take(size, now)
        now, waited, taken = now + wait, waited + wait, taken + size
    assert throttle.waited == pytest.approx(waited)
    assert len(frames) <= 5 + (now - 1000) * 10 + 1e-6
    assert taken <= 2000 + (now - 1000) * 1000 + 1e-6


async def test_a_throttled_member_is_informed_once() -> None:
    collab = {"DEFAULT_ACCESS": "write", "STORAGE": MEMORY, "MESSAGE_RATE": 5, "MESSAGE_BURST": 1}
    with override_settings(COLLAB=collab), counting() as raised:
        async with hub(), join("room") as member:
            began = asyncio.get_running_loop().time()
            for number in range(12):
                await member.send_to(
                    text_data=json.dumps({"action": "hello", "request_id": number})
                )
            frames = [json.loads(await member.receive_from()) for _ in range(13)]
            took = asyncio.get_running_loop().time() - began
    told = [frame for frame in frames if frame["action"] == "throttled"]
    assert [(frame["response_status"], frame["request_id"]) for frame in told] == [(429, None)]
    assert told[0]["errors"]
    # Eleven at five a second, and the member waits behind the last as well; where the machine has
    # been slow, it waits less.
    assert took > 1.9
    assert 0 < raised["collab_throttled_seconds_total"] < took + 0.25


async def test_a_member_that_has_sent_no_text_gets_no_text() -> None:
    collab = {"DEFAULT_ACCESS": "write", "STORAGE": MEMORY, "BYTE_RATE": 30, "BYTE_BURST": 1}
    with override_settings(COLLAB=collab), counting() as raised:
        async with hub(), join("room") as member:
            frame = typed("many characters, many characters")
            await member.send_to(bytes_data=frame)
            assert await member.receive_nothing(0.2)
    assert raised["collab_throttled_seconds_total"] > 1


async def test_repeated_requests_for_the_document_are_throttled() -> None:
    # One frame: of another client the number may take more bytes.
    document = typed("x" * 1000)
    size = len(document)
    limits = {"MAX_DOCUMENT_SIZE": 2 * size, "BYTE_BURST": 2 * size, "BYTE_RATE": 10 * size}
    with (
        override_settings(COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": MEMORY, **limits}),
        counting() as raised,
    ):
        async with hub(), join("room") as member:
            await member.send_to(bytes_data=document)
            began = asyncio.get_running_loop().time()
            for _ in range(8):
                await member.send_to(bytes_data=step1_frame(EMPTY_STATE))
                assert len(await member.receive_from()) == size
            took = asyncio.get_running_loop().time() - began
    # A whole document and a burst are free, and of the rest all but the last is waited for.
    assert took > 0.3
    assert 0 < raised["collab_throttled_seconds_total"] < took + 0.25


async def test_a_closed_member_waits_no_longer() -> None:
    collab = {
        "DEFAULT_ACCESS": "write",
        "STORAGE": MEMORY,
        "MESSAGE_RATE": 0.01,
        "MESSAGE_BURST": 1,
    }
    with override_settings(COLLAB=collab), counting() as raised:
        async with hub() as here, join("room") as member:
            for _ in range(3):
                await member.send_to(bytes_data=typed("x"))
            await until(lambda: counters.throttled_seconds > 0)
            (other,) = here.rooms["room", True].members
            other.close(1012, "")
            # All that it has sent is passed over.
            await member.send_input({"type": "websocket.disconnect", "code": 1012})
            await until(lambda: member.future.done())
    assert raised["collab_throttled_seconds_total"] > 100


def test_answers_do_not_use_the_limit_of_sent_bytes() -> None:
    throttle = Throttle(Settings(BYTE_RATE=1000, BYTE_BURST=100, MAX_DOCUMENT_SIZE=900))
    assert throttle.take(10, now=100, answered=1000) == 0
    assert throttle.take(90, now=100) == 0
    assert throttle.take(0, now=100, answered=500) == 0.5


# The event loop.


def test_a_loop_that_hung_is_late_and_that_is_remembered_for_a_minute() -> None:
    loop = ManualLoop()
    pulse = LoopLag(loop)
    assert (pulse.lag, pulse.worst_lag) == (0, 0)
    pulse.start()
    loop.pass_time(1)
    assert (pulse.lag, pulse.worst_lag) == (0, 0)
    loop.now += 4
    assert pulse.lag == 3
    loop.pass_time(0)
    assert pulse.lag == 3
    for _ in range(59):
        loop.pass_time(1)
        assert (pulse.lag, pulse.worst_lag) == (0, 3)
    loop.pass_time(1)
    assert pulse.worst_lag == 0


def test_a_loop_that_is_not_watched_is_not_late() -> None:
    loop = ManualLoop()
    pulse = LoopLag(loop)
    pulse.start()
    loop.pass_time(5)
    pulse.stop()
    pulse.stop()
    loop.pass_time(100)
    assert (pulse.lag, pulse.worst_lag) == (0, 0)
