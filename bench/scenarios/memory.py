"""The memory of members, rooms and documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from bench.authors import author
from bench.documents import history_document
from bench.load import Crowd
from bench.process import memory_bytes, quiet
from bench.servers import Running

from .base import STANDARD, Figures, Scenario, times

__all__ = ["MEMORY", "Documents", "Members", "Rooms"]


async def _rest(server: Running) -> int:
    """Return the memory once there is nothing left to do."""
    await quiet(*server.pids)
    return memory_bytes(*server.pids)


async def _before(server: Running) -> int:
    """Return the memory of a server that has done everything once, as that is nobody's."""
    async with Crowd([server], 1, 10, prefix="before") as crowd:
        await crowd.write([author(0)], 1)
    return await _rest(server)


@dataclass(frozen=True, kw_only=True)
class Members(Scenario):
    """Members of one room are there and read.

    Args:
        size: how many.
    """

    size: int
    starts_anew: ClassVar[bool] = True

    def scaled(self, factor: float) -> Self:
        return replace(self, size=times(self.size, factor))

    async def measure(self, server: Running) -> Sequence[Figures]:
        before = await _before(server)
        async with Crowd([server], 1, self.size) as crowd:
            await crowd.write([author(0)], 1)
            used = await _rest(server) - before
        return [{"memory per member, KB": used / self.size / 1e3}]


@dataclass(frozen=True, kw_only=True)
class Rooms(Scenario):
    """Rooms are open, each with one member, who has written in it.

    Args:
        rooms: how many.
        updates: of each.
    """

    rooms: int
    updates: int
    starts_anew: ClassVar[bool] = True

    def scaled(self, factor: float) -> Self:
        return replace(self, rooms=max(2, times(self.rooms, factor)))

    async def measure(self, server: Running) -> Sequence[Figures]:
        before = await _before(server)
        async with Crowd([server], self.rooms, 1) as crowd:
            await crowd.write([author(0)], self.updates)
            used = await _rest(server) - before
        return [{"memory per room, KB": used / self.rooms / 1e3}]


@dataclass(frozen=True, kw_only=True)
class Documents(Scenario):
    """Documents with a history are open, each with one member, who has stopped to write.

    Args:
        rooms: how many documents.
        seconds: that servers have to make them small.
    """

    rooms: int
    seconds: float
    starts_anew: ClassVar[bool] = True

    def scaled(self, factor: float) -> Self:
        rooms = max(2, times(self.rooms, factor))
        return replace(self, rooms=rooms, seconds=self.seconds * factor)

    async def measure(self, server: Running) -> Sequence[Figures]:
        document = history_document()
        before = await _before(server)
        async with Crowd([server], self.rooms, 1) as crowd:
            await crowd.seed([document.data], document.clocks)
            await crowd.write([author(0)], 1)
            at_once = await _rest(server) - before
            await asyncio.sleep(self.seconds)
            later = await _rest(server) - before
        return [
            {
                "memory per document, just written, KB": at_once / self.rooms / 1e3,
                f"memory per document, {self.seconds:g} s later, KB": later / self.rooms / 1e3,
            }
        ]


MEMORY = (
    Members(
        name="memory-members",
        title="1 room of 500 who read",
        servers=(*STANDARD, "y-websocket-leveldb"),
        size=500,
    ),
    Rooms(
        name="memory-rooms",
        title="500 rooms of one, 100 updates each",
        rooms=500,
        updates=100,
    ),
    Documents(
        name="memory-documents",
        title="30 documents of 259,778 edits, one member each",
        # Of the two that have Yjs in them one, for the other has the same.
        servers=("collab", "y-websocket-server", "pycrdt-websocket"),
        rooms=30,
        # Ours sleep by then.
        seconds=15,
    ),
)
