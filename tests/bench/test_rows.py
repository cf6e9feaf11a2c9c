"""The benchmarks of rows work; what they measure is for people to judge."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.server import ROOT

pytestmark = pytest.mark.client


def bench(*arguments: str) -> list[str]:
    """Run the command as a developer does; return the lines of its table."""
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, _, circumstances = done.stdout.splitlines()
    assert "collab 0.1.0" in circumstances
    return lines


def test_saves_are_compared() -> None:
    head, _, *rows = bench("rows", "--scale", "0.02", "--repeat", "1")
    live = "collab.live model_observer | collab.live instances"
    peers = "model_observer | ObserverModelInstanceMixin"
    assert head == f"|  |  | nothing | collab | {live} | {peers} |"
    assert len(rows) == 17
    assert sum(row.count(" (") == 5 for row in rows) == 10


def test_growth_is_measured() -> None:
    head, _, row = bench("growth", "--rows", "5", "--saves", "50")
    assert head.endswith("| rows written anew | a new document of the same rows |")
    assert row.startswith("| 5 rows, saved 50 times | size, KB |")
