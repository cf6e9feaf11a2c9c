"""Tables of results: medians, and how many times better than the best peer of the row."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import median

from .results import RESULTS, Circumstances, Measurement, read
from .table import short

__all__ = ["add_arguments", "report", "run"]

#: Medians by server, by what they tell, by the title of the scenario.
_Medians = Mapping[str, Mapping[str, Mapping[str, float]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("file", nargs="?", type=Path, default=RESULTS, help=f"({RESULTS})")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="make plots there, PNG and SVG")


def run(arguments: argparse.Namespace) -> int:
    """Print the table of a file of results, and make plots of it."""
    circumstances, measurements = read(arguments.file)
    print(report(circumstances, measurements))
    if arguments.plots is not None:
        # Nothing else needs what makes plots.
        from .plots import make_plots

        make_plots(measurements, arguments.plots)
    return 0


def report(circumstances: Sequence[Circumstances], measurements: Sequence[Measurement]) -> str:
    """Return a table in Markdown, what has failed, and on what everything was measured."""
    peers = {name for each in circumstances for name in each.peers}
    columns = list(dict.fromkeys(name for each in circumstances for name in each.servers))
    lines = [["", "", *columns], ["---", "---", *("---:" for _ in columns)]]
    failed = {(found.title, found.server) for found in measurements if found.error is not None}
    for title, rows in _medians(measurements).items():
        absent = ["failed" if (title, name) in failed else "" for name in columns]
        for number, (what, medians) in enumerate(rows.items()):
            cells = _cells(medians, columns, absent, peers)
            lines.append(["" if number else title, what, *cells])
    table = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([*table, "", *_failures(measurements), *map(str, circumstances)])


def _medians(measurements: Sequence[Measurement]) -> _Medians:
    values: dict[str, dict[str, dict[str, list[float]]]] = {}
    for found in measurements:
        rows = values.setdefault(found.title, {})
        for what, value in found.figures.items():
            rows.setdefault(what, {}).setdefault(found.server, []).append(value)
    return {
        # Where all have failed there is a row to say so.
        title: {what: _each_median(cells) for what, cells in rows.items()} or {"": {}}
        for title, rows in values.items()
    }


def _each_median(cells: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {server: median(values) for server, values in cells.items()}


def _cells(
    medians: Mapping[str, float],
    columns: Sequence[str],
    absent: Sequence[str],
    peers: Collection[str],
) -> list[str]:
    best = min((value for name, value in medians.items() if name in peers), default=None)
    return [
        _cell(medians[name], best) if name in medians else instead
        for name, instead in zip(columns, absent, strict=True)
    ]


def _cell(value: float, best: float | None) -> str:
    # Memory may not have grown at all.
    ratio = f"**{best / value:.2f}** " if best and best > 0 and value > 0 else ""
    return f"{ratio}({short(value)})"


def _failures(measurements: Sequence[Measurement]) -> list[str]:
    """Return a line for each kind of failure, and an empty one behind them."""
    counts = Counter(
        f"{found.server} failed in \u201c{found.title}\u201d: {found.error}"
        for found in measurements
        if found.error is not None
    )
    lines = [line if times == 1 else f"{line} ({times} times)" for line, times in counts.items()]
    return [*(f"- {line}" for line in lines), ""] if lines else []
