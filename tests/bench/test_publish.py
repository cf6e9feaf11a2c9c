"""The benchmark of publishing works; what it measures is for people to judge."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.server import ROOT

pytestmark = pytest.mark.redis


def test_publishing_is_compared() -> None:
    command = [sys.executable, "-m", "bench", "publish", "--calls", "5", "--repeat", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    head, _, *rows, _, circumstances = done.stdout.splitlines()
    assert head == "|  |  | collab: publish() | async_to_sync(group_send)() |"
    assert len(rows) == 3
    assert "channels-redis" in circumstances
