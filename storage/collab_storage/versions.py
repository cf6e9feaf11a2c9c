"""The contract of storages that keep the history of documents, beside the documents themselves.

A version is the whole state of a document at one moment. Its bytes are opaque to the storage: a
state is stored once, however many versions have it, and may be based on another state.
``storage/README.md`` states the promises; :class:`collab_storage.testing.HistoryContract` tests
them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .authorship import Authorship
from .base import LogEntry, Storage, StoredDocument

__all__ = [
    "ALL_VERSIONS",
    "MAX_TITLE_LENGTH",
    "HistoryStorage",
    "LoadedVersion",
    "Version",
    "VersionChoice",
    "VersionDraft",
    "VersionKind",
    "VersionState",
    "is_kept",
    "is_replaced",
    "titled_kind",
]

MAX_TITLE_LENGTH = 255


class VersionKind(StrEnum):
    """The reason for a version; the values are stored."""

    #: Made from time to time; retention may delete it.
    AUTO = "auto"
    NAMED = "named"
    #: The state before another version was restored.
    RESTORE = "restore"
    #: The state before the document was imported anew.
    IMPORT = "import"
    #: The state before server code replaced the content.
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class VersionState:
    """The state of a document, encoded.

    Args:
        digest: equal for equal states of one document only.
        data: its bytes, or the difference to the state ``base``.
        insertions: number of ids that were ever given to insertions.
        deletions: number of those ids that are deleted.
        base: digest of the state that this one is based on; that one is based on none.
    """

    digest: bytes
    data: bytes
    insertions: int
    deletions: int
    base: bytes | None = None

    @property
    def total(self) -> int:
        """The number of edits that have led to it."""
        return self.insertions + self.deletions


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """A version to add; see :class:`Version`."""

    at: datetime
    state: VersionState
    kind: VersionKind = VersionKind.AUTO
    title: str = ""
    made_by: str | None = None
    by: Sequence[str] = ()
    restored_from: int | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a document.

    Args:
        id: unique within the storage; a later version of the document has a larger one.
        at: when its state was that of the document.
        title: its name, or ``""``.
        by: primary keys of the users, as text, who have changed the document since the version
            before.
        kind: the reason for it.
        edits: number of insertions and deletions since the version before.
        made_by: primary key of the user who made it, as text; ``None`` for the server.
        restored_from: of a version of kind "restore": the version that was restored.
        digest: of its state.
        size: bytes that its state takes up.
    """

    id: int
    at: datetime
    title: str
    by: tuple[str, ...]
    kind: VersionKind
    edits: int
    made_by: str | None
    restored_from: int | None
    digest: bytes
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChoice:
    """A choice of a document's versions; by default all.

    Args:
        since: not those of an earlier time.
        before: only those of an earlier time.
        named: only those with a title.
        limit: at most this number, the newest.
    """

    since: datetime | None = None
    before: datetime | None = None
    named: bool = False
    limit: int | None = None


ALL_VERSIONS = VersionChoice()


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version, with its state and before it the state that this is based on."""

    version: Version
    states: Sequence[VersionState]


class HistoryStorage(Storage):
    """A storage that keeps versions of its documents.

    ``delete`` deletes them with the document, and ``rename`` renames them with it.
    """

    @abstractmethod
    async def add_version(
        self, name: str, draft: VersionDraft, entries: Sequence[LogEntry] = ()
    ) -> Version:
        """Add a version to a document, and append ``entries``, or on an error neither.

        If the newest version has this state, none is added where it can do for the draft, see
        :func:`is_kept` and :func:`is_replaced`.

        Raises:
            BaseNotFound: the state that its state is based on is not stored any more.
            DocumentNotFound: there is no such document.
        """

    @abstractmethod
    async def versions(self, name: str, choice: VersionChoice = ALL_VERSIONS) -> Sequence[Version]:
        """Return the versions of a document, the newest first."""

    @abstractmethod
    async def load_version(self, name: str, id: int) -> LoadedVersion | None:
        """Return a version of a document with its state, or ``None``."""

    @abstractmethod
    async def title_version(self, name: str, id: int, title: str) -> bool:
        """Give a version a title, or with ``""`` none; ``False`` if there is no such version.

        A version of kind "auto" becomes one of kind "named", and the other way round.
        """

    @abstractmethod
    async def delete_versions(self, name: str, ids: Iterable[int]) -> int:
        """Delete versions of a document; return the number of those that there were.

        States that no version needs any more are deleted, too.
        """

    async def replace(self, name: str, loaded: StoredDocument, snapshot: bytes) -> bool:
        """See :meth:`Storage.replace`; it adds no contributions."""
        return await self.fold(name, loaded, snapshot, Authorship())

    @abstractmethod
    async def fold(
        self, name: str, loaded: StoredDocument, snapshot: bytes, authorship: Authorship
    ) -> bool:
        """Do as ``replace``, and add contributions to those of the document, or neither."""

    @abstractmethod
    async def authorship(self, name: str) -> Authorship:
        """Return the contributions that ``fold`` has added, in their order."""

    @abstractmethod
    async def forget_user(self, user_id: str) -> int:
        """Remove a user's key from all documents; return the number of those that had it.

        It is removed from logs, versions and contributions. A compaction that has read it before
        must not bring it back, so the versions of those documents' snapshots change.
        """


def is_kept(newest: Version | None, draft: VersionDraft) -> bool:
    """Return whether the newest version stays as it is, and does for the draft."""
    if newest is None or newest.digest != draft.state.digest or draft.title:
        return False
    return draft.kind == VersionKind.AUTO or newest.kind != VersionKind.AUTO


def is_replaced(newest: Version | None, draft: VersionDraft) -> bool:
    """Return whether the draft's title, kind and maker are given to the newest version.

    It has the same state then, was made by the way, and the draft was not.
    """
    return (
        newest is not None
        and newest.digest == draft.state.digest
        and newest.kind == VersionKind.AUTO != draft.kind
    )


def titled_kind(kind: VersionKind, title: str) -> VersionKind:
    """Return the kind of a version once it has a title, or none."""
    if title:
        return VersionKind.NAMED if kind == VersionKind.AUTO else kind
    return VersionKind.AUTO if kind == VersionKind.NAMED else kind
