"""Results, kept in a file of JSON lines from the moment that they were measured."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from .table import processor

__all__ = ["RESULTS", "Circumstances", "Measurement", "Medians", "medians", "read", "write"]

#: Where results are unless the command line says otherwise.
RESULTS = Path("build/bench/results.jsonl")

#: By server, by what they tell, by the name of the scenario.
Medians = Mapping[str, Mapping[str, Mapping[str, float]]]

_PACKAGES = ("pycrdt", "uvicorn", "uvloop", "websockets")


@dataclass(frozen=True)
class Circumstances:
    """The time and the machine of a run.

    Args:
        servers: releases, by name.
        peers: names of those that ours are compared with.
        repeat: how often everything is measured.
        scale: of the work that servers get.
    """

    servers: Mapping[str, str]
    peers: list[str]
    repeat: int
    scale: float = 1.0
    date: str = field(default_factory=lambda: f"{datetime.now():%Y-%m-%d %H:%M}")
    processor: str = field(default_factory=processor)
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    system: str = field(default_factory=lambda: f"{platform.system()} {platform.release()}")
    python: str = field(default_factory=platform.python_version)
    packages: Mapping[str, str] = field(
        default_factory=lambda: {package: version(package) for package in _PACKAGES}
    )

    def __str__(self) -> str:
        """Return a line for below tables."""
        named = ", ".join(f"{name} {release}" for name, release in self.servers.items())
        packages = ", ".join(f"{name} {release}" for name, release in self.packages.items())
        scaled = "" if self.scale == 1 else f" at {self.scale:g} of the size"
        return (
            f"{self.date}, {self.repeat} times{scaled}, median. {named}; Python {self.python},"
            f" {packages}; {self.processor}, {self.cores} cores, {self.system}."
        )


@dataclass(frozen=True)
class Measurement:
    """One server in one scenario.

    Args:
        scenario: its name.
        family: its family.
        title: its title.
        parameters: that it has beside.
        server: the server's name.
        run: number of the repetition, from 1.
        figures: by what they tell; less is better.
        error: why there are none.
        seconds: that the measurement took.
        load: part of its core that the load generator has used.
    """

    scenario: str
    family: str
    title: str
    parameters: Mapping[str, Any]
    server: str
    run: int
    figures: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    seconds: float = 0.0
    load: float = 0.0


def write(path: Path, record: Circumstances | Measurement) -> None:
    """Append a record to a file, at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"record": type(record).__name__, **asdict(record)}, ensure_ascii=False)
    with path.open("a") as file:
        file.write(f"{line}\n")


def read(path: Path) -> tuple[list[Circumstances], list[Measurement]]:
    """Return the content of a file.

    Raises:
        ValueError: it is no such file.
    """
    try:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        circumstances = [Circumstances(**_of(record)) for record in _only(records, Circumstances)]
        measurements = [Measurement(**_of(record)) for record in _only(records, Measurement)]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} has no results of the benchmark: {error}") from error
    return circumstances, measurements


def _only(records: Iterable[dict[str, Any]], kind: type) -> list[dict[str, Any]]:
    return [record for record in records if record["record"] == kind.__name__]


def _of(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "record"}


def medians(measurements: Iterable[Measurement]) -> Medians:
    """Return the median of each figure over all repetitions; what has failed has none."""
    values: dict[str, dict[str, dict[str, list[float]]]] = {}
    for found in measurements:
        rows = values.setdefault(found.scenario, {})
        for what, value in found.figures.items():
            rows.setdefault(what, {}).setdefault(found.server, []).append(value)
    return {
        scenario: {
            what: {server: median(each) for server, each in cells.items()}
            for what, cells in rows.items()
        }
        for scenario, rows in values.items()
    }
