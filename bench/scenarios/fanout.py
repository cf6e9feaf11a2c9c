"""What members write reaches the others: in rooms of several sizes, and in many small rooms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Self

from bench.authors import author
from bench.load import Crowd
from bench.servers import Running

from .base import EVERY, Figures, Scenario, delivery, times

__all__ = ["FANOUT", "FanOut", "ManyRooms"]


@dataclass(frozen=True, kw_only=True)
class FanOut(Scenario):
    """What members write reaches the others: first one update at a time, then bursts.

    Args:
        rooms: that are busy at once.
        size: members of each.
        writers: how many of them write in a burst.
        updates: that each of them writes in it without waiting.
        seconds: for how long each of both goes on.
    """

    family = "fanout"
    rooms: int = 1
    size: int
    writers: int
    updates: int
    seconds: float = 1.5

    def scaled(self, factor: float) -> Self:
        size = max(2, times(self.size, factor))
        return replace(
            self,
            rooms=times(self.rooms, factor),
            size=size,
            writers=min(self.writers, size),
            seconds=self.seconds * factor,
        )

    async def measure(self, server: Running) -> Figures:
        async with Crowd([server], self.rooms, self.size) as crowd:
            # Compilers in the server get to know the work first.
            await crowd.converse(author(0), self.seconds / 2)
            figures = await delivery(
                server, crowd, "one at a time", lambda: crowd.converse(author(0), self.seconds)
            )
            await self._burst(crowd)
            what = "bursts" if self.writers < self.size else "bursts of all"
            figures |= await delivery(server, crowd, what, lambda: self._bursts(crowd))
            await crowd.check()
        return figures

    async def _bursts(self, crowd: Crowd) -> None:
        end = perf_counter() + self.seconds
        while perf_counter() < end:
            await self._burst(crowd)

    async def _burst(self, crowd: Crowd) -> None:
        await crowd.write([author(number) for number in range(self.writers)], self.updates)


@dataclass(frozen=True, kw_only=True)
class ManyRooms(FanOut):
    """The same in many small rooms, where one member of each writes."""

    family = "rooms"
    size: int = 2
    writers: int = 1
    updates: int = 10


FANOUT = (
    FanOut(name="fanout-2", title="1 room of 2", size=2, writers=2, updates=200),
    FanOut(name="fanout-10", title="1 room of 10", size=10, writers=10, updates=50),
    FanOut(
        name="fanout-50",
        title="1 room of 50",
        size=50,
        writers=50,
        updates=20,
        servers=EVERY,
        quick=True,
    ),
    FanOut(name="fanout-400", title="1 room of 400", size=400, writers=400, updates=1),
    FanOut(name="fanout-1500", title="1 room of 1,500", size=1_500, writers=100, updates=1),
    ManyRooms(name="rooms-200", title="200 rooms of 2", rooms=200, servers=EVERY, quick=True),
    ManyRooms(name="rooms-2000", title="2,000 rooms of 2", rooms=2_000),
)
