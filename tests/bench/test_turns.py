"""Servers that are measured together take turns, and wait for nothing but each other."""

from __future__ import annotations

import asyncio

import pytest

from bench.turns import Turn


async def take_turns(name: str, turn: Turn, times: int, seen: list[str]) -> None:
    async with turn.taken():
        seen.append(name)
        for _ in range(times - 1):
            # Others could come in between here if they did not wait.
            await asyncio.sleep(0)
            await turn.pass_on()
            seen.append(name)


async def test_servers_take_turns_in_their_order() -> None:
    lock, seen = asyncio.Lock(), list[str]()
    await asyncio.gather(*(take_turns(name, Turn(lock), 3, seen) for name in "abc"))
    assert "".join(seen) == "abcabcabc"


async def test_server_that_has_ended_is_left_out() -> None:
    lock, seen = asyncio.Lock(), list[str]()
    times = {"a": 3, "b": 1, "c": 2}
    await asyncio.gather(*(take_turns(name, Turn(lock), times[name], seen) for name in times))
    assert "".join(seen) == "abcaca"


async def test_server_that_fails_gives_its_turn_to_the_next() -> None:
    lock, seen = asyncio.Lock(), list[str]()

    async def fail() -> None:
        async with Turn(lock).taken():
            raise ValueError("it broke")

    failed, _ = await asyncio.gather(
        fail(), take_turns("b", Turn(lock), 2, seen), return_exceptions=True
    )
    assert isinstance(failed, ValueError)
    assert seen == ["b", "b"]


async def test_turn_that_lasts_too_long_ends_and_those_of_others_do_not_count() -> None:
    lock, seen = asyncio.Lock(), list[str]()
    hanging, patient = Turn(lock, 0.01), Turn(lock, 600.0)

    async def hang() -> None:
        async with hanging.taken():
            await asyncio.Event().wait()

    late, _ = await asyncio.gather(
        hang(), take_turns("b", patient, 2, seen), return_exceptions=True
    )
    assert isinstance(late, TimeoutError)
    assert (hanging.has_expired, patient.has_expired) == (True, False)
    assert seen == ["b", "b"]


async def test_time_of_others_is_not_that_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, clock = asyncio.Lock(), [0.0]
    monkeypatch.setattr("bench.turns.perf_counter", lambda: clock[0])
    first, second = Turn(lock), Turn(lock)

    async def work(turn: Turn, seconds: float) -> None:
        async with turn.taken():
            clock[0] += seconds
            await turn.pass_on()
            clock[0] += seconds

    await asyncio.gather(work(first, 1.0), work(second, 10.0))
    assert (first.seconds, second.seconds) == (2.0, 20.0)


async def test_server_that_is_measured_alone_need_not_wait() -> None:
    turn, seen = Turn(), list[str]()
    await take_turns("a", turn, 2, seen)
    assert seen == ["a", "a"]


async def test_turn_that_was_never_taken_is_not_passed_on() -> None:
    turn = Turn()
    await turn.pass_on()
    assert turn.seconds == 0.0


@pytest.mark.parametrize("number", [1, 3])
async def test_turn_is_cancelled_while_it_waits(number: int) -> None:
    lock = asyncio.Lock()
    async with Turn(lock).taken():
        waiting = [asyncio.create_task(take_turns("a", Turn(lock), 1, [])) for _ in range(number)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in results)
    assert not lock.locked()
