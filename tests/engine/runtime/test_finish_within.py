"""Work with a deadline that is set up only for work that waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from collab.engine.runtime.timers import DeadlineExceeded, finish_within
from tests.harness.waiting import DEADLINE


@pytest.fixture
async def timers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times of all timers that the running loop has made."""
    loop, made = asyncio.get_running_loop(), list[float]()
    original = loop.call_at

    def call_at(when: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
        made.append(when)
        return original(when, *args, **options)

    monkeypatch.setattr(loop, "call_at", call_at)
    return made


async def test_work_that_does_not_wait_takes_no_timer(timers: list[float]) -> None:
    async def work() -> str:
        return "done"

    assert await finish_within(DEADLINE, work()) == "done"
    assert timers == []


async def test_work_that_fails_without_waiting_takes_no_timer(timers: list[float]) -> None:
    async def work() -> None:
        raise LookupError("of the work")

    with pytest.raises(LookupError, match="of the work"):
        await finish_within(DEADLINE, work())
    assert timers == []


async def test_work_that_waits_is_finished_within_its_deadline(timers: list[float]) -> None:
    async def work() -> str:
        for _ in range(3):
            await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        return "done"

    assert await finish_within(DEADLINE, work()) == "done"
    assert len(timers) == 1


async def test_work_runs_in_the_task_that_waits_for_it() -> None:
    async def work() -> list[asyncio.Task[Any] | None]:
        before = asyncio.current_task()
        await asyncio.sleep(0)
        return [before, asyncio.current_task()]

    assert await finish_within(DEADLINE, work()) == [asyncio.current_task()] * 2


async def test_work_that_takes_too_long_is_cancelled() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Future()
        finally:
            ended.append(True)

    with pytest.raises(DeadlineExceeded):
        await finish_within(0.001, work())
    assert ended == [True]


async def test_work_may_go_on_after_an_error_that_it_waited_for() -> None:
    async def work() -> str:
        failing = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(failing.set_exception, LookupError())
        with pytest.raises(LookupError):
            await failing
        await asyncio.sleep(0)
        return "done"

    assert await finish_within(DEADLINE, work()) == "done"


async def test_a_timeout_of_the_work_is_not_the_deadline() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise TimeoutError("of the work")

    with pytest.raises(TimeoutError, match="of the work") as raised:
        await finish_within(DEADLINE, work())
    assert not isinstance(raised.value, DeadlineExceeded)


async def test_work_is_cancelled_with_the_task_that_waits_for_it() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Future()
        except asyncio.CancelledError:
            ended.append(True)
            raise

    task = asyncio.create_task(finish_within(DEADLINE, work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


async def test_work_that_ends_when_it_is_cancelled_has_its_result() -> None:
    async def work() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.Future()
        return "cancelled"

    task = asyncio.create_task(finish_within(DEADLINE, work()))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "cancelled"
