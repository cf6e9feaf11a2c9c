"""The data of the benchmark is what it says: the updates of a week make the text beside them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc

from bench import week
from bench.week import read_updates, text_of, week_file


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(week, "_DIRECTORY", tmp_path)
    return week_file(3_000)


def test_week_is_a_keystroke_an_update(file: Path) -> None:
    doc: Doc[Any] = Doc()
    texts = [text_of(doc)]
    for update in read_updates(file):
        doc.apply_update(update)
        texts.append(text_of(doc))
    assert len(texts) == 3_001
    assert all(abs(len(after) - len(before)) == 1 for before, after in pairwise(texts))
    assert texts[-1] == file.with_suffix(".txt").read_text()


def test_week_is_made_once(file: Path) -> None:
    made = file.stat().st_mtime_ns
    assert week_file(3_000).stat().st_mtime_ns == made
