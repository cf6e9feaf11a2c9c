"""Observers that go with the test that has made them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from collab.live.watching import row_changes as changes

__all__ = ["observers_end"]


@pytest.fixture
def observers_end() -> Iterator[None]:
    """Unregister the consumers that a test defines, and that observe rows, at its end."""
    before = [each for follower in changes._followers.values() for each in follower.watches]
    yield
    after = [each for follower in changes._followers.values() for each in follower.watches]
    for each in after:
        if each not in before:
            changes.unwatch(each)
