"""Documents in the memory of this process, for tests and for temporary documents."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import ClassVar, TypeVar

from .authorship import AuthorRange, Authorship, DeletionCount
from .base import (
    DocumentId,
    DocumentInfo,
    LogEntry,
    LogRow,
    Mark,
    StoredDocument,
    check_name,
    check_prefix,
    new_version,
    under_present_names,
)
from .exceptions import BaseNotFound, DocumentExists, DocumentNotFound
from .journal import DocumentEvent, EventKind, arecord, changes_of
from .versions import (
    ALL_VERSIONS,
    HistoryStorage,
    LoadedVersion,
    Version,
    VersionChoice,
    VersionDraft,
    VersionState,
    is_kept,
    is_replaced,
    titled_kind,
)

__all__ = ["MemoryStorage"]

P = TypeVar("P", LogRow, AuthorRange, DeletionCount)


@dataclass(slots=True)
class _MemoryDocument:
    id: int
    updated_at: datetime
    snapshot: bytes | None = None
    log: dict[int, LogRow] = field(default_factory=dict)
    version: int = field(default_factory=new_version)
    versions: list[Version] = field(default_factory=list)
    states: dict[bytes, VersionState] = field(default_factory=dict)
    ranges: list[AuthorRange] = field(default_factory=list)
    deletions: list[DeletionCount] = field(default_factory=list)

    def info(self, name: str) -> DocumentInfo:
        return DocumentInfo(
            name=name,
            snapshot_size=len(self.snapshot or b""),
            log_size=sum(len(row.data) for row in self.log.values()),
            log_length=len(self.log),
            updated_at=self.updated_at,
        )


class MemoryStorage(HistoryStorage):
    """Stores documents as long as the object lives; another object has other documents.

    It may be used from several threads and event loops at once.
    """

    shared: ClassVar[bool] = False

    def __init__(self) -> None:
        self._documents: dict[str, _MemoryDocument] = {}
        self._names: dict[DocumentId, str] = {}
        self._ids = count(1)
        self._lock = threading.Lock()

    async def load(self, name: str) -> StoredDocument | None:
        check_name(name)
        with self._lock:
            document = self._documents.get(name)
            if document is None:
                return None
            rows = list(document.log.values())
            return StoredDocument(document.snapshot, rows, document.version, document.id)

    async def create(self, entry: LogEntry) -> DocumentId | None:
        check_name(entry.name)
        with self._lock:
            if entry.name in self._documents:
                return None
            id = self._append(entry)
        await arecord(changes_of([entry], [entry.name]))
        return id

    async def append(self, entries: Sequence[LogEntry]) -> dict[str, DocumentId]:
        for entry in entries:
            check_name(entry.name)
        with self._lock:
            ids, events = self._append_all(entries)
        await arecord(events)
        return ids

    def _append_all(
        self, entries: Sequence[LogEntry]
    ) -> tuple[dict[str, DocumentId], list[DocumentEvent]]:
        """Append to documents; return their ids, and the events of it."""
        named = under_present_names(entries, self._names)
        created = {entry.name for entry in named} - self._documents.keys()
        ids = {
            entry.name: self._append(present) for entry, present in zip(entries, named, strict=True)
        }
        return ids, changes_of(named, created)

    def _append(self, entry: LogEntry) -> DocumentId:
        if (document := self._documents.get(entry.name)) is None:
            document = _MemoryDocument(next(self._ids), entry.at)
            self._documents[entry.name], self._names[document.id] = document, entry.name
        row = LogRow(next(self._ids), entry.data, entry.user_id, entry.at)
        document.log[row.id] = row
        document.updated_at = max(document.updated_at, entry.at)
        return document.id

    async def fold(
        self, name: str, loaded: StoredDocument, snapshot: bytes, authorship: Authorship
    ) -> bool:
        check_name(name)
        with self._lock:
            document = self._documents.get(name)
            if document is None or document.version != loaded.version:
                return False
            document.ranges += authorship.ranges
            document.deletions += authorship.deletions
            document.snapshot = snapshot
            document.version = new_version()
            for row in loaded.log:
                del document.log[row.id]
            return True

    async def delete(self, name: str, document_id: DocumentId | None = None) -> bool:
        check_name(name)
        with self._lock:
            document = self._documents.get(name)
            if document is None or document_id not in (None, document.id):
                return False
            del self._documents[name], self._names[document.id]
        await arecord([DocumentEvent(name, EventKind.DELETED)])
        return True

    async def rename(self, old: str, new: str) -> None:
        check_name(old)
        check_name(new)
        with self._lock:
            if old not in self._documents:
                raise DocumentNotFound(old)
            if new != old and new in self._documents:
                raise DocumentExists(new)
            document = self._documents[new] = self._documents.pop(old)
            self._names[document.id] = new
        await arecord([DocumentEvent(new, EventKind.RENAMED, None, old)])

    async def exists(self, name: str) -> bool:
        check_name(name)
        with self._lock:
            return name in self._documents

    async def marks(self, names: Sequence[str]) -> dict[str, Mark]:
        for name in names:
            check_name(name)
        with self._lock:
            documents = {name: self._documents.get(name) for name in names}
            return {
                name: Mark(document.version, len(document.log))
                for name, document in documents.items()
                if document is not None
            }

    async def page(self, prefix: str, after: str, limit: int) -> Sequence[DocumentInfo]:
        check_prefix(prefix)
        check_prefix(after)
        with self._lock:
            names = sorted(n for n in self._documents if n.startswith(prefix) and n > after)
            return [self._documents[name].info(name) for name in names[:limit]]

    # Versions.

    async def add_version(
        self, name: str, draft: VersionDraft, entries: Sequence[LogEntry] = ()
    ) -> Version:
        for each in (name, *(entry.name for entry in entries)):
            check_name(each)
        with self._lock:
            if name not in self._documents:
                raise DocumentNotFound(name)
            # Before anything is changed: it raises for an entry to a deleted document.
            under_present_names(entries, self._names)
            version = self._add_version(self._documents[name], draft)
            _, events = self._append_all(entries)
        await arecord(events)
        return version

    def _add_version(self, document: _MemoryDocument, draft: VersionDraft) -> Version:
        newest = document.versions[-1] if document.versions else None
        if newest is not None and is_kept(newest, draft):
            return newest
        if newest is not None and is_replaced(newest, draft):
            document.versions[-1] = replace(
                newest,
                kind=draft.kind,
                title=draft.title,
                made_by=draft.made_by,
                restored_from=draft.restored_from,
            )
        else:
            state = document.states.get(draft.state.digest, draft.state)
            if state.base is not None and state.base not in document.states:
                raise BaseNotFound(state.base.hex())
            document.states[state.digest] = state
            before = 0 if newest is None else document.states[newest.digest].total
            document.versions.append(_version(next(self._ids), draft, state, before))
        return document.versions[-1]

    async def versions(self, name: str, choice: VersionChoice = ALL_VERSIONS) -> Sequence[Version]:
        check_name(name)
        with self._lock:
            document = self._documents.get(name)
            found = [] if document is None else document.versions[::-1]
        chosen = [
            version
            for version in found
            if (choice.since is None or version.at >= choice.since)
            and (choice.before is None or version.at < choice.before)
            and (version.title or not choice.named)
        ]
        return chosen[: choice.limit]

    async def load_version(self, name: str, id: int) -> LoadedVersion | None:
        check_name(name)
        with self._lock:
            document, version = self._find(name, id)
            if document is None or version is None:
                return None
            own = document.states[version.digest]
            return LoadedVersion(
                version, [own] if own.base is None else [document.states[own.base], own]
            )

    def _find(self, name: str, id: int) -> tuple[_MemoryDocument | None, Version | None]:
        document = self._documents.get(name)
        found = [] if document is None else [v for v in document.versions if v.id == id]
        return document, found[0] if found else None

    async def title_version(self, name: str, id: int, title: str) -> bool:
        check_name(name)
        with self._lock:
            document, version = self._find(name, id)
            if document is None or version is None:
                return False
            position = document.versions.index(version)
            document.versions[position] = replace(
                version, title=title, kind=titled_kind(version.kind, title)
            )
            return True

    async def delete_versions(self, name: str, ids: Iterable[int]) -> int:
        check_name(name)
        unwanted = {*ids}
        with self._lock:
            if (document := self._documents.get(name)) is None:
                return 0
            before = document.versions
            document.versions = [version for version in before if version.id not in unwanted]
            used = {version.digest for version in document.versions}
            used |= {base for digest in used if (base := document.states[digest].base)}
            document.states = {d: state for d, state in document.states.items() if d in used}
            return len(before) - len(document.versions)

    # Authorship.

    async def authorship(self, name: str) -> Authorship:
        check_name(name)
        with self._lock:
            document = self._documents.get(name)
            if document is None:
                return Authorship([], [])
            return Authorship([*document.ranges], [*document.deletions])

    async def forget_user(self, user_id: str) -> int:
        with self._lock:
            return sum(_forget(document, user_id) for document in self._documents.values())


def _forget(document: _MemoryDocument, user_id: str) -> bool:
    """Remove a user's key from a document; return whether it had it."""
    before = document.log, document.ranges, document.deletions, document.versions
    document.log = {id: _anonymous(row, user_id) for id, row in document.log.items()}
    document.ranges = [_anonymous(each, user_id) for each in document.ranges]
    document.deletions = [_anonymous(each, user_id) for each in document.deletions]
    document.versions = [
        replace(
            version,
            by=tuple(key for key in version.by if key != user_id),
            made_by=None if version.made_by == user_id else version.made_by,
        )
        for version in document.versions
    ]
    if before == (document.log, document.ranges, document.deletions, document.versions):
        return False
    # A compaction that has read the key fails.
    document.version = new_version()
    return True


def _anonymous(part: P, user_id: str) -> P:
    return replace(part, user_id=None) if part.user_id == user_id else part


def _version(id: int, draft: VersionDraft, state: VersionState, before: int) -> Version:
    return Version(
        id=id,
        at=draft.at,
        title=draft.title,
        by=tuple(draft.by),
        kind=draft.kind,
        edits=max(state.total - before, 0),
        made_by=draft.made_by,
        restored_from=draft.restored_from,
        digest=state.digest,
        size=len(state.data),
    )
