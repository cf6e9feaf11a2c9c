"""Records of mirrored documents: the values of rows as they were last written into them.

A row's values, those of its map in the document, and those here are compared three ways. Where the
row differs from the record, the database has changed; where the map does, a client has.
"""

from __future__ import annotations

from secrets import randbelow
from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from collab_storage.base import MAX_NAME_LENGTH

__all__ = ["MirroredDocument", "MirroredRefresh", "MirroredRow", "new_client_id"]

#: Client ids of three bytes: each written change has one. Clients draw theirs among 2**32, so that
#: a collision is as unlikely as it is among them.
_LEAST, _NUMBER = 2**14, 2**21 - 2**14


def new_client_id() -> int:
    """Return a client id for the server's changes of one document."""
    return _LEAST + randbelow(_NUMBER)


class MirroredDocument(models.Model):
    """A document that rows are mirrored to. Its row is the lock for writing them into it."""

    name = models.CharField(max_length=MAX_NAME_LENGTH, unique=True)
    #: The Yjs client id of the server's changes: one for all, so that they stay small.
    client_id = models.PositiveBigIntegerField(null=True)
    #: When a process opened it last, or recorded that it is still open; see ``history.refresh``.
    opened_at = models.DateTimeField(null=True)
    #: Counts the times that its lock was held to write rows.
    writings = models.PositiveBigIntegerField(default=0)
    #: Bytes that it would have with its rows written anew, as computed last.
    fresh_size = models.PositiveBigIntegerField(null=True)

    class Meta:
        verbose_name = "mirrored document"

    def __str__(self) -> str:
        return self.name


class MirroredRow(models.Model):
    """A row that is in a document, with the values it had when it was written there last."""

    document = models.ForeignKey(MirroredDocument, models.CASCADE, related_name="rows")
    #: The mirror's ``map_name``.
    map_name = models.CharField(max_length=255)
    #: The row's primary key as text, which is its key in the map.
    key = models.CharField(max_length=255)
    #: The UUID that a client has added it under, if that differs from its key.
    client_key = models.CharField(max_length=36, null=True)  # noqa: DJ001 (most have none)
    values = models.JSONField(encoder=DjangoJSONEncoder)

    class Meta:
        verbose_name = "mirrored row"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["document", "map_name", "key"], name="collab_mirror_row_once"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["map_name", "key"], name="collab_mirror_row_key")]

    def __str__(self) -> str:
        return f"{self.map_name} {self.key}"


class MirroredRefresh(models.Model):
    """A replacement of rows' maps in a document, to recognize late changes of the old maps."""

    document = models.ForeignKey(MirroredDocument, models.CASCADE, related_name="refreshes")
    at = models.DateTimeField()
    #: Ids in the old maps: client id, first clock, clock behind the last.
    ids = models.JSONField()
    #: Client id and clock of a deletion then: clients that have it know of the refresh.
    witness = models.JSONField()
    #: Map name and key of rows that were left as they were.
    left = models.JSONField()
    #: The document before, compressed; kept for ``ROWS_PAST_TIME``.
    content = models.BinaryField(null=True)

    class Meta:
        verbose_name = "mirrored refresh"

    def __str__(self) -> str:
        return f"{self.document_id} {self.at}"
