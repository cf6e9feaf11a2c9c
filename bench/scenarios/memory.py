"""What members, rooms and documents hold."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Self

from bench.authors import author
from bench.documents import typed_document
from bench.load import Crowd
from bench.process import memory_bytes, quiet
from bench.servers import Running

from .base import Figures, Scenario, times

__all__ = ["MEMORY", "Documents", "Idle"]

_SERVERS = (
    *("collab", "y-websocket-server", "y-websocket-leveldb", "hocuspocus", "pycrdt-websocket"),
    "pycrdt-consumer",
)


async def _before(server: Running) -> int:
    """Return the memory of a server that has done everything once, as that is nobody's."""
    async with Crowd([server], 1, 10, prefix="before") as crowd:
        await crowd.write([author(0)], 1)
    await quiet(*server.pids)
    return memory_bytes(*server.pids)


@dataclass(frozen=True, kw_only=True)
class Idle(Scenario):
    """Members who are there and read.

    Args:
        rooms: that are open at once.
        size: members of each.
        updates: that were written in each room before.
    """

    family = "memory"
    rooms: int
    size: int
    updates: int

    def scaled(self, factor: float) -> Self:
        rooms = 1 if self.rooms == 1 else max(2, times(self.rooms, factor))
        return replace(self, rooms=rooms, size=times(self.size, factor))

    async def measure(self, server: Running) -> Figures:
        before = await _before(server)
        async with Crowd([server], self.rooms, self.size) as crowd:
            await crowd.write([author(0)], self.updates)
            await quiet(*server.pids)
            used = memory_bytes(*server.pids) - before
        what = "member" if self.rooms == 1 else "room"
        return {f"memory per {what}, KB": used / (self.rooms * self.size) / 1e3}


@dataclass(frozen=True, kw_only=True)
class Documents(Scenario):
    """Documents with a history are open; each has one member, who has long stopped to write.

    Args:
        rooms: how many documents.
        edits: that each has seen.
        seconds: without a change.
    """

    family = "memory"
    rooms: int
    edits: int
    seconds: float

    def scaled(self, factor: float) -> Self:
        return replace(
            self,
            rooms=max(2, times(self.rooms, factor)),
            edits=times(self.edits, factor),
            seconds=self.seconds * factor,
        )

    async def measure(self, server: Running) -> Figures:
        document = typed_document(self.edits)
        before = await _before(server)
        async with Crowd([server], self.rooms, 1) as crowd:
            await crowd.seed([document.data], document.clocks)
            await crowd.write([author(0)], 1)
            await quiet(*server.pids)
            at_once = memory_bytes(*server.pids) - before
            await asyncio.sleep(self.seconds)
            later = memory_bytes(*server.pids) - before
        return {
            "memory per document, just written, KB": at_once / self.rooms / 1e3,
            f"memory per document, {self.seconds:g} s later, KB": later / self.rooms / 1e3,
        }


MEMORY = (
    Idle(
        name="memory-members",
        title="1 room of 500 who read",
        servers=_SERVERS,
        rooms=1,
        size=500,
        updates=1,
    ),
    Idle(
        name="memory-rooms",
        title="500 rooms of one, 100 updates each",
        servers=_SERVERS,
        rooms=500,
        size=1,
        updates=100,
    ),
    Documents(
        name="memory-documents",
        title="30 documents of 20,000 edits, one member each",
        servers=_SERVERS[:-1],
        rooms=30,
        edits=20_000,
        # Ours sleep by then: see SLEEP_DELAY in docs/settings.md.
        seconds=22,
    ),
)
