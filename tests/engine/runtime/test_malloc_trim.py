from __future__ import annotations

import asyncio
import ctypes
from typing import Any

import pytest

from collab.engine.runtime import malloc_trim as memory
from collab.engine.runtime.malloc_trim import Trimmer, _find_trim, current_trimmer
from tests.harness.virtual_time import in_virtual_time
from tests.harness.waiting import until


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what a trimmer calls with, at once."""
    monkeypatch.setattr(memory, "_INTERVAL", 0.001)
    return []


@in_virtual_time
async def test_freed_memory_is_returned_once_it_is_worth_the_time(trims: list[int]) -> None:
    trimmer = Trimmer(trims.append)
    trimmer.note_freed(1)
    assert trimmer._handle is None
    for _ in range(3):
        trimmer.note_freed(1024 * 1024)
    await until(lambda: trims)
    assert trims == [0]
    trimmer.note_freed(1)
    # Much longer than the interval, on the virtual clock.
    await asyncio.sleep(1)
    assert trims == [0]


async def test_there_is_one_for_each_event_loop() -> None:
    assert current_trimmer() is current_trimmer()


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_without_glibc_nothing_is_done(error: type[Exception]) -> None:
    def library(name: None) -> ctypes.CDLL:
        raise error

    assert _find_trim(library)(0) is None


def test_with_glibc_it_is_asked() -> None:
    class Library:
        malloc_trim: Any = abs

    assert _find_trim(lambda name: Library())(-1) == 1  # type: ignore[arg-type,return-value]
