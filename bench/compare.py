"""Measure servers in turns, several times over, and keep the results in a file."""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from time import perf_counter

import uvloop

from .plots import make_plots
from .process import LOAD_CORES, SERVER_CORES, on_cores
from .report import report
from .results import RESULTS, Circumstances, Measurement, read, write
from .scenarios import SCENARIOS, Figures, Scenario
from .servers import CONTESTANTS, Contestant, Running

__all__ = ["add_arguments", "allow_many_sockets", "plan", "run"]

#: What has failed so often in a scenario is not tried again.
_CHANCES = 2
#: Where results of ``--quick`` are, which takes nobody's place who has measured for long.
_QUICK = RESULTS.parent / "quick" / RESULTS.name
#: Of ``--quick``, in their order.
_QUICK_SERVERS = ["collab", "y-websocket-server", "hocuspocus"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help=f"by name, or by family, what is before the first hyphen: {names} (all)",
    )
    parser.add_argument(
        "--servers",
        nargs="+",
        choices=CONTESTANTS,
        metavar="NAME",
        help=f"those alone, in all scenarios: {', '.join(CONTESTANTS)} (as each scenario says)",
    )
    parser.add_argument("--repeat", type=int, help="take the median of so many (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="less, to try it (1.0)")
    what = f"for the results, with the plots beside it ({RESULTS}, or {_QUICK})"
    parser.add_argument("--out", type=Path, help=what)
    parser.add_argument("--quick", action="store_true", help="once, few scenarios and servers")


@dataclass(frozen=True)
class Cell:
    """One measurement that is to be made."""

    run: int
    scenario: Scenario
    contestant: Contestant

    @property
    def key(self) -> tuple[str, str]:
        """Which it is whatever the run."""
        return self.scenario.name, self.contestant.name


def run(arguments: argparse.Namespace) -> int:
    """Measure, print tables, and make plots beside the results; return 1 if ours has failed."""
    out: Path = arguments.out or (_QUICK if arguments.quick else RESULTS)
    repeat = arguments.repeat or (1 if arguments.quick else 5)
    scenarios = _chosen(arguments.scenarios, quick=arguments.quick)
    servers = arguments.servers or (_QUICK_SERVERS if arguments.quick else None)
    cells = list(plan(scenarios, servers, repeat))
    contestants = list(dict.fromkeys(cell.contestant for cell in cells))
    for contestant in contestants:
        contestant.install()
    allow_many_sockets()
    out.unlink(missing_ok=True)
    write(out, _circumstances(contestants, repeat, arguments.scale))
    measurements = list(_measure(cells, arguments.scale, out))
    print(report(*read(out)))
    make_plots(measurements, out.parent / "plots")
    ours = {contestant.name for contestant in contestants if not contestant.is_peer}
    return any(found.error is not None and found.server in ours for found in measurements)


def _chosen(names: Sequence[str], *, quick: bool) -> list[Scenario]:
    known = {name for scenario in SCENARIOS for name in (scenario.name, scenario.family)}
    if unknown := set(names) - known:
        raise ValueError(f"There is no scenario {', '.join(sorted(unknown))}.")
    return [
        scenario.brief() if quick else scenario
        for scenario in SCENARIOS
        if (not names and (scenario.quick or not quick))
        or scenario.name in names
        or scenario.family in names
    ]


def plan(
    scenarios: Sequence[Scenario], servers: Sequence[str] | None, repeat: int
) -> Iterator[Cell]:
    """Yield what to measure, in that order: servers take turns, and each is the first in turn.

    Args:
        scenarios: in their order.
        servers: names of those that are measured in all of them; by default those of each.
        repeat: how often.
    """
    for run in range(repeat):
        for scenario in scenarios:
            names = servers or scenario.servers or list(CONTESTANTS)
            suited = [CONTESTANTS[name] for name in names if _is_for(scenario, CONTESTANTS[name])]
            first = run % len(suited) if suited else 0
            for contestant in suited[first:] + suited[:first]:
                yield Cell(run + 1, scenario, contestant)


def _is_for(scenario: Scenario, contestant: Contestant) -> bool:
    return contestant.is_available and scenario.suits(contestant)


def allow_many_sockets() -> None:
    """Raise the limit of open connections of this process and those that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _circumstances(contestants: Sequence[Contestant], repeat: int, scale: float) -> Circumstances:
    releases = {contestant.name: contestant.version() for contestant in contestants}
    peers = [contestant.name for contestant in contestants if contestant.is_peer]
    return Circumstances(releases, peers, repeat, scale)


def _measure(cells: Sequence[Cell], scale: float, out: Path) -> Iterator[Measurement]:
    progress, failures = _Progress(len(cells)), Counter[tuple[str, str]]()
    for cell in cells:
        progress.tell(cell)
        if failures[cell.key] == _CHANCES:
            continue
        found = _measure_cell(cell, scale)
        if found.error is not None:
            failures[cell.key] += 1
            print(f"  failed: {found.error}", file=sys.stderr)
        write(out, found)
        yield found


def _measure_cell(cell: Cell, scale: float) -> Measurement:
    scenario = cell.scenario.scaled(scale) if scale != 1 else cell.scenario
    found = Measurement(
        scenario.name,
        scenario.family,
        scenario.title,
        _parameters(scenario),
        cell.contestant.name,
        cell.run,
    )
    try:
        # What starts here stays there.
        with on_cores(SERVER_CORES), cell.contestant.run() as server, on_cores(LOAD_CORES):
            return _put_into(scenario, server, found)
    except Exception as error:
        # Whatever it is, it is to be told of this server, and the others are to be measured.
        return replace(found, error=_message(error, scenario))


def _put_into(scenario: Scenario, server: Running, found: Measurement) -> Measurement:
    gc.collect()
    gc.disable()
    began, cpu = perf_counter(), time.process_time()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(_in_time(scenario, server))
    finally:
        gc.enable()
    seconds = perf_counter() - began
    load = (time.process_time() - cpu) / seconds
    return replace(found, figures=figures, seconds=round(seconds, 3), load=round(load, 3))


async def _in_time(scenario: Scenario, server: Running) -> Figures:
    async with asyncio.timeout(scenario.deadline):
        return await scenario.measure(server)


def _message(error: Exception, scenario: Scenario) -> str:
    if isinstance(error, TimeoutError):
        return f"not done within {scenario.deadline:g} s"
    return f"{type(error).__name__}: {error}"


def _parameters(scenario: Scenario) -> dict[str, object]:
    common = {field.name for field in fields(Scenario)}
    return {name: value for name, value in asdict(scenario).items() if name not in common}


class _Progress:
    """Reports progress on standard error."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._began = perf_counter()

    def tell(self, cell: Cell) -> None:
        """Say that ``cell`` is next."""
        what = f"{cell.run}. {cell.scenario.title}: {cell.contestant.name}"
        print(f"{self._done + 1} of {self._total}{self._left()}: {what}", file=sys.stderr)
        self._done += 1

    def _left(self) -> str:
        if not self._done:
            return ""
        seconds = (perf_counter() - self._began) / self._done * (self._total - self._done)
        return f", {seconds / 60:.0f} min left" if seconds > 90 else f", {seconds:.0f} s left"
