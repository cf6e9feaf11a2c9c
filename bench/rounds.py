"""Work in rounds: first until its cost is steady, then measured.

A compiler at run time, as that of Node.js, works for seconds on code that is used much, and other
servers slow down or fill caches. So a server does each kind of work in rounds, until three rounds
in a row have cost about the same, and only then is measured. The figures say how long that took
and how far the rounds are apart, and with that how sure they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Self

from .process import cpu_seconds, quiet
from .servers import Running

__all__ = ["BRIEF", "STANDARD_PACE", "Pace", "Rounds", "is_sureness", "warm_up"]

#: So many rounds in a row are within this part of each other when a server is warm.
_IN_A_ROW, _STEADY = 3, 0.05
#: Latencies of a round that are kept, at even distances in their order.
_KEPT = 5_000
#: What is put before the names of figures that say how sure others are.
_SURENESS = "rounds: "


@dataclass(frozen=True)
class Pace:
    """How long a server works before it is measured, and while it is.

    Args:
        round: seconds that a round takes, about.
        warm_up: seconds after which a server is measured though it is not steady.
        measured: seconds of the rounds that count, at least.
        put_off: seconds that are waited before and after them, for what servers do later.
    """

    round: float = 1.0
    warm_up: float = 40.0
    measured: float = 10.0
    put_off: float = 3.0

    def scaled(self, factor: float) -> Self:
        """Return one that takes so much of the time."""
        return type(self)(
            self.round * factor,
            self.warm_up * factor,
            self.measured * factor,
            self.put_off * factor,
        )


STANDARD_PACE = Pace()
#: For those who have little time: warm as well, measured for less.
BRIEF = Pace(round=0.5, warm_up=20.0, measured=3.0, put_off=1.0)


@dataclass
class _Work:
    """Rounds of work that a server has done."""

    costs: list[float] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def is_steady(self) -> bool:
        """Return whether the last rounds have cost about the same."""
        return len(self.costs) >= _IN_A_ROW and self.apart(_IN_A_ROW) <= _STEADY

    def apart(self, last: int = 0) -> float:
        """Return how far the ``last`` rounds are apart, all by default, as a part of the least."""
        costs = self.costs[-last:]
        least = min(costs, default=0.0)
        return max(costs) / least - 1 if least > 0 else 0.0


@dataclass
class Rounds:
    """Measures a kind of work of a server.

    Args:
        server: that does it.
        pace: for how long.
        work: does a round of it that takes so many seconds, and returns how many units it had.
        latencies: returns those of the round that was done, if it has any.
    """

    server: Running
    pace: Pace
    work: Callable[[float], Awaitable[int]]
    latencies: Callable[[], Sequence[float]] = tuple
    #: Of the rounds that count, thinned.
    seen: list[float] = field(default_factory=list)
    #: Of each round that counts, in order: seconds of the processor for a unit.
    costs: Sequence[float] = ()
    #: And the units.
    units: Sequence[int] = ()
    _warm: _Work = field(default_factory=_Work)

    async def measure(self) -> float:
        """Warm the server up, and return the processor's seconds for each unit of work then."""
        await self.warm_up()
        return await self.measure_warm()

    async def warm_up(self) -> None:
        """Run rounds until their cost is steady, or time is up."""
        self._warm = await self._run(self.pace.warm_up, until_steady=True)

    async def measure_warm(self) -> float:
        """Return the processor's seconds for each unit of work of a server that is warm."""
        await asyncio.sleep(self.pace.put_off)
        before = await quiet(*self.server.pids)
        self.seen.clear()
        done = await self._run(self.pace.measured)
        await asyncio.sleep(self.pace.put_off)
        used = await quiet(*self.server.pids) - before
        self.costs, self.units = done.costs, done.units
        return used / sum(done.units)

    def sureness(self, what: str) -> dict[str, float]:
        """Return figures that say how sure those of the measurement are, under this name."""
        figures: dict[str, float] = {}
        if self._warm.costs:
            apart = self._warm.apart(_IN_A_ROW)
            figures[f"{_SURENESS}{what}: warm-up, s"] = self._warm.seconds
            figures[f"{_SURENESS}{what}: last three of the warm-up apart, %"] = apart * 100
        if self.costs and (middle := median(self.costs)) > 0:
            spread = (max(self.costs) - min(self.costs)) / 2 / middle
            figures[f"{_SURENESS}{what}: measured rounds, ± %"] = spread * 100
        return figures

    async def _run(self, seconds: float, *, until_steady: bool = False) -> _Work:
        done, began = _Work(), perf_counter()
        before = await quiet(*self.server.pids)
        while not done.units or done.seconds < seconds:
            units = await self.work(self.pace.round)
            now = await quiet(*self.server.pids)
            done.costs.append((now - before) / units)
            done.units.append(units)
            done.seconds = perf_counter() - began
            before = now
            self._keep(self.latencies())
            if until_steady and done.is_steady():
                break
        return done

    def _keep(self, latencies: Sequence[float]) -> None:
        ordered = sorted(latencies)
        self.seen += ordered[:: max(1, len(ordered) // _KEPT)]


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
