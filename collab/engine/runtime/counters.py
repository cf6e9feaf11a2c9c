"""Counters of this process; :mod:`collab.metrics` shows them.

They are plain numbers without a lock, because they are on the hot path. A process with several
event loops in several threads may miss a count now and then; nothing depends on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

__all__ = ["Counters", "counters"]


@dataclass
class Counters:
    """Numbers that only grow; ``collab.metrics`` describes each."""

    joins: int = 0
    received_frames: int = 0
    received_bytes: int = 0
    received_updates: int = 0
    gaps: int = 0
    sent_updates: int = 0
    sent_bytes: int = 0
    full_states: int = 0
    evictions: int = 0
    throttled_seconds: float = 0.0

    flushes: int = 0
    flush_seconds: float = 0.0
    store_batches: int = 0
    store_seconds: float = 0.0
    stored_rows: int = 0
    store_failures: int = 0
    storage_rereads: int = 0
    spooled_updates: int = 0
    unspooled_updates: int = 0

    relay_sent_messages: int = 0
    relay_received_messages: int = 0
    relay_repaired_gaps: int = 0
    relay_foreign_messages: int = 0

    #: By close code and cause: the exceeded setting, or the kind of error.
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: By the new access.
    access_changes: Counter[str] = field(default_factory=Counter)

    def refuse(self, close_code: int, cause: str) -> None:
        """Count a connection that was refused or ended with ``close_code`` because of ``cause``."""
        self.refusals[str(int(close_code)), cause] += 1

    def flushed(self, began: float) -> None:
        """Count a flush that began at that ``perf_counter`` and ends now."""
        self.flushes += 1
        self.flush_seconds += perf_counter() - began

    @contextmanager
    def storing(self, rows: int) -> Iterator[None]:
        """Count a batch that the block stores."""
        began = perf_counter()
        try:
            yield
        except Exception:
            self.store_failures += 1
            raise
        self.store_batches += 1
        self.stored_rows += rows
        self.store_seconds += perf_counter() - began


#: Those of this process.
counters = Counters()
