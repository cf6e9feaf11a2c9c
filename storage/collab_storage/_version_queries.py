"""Database queries of the versions of :class:`collab_storage.orm.ORMStorage`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Cast, Length

from ._queries import Queries, from_database, to_database
from .authorship import AuthorRange, Authorship, DeletionCount
from .base import LogEntry, StoredDocument, new_version
from .chunks import CHUNK, chunks
from .exceptions import BaseNotFound, DocumentNotFound
from .formats import check_formats
from .models import DocumentVersion, StoredDeletions, StoredRange, VersionBlob
from .versions import (
    LoadedVersion,
    Version,
    VersionChoice,
    VersionDraft,
    VersionKind,
    VersionState,
    is_kept,
    is_replaced,
    titled_kind,
)


class VersionQueries:
    """The verbs of versions; ``queries`` has those of documents."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._versions = DocumentVersion.objects.using(queries.using)
        self._blobs = VersionBlob.objects.using(queries.using)
        self._ranges = StoredRange.objects.using(queries.using)
        self._deletions = StoredDeletions.objects.using(queries.using)

    def add(self, name: str, draft: VersionDraft, entries: Sequence[LogEntry]) -> Version:
        with self._queries.changing():
            document = self._lock(name)
            if document is None:
                raise DocumentNotFound(name)
            newest = self._newest(document)
            if newest is None or not is_kept(newest, draft):
                if newest is not None and is_replaced(newest, draft):
                    self._replace(newest, draft)
                else:
                    self._insert(document, newest, draft)
            version = self._newest(document)
            assert version is not None, "it was inserted in this transaction"
            self._queries.append(entries)
            return version

    def _lock(self, name: str) -> int | None:
        """Return the document's key; no other transaction changes its versions before the commit.

        Appending goes on meanwhile.
        """
        rows = self._queries.documents.select_for_update(no_key=True).filter(name=name)
        return rows.values_list("pk", flat=True).first()

    def _newest(self, document: int) -> Version | None:
        newest = self._versions.filter(document=document).order_by("-pk")[:1]
        return next(iter(self.read(newest)), None)

    def _replace(self, newest: Version, draft: VersionDraft) -> None:
        self._versions.filter(pk=newest.id).update(
            kind=draft.kind,
            title=draft.title,
            made_by=draft.made_by,
            restored_from=draft.restored_from,
        )

    def _insert(self, document: int, newest: Version | None, draft: VersionDraft) -> None:
        state = draft.state
        before = 0
        if newest is not None:
            blobs = self._blobs.filter(document=document, digest=newest.digest)
            before = sum(blobs.values_list("insertions", "deletions").get())
        if not self._has_blob(document, state.digest):
            if state.base is not None and not self._has_blob(document, state.base):
                raise BaseNotFound(state.base.hex())
            VersionBlob(
                document_id=document,
                digest=state.digest,
                base=state.base,
                insertions=state.insertions,
                deletions=state.deletions,
                data=state.data,
            ).save(using=self._queries.using, force_insert=True)
        self._versions.create(
            document_id=document,
            digest=state.digest,
            at=to_database(draft.at),
            title=draft.title,
            kind=draft.kind,
            by=[*draft.by],
            made_by=draft.made_by,
            edits=max(state.total - before, 0),
            restored_from=draft.restored_from,
        )

    def _has_blob(self, document: int, digest: bytes) -> bool:
        return self._blobs.filter(document=document, digest=digest).exists()

    def chosen(self, name: str, choice: VersionChoice) -> QuerySet[DocumentVersion]:
        rows = self._versions.filter(document__name=name).order_by("-pk")
        if choice.since is not None:
            rows = rows.filter(at__gte=to_database(choice.since))
        if choice.before is not None:
            rows = rows.filter(at__lt=to_database(choice.before))
        return (rows.exclude(title="") if choice.named else rows)[: choice.limit]

    def read(self, rows: QuerySet[DocumentVersion]) -> list[Version]:
        blob = self._blobs.filter(document=OuterRef("document"), digest=OuterRef("digest"))
        size = Subquery(blob.annotate(size=Length("data")).values("size"))
        return [_version(row) for row in rows.annotate(size=size)]

    def load(self, name: str, id: int) -> LoadedVersion | None:
        blobs = self._blobs.filter(document__name=name)
        for version in self.read(self._versions.filter(document__name=name, pk=id)):
            own = self._state(blobs, name, version.digest)
            if own is None or own.base is None:
                return None if own is None else LoadedVersion(version, [own])
            base = self._state(blobs, name, own.base)
            # If it is missing, the version was deleted a moment ago.
            return None if base is None else LoadedVersion(version, [base, own])
        return None

    def _state(self, blobs: QuerySet[VersionBlob], name: str, digest: bytes) -> VersionState | None:
        blob = blobs.filter(digest=digest).first()
        if blob is None:
            return None
        check_formats(name, blob.format, [])
        base = None if blob.base is None else bytes(blob.base)
        return VersionState(digest, bytes(blob.data), blob.insertions, blob.deletions, base)

    def title(self, name: str, id: int, title: str) -> bool:
        with self._queries.changing():
            rows = self._versions.select_for_update().filter(document__name=name, pk=id)
            for kind in rows.values_list("kind", flat=True):
                kind = titled_kind(VersionKind(kind), title)
                return bool(self._versions.filter(pk=id).update(title=title, kind=kind))
        return False

    def delete(self, name: str, ids: Sequence[int]) -> int:
        deleted = 0
        with self._queries.changing():
            document = self._lock(name)
            versions = self._versions.filter(document=document)
            for some in chunks(ids):
                deleted += versions.filter(pk__in=some).delete()[0]
            blobs = self._blobs.filter(document=document)
            # First those that are based on others.
            for _ in range(2):
                bases = blobs.filter(base__isnull=False).values("base")
                unused = blobs.exclude(digest__in=versions.values("digest"))
                unused.exclude(digest__in=bases).delete()
        return deleted

    # Authorship.

    def fold(
        self, name: str, loaded: StoredDocument, snapshot: bytes, authorship: Authorship
    ) -> bool:
        with self._queries.changing():
            if not self._queries.replace(name, loaded, snapshot):
                return False
            if authorship.ranges or authorship.deletions:
                documents = self._queries.documents.values_list("pk", flat=True)
                self._add(documents.get(name=name), authorship)
            return True

    def _add(self, document: int, authorship: Authorship) -> None:
        ranges = (
            StoredRange(document_id=document, client=r.client, start=r.start, end=r.end, **_who(r))
            for r in authorship.ranges
        )
        counts = (
            StoredDeletions(document_id=document, count=each.count, **_who(each))
            for each in authorship.deletions
        )
        self._ranges.bulk_create(ranges, CHUNK)
        self._deletions.bulk_create(counts, CHUNK)

    def authorship(self, name: str) -> Authorship:
        ranges = self._ranges.filter(document__name=name).order_by("pk")
        counts = self._deletions.filter(document__name=name).order_by("pk")
        times = ("user_id", "since", "until")
        return Authorship(
            [
                AuthorRange(client, start, end, user_id, from_database(since), from_database(until))
                for client, start, end, user_id, since, until in ranges.values_list(
                    "client", "start", "end", *times
                )
            ],
            [
                DeletionCount(user_id, count, from_database(since), from_database(until))
                for count, user_id, since, until in counts.values_list("count", *times)
            ],
        )

    def forget_user(self, user_id: str) -> int:
        with self._queries.changing():
            documents = self._forget_author(user_id)
            made = self._versions.filter(made_by=user_id)
            documents |= {*made.values_list("document", flat=True)}
            made.update(made_by=None)
            for rows in (self._queries.updates, self._ranges, self._deletions):
                of_user = rows.filter(user_id=user_id)
                documents |= {*of_user.values_list("document", flat=True)}
                of_user.update(user_id=None)
            for document in sorted(documents):
                # A compaction that has read the key fails.
                self._queries.documents.filter(pk=document).update(version=new_version())
            return len(documents)

    def _forget_author(self, user_id: str) -> set[int]:
        # SQLite cannot look into a list; the key is part of the list's text.
        as_text = self._versions.annotate(text=Cast("by", TextField()))
        documents = set()
        for version in as_text.filter(text__contains=json.dumps(user_id)):
            documents.add(version.document_id)
            by = [key for key in version.by if key != user_id]
            self._versions.filter(pk=version.pk).update(by=by)
        return documents


def _who(part: AuthorRange | DeletionCount) -> dict[str, Any]:
    return {
        "user_id": part.user_id,
        "since": to_database(part.since),
        "until": to_database(part.until),
    }


def _version(row: Any) -> Version:
    return Version(
        id=row.pk,
        at=from_database(row.at),
        title=row.title,
        by=tuple(row.by),
        kind=VersionKind(row.kind),
        edits=row.edits,
        made_by=row.made_by,
        restored_from=row.restored_from,
        digest=bytes(row.digest),
        size=row.size,
    )
