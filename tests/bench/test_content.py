"""The benchmark of rich text works; what it measures is for people to judge."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.server import ROOT

pytestmark = pytest.mark.client


def test_conversions_are_compared() -> None:
    command = [sys.executable, "-m", "bench", "content", "--blocks", "10", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    head, _, *rows = done.stdout.splitlines()
    assert head == "| peer | conversion | peer, s | collab, s | ratio |"
    assert len(rows) == 8
