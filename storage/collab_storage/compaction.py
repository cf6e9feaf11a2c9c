"""Reading what is stored into a Doc, and folding a document's log into a new snapshot."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from pycrdt import Doc

from .base import Storage, StoredDocument
from .exceptions import DocumentCorrupt
from .pending import is_pending

__all__ = ["CompactionResult", "apply_stored", "compact"]


@dataclass(frozen=True, slots=True)
class CompactionResult:
    """What a compaction did; sizes in bytes, ``folded`` in log rows."""

    size_before: int
    size_after: int
    folded: int


def apply_stored(doc: Doc[Any], stored: StoredDocument) -> None:
    """Apply all that is stored of a document to ``doc``.

    Raises:
        DocumentCorrupt: an update cannot be applied; ``doc`` is not to be used again.
    """
    try:
        with doc.transaction():
            for update in stored.updates:
                doc.apply_update(update)
    except BaseException as error:
        # pycrdt panics with a BaseException that it does not export.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            ids = [row.id for row in stored.log]
            raise DocumentCorrupt(f"The snapshot or one of the log rows {ids} is broken.") from None
        raise


async def compact(storage: Storage, name: str) -> CompactionResult | None:
    """Fold the log of a document into a new snapshot; None if there is nothing to fold.

    Raises:
        DocumentCorrupt: what is stored cannot be read.
    """
    loaded = await storage.load(name)
    if loaded is None or not loaded.log:
        return None
    folded, snapshot = await asyncio.to_thread(_fold, loaded)
    if not folded.log or not await storage.replace(name, folded, snapshot):
        return None
    return CompactionResult(
        size_before=sum(map(len, folded.updates)), size_after=len(snapshot), folded=len(folded.log)
    )


def _fold(stored: StoredDocument) -> tuple[StoredDocument, bytes]:
    """Return the snapshot of all that is stored, and the part of it that the snapshot covers."""
    doc = Doc[Any]()
    apply_stored(doc, stored)
    covered = [row for row in stored.log if not is_pending(doc, row.data)]
    return replace(stored, log=covered), doc.get_update()
