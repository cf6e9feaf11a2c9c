"""What members and rooms hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from bench.load import Author, Crowd
from bench.process import memory_bytes, quiet
from bench.servers import Running

from .base import Figures, Scenario, times

__all__ = ["MEMORY", "Memory"]


@dataclass(frozen=True, kw_only=True)
class Memory(Scenario):
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
        # What is loaded once is nobody's.
        async with Crowd([server], 1, 10) as crowd:
            await crowd.write([Author(0).write(1)])
        await quiet(*server.pids)
        before = memory_bytes(*server.pids)
        async with Crowd([server], self.rooms, self.size) as crowd:
            await crowd.write([Author(1).write(self.updates)])
            await quiet(*server.pids)
            used = memory_bytes(*server.pids) - before
        what = "member" if self.rooms == 1 else "room"
        return {f"memory per {what}, KB": used / (self.rooms * self.size) / 1e3}


MEMORY = (
    Memory(name="memory-members", title="1 room of 500 who read", rooms=1, size=500, updates=1),
    Memory(
        name="memory-rooms",
        title="500 rooms of one, 100 updates each",
        rooms=500,
        size=1,
        updates=100,
    ),
)
