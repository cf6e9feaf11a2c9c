"""Meetings: ordinary rows with a text that is edited together."""

from django.db import models

from collab.editor import CollaborativeTextField


class Meeting(models.Model):
    """A meeting with its agenda."""

    title = models.CharField(max_length=200)
    place = models.CharField(max_length=200, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    agenda = CollaborativeTextField(placeholder="Topics of the meeting", history=True)

    class Meta:
        ordering = ("starts_at", "pk")

    def __str__(self) -> str:
        return self.title
