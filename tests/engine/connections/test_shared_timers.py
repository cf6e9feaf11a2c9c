"""One timer serves all who wait equally long, and a process that hung misses nobody's time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

import pytest

from collab.engine.connections.shared_timers import SharedTimer, SharedTimers
from collab.engine.runtime.timers import HUNG, Timer
from tests.engine.watchers import ManualLoop
from tests.harness.virtual_time import in_virtual_time


class Waiting:
    """Objects that wait for 30 s on a clock, and when each was due.

    Args:
        patience: see :class:`SharedTimer`.
    """

    def __init__(self, patience: float = inf) -> None:
        self.loop = ManualLoop()
        self.due: list[tuple[str, float]] = []
        self.started = 0
        self.timer: SharedTimer[str] = SharedTimer(self, 30, self._note, patience)

    def _note(self, each: str) -> None:
        self.due.append((each, self.loop.now))

    def pass_all(self) -> None:
        """Pass much more time than all wait, in small steps."""
        for _ in range(200):
            self.loop.pass_time(0.5)

    def time(self) -> float:
        """Return the time of the clock."""
        return self.loop.now

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Count a timer."""
        self.started += 1
        return self.loop.call_at(when, callback)


def test_each_is_due_once_after_the_time() -> None:
    waiting = Waiting()
    waiting.timer.add("first")
    waiting.loop.pass_time(10)
    waiting.timer.add("second")
    waiting.pass_all()
    assert waiting.due == [("first", 1030.0), ("second", 1040.0)]


def test_one_that_is_added_again_waits_again() -> None:
    waiting = Waiting()
    waiting.timer.add("one")
    waiting.loop.pass_time(20)
    waiting.timer.add("one")
    waiting.pass_all()
    assert waiting.due == [("one", 1050.0)]


def test_one_that_is_removed_is_not_due_and_hinders_no_other() -> None:
    waiting = Waiting()
    for name in ("gone", "here"):
        waiting.timer.add(name)
    waiting.timer.remove("gone")
    waiting.timer.remove("unknown")
    waiting.loop.pass_time(30)
    assert waiting.due == [("here", 1030.0)]


def test_objects_that_come_and_go_take_one_timer_together() -> None:
    waiting = Waiting()
    for number in range(100):
        waiting.timer.add(f"visitor {number}")
        waiting.timer.remove(f"visitor {number}")
    assert waiting.started == 1
    # It ends when nobody waits any more.
    waiting.loop.pass_time(30)
    waiting.loop.pass_time(30)
    assert (waiting.started, waiting.due) == (1, [])


def test_a_process_that_hung_gives_all_another_chance_if_that_is_asked_for() -> None:
    patient, strict = Waiting(HUNG), Waiting()
    for waiting in (patient, strict):
        waiting.timer.add("one")
        waiting.loop.pass_time(90)
    assert (patient.due, strict.due) == ([], [("one", 1090.0)])
    patient.loop.pass_time(30)
    assert patient.due == [("one", 1120.0)]


@in_virtual_time
async def test_one_that_fails_keeps_out_no_other() -> None:
    errors: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: errors.append(context["exception"]))
    reached: list[str] = []

    def call(each: str) -> None:
        reached.append({"good": "good"}[each])

    timer = SharedTimers(call).of(20)
    timer.add("bad")
    timer.add("good")
    # The clock jumps to the next timer.
    await asyncio.sleep(21)
    assert ([type(error) for error in errors], reached) == ([KeyError], ["good"])


@pytest.mark.parametrize(("seconds", "is_same"), [(20, True), (30, False)])
async def test_a_loop_has_one_timer_for_each_time(seconds: float, is_same: bool) -> None:
    timers: SharedTimers[str] = SharedTimers(print)
    assert (timers.of(20) is timers.of(seconds)) is is_same
