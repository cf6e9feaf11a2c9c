"""What members write reaches the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from bench.load import LENGTH, Author, Crowd, read_text
from bench.process import quiet
from bench.servers import Running

from .base import Figures, Scenario, percentiles, times

__all__ = ["FANOUT", "FanOut"]


@dataclass(frozen=True, kw_only=True)
class FanOut(Scenario):
    """What members write reaches the others.

    Args:
        rooms: that are busy at once.
        size: members of each.
        writers: how many of them write.
        updates: that each writes in a round, without waiting.
        rounds: each begins when everybody has what was written in the one before.
    """

    family = "fanout"
    rooms: int
    size: int
    writers: int
    updates: int
    rounds: int

    def scaled(self, factor: float) -> Self:
        size = max(2, times(self.size, factor))
        return replace(
            self,
            rooms=times(self.rooms, factor),
            size=size,
            writers=min(self.writers, size),
            rounds=times(self.rounds, factor),
        )

    async def measure(self, server: Running) -> Figures:
        authors = [Author(number) for number in range(self.writers)]
        async with Crowd([server], self.rooms, self.size) as crowd:
            # Compilers in the server get to know the work first.
            warm_up = times(self.rounds, 0.2)
            await self._play(crowd, authors, warm_up)
            crowd.latencies[server].clear()
            before = await quiet(*server.pids)
            await self._play(crowd, authors, self.rounds)
            used = await quiet(*server.pids) - before
            await self._check(server, warm_up + self.rounds)
        delivered = self.rooms * self.rounds * self.writers * self.updates * (self.size - 1)
        cost = {"CPU per delivered update, µs": used / delivered * 1e6}
        return cost | percentiles("delivered after,", crowd.latencies[server])

    async def _play(self, crowd: Crowd, authors: Sequence[Author], rounds: int) -> None:
        for _ in range(rounds):
            await crowd.write([author.write(self.updates) for author in authors])

    async def _check(self, server: Running, rounds: int) -> None:
        """Refuse figures of a server that loses something."""
        length = len(await read_text(server, "room-0"))
        if length != rounds * self.writers * self.updates * LENGTH:
            raise ValueError(f"{server.contestant.name} has lost updates.")


def _fan_out(
    name: str, title: str, rooms: int, size: int, *, writers: int, updates: int, rounds: int
) -> FanOut:
    return FanOut(
        name=name,
        title=title,
        rooms=rooms,
        size=size,
        writers=writers,
        updates=updates,
        rounds=rounds,
        quick=size == 50,
    )


FANOUT = (
    _fan_out(
        "fanout-50-burst",
        "1 room of 50, all write at once",
        1,
        50,
        writers=50,
        updates=20,
        rounds=10,
    ),
    _fan_out(
        "fanout-50", "1 room of 50, one update at a time", 1, 50, writers=1, updates=1, rounds=1_000
    ),
    _fan_out(
        "fanout-400-burst",
        "1 room of 400, 20 write at once",
        1,
        400,
        writers=20,
        updates=5,
        rounds=5,
    ),
    _fan_out(
        "fanout-rooms", "200 rooms of 2, one writes", 200, 2, writers=1, updates=1, rounds=100
    ),
)
