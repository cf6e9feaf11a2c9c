"""Calls of one type run one after another, and beside those that are slow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from collab.documents.hooks import threads as module
from collab.documents.hooks.threads import HookThreads, threads_of
from tests.harness.waiting import DEADLINE, poll_until


@pytest.fixture
def threads() -> HookThreads:
    return HookThreads()


class Gates:
    """Calls that do not return before they may."""

    def __init__(self) -> None:
        self.running: list[int] = []
        self.may_end = threading.Event()

    def __call__(self, number: int) -> int:
        self.running.append(number)
        assert self.may_end.wait(DEADLINE)
        return number


@pytest.fixture
def gates() -> Iterator[Gates]:
    gates = Gates()
    yield gates
    gates.may_end.set()


def result(future: Future[Any]) -> Any:
    return future.result(DEADLINE)


def test_calls_run_one_after_another_and_return_or_raise(threads: HookThreads) -> None:
    running: list[int] = []
    seen: list[int] = []

    def call(number: int) -> int:
        running.append(number)
        seen.append(len(running))
        running.remove(number)
        return 12 // number

    futures = [threads.submit(call, number) for number in (1, 2, 3)]
    assert [result(future) for future in futures] == [12, 6, 4]
    assert seen == [1, 1, 1]
    with pytest.raises(ZeroDivisionError):
        result(threads.submit(call, 0))
    with pytest.raises(BaseException, match="panic"):
        result(threads.submit(_panic))
    assert result(threads.submit(call, 4)) == 3


def _panic() -> None:
    raise BaseException("panic")


def test_a_call_that_hangs_holds_up_the_next_ones_for_a_moment_only(
    threads: HookThreads, gates: Gates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SLOW_AFTER", 0.01)
    slow = [threads.submit(gates, number) for number in range(3)]
    assert result(threads.submit(int, "7")) == 7
    assert gates.running == [0, 1, 2]
    gates.may_end.set()
    assert [result(future) for future in slow] == [0, 1, 2]


def test_calls_run_after_a_time_without_threads(
    threads: HookThreads, gates: Gates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            threads.submit(int, "6")
    first = threads.submit(gates, 7)
    poll_until(lambda: gates.running)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        second = threads.submit(int, "8")
    gates.may_end.set()
    assert [result(first), result(second)] == [7, 8]


def test_calls_wait_while_as_many_hang_as_there_may_be_threads(
    threads: HookThreads, gates: Gates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SLOW_AFTER", 0.01)
    monkeypatch.setattr(module, "_MAX_THREADS", 2)
    slow = [threads.submit(gates, number) for number in range(2)]
    poll_until(lambda: gates.running == [0, 1])
    waiting, cancelled = threads.submit(int, "7"), threads.submit(gates, 8)
    assert cancelled.cancel() and not waiting.done()
    gates.may_end.set()
    assert result(waiting) == 7
    assert [result(future) for future in slow] == [0, 1]
    assert result(threads.submit(int, "9")) == 9
    assert gates.running == [0, 1]


def test_threads_without_work_end_and_others_come_for_later_calls(
    threads: HookThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_IDLE_TIME", 0.0)
    first = result(threads.submit(threading.current_thread))
    first.join(DEADLINE)
    assert not first.is_alive()
    assert result(threads.submit(threading.current_thread)) is not first


class Owner:
    pass


def test_each_type_has_threads_of_its_own_until_a_fork() -> None:
    one, other = Owner(), Owner()
    before = threads_of(one)
    assert threads_of(one) is before and threads_of(other) is not before
    # As in a fork, which has no threads of its parent.
    module._threads.clear()
    assert threads_of(one) is not before
