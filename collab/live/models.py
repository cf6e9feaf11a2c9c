"""Events that are kept for those who come later."""

from __future__ import annotations

from django.db import models

__all__ = ["EventGroup", "KeptEvent"]


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
