"""Measure servers in turns, several times over, and keep the results in a file."""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from time import perf_counter

import uvloop

from .plots import make_plots
from .process import LOAD_CORES, SERVER_CORES, on_cores
from .report import report
from .results import RESULTS, Circumstances, Measurement, read, write
from .rounds import BRIEF, STANDARD_PACE
from .scenarios import SCENARIOS, Figures, Scenario
from .servers import CONTESTANTS, Contestant, Running
from .turns import Turn

__all__ = ["Heat", "add_arguments", "allow_many_sockets", "missing", "plan", "run"]

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
    parser.add_argument("--repeat", type=int, help="measure each in this many turns (5)")
    parser.add_argument("--resume", action="store_true", help="measure what the file lacks")
    parser.add_argument("--scale", type=float, default=1.0, help="less, to try it (1.0)")
    what = f"for the results, with the plots beside it ({RESULTS}, or {_QUICK})"
    parser.add_argument("--out", type=Path, help=what)
    parser.add_argument(
        "--quick", action="store_true", help="for less time, few scenarios and servers"
    )


@dataclass(frozen=True)
class Heat:
    """Servers that are started together and put into a scenario, each in its turns."""

    run: int
    scenario: Scenario
    contestants: Sequence[Contestant]


def run(arguments: argparse.Namespace) -> int:
    """Measure, print tables, and make plots beside the results; return 1 if ours has failed."""
    out: Path = arguments.out or (_QUICK if arguments.quick else RESULTS)
    repeat = arguments.repeat or (BRIEF.turns if arguments.quick else STANDARD_PACE.turns)
    scenarios = _chosen(arguments.scenarios, quick=arguments.quick)
    servers = arguments.servers or (_QUICK_SERVERS if arguments.quick else None)
    heats = list(plan(scenarios, servers, repeat))
    contestants = list(dict.fromkeys(each for heat in heats for each in heat.contestants))
    for contestant in contestants:
        contestant.install()
    allow_many_sockets()
    if not arguments.resume:
        out.unlink(missing_ok=True)
    found = read(out)[1] if out.exists() else []
    heats = missing(heats, found)
    write(out, _circumstances(contestants, repeat, arguments.scale))
    _measure(heats, arguments.scale, out)
    circumstances, measurements = read(out)
    print(report(circumstances, measurements))
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
) -> Iterator[Heat]:
    """Yield the measurements to make, in their order.

    Servers that stay warm are started once, and measured in turns. Those that a scenario starts
    anew are started for each repetition, and each is the first in turn.

    Args:
        scenarios: in their order.
        servers: names of those that are measured in all of them; by default those of each.
        repeat: how often each server is measured.
    """
    for scenario in scenarios:
        names = servers or scenario.servers or list(CONTESTANTS)
        suited = [CONTESTANTS[name] for name in names if _is_for(scenario, CONTESTANTS[name])]
        for run in range(repeat if scenario.starts_anew and suited else bool(suited)):
            first = run % len(suited)
            yield Heat(run + 1, scenario.repeated(repeat), suited[first:] + suited[:first])


def missing(heats: Sequence[Heat], found: Sequence[Measurement]) -> list[Heat]:
    """Return the heats without measurements, each with the servers that lack one."""
    known = {(each.scenario, each.server, each.run) for each in found}
    left = (
        replace(
            heat,
            contestants=[
                each
                for each in heat.contestants
                if (heat.scenario.name, each.name, heat.run) not in known
            ],
        )
        for heat in heats
    )
    return [heat for heat in left if heat.contestants]


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


def _measure(heats: Sequence[Heat], scale: float, out: Path) -> None:
    progress, failures = _Progress(len(heats)), Counter[tuple[str, str]]()
    for heat in heats:
        progress.report(heat)
        for found in _measure_heat(_with_chances(heat, failures), scale):
            if found.error is not None:
                failures[found.scenario, found.server] += 1
                print(f"  {found.server} failed: {found.error}", file=sys.stderr)
            write(out, found)


def _with_chances(heat: Heat, failures: Mapping[tuple[str, str], int]) -> Heat:
    """Return the heat without servers that have failed too often in this scenario."""
    scenario = heat.scenario.name
    left = [each for each in heat.contestants if failures[scenario, each.name] < _CHANCES]
    return replace(heat, contestants=left)


class _Entry:
    """A server that is put into a scenario, from its start to its end.

    Args:
        scenario: which.
        contestant: the server.
        run: number of the repetition.
    """

    def __init__(self, scenario: Scenario, contestant: Contestant, run: int) -> None:
        self.found: list[Measurement] = []
        self._scenario = scenario
        self._contestant = contestant
        self._run = run
        self._stack = ExitStack()
        self._server: Running | None = None

    def start(self) -> None:
        """Start the server; its processes stay on the cores that it is started on."""
        with self._failing():
            self._server = self._stack.enter_context(self._contestant.run())

    def end(self) -> None:
        """End the server."""
        with self._failing():
            self._stack.close()

    async def measure(self, lock: asyncio.Lock) -> None:
        """Measure the server, in turns with others that have the same lock."""
        if self._server is None:
            return
        turn = self._server.turn = Turn(lock, self._scenario.deadline)
        try:
            async with turn.taken():
                figures = await self._scenario.measure(self._server)
        except Exception as error:
            # Whatever it is, it is reported of this server, and the others are measured.
            late = f"not done within {self._scenario.deadline:g} s"
            self._fail(late if turn.has_expired else _message(error))
        else:
            self.found = [
                self._measurement(number, each, turn)
                for number, each in enumerate(figures, self._run)
            ]

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._fail(_message(error))

    def _fail(self, message: str) -> None:
        self.found = [replace(self._measurement(self._run, {}, Turn()), error=message)]

    def _measurement(self, number: int, figures: Figures, turn: Turn) -> Measurement:
        return Measurement(
            self._scenario.name,
            self._scenario.family,
            self._scenario.title,
            _parameters(self._scenario),
            self._contestant.name,
            number,
            figures,
            seconds=round(turn.seconds, 3),
            load=round(turn.load_seconds / turn.seconds, 3) if turn.seconds else 0.0,
        )


def _measure_heat(heat: Heat, scale: float) -> Sequence[Measurement]:
    scenario = heat.scenario.scaled(scale) if scale != 1 else heat.scenario
    entries = [_Entry(scenario, contestant, heat.run) for contestant in heat.contestants]
    try:
        with on_cores(SERVER_CORES):
            for entry in entries:
                entry.start()
        with on_cores(LOAD_CORES):
            _measure_entries(entries)
    finally:
        for entry in entries:
            entry.end()
    return [found for entry in entries for found in entry.found]


def _measure_entries(entries: Sequence[_Entry]) -> None:
    async def all_of_them() -> None:
        lock = asyncio.Lock()
        await asyncio.gather(*(entry.measure(lock) for entry in entries))

    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(all_of_them())
    finally:
        gc.enable()


def _message(error: Exception) -> str:
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

    def report(self, heat: Heat) -> None:
        """Print that ``heat`` is next."""
        names = ", ".join(contestant.name for contestant in heat.contestants)
        what = f"{heat.run}. {heat.scenario.title}: {names}"
        print(f"{self._done + 1} of {self._total}{self._left()}: {what}", file=sys.stderr)
        self._done += 1

    def _left(self) -> str:
        if not self._done:
            return ""
        seconds = (perf_counter() - self._began) / self._done * (self._total - self._done)
        return f", {seconds / 60:.0f} min left" if seconds > 90 else f", {seconds:.0f} s left"
