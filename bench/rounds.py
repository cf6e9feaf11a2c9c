"""Work in rounds: first until its cost is steady, then measured, in several turns.

A compiler at run time, as that of Node.js, works for seconds on code that is used much, and other
servers slow down or fill caches. So a server does each kind of work in rounds, until three rounds
in a row have cost about the same, and only then is measured. Servers that are measured together
take turns on the same warm processes, so that whatever slows the machine down for a while slows
all of them down. The figures say how long the warm-up took and how far the turns are apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from time import perf_counter
from typing import Self

from .process import cpu_seconds, quiet
from .servers import Running

__all__ = ["BRIEF", "STANDARD_PACE", "Measured", "Pace", "Rounds", "is_sureness", "warm_up"]

#: A server is warm when the last rounds, this many, are within this part of each other.
_IN_A_ROW, _STEADY = 3, 0.05
#: Values of a sample that are kept of a round, at even distances in their order.
_KEPT = 5_000
#: The prefix of figures that say how sure others are.
_SURENESS = "rounds: "


@dataclass(frozen=True)
class Pace:
    """The durations of a server's work before its measurement and during it.

    Args:
        round: seconds that a round takes, about.
        warm_up: seconds after which a server is measured though it is not steady.
        measured: seconds of the rounds that count, at least, of all turns together.
        turns: in which they are measured.
        lead_in: seconds of work at the beginning of each turn that do not count.
    """

    round: float = 1.0
    warm_up: float = 40.0
    measured: float = 10.0
    turns: int = 5
    lead_in: float = 0.5

    def scaled(self, factor: float) -> Self:
        """Return one that takes this part of the time."""
        return replace(
            self,
            round=self.round * factor,
            warm_up=self.warm_up * factor,
            measured=self.measured * factor,
            lead_in=self.lead_in * factor,
        )


STANDARD_PACE = Pace()
#: When there is little time: as warm, measured for less.
BRIEF = Pace(round=0.5, warm_up=20.0, measured=3.0, turns=3, lead_in=0.25)


@dataclass
class _Work:
    """Rounds of work that a server has done."""

    costs: list[float] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    #: Seconds of the processor, of all rounds together.
    used: float = 0.0
    seconds: float = 0.0
    samples: dict[str, list[float]] = field(default_factory=dict)

    def is_steady(self) -> bool:
        """Return whether the last rounds have cost about the same."""
        return len(self.costs) >= _IN_A_ROW and self.apart(_IN_A_ROW) <= _STEADY

    def apart(self, last: int = 0) -> float:
        """Return how far the ``last`` rounds are apart, all by default, as a part of the least."""
        costs = self.costs[-last:]
        least = min(costs, default=0.0)
        return max(costs) / least - 1 if least > 0 else 0.0

    def keep(self, samples: Mapping[str, Sequence[float]]) -> None:
        """Add the samples of a round, thinned."""
        for name, values in samples.items():
            ordered = sorted(values)
            kept = ordered[:: max(1, len(ordered) // _KEPT)]
            self.samples.setdefault(name, []).extend(kept)


@dataclass(frozen=True)
class Measured:
    """A turn of a warm server.

    Args:
        cost: seconds of the processor for a unit of work.
        units: of work that were done.
        samples: what else was seen meanwhile, by name.
    """

    cost: float
    units: int
    samples: Mapping[str, Sequence[float]]


def _no_samples() -> Mapping[str, Sequence[float]]:
    return {}


@dataclass
class Rounds:
    """Measures a kind of work of a server.

    Args:
        server: that does it.
        pace: for how long.
        work: does a round of it that takes this many seconds, and returns how many units it had.
        samples: returns values of the round that was done, by name, if it has any.
    """

    server: Running
    pace: Pace
    work: Callable[[float], Awaitable[int]]
    samples: Callable[[], Mapping[str, Sequence[float]]] = _no_samples
    #: The measured turns.
    turns: list[Measured] = field(default_factory=list)
    _warm: _Work = field(default_factory=_Work)
    #: Seconds between turns, and those of the server's processor in them.
    _waited: float = 0.0
    _used_waiting: float = 0.0

    async def measure(self) -> Sequence[Measured]:
        """Warm the server up, and return what its work costs then, in several turns."""
        await self.warm_up()
        await self.server.turn.pass_on()
        return await self.measure_warm()

    async def warm_up(self) -> None:
        """Run rounds until their cost is steady, or time is up."""
        self._warm = await self._run(self.pace.warm_up, until_steady=True)
        await self._rest()

    async def measure_warm(self) -> Sequence[Measured]:
        """Return the cost of the work of a warm server, in several turns."""
        for _ in range(self.pace.turns):
            self.turns.append(await self._turn())
            began, before = perf_counter(), cpu_seconds(*self.server.pids)
            await self.server.turn.pass_on()
            self._waited += perf_counter() - began
            self._used_waiting += cpu_seconds(*self.server.pids) - before
        return self.turns

    def sureness(self, what: str) -> dict[str, float]:
        """Return figures that say how sure those of the measurement are, under this name."""
        figures: dict[str, float] = {}
        if self._warm.costs:
            apart = self._warm.apart(_IN_A_ROW)
            figures[f"{_SURENESS}{what}: warm-up, s"] = self._warm.seconds
            figures[f"{_SURENESS}{what}: last three of the warm-up apart, %"] = apart * 100
        costs = [turn.cost for turn in self.turns]
        if costs and (middle := median(costs)) > 0:
            spread = (max(costs) - min(costs)) / 2 / middle
            figures[f"{_SURENESS}{what}: measured turns, ± %"] = spread * 100
        if self._waited > 0:
            used = self._used_waiting / self._waited
            figures[f"{_SURENESS}{what}: CPU while others are measured, %"] = used * 100
        return figures

    async def _turn(self) -> Measured:
        if self.pace.lead_in:
            await self.work(self.pace.lead_in)
            self.samples()
        done = await self._run(self.pace.measured / self.pace.turns)
        # A server that works on without a pause puts it off to the end of all turns, and does it
        # once.
        later = await self._rest() / self.pace.turns
        units = sum(done.units)
        return Measured((done.used + later) / units, units, done.samples)

    async def _rest(self) -> float:
        """Wait until the server has done what it puts off; return the processor's seconds."""
        before = cpu_seconds(*self.server.pids)
        await asyncio.sleep(self.server.contestant.puts_off)
        return await quiet(*self.server.pids) - before

    async def _run(self, seconds: float, *, until_steady: bool = False) -> _Work:
        done, began = _Work(), perf_counter()
        first = before = await quiet(*self.server.pids)
        while not done.units or done.seconds < seconds:
            units = await self.work(self.pace.round)
            now = await quiet(*self.server.pids)
            done.costs.append((now - before) / units)
            done.units.append(units)
            done.seconds = perf_counter() - began
            before = now
            done.keep(self.samples())
            if until_steady and done.is_steady():
                break
        done.used = before - first
        return done


async def warm_up(
    pids: Callable[[], Sequence[int]], pace: Pace, work: Callable[[], Awaitable[None]]
) -> None:
    """Repeat some work until what it costs these processes is steady, or time is up."""
    done, began = _Work(), perf_counter()
    while perf_counter() - began < pace.warm_up and not done.is_steady():
        before = cpu_seconds(*pids())
        await work()
        done.costs.append(await quiet(*pids()) - before)


def is_sureness(figure: str) -> bool:
    """Return whether a figure says how sure another one is."""
    return figure.startswith(_SURENESS)
