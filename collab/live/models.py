"""Kept events, and changes to lists of states."""

from __future__ import annotations

from django.db import models, router

from collab_storage.base import MAX_NAME_LENGTH

__all__ = ["EventGroup", "KeptEvent", "StateList"]


class EventGroup(models.Model):
    """A group of connections with kept events."""

    name = models.CharField(max_length=255, unique=True)
    #: Number of the newest event; the first is 1.
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class KeptEvent(models.Model):
    """One of the latest events of a group."""

    group = models.ForeignKey(EventGroup, models.CASCADE, related_name="events")
    number = models.BigIntegerField()
    type = models.CharField(max_length=255)
    #: The payload, as JSON that is sent unchanged.
    json = models.TextField()
    sent_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("group", "number"), name="collab_live_event_number"),
        )

    def __str__(self) -> str:
        return f"{self.group_id} {self.number}"


class StateList(models.Model):
    """Differences between a document's list of root rows and ``list_instances()``."""

    #: The name of the document.
    name = models.CharField(max_length=MAX_NAME_LENGTH, primary_key=True)
    #: The result of ``list_instances()`` is left out.
    is_cleared = models.BooleanField(default=False)
    #: Primary keys, as text, added at the beginning and at the end, and removed.
    first = models.JSONField(default=list)
    last = models.JSONField(default=list)
    without = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, name: str) -> StateList:
        """Return the row of a document, or an unsaved one."""
        rows = cls.objects.using(router.db_for_write(cls))
        return rows.filter(name=name).first() or cls(name=name)
