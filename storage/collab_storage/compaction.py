"""Reading what is stored into a Doc, and folding a log into a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pycrdt import Doc

from .base import Storage, StoredDocument
from .exceptions import DocumentCorrupt
from .updates import deletions, is_integrated, merge, state_vector

__all__ = ["CompactionResult", "apply_stored", "compact", "is_pycrdt_error"]

#: So many ids are named in an error, no more.
NAMED = 20


@dataclass(frozen=True, slots=True)
class CompactionResult:
    """What a compaction did; sizes in bytes.

    Args:
        rows: so many rows of the log are in the snapshot now.
        size_before: of the old snapshot and those rows.
        size_after: of the new snapshot.
        complete: ``False`` if updates are stored that build on one which is not; they are kept
            as they are until it comes.
    """

    rows: int
    size_before: int
    size_after: int
    complete: bool


def is_pycrdt_error(error: BaseException) -> bool:
    """Tell whether ``error`` is pycrdt's complaint about an update.

    A panic in it is no ``Exception``, and its class cannot be imported. After one the Doc is to
    be thrown away.
    """
    return isinstance(error, (ValueError, RuntimeError)) or _is_panic(error)


def _is_panic(error: BaseException) -> bool:
    return type(error).__name__ == "PanicException"


def apply_stored(doc: Doc[Any], stored: StoredDocument) -> None:
    """Apply all of ``stored`` to ``doc``.

    Raises:
        DocumentCorrupt: pycrdt cannot read it; ``doc`` is to be thrown away.
    """
    if stored.updates:
        with _translated(stored):
            doc.apply_update(merge(stored.updates))


async def compact(storage: Storage, name: str) -> CompactionResult | None:
    """Fold the log of the document ``name`` into its snapshot.

    May be done at any time, also while the document is being written. The work is done in
    another thread.

    Returns:
        ``None`` if there is nothing to fold, or if somebody else was faster.

    Raises:
        DocumentCorrupt: it cannot be read; what is stored stays.
    """
    stored = await storage.load(name)
    if stored is None or not stored.log:
        return None
    snapshot, complete = await asyncio.to_thread(_fold, stored)
    if not await storage.replace(name, stored, snapshot):
        return None
    return CompactionResult(
        rows=len(stored.log),
        size_before=sum(map(len, stored.updates)),
        size_after=len(snapshot),
        complete=complete,
    )


def _fold(stored: StoredDocument) -> tuple[bytes, bool]:
    """Return all of ``stored`` as one update, and whether a Doc could take all of it in."""
    with _translated(stored):
        merged = merge(stored.updates)
        doc: Doc[Any] = Doc()
        doc.apply_update(merged)
        if not is_integrated(doc, merged):
            # The Doc may lose what it holds back; see the module updates.
            return merged, False
        # Garbage is collected when the transaction ends, so this is smaller than ``merged``.
        snapshot = doc.get_update()
        copy: Doc[Any] = Doc()
        copy.apply_update(snapshot)
        return (snapshot, True) if _equal(doc, copy) else (merged, True)


def _equal(one: Doc[Any], other: Doc[Any]) -> bool:
    """Tell whether both have the same insertions and deletions, which is all there is."""
    states = state_vector(one.get_state()), state_vector(other.get_state())
    return states[0] == states[1] and deletions(one) == deletions(other)


@contextmanager
def _translated(stored: StoredDocument) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if not is_pycrdt_error(error):
            raise
        # Without the cause: the message of a panic may quote the document.
        raise DocumentCorrupt(f"pycrdt cannot read {_culprits(stored)}.") from None


def _culprits(stored: StoredDocument) -> str:
    """Name what of ``stored`` pycrdt does not take on its own, or else all of it."""
    if stored.snapshot is not None and not _readable(stored.snapshot):
        return "the snapshot"
    rows = [row for row in stored.log if not _readable(row.data)] or stored.log
    ids = ", ".join(str(row.id) for row in rows[:NAMED])
    return f"rows {ids}{f', ... ({len(rows)})' if len(rows) > NAMED else ''} of the log"


def _readable(update: bytes) -> bool:
    try:
        Doc().apply_update(update)
    except BaseException as error:
        if not is_pycrdt_error(error):
            raise
        return False
    return True
