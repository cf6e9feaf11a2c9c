"""Sources are parsed whatever else runs."""

from __future__ import annotations

import ast
import gc
from pathlib import Path

from .sources import parsed


class Dropped:
    """Garbage that parses something when it is collected, as the report of an error does."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        ast.parse("x = [1, (2, 3)]")


def test_a_finalizer_that_parses_does_not_disturb() -> None:
    source = Path(__file__).read_text()
    before = gc.get_threshold()
    gc.set_threshold(50, 1, 1)
    try:
        for _ in range(10):
            Dropped()
            assert len(parsed(source).body) > 5
    finally:
        gc.set_threshold(*before)
    assert gc.isenabled()
