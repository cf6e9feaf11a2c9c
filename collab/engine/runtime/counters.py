"""Counters of this process; :mod:`collab.metrics` shows them.

They are plain numbers without a lock, because they are on the hot path. A process with several
event loops in several threads may miss a count now and then; nothing depends on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from collab_storage.exceptions import DocumentNotFound

__all__ = ["Counters", "counters"]


class Counters:
    """Numbers that only grow; ``collab.metrics`` describes each."""

    # No dataclass: a compiled one has no slots, and attributes without slots take longer.
    __slots__ = (
        "access_changes",
        "evictions",
        "flush_seconds",
        "flushes",
        "full_states",
        "gaps",
        "joins",
        "received_bytes",
        "received_frames",
        "received_updates",
        "refusals",
        "relay_foreign_messages",
        "relay_received_messages",
        "relay_repaired_gaps",
        "relay_sent_messages",
        "sent_bytes",
        "sent_updates",
        "spooled_updates",
        "storage_rereads",
        "store_batches",
        "store_failures",
        "store_seconds",
        "stored_rows",
        "throttled_seconds",
        "unspooled_updates",
    )

    def __init__(self) -> None:
        self.joins = 0
        self.received_frames = self.received_bytes = self.received_updates = 0
        self.gaps = 0
        self.sent_updates = self.sent_bytes = self.full_states = 0
        self.evictions = 0
        self.throttled_seconds = 0.0

        self.flushes = 0
        self.flush_seconds = 0.0
        self.store_batches = self.stored_rows = self.store_failures = 0
        self.store_seconds = 0.0
        self.storage_rereads = 0
        self.spooled_updates = self.unspooled_updates = 0

        self.relay_sent_messages = self.relay_received_messages = 0
        self.relay_repaired_gaps = self.relay_foreign_messages = 0

        #: By close code and cause: the exceeded setting, or the kind of error.
        self.refusals: Counter[tuple[str, str]] = Counter()
        #: By the new access.
        self.access_changes: Counter[str] = Counter()

    def refuse(self, close_code: int, cause: str) -> None:
        """Count a connection that was refused or ended with ``close_code`` because of ``cause``."""
        self.refusals[str(int(close_code)), cause] += 1

    def flushed(self, began: float) -> None:
        """Count a flush that began at that ``perf_counter`` and ends now."""
        self.flushes += 1
        self.flush_seconds += perf_counter() - began

    @contextmanager
    def storing(self, rows: int) -> Iterator[None]:
        """Count a batch that the block stores; one for deleted documents is no failure."""
        began = perf_counter()
        try:
            yield
        except DocumentNotFound:
            raise
        except Exception:
            self.store_failures += 1
            raise
        self.store_batches += 1
        self.stored_rows += rows
        self.store_seconds += perf_counter() - began


#: The counters of this process.
counters = Counters()
