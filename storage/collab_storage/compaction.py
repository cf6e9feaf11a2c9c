"""Reads stored documents into a Doc, and folds a log into a snapshot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

from pycrdt import Doc, get_update

from .authorship import Authorship, authorship_of
from .base import LogRow, Storage, StoredDocument
from .exceptions import DocumentCorrupt
from .subdocuments import temporary_doc
from .subprocesses import run_in_process
from .surrogates import as_yjs, has_pairs
from .updates import EMPTY_STATE, EMPTY_UPDATE, deletions, is_covered, is_panic, merge, state_vector
from .versions import HistoryStorage

__all__ = [
    "CompactionResult",
    "ReadableContent",
    "apply_stored",
    "compact",
    "is_pycrdt_error",
    "read_in_process",
    "read_news",
    "read_stored",
    "readable_update",
]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: Larger documents are read in a process of its own, which takes a tenth of a second to start.
_LARGE = 1024 * 1024
#: Time of the search for broken surrogate pairs, as a multiple of the time of reading.
_PAIRS_FACTOR = 8
#: Reading a row of the log takes about as long as reading this many bytes.
_ROW_COST = 512

#: Most ids that an error names.
NAMED = 20

#: The part of updates that a Doc integrates, its state, and the pending rest.
_Whole = tuple[bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class CompactionResult:
    """The result of a compaction; sizes in bytes.

    Args:
        rows: number of log rows that were folded into the snapshot.
        size_before: of the old snapshot and those rows.
        size_after: of the new snapshot.
        complete: ``False`` if updates are stored that depend on a missing one; they are kept as
            they are until it comes.
    """

    rows: int
    size_before: int
    size_after: int
    complete: bool


def is_pycrdt_error(error: BaseException) -> bool:
    """Return whether ``error`` is pycrdt's refusal of an update.

    A panic in it is not an ``Exception``, and its class cannot be imported. The Doc must not be
    used after one.
    """
    return isinstance(error, (ValueError, RuntimeError)) or is_panic(error)


@dataclass(frozen=True, slots=True)
class ReadableContent:
    """The part of a stored document that a Doc can integrate.

    Args:
        update: this part, as one update.
        state: the Doc's state vector then.
        rest: updates that depend on missing ones; they would be pending in a Doc.
        read: the stored document without the log rows that pycrdt cannot read.
    """

    update: bytes
    state: bytes
    rest: bytes
    read: StoredDocument


def apply_stored(doc: Doc[Any], stored: StoredDocument, name: str | None = None) -> bytes:
    """Apply the readable part of ``stored`` to ``doc``, and return the pending rest.

    The ``name`` is for the log.

    Raises:
        DocumentCorrupt: see :func:`read_stored`.
    """
    content = read_stored(stored, name)
    if content.update != EMPTY_UPDATE:
        doc.apply_update(content.update)
    return content.rest


def read_stored(stored: StoredDocument, name: str | None = None) -> ReadableContent:
    """Return the part of ``stored`` that a Doc can integrate.

    Rows of the log that pycrdt cannot read are left out and logged; they stay stored.

    Raises:
        DocumentCorrupt: pycrdt cannot read the snapshot, or any row.
    """
    if not stored.updates:
        return ReadableContent(EMPTY_UPDATE, EMPTY_STATE, EMPTY_UPDATE, stored)
    if whole := _attempt(_integrate, stored.updates):
        return ReadableContent(*whole, stored)
    read, unreadable = _readable_part(stored)
    with _translated(read):
        content = ReadableContent(*_integrate(read.updates or [EMPTY_UPDATE]), read)
    if content.update == EMPTY_UPDATE:
        raise DocumentCorrupt(f"pycrdt cannot read {_named(unreadable)}.")
    logger.error(
        "pycrdt cannot read %s; the document is served without them.",
        _named(unreadable),
        extra={"room": name},
    )
    return content


async def read_in_process(stored: StoredDocument, name: str | None = None) -> ReadableContent:
    """Return the same as :func:`read_stored`; read a large document in a process of its own."""
    if not _is_large(stored):
        return read_stored(stored, name)
    # Only the bytes are sent: pickling many rows takes longer than reading them.
    whole: _Whole | None = await run_in_process(_attempt, _integrate, stored.updates)
    if whole:
        return ReadableContent(*whole, stored)
    return await run_in_process(read_stored, stored, name)


async def read_news(stored: StoredDocument, state: bytes, name: str | None = None) -> bytes:
    """Return the part of ``stored`` that a document with this state vector lacks, as one update.

    Rows that pycrdt cannot read are left out and logged, as :func:`read_stored` does.

    Raises:
        DocumentCorrupt: see :func:`read_stored`.
    """
    if not _is_large(stored):
        return _news(stored, state, name)
    news = await run_in_process(_attempt, _difference, stored.updates, state)
    return await run_in_process(_news, stored, state, name) if news is None else news


def _is_large(stored: StoredDocument) -> bool:
    cost = sum(map(len, stored.updates)) + _ROW_COST * len(stored.log)
    if cost <= _LARGE and any(map(has_pairs, stored.updates)):
        cost *= _PAIRS_FACTOR
    return cost > _LARGE


def readable_update(stored: StoredDocument, name: str | None = None) -> bytes:
    """Return all of ``stored`` that pycrdt can read, with parts that build on missing updates.

    Raises:
        DocumentCorrupt: see :func:`read_stored`.
    """
    return _news(stored, EMPTY_STATE, name)


def _news(stored: StoredDocument, state: bytes, name: str | None) -> bytes:
    whole = _attempt(_difference, stored.updates, state)
    if whole is not None:
        return whole
    return _difference(read_stored(stored, name).read.updates, state)


def _difference(updates: Sequence[bytes], state: bytes) -> bytes:
    """Return the part of ``updates`` that a state lacks."""
    return get_update(merge(as_yjs(updates) or [EMPTY_UPDATE]), state)


def _integrate(updates: Sequence[bytes]) -> _Whole:
    updates = as_yjs(updates)
    merged = updates[0] if len(updates) == 1 else merge(updates)
    with temporary_doc() as doc:
        doc.apply_update(merged)
        state = doc.get_state()
    if is_covered(state, merged):
        return merged, state, EMPTY_UPDATE
    return _effect(merged), state, get_update(merged, state)


def _apply(doc: Doc[Any], update: bytes) -> bool:
    doc.apply_update(update)
    return True


def _attempt(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Return the result of ``read``, or ``None`` if pycrdt refuses the update."""
    try:
        return read(*args, **kwargs)
    except BaseException as error:
        if not is_pycrdt_error(error):
            raise
        return None


def _effect(update: bytes) -> bytes:
    """Return the part of ``update`` that an empty Doc integrates."""
    effects = [EMPTY_UPDATE]
    with temporary_doc() as doc:
        # An observer makes pycrdt encode it, which would be a waste where the Doc integrates all.
        subscription = doc.observe(lambda event: effects.append(event.update))
        doc.apply_update(update)
        doc.unobserve(subscription)
    return effects[-1]


def _readable_part(stored: StoredDocument) -> tuple[StoredDocument, list[LogRow]]:
    """Try the rows one by one; return the document without those that fail, and these."""
    doc: Doc[Any] = Doc()
    good, bad = replace(stored, log=[]), []
    with _translated(good):
        doc.apply_update(merge(good.updates or [EMPTY_UPDATE]))
    for row in stored.log:
        if _attempt(_apply, doc, row.data):
            good = replace(good, log=[*good.log, row])
        else:
            bad.append(row)
            doc = Doc()
            doc.apply_update(merge(good.updates or [EMPTY_UPDATE]))
    return good, bad


async def compact(storage: Storage, name: str) -> CompactionResult | None:
    """Fold the log of the document ``name`` into its snapshot.

    It is safe at any time, also while the document is written. The work runs in another thread,
    or in another process if the document is large.

    Returns:
        ``None`` if there is nothing to fold, or another compaction was faster.

    Raises:
        DocumentCorrupt: the document is not readable; it stays stored unchanged.
    """
    stored = await storage.load(name)
    if stored is None or not stored.log:
        return None
    fold = run_in_process if _is_large(stored) else asyncio.to_thread
    keeps_authors = isinstance(storage, HistoryStorage)
    snapshot, complete, folded, authorship = await fold(_fold, stored, name, keeps_authors)
    if not folded.log or not await _replace(storage, name, folded, snapshot, authorship):
        return None
    return CompactionResult(
        rows=len(folded.log),
        size_before=sum(map(len, folded.updates)),
        size_after=len(snapshot),
        complete=complete,
    )


async def _replace(
    storage: Storage, name: str, folded: StoredDocument, snapshot: bytes, authorship: Authorship
) -> bool:
    if isinstance(storage, HistoryStorage):
        return await storage.fold(name, folded, snapshot, authorship)
    return await storage.replace(name, folded, snapshot)


def _fold(
    stored: StoredDocument, name: str, keeps_authors: bool
) -> tuple[bytes, bool, StoredDocument, Authorship]:
    """Return ``stored`` as one update, whether it is complete, the rows it covers, and by whom."""
    content = read_stored(stored, name)
    authorship = authorship_of(content.read) if keeps_authors else Authorship()
    return *_merged(content, stored), content.read, authorship


def _merged(content: ReadableContent, stored: StoredDocument) -> tuple[bytes, bool]:
    if content.rest != EMPTY_UPDATE:
        # The Doc may lose pending updates; see the module updates.
        return merge(as_yjs(content.read.updates)), False
    merged = content.update
    with _translated(stored), temporary_doc() as doc, temporary_doc() as copy:
        doc.apply_update(merged)
        # Garbage is collected when the transaction ends, so this is smaller than ``merged``.
        snapshot = doc.get_update()
        copy.apply_update(snapshot)
        return (snapshot if _equal(doc, copy) else merged), True


def _equal(one: Doc[Any], other: Doc[Any]) -> bool:
    """Return whether both have the same insertions and deletions."""
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
        raise DocumentCorrupt(f"pycrdt cannot read {_culprit(stored)}.") from None


def _culprit(stored: StoredDocument) -> str:
    return "the snapshot" if stored.snapshot is not None else _named(stored.log)


def _named(rows: Sequence[LogRow]) -> str:
    ids = ", ".join(str(row.id) for row in rows[:NAMED])
    return f"rows {ids}{f', ... ({len(rows)})' if len(rows) > NAMED else ''} of the log"
