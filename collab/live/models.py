"""Events that are kept for those who come later, and lists that were changed."""

from __future__ import annotations

from django.db import models, router

from collab_storage.base import MAX_NAME_LENGTH

__all__ = ["EventGroup", "KeptEvent", "StateList"]


class EventGroup(models.Model):
    """A group of connections with events that are kept."""

    name = models.CharField(max_length=255, unique=True)
    #: Number of the newest; they are numbered from 1.
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class KeptEvent(models.Model):
    """One of the last events of a group."""

    group = models.ForeignKey(EventGroup, models.CASCADE, related_name="events")
    number = models.BigIntegerField()
    type = models.CharField(max_length=255)
    #: What it says, as JSON that is sent as it is.
    json = models.TextField()
    sent_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("group", "number"), name="collab_live_event_number"),
        )

    def __str__(self) -> str:
        return f"{self.group_id} {self.number}"


class StateList(models.Model):
    """How the list of a document's anchors differs from what ``list_instances()`` says."""

    #: Of the document.
    name = models.CharField(max_length=MAX_NAME_LENGTH, primary_key=True)
    #: Nothing of ``list_instances()`` is in it.
    is_cleared = models.BooleanField(default=False)
    #: Primary keys, as text, of what is put before the rest and behind it, and of what is left out.
    first = models.JSONField(default=list)
    last = models.JSONField(default=list)
    without = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, name: str) -> StateList:
        """Return that of a document; one that is not saved if there is none."""
        rows = cls.objects.using(router.db_for_write(cls))
        return rows.filter(name=name).first() or cls(name=name)
