"""Servers are warm when they are measured, and figures say how sure they are."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from time import process_time

import pytest

from bench.rounds import Pace, Rounds, is_sureness, warm_up
from bench.servers import Running
from bench.servers.hub import BareHub
from bench.turns import Turn

#: Seconds of the processor in the first round of a server whose rounds cost ever more.
FIRST = 0.001
PACE = Pace(round=0.001, warm_up=0.01, measured=0.01, turns=1, lead_in=0.0)


class Server(Running):
    """This process, which does the work itself."""

    def __init__(self) -> None:
        super().__init__(BareHub(), os.getpid(), 0)
        self.rounds = 0

    async def slow_down(self, _: float) -> int:
        """Do twice as much as in the round before."""
        end = process_time() + FIRST * 2**self.rounds
        while process_time() < end:
            pass
        self.rounds += 1
        return 1

    async def rest(self, _: float = 0.0) -> int:
        """Do nothing; other processes are looked at."""
        self.rounds += 1
        return 2


class Book:
    """Times of the processor of a server that puts off a part of its work until it rests."""

    def __init__(self) -> None:
        self.used = 0.0
        self._rests = False

    async def work(self, _: float) -> int:
        """Do the part that is not put off."""
        self.used += 1
        return 1

    def seconds(self, *_: int) -> float:
        """Return the time up to now; the server rests from then on."""
        self._rests = True
        return self.used

    async def quiet(self, *_: int) -> float:
        """Return the time once the server has nothing left to do."""
        if self._rests:
            self.used += 4
            self._rests = False
        return self.used


class Idle(Server):
    """A server of which no process is left, so that each round costs nothing."""

    @property
    def pids(self) -> list[int]:
        return []


async def test_server_is_warm_when_three_rounds_have_cost_the_same() -> None:
    server = Idle()
    await Rounds(server, Pace(warm_up=600.0), server.rest).warm_up()
    assert server.rounds == 3


async def test_server_that_does_not_get_steady_is_measured_when_time_is_up() -> None:
    server = Server()
    rounds = Rounds(server, PACE, server.slow_down)
    (turn,) = await rounds.measure()
    assert turn.cost > 0
    sure = rounds.sureness("all")
    assert sure["rounds: all: last three of the warm-up apart, %"] >= 0
    assert all(map(is_sureness, sure))


async def test_samples_of_the_warm_up_are_not_those_that_are_measured() -> None:
    server, numbers = Idle(), iter(range(100))
    pace = Pace(warm_up=600.0, measured=0.1, turns=1, lead_in=0.0)
    rounds = Rounds(server, pace, server.rest, lambda: {"number": [next(numbers)]})
    (turn,) = await rounds.measure()
    seen = turn.samples["number"]
    assert min(seen) >= 3
    assert len(seen) == server.rounds - 3
    assert turn.units == 2 * len(seen)


async def test_lead_in_of_a_turn_does_not_count() -> None:
    server, numbers = Idle(), iter(range(100))
    pace = Pace(warm_up=600.0, measured=0.0, turns=2, lead_in=0.1)
    rounds = Rounds(server, pace, server.rest, lambda: {"number": [next(numbers)]})
    turns = await rounds.measure()
    # Three rounds of the warm-up, and one before each that counts.
    assert [turn.samples["number"] for turn in turns] == [[4], [6]]


async def test_servers_are_measured_in_turns_when_all_of_them_are_warm() -> None:
    lock, seen = asyncio.Lock(), list[str]()
    pace = Pace(warm_up=600.0, measured=0.0, turns=2, lead_in=0.0)

    async def measure(name: str) -> None:
        server = Idle()
        server.turn = Turn(lock)

        async def work(_: float) -> int:
            seen.append(name)
            return 1

        async with server.turn.taken():
            await Rounds(server, pace, work).measure()

    await asyncio.gather(measure("a"), measure("b"))
    assert "".join(seen) == "aaabbb" + "abab"


async def test_work_that_is_put_off_counts_once_for_all_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    book = Book()
    monkeypatch.setattr("bench.rounds.cpu_seconds", book.seconds)
    monkeypatch.setattr("bench.rounds.quiet", book.quiet)
    pace = Pace(warm_up=600.0, measured=0.0, turns=2, lead_in=0.0)
    turns = await Rounds(Idle(), pace, book.work).measure()
    assert [turn.cost for turn in turns] == [1 + 4 / 2, 1 + 4 / 2]


async def test_figures_say_how_far_turns_are_apart_and_what_a_waiting_server_uses() -> None:
    server = Server()
    rounds = Rounds(server, replace(PACE, turns=2), server.slow_down)
    await rounds.measure()
    sure = rounds.sureness("all")
    assert sure["rounds: all: measured turns, ± %"] > 0
    assert sure["rounds: all: CPU while others are measured, %"] >= 0


async def test_work_of_several_processes_is_repeated_until_it_is_steady() -> None:
    server = Idle()

    async def work() -> None:
        await server.rest()

    await warm_up(lambda: server.pids, Pace(warm_up=600.0), work)
    assert server.rounds == 3


@pytest.mark.parametrize("factor", [0.5, 1])
def test_scaled_pace_takes_that_part_of_the_time(factor: float) -> None:
    pace = Pace().scaled(factor)
    assert (pace.warm_up, pace.measured) == (40 * factor, 10 * factor)
