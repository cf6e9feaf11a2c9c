"""The benchmark of changes works; what it measures is for people to judge."""

from __future__ import annotations

import subprocess
import sys

from tests.harness.server import ROOT


def test_calls_of_changed_are_measured() -> None:
    options = ["--database", "sqlite", "--documents", "5", "--edits", "3"]
    command = [sys.executable, "-m", "bench", "changes", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    head, _, *rows, _, circumstances = done.stdout.splitlines()
    assert head == "|  |  | sqlite |"
    assert len(rows) == 12
    assert "pycrdt" in circumstances
