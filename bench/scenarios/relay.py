"""The cost of having the members of a room in two processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Self

from bench.authors import author
from bench.cluster import Cluster, Setup
from bench.load import Crowd
from bench.process import LOAD_CORES, SERVER_CORES, on_cores, quiet
from bench.rounds import warm_up
from bench.servers import Contestant, Running, migrated_file

from .base import Figures, Scenario, times

__all__ = ["RELAY", "Relay"]


@dataclass(frozen=True, kw_only=True)
class Relay(Scenario):
    """The same room in one process, which needs no Redis, and in two that have one between them.

    Args:
        size: members of the room; half of them in each of the two processes.
        writers: how many of them write.
        updates: of each.
        rate: updates a second, at even intervals; 0 for as many as can be.
    """

    size: int
    writers: int
    updates: int
    rate: float = 0.0
    starts_anew: ClassVar[bool] = True

    def scaled(self, factor: float) -> Self:
        return replace(self, updates=times(self.updates, factor), pace=self.pace.scaled(factor))

    def suits(self, contestant: Contestant) -> bool:
        # The two processes are such as it.
        return contestant.name == "collab"

    async def measure(self, server: Running) -> Sequence[Figures]:
        alone = await self._cost([server])
        with on_cores(SERVER_CORES), Setup(2, "core").run(migrated_file()) as cluster:
            return [await self._together(cluster, alone)]

    async def _together(self, cluster: Cluster, alone: float) -> Figures:
        before = cluster.usage()
        with on_cores(LOAD_CORES):
            together = await self._cost(cluster.running)
        redis = cluster.used_since(before).redis_cpu / self._written * 1e6
        return {
            "CPU per update, one process, µs": alone,
            "CPU per update, both of two processes, µs": together,
            "added by the second process / one process": (together - alone) / alone,
            "CPU per update of Redis, µs": redis,
        }

    @property
    def _written(self) -> int:
        return self.writers * self.updates

    async def _cost(self, servers: Sequence[Running]) -> float:
        """Return the CPU that an update costs all processes together, in microseconds."""
        authors = [author(number) for number in range(self.writers)]
        pace = 1 / self.rate if self.rate else 0.0
        async with Crowd(servers, 1, self.size) as crowd:
            writing = partial(crowd.write, authors, self.updates, pace)
            await warm_up(lambda: _pids(servers), self.pace, writing)
            before = await _rest(servers)
            await crowd.write(authors, self.updates, pace)
            used = await _rest(servers) - before
            await crowd.check()
        return used / self._written * 1e6


async def _rest(servers: Sequence[Running]) -> float:
    return await quiet(*_pids(servers))


def _pids(servers: Sequence[Running]) -> Sequence[int]:
    return [pid for server in servers for pid in server.pids]


RELAY = (
    Relay(
        name="relay-typing",
        title="1 room of 20 in two processes, one writes",
        servers=("collab",),
        size=20,
        writers=1,
        updates=600,
        rate=200,
    ),
    Relay(
        name="relay-burst",
        title="1 room of 20 in two processes, all write at once",
        servers=("collab",),
        size=20,
        writers=20,
        updates=100,
    ),
)
