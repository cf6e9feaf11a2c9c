"""Measure servers in turns, several times over, and put the medians into a table."""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import product

from .scenarios import SCENARIOS, Scenario
from .servers import CONTESTANTS, REFERENCE, Contestant
from .table import circumstances, table

__all__ = ["add_arguments", "allow_many_sockets", "run"]

#: Values of a row of the table, by contestant.
Row = dict[str, list[float]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands' arguments to ``parser``."""
    parser.add_argument(
        "--servers",
        nargs="+",
        default=list(CONTESTANTS),
        choices=CONTESTANTS,
        metavar="NAME",
        help=f"which to measure: {', '.join(CONTESTANTS)} (all)",
    )
    parser.add_argument("--repeat", type=int, default=3, help="take the median of so many (3)")
    parser.add_argument("--scale", type=float, default=1.0, help="less, to try it (1.0)")


def run(arguments: argparse.Namespace) -> int:
    """Measure the scenarios of the command ``arguments.name`` and print a table."""
    contestants = [CONTESTANTS[name] for name in arguments.servers]
    for contestant in contestants:
        contestant.install()
    allow_many_sockets()
    scenarios = [
        scenario.scaled(arguments.scale)
        for scenario in SCENARIOS
        if arguments.name in ("all", scenario.command)
    ]
    rows = _measure(scenarios, contestants, arguments.repeat)
    lines = table(rows, [contestant.name for contestant in contestants], [REFERENCE])
    print("\n".join([*lines, "", _circumstances(contestants, arguments.repeat)]))
    return 0


def allow_many_sockets() -> None:
    """Let this process and those that it starts open as many connections as they may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _measure(
    scenarios: Sequence[Scenario], contestants: Sequence[Contestant], repeat: int
) -> dict[tuple[str, str], Row]:
    rows: dict[tuple[str, str], Row] = defaultdict(lambda: defaultdict(list))
    for number, scenario, contestant in product(range(repeat), scenarios, contestants):
        print(f"{number + 1}/{repeat} {scenario.title}: {contestant.name}", file=sys.stderr)
        with contestant.run() as server:
            figures = asyncio.run(scenario.measure(server))
        for what, value in figures.items():
            rows[scenario.title, what][contestant.name].append(value)
    return rows


def _circumstances(contestants: Sequence[Contestant], repeat: int) -> str:
    releases = [f"{contestant.name} {contestant.version()}" for contestant in contestants]
    node = subprocess.check_output(["node", "--version"], text=True).strip()
    return circumstances(
        repeat, [*releases, f"Node.js {node}"], ["pycrdt", "uvicorn", "websockets"]
    )
