"""Updates reach the other members: in rooms of several sizes, and in many small rooms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Self

from bench.authors import Author, author
from bench.load import Crowd
from bench.rounds import Pace
from bench.servers import Contestant, Running

from .base import (
    EVERY,
    FASTEST,
    STORED_OR_NOT,
    Figures,
    Scenario,
    combined,
    delivery,
    times,
)

__all__ = ["FANOUT", "FanOut", "ManyRooms", "SharedConnections"]

#: Updates of a burst of one member, and how often they are delivered at most.
_ALONE, _DELIVERIES = 100, 40_000


@dataclass(frozen=True, kw_only=True)
class FanOut(Scenario):
    """Updates reach the other members.

    One of them writes first, the next update when all have the last one; then it does not wait any
    more, and then several write at once.

    Args:
        rooms: that are busy at once.
        size: members of each.
        writers: how many of them write in a burst.
        updates: that each of them writes in it without waiting.
    """

    rooms: int = 1
    size: int
    writers: int
    updates: int

    def scaled(self, factor: float) -> Self:
        size = max(2, times(self.size, factor))
        return replace(
            self,
            rooms=times(self.rooms, factor),
            size=size,
            writers=min(self.writers, size),
            pace=self.pace.scaled(factor),
        )

    async def measure(self, server: Running) -> Sequence[Figures]:
        async with self._crowd(server) as crowd:
            conversing = partial(crowd.converse, author(0))
            figures = [await delivery(server, self.pace, crowd, "one at a time", conversing)]
            for what, writers, updates in self._bursts():
                writing = partial(_write, crowd, _authors(writers), updates)
                figures.append(await delivery(server, self.pace, crowd, what, writing))
            await crowd.check()
        return combined(*figures)

    def _crowd(self, server: Running) -> Crowd:
        """Return those who write."""
        return Crowd([server], self.rooms, self.size)

    def _bursts(self) -> Iterator[tuple[str, int, int]]:
        """Yield what to call bursts, how many members write then, and how much each of them."""
        yield "bursts of one", 1, max(1, min(_ALONE, _DELIVERIES // self.size))
        yield "bursts of all", self.writers, self.updates


async def _write(crowd: Crowd, authors: Sequence[Author], updates: int, seconds: float) -> None:
    """Write in bursts by authors for a time, one burst at least."""
    end, is_first = perf_counter() + seconds, True
    while is_first or perf_counter() < end:
        await crowd.write(authors, updates)
        is_first = False


def _authors(number: int) -> Sequence[Author]:
    """Return so many, who have thought of what they are going to write."""
    authors = [author(each) for each in range(number)]
    for each in authors:
        each.update(0)
    return authors


@dataclass(frozen=True, kw_only=True)
class ManyRooms(FanOut):
    """The same in many small rooms, where one member of each writes."""

    size: int = 2
    writers: int = 1
    updates: int = 10

    def _bursts(self) -> Iterator[tuple[str, int, int]]:
        yield "bursts", self.writers, self.updates


@dataclass(frozen=True, kw_only=True)
class SharedConnections(ManyRooms):
    """The same, with two connections only: each has all rooms open, behind their addresses."""

    def suits(self, contestant: Contestant) -> bool:
        return contestant.is_addressed

    def _crowd(self, server: Running) -> Crowd:
        return Crowd([server], self.rooms, self.size, is_shared=True)


#: Servers of addressed frames, beside ours with plain ones.
_ADDRESSED = ("collab", "collab-addressed", "hocuspocus")

FANOUT = (
    FanOut(
        name="fanout-2",
        title="1 room of 2",
        size=2,
        writers=2,
        updates=200,
        servers=FASTEST,
    ),
    FanOut(
        name="fanout-10",
        title="1 room of 10",
        size=10,
        writers=10,
        updates=50,
        servers=FASTEST,
    ),
    FanOut(
        name="fanout-50",
        title="1 room of 50",
        size=50,
        writers=50,
        updates=20,
        servers=EVERY,
        quick=True,
    ),
    FanOut(
        name="fanout-400",
        title="1 room of 400",
        size=400,
        writers=400,
        updates=1,
        servers=FASTEST,
    ),
    FanOut(
        name="fanout-1500",
        title="1 room of 1,500",
        size=1_500,
        writers=1_500,
        updates=1,
        servers=FASTEST,
    ),
    ManyRooms(name="rooms-20", title="20 rooms of 2", rooms=20, servers=STORED_OR_NOT),
    ManyRooms(name="rooms-200", title="200 rooms of 2", rooms=200, servers=EVERY, quick=True),
    ManyRooms(
        name="rooms-2000",
        title="2,000 rooms of 2",
        rooms=2_000,
        updates=5,
        pace=Pace(round=3.0),
        servers=FASTEST,
    ),
    FanOut(
        name="addressed-fanout-50",
        title="1 room of 50, addressed frames",
        size=50,
        writers=50,
        updates=20,
        servers=_ADDRESSED,
    ),
    ManyRooms(
        name="addressed-rooms-200",
        title="200 rooms of 2, addressed frames",
        rooms=200,
        servers=_ADDRESSED,
    ),
    SharedConnections(
        name="addressed-shared-200",
        title="200 rooms of 2 on 2 connections",
        rooms=200,
        servers=_ADDRESSED,
    ),
)
