"""Tables of results: medians, and how many times better than the best peer of the row."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from statistics import median

from .aims import verdicts
from .results import RESULTS, Circumstances, Measurement, Medians, medians, read
from .rounds import is_sureness
from .table import short

__all__ = ["add_arguments", "report", "run"]

#: A table of more servers than that has them below each other.
_MANY = 6
_REPEATED = "repetitions, ± %"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("file", nargs="?", type=Path, default=RESULTS, help=f"({RESULTS})")


def run(arguments: argparse.Namespace) -> int:
    """Print the tables of a file of results."""
    print(report(*read(arguments.file)))
    return 0


def report(circumstances: Sequence[Circumstances], measurements: Sequence[Measurement]) -> str:
    """Return tables in Markdown, what has failed, and on what everything was measured.

    There is a table for scenarios in a row that the same servers were put into, and one of its own
    for a scenario that many were.
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
        rows = []
        for scenario in scenarios:
            absent = ["failed" if (scenario, name) in failed else "" for name in names]
            # Where all have failed there is a row to say so.
            figures = [each for each in found[scenario].items() if not is_sureness(each[0])]
            for what, values in figures or [("", {})]:
                rows.append([titles[scenario], what, *_cells(values, names, absent, peers)])
        lines += _wide(names, rows) if len(names) > _MANY else _narrow(names, rows)
    lines += _sureness(found, titles, _spreads(measurements))
    reached = _aims([*verdicts(found, titles, peers)])
    return "\n".join([*lines, *reached, *_failures(measurements), *map(str, circumstances)])


def _spreads(measurements: Sequence[Measurement]) -> Mapping[tuple[str, str, str], str]:
    """Return how far repetitions are apart, by scenario, figure and server, in percent.

    Scenarios that measure warm servers in turns have a figure of it.
    """
    values: dict[tuple[str, str, str], list[float]] = {}
    in_turns = {each.scenario for each in measurements if any(map(is_sureness, each.figures))}
    for each in measurements:
        for figure, value in each.figures.items() if each.scenario not in in_turns else ():
            values.setdefault((each.scenario, figure, each.server), []).append(value)
    return {
        key: short((max(these) - min(these)) / 2 / median(these) * 100)
        for key, these in values.items()
        if len(these) > 1 and median(these) > 0
    }


def _sureness(
    found: Medians, titles: Mapping[str, str], spreads: Mapping[tuple[str, str, str], str]
) -> list[str]:
    """Return a table of how sure the figures are, with a line for each server and kind of work."""
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    names: dict[str, None] = {}
    for (scenario, what, server), spread in spreads.items():
        names[_REPEATED] = None
        rows[titles[scenario], what, server] = {_REPEATED: spread}
    for scenario, figures in found.items():
        for figure, values in filter(lambda each: is_sureness(each[0]), figures.items()):
            _, what, name = figure.split(": ", 2)
            names[name] = None
            for server, value in values.items():
                rows.setdefault((titles[scenario], what, server), {})[name] = short(value)
    lines = [[*key, *(cells.get(name, "") for name in names)] for key, cells in rows.items()]
    return _table(["How sure it is", "", "", *names], ["---"] * 3, lines) if lines else []


def _narrow(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table with a column for each server, and an empty line behind it."""
    told, lines = "", []
    for title, *cells in rows:
        lines.append([title if title != told else "", *cells])
        told = title
    return _table(["", "", *names], ["---", "---"], lines)


def _wide(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table for each scenario with a line for each server."""
    lines: list[str] = []
    for title, figures in groupby(rows, itemgetter(0)):
        _, whats, *columns = zip(*figures, strict=True)
        cells = [[name, *column] for name, column in zip(names, columns, strict=True)]
        lines += _table([title, *whats], ["---"], cells)
    return lines


def _aims(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return a table of what was to be reached."""
    head = ["", "", "beside", "to reach", "found", ""]
    return _table(head, ["---", "---", "---", "---:", "---:", "---"], lines) if lines else []


def _table(
    head: Sequence[str], alignment: Sequence[str], lines: Sequence[Sequence[str]]
) -> list[str]:
    """Return the lines of a table, and an empty one; further columns are of numbers."""
    numbers = ["---:"] * (len(head) - len(alignment))
    return [*(f"| {' | '.join(line)} |" for line in [head, [*alignment, *numbers], *lines]), ""]


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
