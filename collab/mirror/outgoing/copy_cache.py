"""Private copies of documents, kept from one writing to the next.

Loading a document of ten thousand rows takes a few hundred times as long as changing one of them.
A copy is used by one writing at a time, which holds the document's lock; it returns to the cache
with the commit, and is dropped after a rollback. It has nothing that is not stored.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

from pycrdt import Doc

from collab.conf import get_storage
from collab.engine.hub.working_copies import unsaved_updates
from collab.exceptions import ProtocolViolation
from collab.protocol.yjs.partial import can_extend
from collab.protocol.yjs.poisoned_doc import PoisonedDoc
from collab.protocol.yjs.updates import apply, merge
from collab.protocol.yjs.validation import UpdateOutline, check_structure
from collab_storage.base import Mark, StoredDocument
from collab_storage.compaction import apply_stored
from collab_storage.surrogates import SurrogatePairs, as_yjs
from collab_storage.updates import EMPTY_UPDATE, state_vector

__all__ = ["DocumentCopy", "Progress", "is_kept", "keep", "open_copy"]

#: Most copies that a process keeps, and most bytes of their documents together.
MAX_COPIES = 64
MAX_SIZE = 32 * 1024 * 1024


@dataclass
class DocumentCopy:
    """A document as it is stored, with the unsaved updates of this process's members."""

    doc: Doc[Any]
    #: The document is stored, or about to be.
    is_there: bool = False
    #: Version of the document's snapshot; ``None`` if the copy must not be kept.
    version: int | None = None
    #: Rows of the log that the copy has, apart from those stored from it: their ids are unknown.
    log_length: int = 0
    rows: set[int] = field(default_factory=set)
    size: int = 0
    #: The surrogate pairs in the document.
    pairs: SurrogatePairs = field(init=False)
    #: Updates that were not stored yet when the copy was opened.
    typed: bytes | None = None
    #: Stored updates that depend on missing ones.
    rest: bytes = EMPTY_UPDATE

    def __post_init__(self) -> None:
        doc = self.doc
        self.pairs = SurrogatePairs(lambda: [doc.get_update()])

    def stored(self, update: bytes) -> None:
        """Record that an update made in it is stored."""
        self.pairs.add(update)
        self.log_length += 1
        self.size += len(update)


class Progress(NamedTuple):
    """The state of a document at one moment.

    Args:
        unsaved: updates of this process's members that were not stored when its mark was read.
        mark: of the stored document; ``None`` if it was not read.
    """

    unsaved: Sequence[bytes]
    mark: Mark | None


async def open_copy(name: str, client_id: int, progress: Progress | None = None) -> DocumentCopy:
    """Return a copy of a document whose changes are by ``client_id``.

    Args:
        name: the document.
        client_id: of the changes that are made in the copy.
        progress: that of the document, if it was read in the transaction that holds the lock.

    Raises:
        DocumentCorrupt: the stored document is not readable.
    """
    # Unsaved updates first: they may be stored while the rest is loaded.
    unsaved = unsaved_updates(name) if progress is None else progress.unsaved
    mark = None if progress is None else progress.mark
    typed = merge(unsaved) if unsaved else None
    kept = _take(name)
    if kept and kept.doc.client_id == client_id and await _catch_up(kept, name, typed, mark):
        kept.typed = typed
        return kept
    copy = await _load(name, client_id)
    copy.typed = typed
    if typed is not None:
        copy.is_there = True
        if copy.rest != EMPTY_UPDATE or not _apply_known(copy, typed):
            # One depends on the other, or on an update that another process is about to store;
            # or they break surrogate pairs.
            whole, later = as_yjs([copy.doc.get_update(), merge([copy.rest, typed])])
            copy.doc = Doc[Any](client_id=client_id)
            apply(copy.doc, whole)
            apply(copy.doc, later)
            copy.version = None
    return copy


async def _load(name: str, client_id: int) -> DocumentCopy:
    copy = DocumentCopy(Doc[Any](client_id=client_id))
    if (stored := await get_storage().load(name)) is not None:
        copy.rest = apply_stored(copy.doc, stored, name)
        copy.is_there = True
        copy.version = stored.version if copy.rest == EMPTY_UPDATE else None
        copy.log_length = len(stored.log)
        copy.rows = {row.id for row in stored.log}
        copy.size = sum(map(len, stored.updates))
    return copy


async def _catch_up(copy: DocumentCopy, name: str, typed: bytes | None, mark: Mark | None) -> bool:
    """Apply updates stored since by others, and ``typed``; False if the copy must be reloaded."""
    storage = get_storage()
    if mark is None:
        mark = (await storage.marks([name])).get(name)
    if mark is None or mark.version != copy.version:
        return False
    if mark.log_length != copy.log_length:
        stored = await storage.load(name)
        if stored is None or not _apply_new(copy, stored):
            return False
    return typed is None or _apply_known(copy, typed)


def _apply_new(copy: DocumentCopy, stored: StoredDocument) -> bool:
    if stored.version != copy.version:
        return False
    for row in stored.log:
        if row.id not in copy.rows:
            if not _apply_known(copy, row.data):
                return False
            copy.rows.add(row.id)
    copy.log_length = len(stored.log)
    return True


def _apply_known(copy: DocumentCopy, update: bytes) -> bool:
    """Apply an update if all its dependencies are there, and it breaks no surrogate pair.

    Returns:
        Whether it was applied.
    """
    known = state_vector(copy.doc.get_state())
    try:
        outline = check_structure(update)
        if not (_has(outline, known) or can_extend(outline, known)):
            return False
        if copy.pairs.broken_by(update):
            return False
        apply(copy.doc, update)
    except (ProtocolViolation, PoisonedDoc):
        return False
    copy.size += len(update)
    copy.pairs.add(update)
    return True


def _has(outline: UpdateOutline, known: dict[int, int]) -> bool:
    """Return whether a document has all insertions of an update, and those that it deletes."""
    ends = [(section[0], section[2]) for section in outline.sections]
    return all(end <= known.get(client, 0) for client, end in [*ends, *outline.deletes.items()])


_copies: OrderedDict[str, DocumentCopy] = OrderedDict()
_lock = Lock()


def _take(name: str) -> DocumentCopy | None:
    with _lock:
        return _copies.pop(name, None)


def is_kept(name: str) -> bool:
    """Return whether this process has written into a document lately."""
    return name in _copies


def keep(name: str, copy: DocumentCopy) -> None:
    """Keep a copy for the next writing; the one that used it is committed."""
    with _lock:
        _copies[name] = copy
        _copies.move_to_end(name)
        while len(_copies) > MAX_COPIES or sum(kept.size for kept in _copies.values()) > MAX_SIZE:
            _copies.popitem(last=False)
