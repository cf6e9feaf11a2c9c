"""Rooms come and go: what that costs, and whether it costs more the more of them were used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from time import perf_counter
from typing import Self

from bench.authors import FIRST_AUTHOR, Author, author
from bench.load import Crowd
from bench.process import memory_bytes, quiet
from bench.rounds import Pace, Rounds
from bench.servers import Contestant, Running

from .base import STORED_OR_NOT, Figures, Scenario, percentiles, times

__all__ = ["TURNOVER", "Turnover"]

#: What the names of rooms begin with, and who writes there.
_Rooms = Iterator[tuple[str, Author]]

#: Names of figures and samples.
_COST = "CPU per delivered update, µs"
_AFTER, _TYPING, _DELIVERED = "delivered after", "typing", "delivered"


@dataclass(frozen=True, kw_only=True)
class Turnover(Scenario):
    """Rooms of two are opened, one member writes, both leave.

    A server is warmed up with the same few rooms again and again, then measured with new ones, and
    measured again when many more rooms were used and left.

    Args:
        rooms: at a time.
        updates: in each, the next when the other member has the last.
        used: rooms that are used and left between the two measurements.
        unloaded: seconds after which every server has unloaded rooms that were left, if it does.
    """

    rooms: int
    updates: int
    used: int
    unloaded: float = 40.0

    def scaled(self, factor: float) -> Self:
        return replace(
            self,
            rooms=times(self.rooms, factor),
            updates=times(self.updates, factor),
            used=times(self.used, factor),
            unloaded=self.unloaded * factor,
            pace=self.pace.scaled(factor),
        )

    def suits(self, contestant: Contestant) -> bool:
        return contestant.name != "pycrdt-consumer"

    async def measure(self, server: Running) -> Sequence[Figures]:
        use, rooms = _Use(self, server), _new_rooms()
        again = Rounds(server, self.pace, use.repeatedly(_same_rooms()), use.samples)
        await again.warm_up()
        await server.turn.pass_on()
        fresh = await self._measured(use, rooms, "few")
        before = await self._memory_once_unloaded(server)
        for _ in range(max(1, self.used // self.rooms)):
            await use.live(*next(rooms))
        kept = await self._memory_once_unloaded(server) - before
        used = await self._measured(use, rooms, f"{self.used:,}")
        return [
            {
                **again.sureness("rooms that are used again"),
                **first,
                **second,
                f"after {self.used:,} rooms / before": _cost(second) / _cost(first),
                "memory kept per room that was left, KB": max(kept, 0) / self.used / 1e3,
            }
            for first, second in zip(fresh, used, strict=True)
        ]

    async def _memory_once_unloaded(self, server: Running) -> int:
        """Return the memory once rooms that were left are unloaded; others work meanwhile."""
        left = perf_counter()
        await server.turn.pass_on()
        await asyncio.sleep(max(0.0, left + self.unloaded - perf_counter()))
        await quiet(*server.pids)
        return memory_bytes(*server.pids)

    async def _measured(self, use: _Use, rooms: _Rooms, before: str) -> Sequence[Figures]:
        rounds = Rounds(use.server, self.pace, use.repeatedly(rooms), use.samples)
        turns = await rounds.measure_warm()
        when = f"{before} rooms used before"
        return [
            {
                f"{when}: CPU per life of a room, ms": turn.cost * 1e3,
                f"{when}: {_COST}": sum(turn.samples[_TYPING])
                / sum(turn.samples[_DELIVERED])
                * 1e6,
                **percentiles(f"{when}: {_AFTER}", turn.samples[_AFTER]),
                **rounds.sureness(when),
            }
            for turn in turns
        ]


def _same_rooms() -> _Rooms:
    """Yield the same rooms, and others who write: the rooms know what the last have written."""
    return (("again", author(number)) for number in count())


def _new_rooms() -> _Rooms:
    return ((f"new-{number}", author(0)) for number in count())


def _cost(figures: Figures) -> float:
    return next(value for what, value in figures.items() if what.endswith(_COST))


class _Use:
    """Opens rooms, lets one member of each write, and leaves them.

    Args:
        scenario: which says how many, and how much is written.
        server: whose rooms they are.
    """

    def __init__(self, scenario: Turnover, server: Running) -> None:
        self.server = server
        self._scenario = scenario
        self._latencies: list[float] = []
        #: The processor's seconds while members wrote, and how many updates were delivered.
        self._typing = 0.0
        self._delivered = 0

    def repeatedly(self, rooms: _Rooms) -> Callable[[float], Awaitable[int]]:
        """Return a round of work, in the next of these."""

        async def one_round(_: float) -> int:
            return await self.one_set(*next(rooms))

        return one_round

    def _crowd(self, prefix: str, writer: Author) -> Crowd:
        earlier = tuple(range(FIRST_AUTHOR, writer.client_id))
        return Crowd([self.server], self._scenario.rooms, 2, prefix, earlier)

    async def live(self, prefix: str, writer: Author) -> None:
        """Open, use and leave rooms."""
        async with self._crowd(prefix, writer) as crowd:
            await crowd.exchange(writer, self._scenario.updates)
            await crowd.saved()

    async def one_set(self, prefix: str, writer: Author) -> int:
        """Do the same, see what writing costs, and return how many rooms there were."""
        async with self._crowd(prefix, writer) as crowd:
            before = await quiet(*self.server.pids)
            await crowd.exchange(writer, self._scenario.updates)
            await crowd.saved()
            self._typing = await quiet(*self.server.pids) - before
            self._delivered = crowd.delivered
            self._latencies = crowd.taken(self.server)
        return self._scenario.rooms

    def samples(self) -> Mapping[str, Sequence[float]]:
        """Return what was seen of the last set."""
        return {
            _AFTER: self._latencies,
            _TYPING: [self._typing],
            _DELIVERED: [self._delivered],
        }


TURNOVER = (
    Turnover(
        name="turnover",
        title="200 rooms of 2 at a time come and go",
        servers=STORED_OR_NOT,
        deadline=600.0,
        pace=Pace(lead_in=0.0),
        rooms=200,
        updates=50,
        used=10_000,
    ),
)
