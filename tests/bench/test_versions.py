"""The benchmark of versions works; what it measures is for people to judge."""

from __future__ import annotations

import subprocess
import sys

from tests.harness.server import ROOT


def test_versions_are_measured() -> None:
    command = [sys.executable, "-m", "bench", "versions", "--rounds", "1"]
    command += ["--size", "2000", "--blamed", "1000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    names = [row.split("|")[1].strip() for row in rows]
    assert names[-6:] == ["work", "nothing", "version", "blame", "diff", "restore"]
    assert len(rows) == 11
