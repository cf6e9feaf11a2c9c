"""Other values of constants of the mirror, for a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from collab.mirror.watchers import pending_changes

__all__ = ["pending"]


@contextmanager
def pending(*, interval: float | None = None, most: int | None = None) -> Iterator[None]:
    """Check changes of unknown authors after ``interval`` seconds; record ``most`` one by one."""
    with pytest.MonkeyPatch.context() as patch:
        if interval is not None:
            patch.setattr(pending_changes, "CHECK_INTERVAL", interval)
        if most is not None:
            patch.setattr(pending_changes, "MAX_CHANGES", most)
        yield
