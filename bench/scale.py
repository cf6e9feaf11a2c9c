"""Measure what several processes cost, with each of the channel layers of channels_redis."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from collab import __version__
from collab.protocol.frames import PresenceState, presence_frame
from tests.harness.fixtures import migrate

from .authors import Author, author
from .cluster import Cluster, Setup, Usage
from .compare import allow_many_sockets
from .load import Crowd, Member
from .scenarios.base import Figures, percentiles, times
from .servers import Running
from .table import Rows, circumstances, table

__all__ = ["add_arguments", "run"]

#: How often a Yjs client says that it is still present, in seconds.
_RENEWAL = 15.0
#: What a relay does when it is new, it has done by then, in seconds.
_SETTLING = 3.0

LAYERS = ["core", "pubsub"]


@dataclass(frozen=True)
class Scenario(ABC):
    """A situation that processes are put into.

    Args:
        title: what tables call it.
        processes: the most that it is measured with.
    """

    title: str
    processes: int

    @abstractmethod
    async def measure(self, cluster: Cluster) -> Figures:
        """Put the processes into it; return what that cost."""

    @abstractmethod
    def scaled(self, factor: float) -> Self:
        """Return one with less of everything, to try whether it works."""


@dataclass(frozen=True)
class Writing(Scenario):
    """Updates reach the members in all processes.

    Args:
        rooms: that are busy at once.
        size: members of each; every process has some of them.
        writers: how many of them write.
        updates: that each writes in a round.
        rounds: each begins when everybody has what was written in the one before.
        rate: updates a second, at even intervals; 0 for as many as can be.
    """

    rooms: int
    size: int
    writers: int
    updates: int
    rounds: int
    rate: float

    def scaled(self, factor: float) -> Self:
        return replace(self, rooms=times(self.rooms, factor), rounds=times(self.rounds, factor))

    async def measure(self, cluster: Cluster) -> Figures:
        authors = [author(number) for number in range(self.writers)]
        async with Crowd(cluster.running, self.rooms, self.size) as crowd:
            # Compilers in the server get to know the work first.
            warm_up = times(self.rounds, 0.2)
            await self._play(crowd, authors, warm_up)
            await cluster.rest()
            for seconds in crowd.latencies.values():
                seconds.clear()
            before = cluster.usage()
            await self._play(crowd, authors, self.rounds)
            await cluster.rest()
            used = cluster.used_since(before)
            await crowd.check()
        seconds = [late for server in self._receivers(cluster) for late in crowd.latencies[server]]
        return percentiles("delivered after,", seconds) | self._costs(cluster, used)

    async def _play(self, crowd: Crowd, authors: Sequence[Author], rounds: int) -> None:
        pace = 1 / self.rate if self.rate else 0.0
        for _ in range(rounds):
            await crowd.write(authors, self.updates, pace)

    def _receivers(self, cluster: Cluster) -> Sequence[Running]:
        """Return the processes in which nobody writes, if it is one member who writes."""
        return cluster.running[1:] if self.writers == 1 and cluster.has_layer else cluster.running

    def _costs(self, cluster: Cluster, used: Usage) -> Figures:
        written = self.rooms * self.rounds * self.writers * self.updates
        total = sum(used.cpu) + used.redis_cpu
        costs = {"CPU per update, all together, µs": total / written * 1e6}
        if not cluster.has_layer:
            return costs
        if self.writers == 1:
            first, *others = used.cpu
            costs["— the writer's process, µs"] = first / written * 1e6
            costs["— each other process, µs"] = sum(others) / len(others) / written * 1e6
            costs["— Redis, µs"] = used.redis_cpu / written * 1e6
        costs["messages per update"] = sum(used.sent) / written
        costs["Redis commands per message"] = used.commands / sum(used.sent)
        costs["updates that were repaired, %"] = used.repaired / written * 100
        costs["documents read again, per 100 updates"] = used.rereads / written * 100
        return costs


@dataclass(frozen=True)
class Idle(Scenario):
    """Members who are there and do nothing.

    Args:
        rooms: that are open at once.
        size: members of each; every process has some of them.
        seconds: for how long they are watched.
    """

    rooms: int
    size: int
    seconds: float

    def scaled(self, factor: float) -> Self:
        return replace(self, rooms=times(self.rooms, factor), seconds=self.seconds * factor)

    async def measure(self, cluster: Cluster) -> Figures:
        # What is loaded once is nobody's.
        async with Crowd(cluster.running, 1, 2 * len(cluster.running)) as crowd:
            await crowd.write([author(0)], 1)
        await cluster.rest()
        before = cluster.memory()
        async with Crowd(cluster.running, self.rooms, self.size) as crowd:
            await asyncio.sleep(_SETTLING)
            await cluster.rest()
            memory = cluster.memory() - before
            silent = await self._watch(cluster, crowd.members, 0)
            await _renew_presence(crowd.members, 1, 0.0)
            await cluster.rest()
            present = await self._watch(cluster, crowd.members, 2)
        return {
            "memory per member, KB": memory / (self.rooms * self.size) / 1e3,
            **self._costs("without presence", silent, cluster.has_layer),
            **self._costs("with presence", present, cluster.has_layer),
        }

    async def _watch(self, cluster: Cluster, members: Sequence[Member], clock: int) -> Usage:
        """Watch them, who renew their presence meanwhile if ``clock`` is not 0."""
        before = cluster.usage()
        end = time.perf_counter() + self.seconds
        if clock:
            await _renew_presence(members, clock, self.seconds / len(members))
        await asyncio.sleep(max(0.0, end - time.perf_counter()))
        return cluster.used_since(before)

    def _costs(self, what: str, used: Usage, has_layer: bool) -> Figures:
        total = sum(used.cpu) + used.redis_cpu
        costs = {f"CPU {what}, % of a core": total / self.seconds * 100}
        if has_layer:
            costs[f"messages {what}, per s"] = sum(used.sent) / self.seconds
            costs[f"Redis commands {what}, per s"] = used.commands / self.seconds
        return costs


async def _renew_presence(members: Sequence[Member], clock: int, pace: float) -> None:
    began = time.perf_counter()
    for number, member in enumerate(members):
        await asyncio.sleep(began + number * pace - time.perf_counter())
        state = json.dumps({"user": {"name": f"Member {number}", "color": "#30bced"}})
        member.say(presence_frame([PresenceState(number + 1, clock, state)]))


#: What a worker of the project does; prints milliseconds.
_WORKER = """
import time
from pycrdt import Text
from collab.documents import edit

def append():
    with edit("room-0") as doc:
        doc.get("text", type=Text).insert(0, "0123456789")

append()
wall, cpu = time.perf_counter(), time.process_time()
for _ in range({edits}):
    append()
print((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
"""


@dataclass(frozen=True)
class Worker(Scenario):
    """A process without members edits a document that others hold.

    Args:
        edits: how many, one after the other.
    """

    edits: int

    def scaled(self, factor: float) -> Self:
        return replace(self, edits=times(self.edits, factor))

    async def measure(self, cluster: Cluster) -> Figures:
        async with Crowd(cluster.running, 1, len(cluster.running)) as crowd:
            await crowd.write([author(0)], 1)
            await cluster.rest()
            before = cluster.usage()
            code = _WORKER.format(edits=self.edits)
            printed = await asyncio.to_thread(cluster.servers[0].run_code, code)
            await cluster.rest()
            used = cluster.used_since(before)
        wall, cpu = map(float, printed.split())
        costs = {"time per edit, ms": wall / self.edits, "CPU per edit, ms": cpu / self.edits}
        if cluster.has_layer:
            # The one before the clock is started counts here.
            edits = self.edits + 1
            processes = len(cluster.running)
            costs["messages that each process gets per edit"] = (
                (sum(used.received) - processes * sum(used.sent)) / processes / edits
            )
            costs["Redis connections for all edits"] = used.connections
        return costs


SCENARIOS: Sequence[Scenario] = (
    Writing(
        "100 rooms of 6, one writes, 200 updates a second", 3, 100, 6, 1, 1, rounds=24, rate=200
    ),
    Writing("100 rooms of 6, one writes, all at once", 3, 100, 6, 1, 1, rounds=15, rate=0),
    Writing("1 room of 12, all write at once", 3, 1, 12, 12, 20, rounds=15, rate=0),
    Idle("250 rooms of 4 who do nothing", 2, 250, 4, seconds=_RENEWAL),
    Worker("a worker edits a document that is open", 2, edits=300),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument(
        "--layers",
        nargs="+",
        default=LAYERS,
        choices=LAYERS,
        help="RedisChannelLayer is core, RedisPubSubChannelLayer pubsub (both)",
    )
    parser.add_argument("--repeat", type=int, default=1, help="take the median of so many (1)")
    parser.add_argument("--scale", type=float, default=1.0, help="less, to try it (1.0)")


def run(arguments: argparse.Namespace) -> int:
    """Measure all scenarios and print a table."""
    allow_many_sockets()
    several = [Setup(processes, layer) for processes in (2, 3) for layer in arguments.layers]
    setups = [Setup(1), *several]
    scenarios = [scenario.scaled(arguments.scale) for scenario in SCENARIOS]
    rows = _measure(scenarios, setups, arguments.repeat)
    names = [setup.name for setup in setups]
    releases = [f"collab {__version__}"]
    packages = ["pycrdt", "uvicorn", "websockets", "channels-redis", "redis"]
    lines = table(rows, names, names)
    print("\n".join([*lines, "", circumstances(arguments.repeat, releases, packages)]))
    return 0


def _measure(scenarios: Sequence[Scenario], setups: Sequence[Setup], repeat: int) -> Rows:
    rows: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with TemporaryDirectory() as directory:
        empty = Path(directory) / "empty.sqlite3"
        migrate(f"sqlite://{empty}")
        for number, scenario, setup in product(range(repeat), scenarios, setups):
            if setup.processes > scenario.processes:
                continue
            print(f"{number + 1}/{repeat} {scenario.title}: {setup.name}", file=sys.stderr)
            with setup.run(empty) as cluster:
                figures = asyncio.run(scenario.measure(cluster))
            for what, value in figures.items():
                rows[scenario.title, what][setup.name].append(value)
    return rows
