"""The benchmark of keystrokes works; what it measures is for people to judge."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.server import ROOT

pytestmark = pytest.mark.browser


def test_keystrokes_in_a_long_document_are_timed() -> None:
    command = [sys.executable, "-m", "bench", "keystrokes", "--keys", "3", "--repeat", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    head, _, *rows, _, circumstances = done.stdout.splitlines()
    assert head == "|  |  | to the own screen | to the other screen |"
    assert [row.count("(") for row in rows] == [2, 2]
    assert "playwright" in circumstances
