"""The contract between the document server and the storage of its documents.

A document is a snapshot (one Yjs update) and a log of updates that came after it. Appending is
cheap and frequent; now and then compaction folds the log into a new snapshot. ``storage/README.md``
states the promises in full, and :class:`collab_storage.testing.StorageContract` tests them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from secrets import randbits
from typing import Any, ClassVar, NamedTuple, TypeVar

from asgiref.sync import async_to_sync

from .exceptions import DocumentNotFound, InvalidName

__all__ = [
    "MAX_NAME_LENGTH",
    "DocumentId",
    "DocumentInfo",
    "LogEntry",
    "LogRow",
    "Mark",
    "Storage",
    "StoredDocument",
    "check_name",
    "check_prefix",
    "new_version",
    "under_present_names",
]

T = TypeVar("T")

#: Identifies a document as long as it is stored, also under another name; never used again.
DocumentId = int | str

MAX_NAME_LENGTH = 255


def check_name(name: str) -> str:
    """Return ``name`` if it is valid for a document.

    Raises:
        InvalidName: it is empty, longer than 255 characters, or has a character that no
            database stores (NUL, half a surrogate pair).
    """
    if not 0 < len(name) <= MAX_NAME_LENGTH or "\0" in name:
        raise InvalidName(InvalidName.__doc__)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidName(InvalidName.__doc__) from error
    return name


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` if it is empty or :func:`check_name` lets it pass.

    Raises:
        InvalidName: no document's name starts like that.
    """
    return check_name(prefix) if prefix else prefix


def new_version() -> int:
    """Return a version that no snapshot of any document has had.

    It is random, not a count: if a document is deleted and another created under its name while a
    compaction of the first one runs, a count could be the same for both.
    """
    return randbits(63)


class LogEntry(NamedTuple):
    """An update to append to a document's log.

    Args:
        name: the document.
        data: Yjs update bytes (format 1).
        at: when the server received it.
        user_id: primary key of the user it came from, as text; ``None`` if unknown.
        document_id: of the document, if it is known to be stored. ``None``: the document of that
            name, whichever it is, or a new one.
    """

    name: str
    data: bytes
    at: datetime
    user_id: str | None = None
    document_id: DocumentId | None = None


def under_present_names(
    entries: Sequence[LogEntry], names: Mapping[DocumentId, str]
) -> list[LogEntry]:
    """Return ``entries`` with the names that their documents have by now.

    Args:
        entries: to append.
        names: the stored documents' names by id, at least of the ids in ``entries``.

    Raises:
        DocumentNotFound: a document of an id in ``entries`` is not stored any more.
    """
    wanted = [entry for entry in entries if entry.document_id is not None]
    if gone := dict.fromkeys(entry.name for entry in wanted if entry.document_id not in names):
        raise DocumentNotFound(*gone)
    return [
        entry if (id := entry.document_id) is None else entry._replace(name=names[id])
        for entry in entries
    ]


@dataclass(frozen=True, slots=True)
class LogRow:
    """An update in a document's log.

    Args:
        id: unique among the stored rows, in no certain order; it may be used again after the row is
            deleted, which changes the version of the document.
        data: as it was appended.
        user_id: of the entry that was appended.
        at: of that entry; only needed of a storage that keeps the history of documents.
    """

    id: int
    data: bytes
    user_id: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it is stored at one moment.

    Args:
        snapshot: a Yjs update, or ``None`` before the first compaction.
        log: the updates that the snapshot does not cover; some may be in it as well, which is
            harmless, as applying an update twice changes nothing.
        version: changes with each new snapshot.
        id: of the document; ``None`` in a storage without ids, where an append that comes after
            the deletion of its document stores a new one of that name.
    """

    snapshot: bytes | None
    log: Sequence[LogRow]
    version: int
    id: DocumentId | None = None

    @property
    def updates(self) -> list[bytes]:
        """The snapshot and the log, in the order to apply them in."""
        rows = [row.data for row in self.log]
        return rows if self.snapshot is None else [self.snapshot, *rows]


class Mark(NamedTuple):
    """The progress of a stored document: it changes with each append and each new snapshot."""

    version: int
    log_length: int


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A line of the list of documents; sizes in bytes, ``log_length`` in updates."""

    name: str
    snapshot_size: int
    log_size: int
    log_length: int
    updated_at: datetime

    @property
    def size(self) -> int:
        return self.snapshot_size + self.log_size


class Storage(ABC):
    """Stores documents. All verbs may be called from any task of any event loop at once.

    Every verb with a name raises ``InvalidName`` if :func:`check_name` refuses it, and
    ``StorageUnavailable`` when the storage cannot be reached.
    """

    #: Called below synchronous code, verbs take part in that thread's open database transaction.
    joins_transactions: ClassVar[bool] = False
    #: Several processes may use it at once, with the same documents.
    shared: ClassVar[bool] = True

    @abstractmethod
    async def load(self, name: str) -> StoredDocument | None:
        """Return the document stored under ``name``, or ``None``.

        It has at least every update whose ``append`` had returned when this was called.
        """

    @abstractmethod
    async def create(self, entry: LogEntry) -> DocumentId | None:
        """Store a document with ``entry`` as the first of its log, unless that name is taken.

        Of any number of simultaneous calls exactly one returns the id of the new document, or
        ``True`` in a storage without ids; the others return ``None`` or ``False``.
        """

    @abstractmethod
    async def append(self, entries: Sequence[LogEntry]) -> Mapping[str, DocumentId] | None:
        """Append all of ``entries``, of any number of documents, or on an error none of them.

        An entry with a ``document_id`` is appended to that document, also if it was renamed. For
        the others, missing documents are created. When it returns, the entries survive a crash.

        Returns:
            The ids of the documents by the names in ``entries``; ``None`` in a storage without ids.

        Raises:
            DocumentNotFound: documents of a ``document_id`` are deleted; the arguments are the
                names in their entries.
        """

    @abstractmethod
    async def replace(self, name: str, loaded: StoredDocument, snapshot: bytes) -> bool:
        """Replace the snapshot and log rows of ``loaded`` by ``snapshot``; later log rows stay.

        Both happen or neither does. Returns False and changes nothing if the document has another
        snapshot since it was loaded, or is gone.
        """

    @abstractmethod
    async def delete(self, name: str, document_id: DocumentId | None = None) -> bool:
        """Delete the document; False if there is none, or it has another id than ``document_id``.

        The server passes ids that the storage has returned, so one without ids gets none.
        """

    @abstractmethod
    async def rename(self, old: str, new: str) -> None:
        """Rename the document ``old`` to ``new``.

        Raises:
            DocumentNotFound: ``old`` is not stored.
            DocumentExists: ``new`` is taken.
        """

    @abstractmethod
    async def exists(self, name: str) -> bool:
        """Return whether a document of that name is stored."""

    @abstractmethod
    async def marks(self, names: Sequence[str]) -> dict[str, Mark]:
        """Return the marks of those documents that exist, by name."""

    @abstractmethod
    async def page(self, prefix: str, after: str, limit: int) -> Sequence[DocumentInfo]:
        """Return the next ``limit`` documents whose names start with ``prefix``.

        ``after`` is the last name of the page before, or ``""``; the order is the backend's own.
        """

    async def documents(
        self, prefix: str = "", page_size: int = 500
    ) -> AsyncIterator[DocumentInfo]:
        """Iterate over the documents whose names start with ``prefix``, page by page."""
        after = ""
        while page := await self.page(prefix, after, page_size):
            for info in page:
                yield info
            after = page[-1].name

    async def on_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after the commit of the caller's transaction, at once by default."""
        callback()

    def wait_for(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of ``work``, in synchronous code; it may await verbs only."""

        async def wait() -> T:
            return await work()

        return async_to_sync(wait)()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Reserve resources for the verbs called by this task, inside the block.

        The server's long-lived tasks enter it, so that slow queries of the rest of the project do
        not delay them. By default there is nothing to reserve.
        """
        yield

    async def close(self) -> None:
        """Release connections; a later call of any verb opens new ones."""
        return None
