"""The reports in docs/upstream/ still say what pycrdt does.

When one of these fails, pycrdt is mended: the way around it may go.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

UPSTREAM = Path(__file__).parents[2] / "docs" / "upstream"


def output_of(report: str) -> list[str]:
    """Run the sample of a report in a process of its own, and return the lines it prints."""
    found = re.search(r"```python\n(.*?)```", (UPSTREAM / report).read_text("utf-8"), re.DOTALL)
    assert found
    command = [sys.executable, "-c", found[1]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_pycrdt_breaks_halves_of_surrogate_pairs_in_its_own_way() -> None:
    assert output_of("yrs-surrogate-pairs.md") == [ascii("a😀"), ascii("a😀Xb")]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells the memory.")
def test_pycrdt_keeps_docs_that_have_a_subdocument() -> None:
    plain, kept, deleted = (
        int(re.sub(r".*: (-?\d+) bytes a Doc", r"\1", line))
        for line in output_of("yrs-subdocuments.md")
    )
    assert kept > 500_000
    assert plain < 100_000 and deleted < 100_000
