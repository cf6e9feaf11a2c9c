"""Tables of figures, and what they were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

__all__ = ["Rows", "circumstances", "processor", "short", "table"]

#: Values by column, by title and figure of the row.
Rows = Mapping[tuple[str, str], Mapping[str, Sequence[float]]]


def table(rows: Rows, columns: Sequence[str], references: Sequence[str]) -> list[str]:
    """Return the lines of a table of medians.

    Args:
        rows: the values; a row may lack columns.
        columns: in their order.
        references: ratios are to the first of these columns that a row has.
    """
    lines = [["", "", *columns], ["---", "---", *("---:" for _ in columns)]]
    told = ""
    for (title, what), row in rows.items():
        lines.append([title if title != told else "", what, *_cells(row, columns, references)])
        told = title
    return [f"| {' | '.join(line)} |" for line in lines]


def _cells(
    row: Mapping[str, Sequence[float]], columns: Sequence[str], references: Sequence[str]
) -> list[str]:
    medians = {name: median(values) for name, values in row.items()}
    reference = next((medians[name] for name in references if name in medians), None)
    return [_cell(medians[name], reference) if name in medians else "" for name in columns]


def _cell(value: float, reference: float | None) -> str:
    # Memory may not have grown at all.
    ratio = f"**{value / reference:.2f}** " if reference and reference > 0 else ""
    return f"{ratio}({short(value)})"


def short(value: float) -> str:
    """Return a number with as many digits as mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def circumstances(repeat: int, releases: Sequence[str], packages: Sequence[str]) -> str:
    """Return a line that says when and on what machine the figures were measured.

    Args:
        repeat: how many values each median is of.
        releases: of what was measured.
        packages: of Python whose releases matter.
    """
    installed = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{date.today()}, median of {repeat}, load average {os.getloadavg()[1]:.1f}."
        f" {', '.join(releases)}; Python {platform.python_version()}, {installed};"
        f" {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}."
    )


def processor() -> str:
    """Return what the processor is called."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
