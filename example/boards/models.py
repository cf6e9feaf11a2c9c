"""Boards and their tasks: ordinary rows that ``mirrors.py`` puts into documents."""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.urls import reverse

from collab.mirror import MirroredManager
from pages.models import new_share_token, new_slug

ROOM_PREFIX = "board-"


class Board(models.Model):
    """A board that all users may change, and that all users with its link may view."""

    slug = models.CharField(primary_key=True, max_length=32, default=new_slug, editable=False)
    title = models.CharField(max_length=200, default="Untitled")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="boards"
    )
    share_token = models.CharField(
        max_length=64, unique=True, default=new_share_token, editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Return the address for users."""
        return reverse("board", args=[self.slug])

    def get_share_url(self) -> str:
        """Return the read-only address."""
        return reverse("shared-board", args=[self.share_token])


class Task(models.Model):
    """A card on a board."""

    class State(models.TextChoices):
        """The columns."""

        TODO = "todo", "To do"
        DOING = "doing", "Doing"
        DONE = "done", "Done"

    #: Chosen by the browser that creates a card, so that it has a key at once, even offline.
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    board = models.ForeignKey(Board, on_delete=models.CASCADE, related_name="tasks")
    title = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    state = models.CharField(max_length=5, choices=State, default=State.TODO)
    #: Sort key in its column; a card between two others gets a number between theirs.
    position = models.FloatField(default=0)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )

    objects = MirroredManager()

    class Meta:
        ordering = ("position", "pk")

    def __str__(self) -> str:
        return self.title
