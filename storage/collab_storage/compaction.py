"""Reading what is stored into a Doc, and folding a log into a snapshot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

from pycrdt import Doc, get_update

from .apart import apart
from .base import LogRow, Storage, StoredDocument
from .exceptions import DocumentCorrupt
from .updates import EMPTY_STATE, EMPTY_UPDATE, deletions, is_covered, merge, state_vector

__all__ = [
    "CompactionResult",
    "Content",
    "apply_stored",
    "compact",
    "is_pycrdt_error",
    "read_apart",
    "read_news",
    "read_stored",
]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: What is larger is read in a process of its own, which takes a tenth of a second to start. So
#: many bytes take about as long to read as one row of the log.
_LARGE = 1024 * 1024
_ROW_COST = 512

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


@dataclass(frozen=True, slots=True)
class Content:
    """What a Doc can take of a stored document.

    Args:
        update: all that it takes in at once.
        state: the state vector that it has then.
        rest: what builds upon updates that are not stored; a Doc would hold it back.
        read: the stored document without the rows of the log that pycrdt cannot read.
    """

    update: bytes
    state: bytes
    rest: bytes
    read: StoredDocument


def apply_stored(doc: Doc[Any], stored: StoredDocument, name: str | None = None) -> bytes:
    """Apply to ``doc`` what it can take in of ``stored``, and return what it cannot yet.

    The ``name`` is for the log.

    Raises:
        DocumentCorrupt: see :func:`read_stored`.
    """
    content = read_stored(stored, name)
    if content.update != EMPTY_UPDATE:
        doc.apply_update(content.update)
    return content.rest


def read_stored(stored: StoredDocument, name: str | None = None) -> Content:
    """Return what a Doc can take of ``stored``.

    Rows of the log that pycrdt cannot read are left out and logged; they stay where they are.

    Raises:
        DocumentCorrupt: pycrdt cannot read the snapshot, or there is nothing without those rows.
    """
    if not stored.updates:
        return Content(EMPTY_UPDATE, EMPTY_STATE, EMPTY_UPDATE, stored)
    if whole := _attempt(_integrate, stored.updates):
        return Content(*whole, stored)
    read, unreadable = _readable_part(stored)
    with _translated(read):
        content = Content(*_integrate(read.updates or [EMPTY_UPDATE]), read)
    if content.update == EMPTY_UPDATE:
        raise DocumentCorrupt(f"pycrdt cannot read {_named(unreadable)}.")
    logger.error(
        "pycrdt cannot read %s; the document is without them.",
        _named(unreadable),
        extra={"room": name},
    )
    return content


async def read_apart(stored: StoredDocument, name: str | None = None) -> Content:
    """Do as :func:`read_stored`, and hold up nobody if the document is large."""
    return await _in_its_place(stored, read_stored, stored, name)


async def read_news(stored: StoredDocument, state: bytes) -> bytes:
    """Return what a document of state vector ``state`` lacks of ``stored``, as one update.

    Raises:
        DocumentCorrupt: pycrdt cannot read it.
    """
    return await _in_its_place(stored, _news, stored, state)


async def _in_its_place(
    stored: StoredDocument, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call ``function`` here, or in a process of its own if the document is large."""
    if _is_large(stored):
        return await apart(function, *args, **kwargs)
    return function(*args, **kwargs)


def _is_large(stored: StoredDocument) -> bool:
    return sum(map(len, stored.updates)) + _ROW_COST * len(stored.log) > _LARGE


def _news(stored: StoredDocument, state: bytes) -> bytes:
    with _translated(stored):
        return get_update(merge(stored.updates or [EMPTY_UPDATE]), state)


def _integrate(updates: Sequence[bytes]) -> tuple[bytes, bytes, bytes]:
    """Return what a Doc takes in of ``updates``, its state then, and what it holds back."""
    merged = updates[0] if len(updates) == 1 else merge(updates)
    doc: Doc[Any] = Doc()
    doc.apply_update(merged)
    state = doc.get_state()
    if is_covered(state, merged):
        return merged, state, EMPTY_UPDATE
    return _effect(merged), state, get_update(merged, state)


def _apply(doc: Doc[Any], update: bytes) -> bool:
    doc.apply_update(update)
    return True


def _attempt(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Return what ``read`` returns, or ``None`` if pycrdt cannot read it."""
    try:
        return read(*args, **kwargs)
    except BaseException as error:
        if not is_pycrdt_error(error):
            raise
        return None


def _effect(update: bytes) -> bytes:
    """Return what an empty Doc takes in of ``update``."""
    doc: Doc[Any] = Doc()
    effects = [EMPTY_UPDATE]
    # An observer makes pycrdt encode it, which is not worth it where the Doc takes in all.
    subscription = doc.observe(lambda event: effects.append(event.update))
    doc.apply_update(update)
    doc.unobserve(subscription)
    return effects[-1]


def _readable_part(stored: StoredDocument) -> tuple[StoredDocument, list[LogRow]]:
    """Try the rows one after the other; return the document without those that fail, and them."""
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

    May be done at any time, also while the document is being written. The work is done in
    another thread, or in another process if the document is large.

    Returns:
        ``None`` if there is nothing to fold, or if somebody else was faster.

    Raises:
        DocumentCorrupt: it cannot be read; what is stored stays.
    """
    stored = await storage.load(name)
    if stored is None or not stored.log:
        return None
    fold = apart if _is_large(stored) else asyncio.to_thread
    snapshot, complete, folded = await fold(_fold, stored, name)
    if not folded.log or not await storage.replace(name, folded, snapshot):
        return None
    return CompactionResult(
        rows=len(folded.log),
        size_before=sum(map(len, folded.updates)),
        size_after=len(snapshot),
        complete=complete,
    )


def _fold(stored: StoredDocument, name: str) -> tuple[bytes, bool, StoredDocument]:
    """Return ``stored`` as one update, whether a Doc can take in all of it, and what is in it."""
    content = read_stored(stored, name)
    merged = merge(content.read.updates)
    if content.rest != EMPTY_UPDATE:
        # The Doc may lose what it holds back; see the module updates.
        return merged, False, content.read
    with _translated(stored):
        doc: Doc[Any] = Doc()
        doc.apply_update(merged)
        # Garbage is collected when the transaction ends, so this is smaller than ``merged``.
        snapshot = doc.get_update()
        copy: Doc[Any] = Doc()
        copy.apply_update(snapshot)
        return (snapshot if _equal(doc, copy) else merged), True, content.read


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
        raise DocumentCorrupt(f"pycrdt cannot read {_culprit(stored)}.") from None


def _culprit(stored: StoredDocument) -> str:
    return "the snapshot" if stored.snapshot is not None else _named(stored.log)


def _named(rows: Sequence[LogRow]) -> str:
    ids = ", ".join(str(row.id) for row in rows[:NAMED])
    return f"rows {ids}{f', ... ({len(rows)})' if len(rows) > NAMED else ''} of the log"
