"""The benchmark of several processes works; what it measures is for people to judge."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.server import ROOT

pytestmark = pytest.mark.redis


def test_processes_are_compared() -> None:
    command = [sys.executable, "-m", "bench", "scale", "--scale", "0.01", "--layers", "pubsub"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    head, _, *rows, _, circumstances = done.stdout.splitlines()
    assert head == "|  |  | 1 | 2 pubsub | 3 pubsub |"
    assert len(rows) == 38
    assert "channels-redis" in circumstances
