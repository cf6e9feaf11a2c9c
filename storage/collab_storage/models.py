"""The tables of :class:`collab_storage.orm.ORMStorage`.

Rows are written by the storage only. Other code may read them, but should not change them: a
live room would not notice.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Coalesce, Greatest, Length

from .base import MAX_NAME_LENGTH, new_version
from .formats import UPDATE_FORMAT

__all__ = ["Document", "DocumentQuerySet", "Update"]


class DocumentQuerySet(models.QuerySet["Document"]):
    def with_sizes(self) -> DocumentQuerySet:
        """Add ``snapshot_size``, ``log_size``, ``log_length`` and ``changed_at``.

        The database computes them; no content is loaded. They are subqueries and not a join, so
        that of a page of rows only the rows on it are added up.
        """
        return self.annotate(
            snapshot_size=Coalesce(Length("snapshot"), 0),
            log_size=Coalesce(_of_log(models.Sum(Length("data"))), 0),
            log_length=Coalesce(_of_log(models.Count("pk")), 0),
            changed_at=_latest(),
        )


def _of_log(aggregate: models.Aggregate) -> models.Subquery:
    rows = Update.objects.filter(document=models.OuterRef("pk")).order_by().values("document")
    return models.Subquery(rows.annotate(result=aggregate).values("result"))


def _latest() -> Greatest:
    in_log = _of_log(models.Max("at"))
    # SQLite's MAX of a null is null.
    return Greatest("updated_at", Coalesce(in_log, "updated_at"))


class Document(models.Model):
    """A document: a snapshot, and the updates that came after it."""

    name = models.CharField(max_length=MAX_NAME_LENGTH, unique=True)
    snapshot = models.BinaryField(null=True)
    snapshot_format = models.PositiveSmallIntegerField(default=UPDATE_FORMAT)
    version = models.PositiveBigIntegerField(default=new_version)
    created_at = models.DateTimeField()
    #: When the latest change that is in the snapshot came; for changes after it see the log.
    #: Appending does not touch this row, so that writers do not wait for each other.
    updated_at = models.DateTimeField()

    objects = DocumentQuerySet.as_manager()
    updates: models.Manager[Update]

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Update(models.Model):
    """An update that the snapshot of its document does not cover."""

    document = models.ForeignKey(Document, models.CASCADE, related_name="updates")
    data = models.BinaryField()
    format = models.PositiveSmallIntegerField(default=UPDATE_FORMAT)
    at = models.DateTimeField()
    # The key as text: user models differ in its type, and a user may be gone one day.
    user_id = models.CharField(max_length=255, null=True)  # noqa: DJ001 ("" is no key)

    def __str__(self) -> str:
        return f"update {self.pk} of document {self.document_id}"
