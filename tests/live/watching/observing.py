"""Observers that go with the test that has made them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from collab.live.watching import row_changes as changes

__all__ = ["observers_end"]


@pytest.fixture
def observers_end() -> Iterator[None]:
    """Let consumers that the test defines observe rows until its end."""
    before = [each for watches in changes._watches.values() for each in watches]
    yield
    after = [each for watches in changes._watches.values() for each in watches]
    for each in after:
        if each not in before:
            changes.unwatch(each)
