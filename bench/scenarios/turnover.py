"""Rooms come and go: what that costs, and whether it costs more the more of them were used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Self

from bench.authors import FIRST_AUTHOR, Author, author
from bench.load import Crowd
from bench.process import memory_bytes, quiet
from bench.rounds import Rounds
from bench.servers import Contestant, Running

from .base import STORED_OR_NOT, Figures, Scenario, percentiles, times

__all__ = ["TURNOVER", "Turnover"]

#: What the names of rooms begin with, and who writes there.
_Rooms = Iterator[tuple[str, Author]]

#: Seconds after which every server has unloaded rooms that were left, if it unloads them.
_UNLOADED = 40.0


@dataclass(frozen=True, kw_only=True)
class Turnover(Scenario):
    """Rooms of two are opened, one member writes, both leave.

    A server is warmed up with the same few rooms again and again, then measured with new ones, and
    measured again when many more rooms were used and left.

    Args:
        rooms: at a time.
        updates: in each, the next when the other member has the last.
        used: rooms that are used and left between the two measurements.
    """

    rooms: int
    updates: int
    used: int

    def scaled(self, factor: float) -> Self:
        return replace(
            self,
            rooms=times(self.rooms, factor),
            updates=times(self.updates, factor),
            used=times(self.used, factor),
            pace=self.pace.scaled(factor),
        )

    def suits(self, contestant: Contestant) -> bool:
        return contestant.name != "pycrdt-consumer"

    async def measure(self, server: Running) -> Figures:
        use, rooms = _Use(self, server), _new_rooms()
        again = Rounds(server, self.pace, use.repeatedly(_same_rooms()), use.taken)
        await again.warm_up()
        fresh = await self._measured(use, rooms)
        await self._unload(server)
        before = memory_bytes(*server.pids)
        for _ in range(max(1, self.used // self.rooms)):
            await use.live(*next(rooms))
        await self._unload(server)
        kept = memory_bytes(*server.pids) - before
        used = await self._measured(use, rooms)
        return {
            **again.sureness("all"),
            **{f"few rooms used before: {what}": value for what, value in fresh.items()},
            **{f"{self.used:,} rooms used before: {what}": value for what, value in used.items()},
            f"after {self.used:,} rooms / before": used[_COST] / fresh[_COST],
            "memory kept per room that was left, KB": max(kept, 0) / self.used / 1e3,
        }

    async def _unload(self, server: Running) -> None:
        await asyncio.sleep(_UNLOADED * min(1.0, self.pace.put_off))
        await quiet(*server.pids)

    async def _measured(self, use: _Use, rooms: _Rooms) -> Figures:
        use.typing, use.delivered = 0.0, 0
        rounds = Rounds(use.server, self.pace, use.repeatedly(rooms), use.taken)
        cost = await rounds.measure_warm()
        return {
            _LIFE: cost * 1e3,
            _COST: use.typing / use.delivered * 1e6,
            **percentiles("delivered after", rounds.seen),
        }


def _same_rooms() -> _Rooms:
    """Yield the same rooms, and others who write: the rooms know what the last have written."""
    return (("again", author(number)) for number in count())


def _new_rooms() -> _Rooms:
    return ((f"new-{number}", author(0)) for number in count())


_LIFE, _COST = "CPU per life of a room, ms", "CPU per delivered update, µs"


class _Use:
    """Opens rooms, lets one member of each write, and leaves them.

    Args:
        scenario: which says how many, and how much is written.
        server: whose rooms they are.
    """

    def __init__(self, scenario: Turnover, server: Running) -> None:
        self.server = server
        #: The processor's seconds while members wrote, and how many updates were delivered.
        self.typing = 0.0
        self.delivered = 0
        self._scenario = scenario
        self._latencies: list[float] = []

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
            self.typing += await quiet(*self.server.pids) - before
            self.delivered += crowd.delivered
            self._latencies += crowd.taken(self.server)
        return self._scenario.rooms

    def taken(self) -> list[float]:
        """Return the latencies of the last set."""
        taken, self._latencies = self._latencies, []
        return taken


TURNOVER = (
    Turnover(
        name="turnover",
        title="200 rooms of 2 at a time come and go",
        servers=STORED_OR_NOT,
        deadline=600.0,
        rooms=200,
        updates=50,
        used=10_000,
    ),
)
