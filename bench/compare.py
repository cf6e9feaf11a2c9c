"""Measure servers in turns, several times over, and put the medians into a table."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median

from .scenarios import SCENARIOS, Scenario
from .servers import CONTESTANTS, REFERENCE, Contestant

__all__ = ["add_arguments", "run"]

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
    _allow_many_sockets()
    scenarios = [
        scenario.scaled(arguments.scale)
        for scenario in SCENARIOS
        if arguments.name in ("all", scenario.command)
    ]
    rows = _measure(scenarios, contestants, arguments.repeat)
    print(
        "\n".join([*_table(rows, contestants), "", _circumstances(contestants, arguments.repeat)])
    )
    return 0


def _allow_many_sockets() -> None:
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


# The table.


def _table(rows: dict[tuple[str, str], Row], contestants: Sequence[Contestant]) -> list[str]:
    names = [contestant.name for contestant in contestants]
    lines = [["", "", *names], ["---", "---", *("---:" for _ in names)]]
    told = ""
    for (title, what), row in rows.items():
        lines.append([title if title != told else "", what, *_cells(row, names)])
        told = title
    return [f"| {' | '.join(line)} |" for line in lines]


def _cells(row: Row, names: Sequence[str]) -> list[str]:
    medians = {name: median(row[name]) for name in names}
    reference = medians.get(REFERENCE)
    return [_cell(medians[name], reference) for name in names]


def _cell(value: float, reference: float | None) -> str:
    # Memory may not have grown at all.
    ratio = f"**{value / reference:.2f}** " if reference and reference > 0 else ""
    return f"{ratio}({_short(value)})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _circumstances(contestants: Sequence[Contestant], repeat: int) -> str:
    releases = ", ".join(f"{contestant.name} {contestant.version()}" for contestant in contestants)
    packages = ", ".join(f"{name} {version(name)}" for name in ("pycrdt", "uvicorn", "websockets"))
    node = subprocess.check_output(["node", "--version"], text=True).strip()
    return (
        f"{date.today()}, median of {repeat}, load average {os.getloadavg()[1]:.1f}."
        f" {releases}; Python {platform.python_version()}, {packages}; Node.js {node};"
        f" {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
