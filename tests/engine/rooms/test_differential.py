"""Rooms beside Yjs: random histories of clients that edit inside surrogate pairs, too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.rooms import differential

ROOT = Path(__file__).parents[3]
#: Seeds of the histories; ``make fuzz-yjs`` tries more.
SEEDS = os.environ.get("FUZZ_SEEDS", "0:150")
SECONDS = os.environ.get("FUZZ_SECONDS", "300")


@pytest.mark.client
def test_whatever_clients_of_yjs_do_a_room_has_what_a_document_of_yjs_has() -> None:
    module = differential.__name__
    result = subprocess.run(
        ["node", "tests/js/differential.js", *SEEDS.split(":"), SECONDS, sys.executable, module],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert '"bad":0' in result.stdout
