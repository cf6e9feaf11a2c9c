"""What is measured."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import quantiles
from time import perf_counter
from typing import Any, ClassVar, Self

from pycrdt import Doc, Text

from .load import LENGTH, Author, Crowd, Member, Update, read_text
from .make_trace import make_trace
from .process import quiet, resident_bytes
from .servers import Running
from .trace_file import in_bytes, type_into

__all__ = [
    "SCENARIOS",
    "FanOut",
    "Figures",
    "Joins",
    "Memory",
    "Scenario",
    "percentiles",
    "times",
]

#: What was measured, and in which unit, and the value.
Figures = dict[str, float]


@dataclass(frozen=True)
class Scenario(ABC):
    """A situation that servers are put into."""

    #: The command that measures it.
    command: ClassVar[str]
    title: str

    @abstractmethod
    async def measure(self, server: Running) -> Figures:
        """Put ``server`` into it; return what that cost."""

    @abstractmethod
    def scaled(self, factor: float) -> Self:
        """Return one with less of everything, to try whether it works."""


def times(number: int, factor: float) -> int:
    """Return ``factor`` times ``number``, but at least one."""
    return max(1, round(number * factor))


def percentiles(what: str, seconds: Sequence[float]) -> Figures:
    """Return the median and what one in a hundred exceeds."""
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {f"{what} p50, ms": cuts[49] * 1e3, f"{what} p99, ms": cuts[98] * 1e3}


@dataclass(frozen=True)
class FanOut(Scenario):
    """What members write reaches the others.

    Args:
        rooms: that are busy at once.
        size: members of each.
        writers: how many of them write.
        updates: that each writes in a round, without waiting.
        rounds: each begins when everybody has what was written in the one before.
    """

    command = "fanout"
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
            before = await quiet(server.pid)
            await self._play(crowd, authors, self.rounds)
            used = await quiet(server.pid) - before
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


@dataclass(frozen=True)
class Joins(Scenario):
    """Many open one large document at once, as after a restart.

    Args:
        members: how many.
        edits: keystrokes in the document.
    """

    command = "joins"
    members: int
    edits: int

    def scaled(self, factor: float) -> Self:
        return replace(
            self, members=max(2, times(self.members, factor)), edits=times(self.edits, factor)
        )

    async def measure(self, server: Running) -> Figures:
        document = _large_document(self.edits)
        async with Crowd([server], 1, 2) as crowd:
            await crowd.write([[document]])
            await self._join(server, times(self.members, 0.2), document)
            before = await quiet(server.pid)
            seconds = await self._join(server, self.members, document)
            used = await quiet(server.pid) - before
        cost = {"CPU per join, ms": used / self.members * 1e3}
        return cost | percentiles("document there after,", seconds)

    async def _join(self, server: Running, number: int, document: Update) -> list[float]:
        members = [Member(server, "room-0") for _ in range(number)]
        seconds = await asyncio.gather(*(_timed_join(member, document) for member in members))
        for member in members:
            member.close()
        return seconds


async def _timed_join(member: Member, document: Update) -> float:
    began = perf_counter()
    received = await member.open()
    seconds = perf_counter() - began
    if document.mark not in received:
        raise ValueError("A member has got a part of the document only.")
    return seconds


@cache
def _large_document(edits: int) -> Update:
    """Return a document that was written keystroke by keystroke."""
    doc: Doc[Any] = Doc(client_id=1)
    text: Text = doc.get("text", type=Text)
    trace = make_trace(length=edits)
    text += trace.start
    for transaction in in_bytes(trace):
        with doc.transaction():
            type_into(text, transaction)
    (update,) = Author(0).write(1)
    doc.apply_update(update.data)
    return replace(update, data=doc.get_update())


@dataclass(frozen=True)
class Memory(Scenario):
    """Members who are there and read.

    Args:
        rooms: that are open at once.
        size: members of each.
        updates: that were written in each room before.
    """

    command = "memory"
    rooms: int
    size: int
    updates: int

    def scaled(self, factor: float) -> Self:
        rooms = 1 if self.rooms == 1 else max(2, times(self.rooms, factor))
        return replace(self, rooms=rooms, size=times(self.size, factor))

    async def measure(self, server: Running) -> Figures:
        # What is loaded once is nobody's.
        async with Crowd([server], 1, 10) as crowd:
            await crowd.write([Author(0).write(1)])
        await quiet(server.pid)
        before = resident_bytes(server.pid)
        async with Crowd([server], self.rooms, self.size) as crowd:
            await crowd.write([Author(1).write(self.updates)])
            await quiet(server.pid)
            used = resident_bytes(server.pid) - before
        what = "member" if self.rooms == 1 else "room"
        return {f"memory per {what}, KB": used / (self.rooms * self.size) / 1e3}


SCENARIOS: Sequence[Scenario] = (
    FanOut("1 room of 50, all write at once", 1, 50, writers=50, updates=20, rounds=10),
    FanOut("1 room of 50, one update at a time", 1, 50, writers=1, updates=1, rounds=1_000),
    FanOut("1 room of 400, 20 write at once", 1, 400, writers=20, updates=5, rounds=5),
    FanOut("200 rooms of 2, one writes", 200, 2, writers=1, updates=1, rounds=100),
    Joins("300 open a document of 125 KB at once", members=300, edits=48_000),
    Memory("1 room of 500 who read", 1, 500, updates=1),
    Memory("500 rooms of one, 100 updates each", 500, 1, updates=100),
)
