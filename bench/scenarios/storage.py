"""The cost of storing updates, and how much of it goes to the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import ClassVar, Self

from bench.authors import author
from bench.documents import typed_document
from bench.load import Crowd
from bench.process import quiet, written_bytes
from bench.rounds import Rounds, warm_up
from bench.servers import Contestant, Running

from .base import Figures, Scenario, times

__all__ = ["STORAGE", "Burst", "Typing"]

#: By then everybody has stored what was written, in seconds.
_DEBOUNCE = 3.0


@dataclass(frozen=True, kw_only=True)
class Burst(Scenario):
    """One of the two members of each room writes as fast as can be.

    Args:
        rooms: that are busy at once.
        updates: of each writer.
    """

    rooms: int
    updates: int

    def scaled(self, factor: float) -> Self:
        return replace(
            self,
            rooms=times(self.rooms, factor),
            updates=times(self.updates, factor),
            pace=self.pace.scaled(factor),
        )

    async def measure(self, server: Running) -> Sequence[Figures]:
        async with Crowd([server], self.rooms, 2) as crowd:
            took = [0.0]

            async def write(seconds: float) -> int:
                began = perf_counter()
                await crowd.write([author(0)], self.updates)
                took[0] = perf_counter() - began
                await crowd.saved()
                crowd.taken(server)
                return self.rooms * self.updates

            rounds = Rounds(server, self.pace, write, lambda: {"took": took})
            turns = await rounds.measure()
            await crowd.check()
        return [
            {
                "time per update, µs": sum(turn.samples["took"]) / turn.units * 1e6,
                "CPU per update, µs": turn.cost * 1e6,
                **rounds.sureness("all"),
            }
            for turn in turns
        ]


@dataclass(frozen=True, kw_only=True)
class Typing(Scenario):
    """One member of each room types, in a document that has a history.

    Args:
        rooms: in which somebody types.
        members: of each room.
        edits: that each document has seen before.
        rate: keystrokes a second of each writer, a character each.
        seconds: for how long they type.
    """

    rooms: int
    members: int = 2
    edits: int
    rate: float
    seconds: float
    starts_anew: ClassVar[bool] = True

    def scaled(self, factor: float) -> Self:
        return replace(
            self,
            edits=times(self.edits, factor),
            seconds=self.seconds * factor,
            pace=self.pace.scaled(factor),
        )

    def suits(self, contestant: Contestant) -> bool:
        return contestant.is_stored

    async def measure(self, server: Running) -> Sequence[Figures]:
        document = typed_document(self.edits)
        async with Crowd([server], self.rooms, self.members) as crowd:
            await crowd.seed([document.data], document.clocks)
            await warm_up(lambda: server.pids, self.pace, partial(self._type, crowd))
            await asyncio.sleep(_DEBOUNCE)
            before, disk_before = await quiet(*server.pids), _written(server)
            keystrokes = times(round(self.rate * self.seconds), 1)
            await self._type(crowd, keystrokes)
            await crowd.check()
        # Some store what is left when the last member has gone.
        used, disk = await quiet(*server.pids) - before, _written(server) - disk_before
        typed = keystrokes * self.rooms
        return [
            {
                "bytes written to the disk per byte typed": disk / typed,
                "CPU per keystroke, µs": used / typed * 1e6,
            }
        ]

    async def _type(self, crowd: Crowd, keystrokes: int = 10) -> None:
        await crowd.write([author(0)], keystrokes, 1 / self.rate / self.rooms)
        await crowd.saved()


def _written(server: Running) -> int:
    return written_bytes(*server.pids, *server.database_pids)


STORAGE = (
    Burst(
        name="storage-burst",
        title="10 rooms of 2, one writes as fast as can be",
        servers=(
            *("collab", "collab-postgres", "collab-memory", "hocuspocus", "hocuspocus-memory"),
            *("y-websocket-leveldb", "y-websocket-server"),
        ),
        rooms=10,
        updates=3_000,
    ),
    Typing(
        name="storage-typing",
        title="10 people type 10 letters a second in documents of 125 KB",
        servers=("collab", "collab-postgres", "hocuspocus", "y-websocket-leveldb"),
        rooms=10,
        edits=48_000,
        rate=10,
        seconds=10,
    ),
    Typing(
        name="storage-alone",
        title="one person types 5 letters a second",
        servers=("collab", "collab-postgres", "hocuspocus", "y-websocket-leveldb"),
        rooms=1,
        members=1,
        edits=1_000,
        rate=5,
        seconds=30,
    ),
)
