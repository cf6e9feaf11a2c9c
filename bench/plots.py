"""Plots of results: how costs grow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure

from .results import Measurement

__all__ = ["PLOTS", "Plot", "make_plots"]


@dataclass(frozen=True)
class Plot:
    """How a figure grows with a parameter of scenarios of one family.

    Args:
        file: its name, without ending.
        title: stands above it.
        family: of the scenarios.
        parameter: that grows.
        figure: that is plotted.
        label: what the parameter is called.
    """

    file: str
    title: str
    family: str
    parameter: str
    figure: str
    label: str


PLOTS: Sequence[Plot] = ()

#: Points of one server's line.
_Line = list[tuple[float, float]]


def make_plots(measurements: Sequence[Measurement], directory: Path) -> None:
    """Write every plot that there are results for, as PNG and as SVG."""
    directory.mkdir(parents=True, exist_ok=True)
    for plot in PLOTS:
        if lines := _lines(plot, measurements):
            figure = _draw(plot, lines)
            for ending in ("png", "svg"):
                figure.savefig(directory / f"{plot.file}.{ending}", dpi=150)


def _lines(plot: Plot, measurements: Sequence[Measurement]) -> Mapping[str, _Line]:
    """Return medians by the parameter, by server."""
    values: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for found in measurements:
        if found.family == plot.family and plot.figure in found.figures:
            place = found.parameters[plot.parameter]
            values[found.server][place].append(found.figures[plot.figure])
    return {
        server: sorted((place, median(those)) for place, those in places.items())
        for server, places in values.items()
    }


def _draw(plot: Plot, lines: Mapping[str, _Line]) -> Figure:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for server, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=server)
    axes.set(title=plot.title, xlabel=plot.label, ylabel=plot.figure, xscale="log", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
