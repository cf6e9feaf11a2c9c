"""The tables of :class:`collab_storage.orm.ORMStorage`.

Only the storage writes rows. Other code may read them, but should not change them: live rooms would
not get the change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Coalesce, Greatest, Length
from django.utils.translation import gettext_lazy as _

from .base import MAX_NAME_LENGTH, new_version
from .formats import UPDATE_FORMAT
from .journal import EventKind
from .versions import MAX_TITLE_LENGTH, VersionKind

if TYPE_CHECKING:
    BigAutoField = models.BigAutoField[Any, int]
else:
    BigAutoField = models.BigAutoField

__all__ = [
    "Document",
    "DocumentQuerySet",
    "DocumentVersion",
    "EventLease",
    "LogRowIdField",
    "QueuedEvent",
    "RefusedState",
    "StoredDeletions",
    "StoredRange",
    "Update",
    "ValidState",
    "VersionBlob",
    "latest_change",
]


class DocumentQuerySet(models.QuerySet["Document"]):
    def with_sizes(self) -> DocumentQuerySet:
        """Add ``snapshot_size``, ``log_size``, ``log_length`` and ``changed_at``.

        The database computes them; no content is loaded. They are subqueries and not a join, so
        that only the rows of a page are added up.
        """
        return self.annotate(
            snapshot_size=Coalesce(Length("snapshot"), 0),
            log_size=Coalesce(_of_log(models.Sum(Length("data"))), 0),
            log_length=Coalesce(_of_log(models.Count("pk")), 0),
            changed_at=latest_change(),
        )


def _of_log(aggregate: models.Aggregate) -> models.Subquery:
    rows = Update.objects.filter(document=models.OuterRef("pk")).order_by().values("document")
    return models.Subquery(rows.annotate(result=aggregate).values("result"))


def latest_change() -> Greatest:
    """Return the expression for the time of a document's latest change."""
    in_log = _of_log(models.Max("at"))
    # SQLite's MAX of a null is null.
    return Greatest("updated_at", Coalesce(in_log, "updated_at"))


class Document(models.Model):
    """A document: a snapshot, and the updates that came after it."""

    name = models.CharField(_("name"), max_length=MAX_NAME_LENGTH, unique=True)
    snapshot = models.BinaryField(null=True)
    snapshot_format = models.PositiveSmallIntegerField(default=UPDATE_FORMAT)
    version = models.PositiveBigIntegerField(default=new_version)
    created_at = models.DateTimeField(_("created"))
    #: Time of the latest change in the snapshot; later changes are in the log.
    #: Appending does not touch this row, so that writers do not wait for each other.
    updated_at = models.DateTimeField()

    objects = DocumentQuerySet.as_manager()
    updates: models.Manager[Update]

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = _("document")
        verbose_name_plural = _("documents")

    def __str__(self) -> str:
        return self.name


class LogRowIdField(BigAutoField):
    """A key that SQLite may use again once its row is deleted.

    Keys that are never used again (``AUTOINCREMENT``) would make each commit write a page more.
    """

    def db_type_suffix(self, connection: BaseDatabaseWrapper) -> str | None:
        return None if connection.vendor == "sqlite" else super().db_type_suffix(connection)


class Update(models.Model):
    """An update that the snapshot of its document does not cover."""

    id = LogRowIdField(primary_key=True)
    document = models.ForeignKey(Document, models.CASCADE, related_name="updates")
    data = models.BinaryField()
    format = models.PositiveSmallIntegerField(default=UPDATE_FORMAT)
    at = models.DateTimeField()
    # The key as text: user models differ in its type, and users are deleted.
    user_id = models.CharField(max_length=255, null=True)  # noqa: DJ001 ("" is no key)

    def __str__(self) -> str:
        return f"update {self.pk} of document {self.document_id}"


_KINDS = [(kind.value, kind.name.lower()) for kind in EventKind]


class QueuedEvent(models.Model):
    """A change of a document that is not delivered to the project yet; see ``event_queue.py``."""

    # Not a foreign key: the document may be gone by then, or kept elsewhere.
    name = models.CharField(max_length=MAX_NAME_LENGTH, db_index=True)
    kind = models.PositiveSmallIntegerField(choices=_KINDS)
    at = models.DateTimeField()
    #: When to deliver it if nothing else happens to the document, and when at the latest.
    quiet_at = models.DateTimeField()
    latest_at = models.DateTimeField()
    user_id = models.CharField(max_length=255, null=True)  # noqa: DJ001 ("" is no key)
    #: The name that a renamed document had.
    old_name = models.CharField(max_length=MAX_NAME_LENGTH, blank=True)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.name}"


class EventLease(models.Model):
    """The right of one process to deal with a document's events until a time.

    It stays, with the error, when that has failed: until it is tried again, or, when it was given
    up, until the document's next change succeeds.
    """

    name = models.CharField(_("name"), max_length=MAX_NAME_LENGTH, unique=True)
    holder = models.UUIDField()
    until = models.DateTimeField(_("not tried again before"))
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    error = models.TextField(_("error"), blank=True)
    given_up_at = models.DateTimeField(_("given up"), null=True)

    class Meta:
        verbose_name = _("failed change")
        verbose_name_plural = _("failed changes")

    def __str__(self) -> str:
        return self.name


class VersionBlob(models.Model):
    """The state of a document at the time of one or more versions, encoded."""

    document = models.ForeignKey(Document, models.CASCADE, related_name="version_blobs")
    digest = models.BinaryField()
    #: Digest of the blob that this one is based on.
    base = models.BinaryField(null=True)
    format = models.PositiveSmallIntegerField(default=UPDATE_FORMAT)
    insertions = models.PositiveBigIntegerField()
    deletions = models.PositiveBigIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["document", "digest"], name="collab_version_blob")
        ]

    def __str__(self) -> str:
        return f"state of document {self.document_id}"


_VERSION_KINDS = [(kind.value, kind.value) for kind in VersionKind]


class DocumentVersion(models.Model):
    """A version of a document; its state is the blob of that digest."""

    document = models.ForeignKey(Document, models.CASCADE, related_name="versions")
    digest = models.BinaryField()
    at = models.DateTimeField()
    title = models.CharField(max_length=MAX_TITLE_LENGTH, blank=True)
    kind = models.CharField(max_length=20, choices=_VERSION_KINDS)
    #: Primary keys of users as text, as they are in the log.
    by = models.JSONField(default=list)
    made_by = models.CharField(max_length=255, null=True)  # noqa: DJ001 ("" is no key)
    edits = models.PositiveBigIntegerField()
    restored_from = models.BigIntegerField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["document", "at"], name="collab_version_at")]

    def __str__(self) -> str:
        return self.title or f"{self.kind} version {self.pk}"


class ValidState(models.Model):
    """The last valid state of a document whose type validates it."""

    name = models.CharField(max_length=MAX_NAME_LENGTH, unique=True)
    state = models.BinaryField()

    def __str__(self) -> str:
        return self.name


class RefusedState(models.Model):
    """A state of a document that its type has refused, and that was set back."""

    name = models.CharField(_("name"), max_length=MAX_NAME_LENGTH, db_index=True)
    at = models.DateTimeField(_("time"))
    #: Primary keys, as text, of the users who changed the document since it was valid.
    user_ids = models.JSONField(_("keys of the users"), default=list)
    reasons = models.TextField(_("reasons"))
    state = models.BinaryField()
    #: Whether the document was set back.
    is_set_back = models.BooleanField(_("set back"))
    #: The edit that set it back.
    undoing = models.BinaryField(null=True)

    class Meta:
        ordering: ClassVar = ["-at"]
        verbose_name = _("refused change")
        verbose_name_plural = _("refused changes")

    def __str__(self) -> str:
        return self.name


class StoredRange(models.Model):
    """Insertions of a user in a document, by their ids; compaction adds them."""

    document = models.ForeignKey(Document, models.CASCADE, related_name="author_ranges")
    client = models.PositiveBigIntegerField()
    start = models.PositiveBigIntegerField()
    end = models.PositiveBigIntegerField()
    user_id = models.CharField(max_length=255, null=True, db_index=True)  # noqa: DJ001
    since = models.DateTimeField()
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"insertions {self.start} to {self.end} of client {self.client}"


class StoredDeletions(models.Model):
    """The number of insertions that a user has deleted; compaction adds it."""

    document = models.ForeignKey(Document, models.CASCADE, related_name="deletion_counts")
    user_id = models.CharField(max_length=255, null=True, db_index=True)  # noqa: DJ001
    count = models.PositiveBigIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.count} deletions"
