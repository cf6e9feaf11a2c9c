"""Servers are warm when they are measured, and figures say how sure they are."""

from __future__ import annotations

import os
from time import process_time

import pytest

from bench.rounds import Pace, Rounds, is_sureness, warm_up
from bench.servers import Running
from bench.servers.hub import BareHub

#: Seconds of the processor in the first round of a server whose rounds cost ever more.
FIRST = 0.001
PACE = Pace(round=0.001, warm_up=0.01, measured=0.01, put_off=0.0)


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
    assert await rounds.measure() > 0
    sure = rounds.sureness("all")
    assert sure["rounds: all: last three of the warm-up apart, %"] >= 0
    assert all(map(is_sureness, sure))


async def test_latencies_of_the_warm_up_are_not_those_that_are_measured() -> None:
    server, latencies = Idle(), iter(range(100))
    pace = Pace(warm_up=600.0, measured=0.1, put_off=0.0)
    rounds = Rounds(server, pace, server.rest, lambda: [next(latencies)])
    await rounds.measure()
    assert min(rounds.seen) >= 3
    assert len(rounds.seen) == len(rounds.units) == server.rounds - 3
    assert set(rounds.units) == {2}


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
