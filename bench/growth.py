"""How much a document grows whose rows are saved very often, and what is left of that."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from tempfile import TemporaryDirectory

from collab import __version__

from .rows import COLLAB, environment, prepare
from .table import circumstances, table

__all__ = ["add_arguments", "run"]

_TITLES = {
    "saved": "after the last save",
    "compacted": "compacted",
    "refreshed": "rows written anew",
    "fresh": "a new document of the same rows",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("--rows", type=int, default=100, help="of the document (100)")
    parser.add_argument("--saves", type=int, default=100_000, help="of all rows (100000)")


def run(arguments: argparse.Namespace) -> int:
    """Save rows and print the sizes of their document."""
    with TemporaryDirectory() as directory:
        variables = environment(COLLAB.serves, f"sqlite://{directory}/bench.sqlite3")
        prepare(sys.executable, variables, arguments.rows)
        command = [sys.executable, "-m", "board.growth", str(arguments.saves)]
        figures = json.loads(subprocess.check_output(command, env=variables))
    title = f"{arguments.rows} rows, saved {arguments.saves:,} times"
    cells = {_TITLES[name]: [size / 1000] for name, size in figures.items()}
    lines = table({(title, "size, KB"): cells}, list(cells), [_TITLES["fresh"]])
    releases = [f"collab {__version__}"]
    print("\n".join([*lines, "", circumstances(1, releases, ["django", "pycrdt"])]))
    return 0
