"""Plots of results: how servers compare, and how costs grow.

Each is written as PNG and SVG, on a light ground of its own, so that it can be read on any page.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from .aims import MEANWHILE, OURS
from .results import RESULTS, Measurement, medians, read
from .scenarios import STANDARD
from .table import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BARS", "IMAGES", "PLOTS", "Bar", "Panel", "Plot", "add_arguments", "make_plots", "run"]

#: Where the documentation has its pictures.
IMAGES = Path("docs/images")

#: Ours stand out; every server has one colour in all plots, which the colour-blind can tell apart.
_COLOURS = {
    OURS: "#d1495b",
    "collab-pure": "#e07a5f",
    "collab-postgres": "#edae49",
    "collab-memory": "#e8a5ad",
    "y-websocket-server": "#00798c",
    "y-websocket-leveldb": "#64b6c4",
    "hocuspocus": "#30638e",
    "hocuspocus-memory": "#8fb3d3",
    "pycrdt-websocket": "#7a7f85",
}
_STYLE: dict[Any, Any] = {
    "figure.facecolor": "#ffffff",
    "axes.facecolor": "#ffffff",
    "text.color": "#24292f",
    "axes.labelcolor": "#24292f",
    "axes.edgecolor": "#8c959f",
    "xtick.color": "#57606a",
    "ytick.color": "#24292f",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    # The same results make the same file.
    "svg.hashsalt": "collab",
    # Text, which makes a third of what outlines of its letters make.
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Bar:
    """A figure of one scenario, by server.

    Args:
        scenario: its name.
        figure: what it tells; the beginning is enough.
        title: stands above it.
        unit: of the figure.
    """

    scenario: str
    figure: str
    title: str
    unit: str


#: What the picture of the comparison has; less is better in all of it.
BARS = (
    Bar(
        "fanout-50", "one at a time: CPU", "50 members, one update at a time", "µs CPU per delivery"
    ),
    Bar("fanout-50", "bursts of one: CPU", "50 members, one writes bursts", "µs CPU per delivery"),
    Bar("fanout-50", "bursts of all: CPU", "50 members, all write", "µs CPU per delivery"),
    Bar("fanout-1500", "bursts of all: CPU", "1,500 members, all write", "µs CPU per delivery"),
    Bar("rooms-20", "one at a time: CPU", "20 rooms of two, one at a time", "µs CPU per delivery"),
    Bar(
        "rooms-200", "one at a time: CPU", "200 rooms of two, one at a time", "µs CPU per delivery"
    ),
    Bar("rooms-200", "bursts: CPU", "200 rooms of two, bursts", "µs CPU per delivery"),
    Bar("joins-small", "CPU", "Join a document of one line", "ms CPU per join"),
    Bar("presence-500", "CPU", "500 move their cursors", "ms CPU per second"),
    Bar("joins-history", "CPU", "Join a document of 260,000 edits", "ms CPU per join"),
    Bar("reconnect", "all are back", "1,000 come back after a crash", "ms until all are back"),
    Bar(
        "isolation",
        f"{MEANWHILE}, p99",
        "Others, while 20 MB are synchronized",
        "ms latency, p99",
    ),
    Bar(
        "memory-documents",
        "memory per document, 15 s",
        "Idle document of 260,000 edits",
        "KB of memory",
    ),
)
_COLUMNS = 3


@dataclass(frozen=True)
class Panel:
    """A figure that grows.

    Args:
        figure: what it tells; the beginning is enough.
        label: of the axis.
    """

    figure: str
    label: str


@dataclass(frozen=True)
class Plot:
    """The growth of figures with a parameter of the scenarios of one family.

    Args:
        file: its name, without ending.
        family: of the scenarios.
        parameter: that grows.
        label: what the parameter is called.
        panels: what is plotted, side by side.
    """

    file: str
    family: str
    parameter: str
    label: str
    panels: Sequence[Panel]


PLOTS = (
    Plot(
        "growth-members",
        "fanout",
        "size",
        "members of the room",
        (
            Panel("one at a time: CPU", "one update at a time: µs CPU per delivery"),
            Panel("bursts of one: CPU", "one writes in bursts: µs CPU per delivery"),
            Panel("bursts of all: CPU", "all write: µs CPU per delivery"),
        ),
    ),
    Plot(
        "growth-rooms",
        "rooms",
        "rooms",
        "rooms of two",
        (
            Panel("one at a time: CPU", "one update at a time: µs CPU per delivery"),
            Panel("bursts: CPU", "bursts: µs CPU per delivery"),
            Panel("bursts: delivered after, p99", "bursts: ms latency, p99"),
        ),
    ),
    Plot(
        "growth-presence",
        "presence",
        "movers",
        "members who move their cursors",
        (
            Panel("CPU", "ms CPU per second"),
            Panel("writer's updates delivered after, p99", "ms latency of the writer, p99"),
            Panel("cursors are seen that are old, p50", "ms age of cursors, p50"),
        ),
    ),
    Plot(
        "growth-document",
        "joins",
        "size",
        "bytes of the document",
        (
            Panel("CPU", "ms CPU per join"),
            Panel(f"{MEANWHILE}, p99", "others meanwhile: ms latency, p99"),
        ),
    ),
    Plot(
        "growth-log",
        "cold",
        "rows",
        "updates of the cold document",
        (
            Panel("document there after", "ms until the document is there"),
            Panel("CPU", "ms CPU"),
        ),
    ),
)

#: Place, least, median and most of a server's points.
_Line = list[tuple[float, float, float, float]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("file", nargs="?", type=Path, default=RESULTS, help=f"({RESULTS})")
    parser.add_argument("--to", type=Path, default=IMAGES, metavar="DIR", help=f"({IMAGES})")


def run(arguments: argparse.Namespace) -> int:
    """Make the plots of a file of results, and print where they are."""
    for file in make_plots(read(arguments.file)[1], arguments.to):
        print(file)
    return 0


def make_plots(measurements: Sequence[Measurement], directory: Path) -> list[Path]:
    """Write every plot that there are results for, and return the files."""
    # Nothing else needs what makes plots, and that takes a second.
    from matplotlib import rc_context

    directory.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    with rc_context(_STYLE):
        for name, figure in _figures(measurements).items():
            for ending, metadata in (("png", {}), ("svg", {"Date": None})):
                files.append(directory / f"{name}.{ending}")
                figure.savefig(files[-1], dpi=120, metadata=metadata)
    return files


def _figures(measurements: Sequence[Measurement]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    peers = [(bar, values) for bar in BARS if (values := _values(bar, measurements))]
    if peers:
        figures["compared"] = _compared(peers)
    for plot in PLOTS:
        lines = [(panel, _lines(plot, panel, measurements)) for panel in plot.panels]
        if any(len(line) > 1 for _, servers in lines for line in servers.values()):
            figures[plot.file] = _growth(plot, lines)
    return figures


# Bars.


def _values(bar: Bar, measurements: Sequence[Measurement]) -> Mapping[str, float]:
    """Return the medians of the servers that most scenarios are measured with."""
    for figure, values in medians(measurements).get(bar.scenario, {}).items():
        if figure.startswith(bar.figure):
            return {name: values[name] for name in STANDARD if name in values}
    return {}


def _compared(bars: Sequence[tuple[Bar, Mapping[str, float]]]) -> Figure:
    from matplotlib.figure import Figure

    rows = ceil(len(bars) / _COLUMNS)
    figure = Figure(figsize=(11.5, 0.4 + 1.4 * rows), layout="constrained")
    figure.suptitle("Less is better; medians, each server on one core", fontsize=9, color="#57606a")
    panels: list[Axes] = [*figure.subplots(rows, _COLUMNS, squeeze=False).flat]
    for axes, (bar, values) in zip(panels, bars, strict=False):
        _draw_bars(axes, bar, values)
    for axes in panels[len(bars) :]:
        axes.set_axis_off()
    return figure


def _draw_bars(axes: Axes, bar: Bar, values: Mapping[str, float]) -> None:
    drawn = axes.barh([*values], [*values.values()], color=[_COLOURS[name] for name in values])
    axes.bar_label(drawn, [short(value) for value in values.values()], padding=3, fontsize=8)
    axes.set_title(f"{bar.title}\n", loc="left", fontweight="bold")
    axes.text(0, 1.03, bar.unit, transform=axes.transAxes, fontsize=8, color="#57606a")
    axes.invert_yaxis()
    axes.margins(x=0.18)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(left=False, bottom=False, labelbottom=False)


# Growth.


def _lines(plot: Plot, panel: Panel, measurements: Sequence[Measurement]) -> Mapping[str, _Line]:
    values: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for found in measurements:
        place = found.parameters.get(plot.parameter)
        for figure, value in found.figures.items():
            if found.family == plot.family and place and figure.startswith(panel.figure):
                values[found.server][place].append(value)
    return {
        server: sorted((at, min(those), median(those), max(those)) for at, those in each.items())
        for server, each in values.items()
        # The others were measured in one place.
        if server in _COLOURS and len(each) > 1
    }


def _growth(plot: Plot, panels: Sequence[tuple[Panel, Mapping[str, _Line]]]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    plain = FuncFormatter(lambda value, _: short(value))
    figure = Figure(figsize=(1 + 3.6 * len(panels), 3.8), layout="constrained")
    row: Sequence[Axes] = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (panel, lines) in zip(row, panels, strict=True):
        _draw_lines(axes, lines)
        axes.set(xlabel=plot.label, xscale="log", yscale="log")
        axes.xaxis.set_major_formatter(plain)
        axes.yaxis.set_major_formatter(plain)
        axes.set_title(panel.label, loc="left")
        axes.grid(alpha=0.25, which="both", linewidth=0.5)
    shown = {str(line.get_label()): line for axes in row for line in axes.get_lines()}
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_lines(axes: Axes, lines: Mapping[str, _Line]) -> None:
    for server, points in lines.items():
        places, least, middle, most = zip(*points, strict=True)
        colour = _COLOURS[server]
        axes.plot(places, middle, marker="o", markersize=4, color=colour, label=server)
        axes.fill_between(places, least, most, color=colour, alpha=0.15, linewidth=0)
