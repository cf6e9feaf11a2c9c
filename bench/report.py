"""Tables of results: medians, and how many times better than the best peer of the row."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from .aims import verdicts
from .results import RESULTS, Circumstances, Measurement, medians, read
from .table import short

__all__ = ["add_arguments", "report", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("file", nargs="?", type=Path, default=RESULTS, help=f"({RESULTS})")


def run(arguments: argparse.Namespace) -> int:
    """Print the tables of a file of results."""
    print(report(*read(arguments.file)))
    return 0


def report(circumstances: Sequence[Circumstances], measurements: Sequence[Measurement]) -> str:
    """Return tables in Markdown, what has failed, and on what everything was measured.

    There is a table for scenarios in a row that the same servers were put into.
    """
    peers = {name for each in circumstances for name in each.peers}
    order = list(dict.fromkeys(name for each in circumstances for name in each.servers))
    found, titles = medians(measurements), {each.scenario: each.title for each in measurements}
    tried = {(each.scenario, each.server) for each in measurements}
    failed = {(each.scenario, each.server) for each in measurements if each.error is not None}

    def columns(scenario: str) -> list[str]:
        return [name for name in order if (scenario, name) in tried]

    lines: list[str] = []
    for names, scenarios in groupby(found, columns):
        table = [["", "", *names], ["---", "---", *("---:" for _ in names)]]
        for scenario in scenarios:
            absent = ["failed" if (scenario, name) in failed else "" for name in names]
            # Where all have failed there is a row to say so.
            for number, (what, values) in enumerate(found[scenario].items() or [("", {})]):
                cells = _cells(values, names, absent, peers)
                table.append(["" if number else titles[scenario], what, *cells])
        lines += [*_table(table), ""]
    reached = _aims([*verdicts(found, titles, peers)])
    return "\n".join([*lines, *reached, *_failures(measurements), *map(str, circumstances)])


def _aims(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return a table of what was to be reached, and an empty line behind it."""
    head = [["", "", "to reach", "found", ""], ["---", "---", "---:", "---:", "---"]]
    return [*_table([*head, *lines]), ""] if lines else []


def _table(lines: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in lines]


def _cells(
    values: Mapping[str, float],
    columns: Sequence[str],
    absent: Sequence[str],
    peers: Collection[str],
) -> list[str]:
    best = min((value for name, value in values.items() if name in peers), default=None)
    return [
        _cell(values[name], best) if name in values else instead
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
