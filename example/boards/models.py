"""Boards and their tasks: plain rows, which ``mirrors.py`` shows to everybody at once."""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.urls import reverse

from collab.mirror import MirroredManager
from pages.models import new_share_token, new_slug

ROOM_PREFIX = "board-"


class Board(models.Model):
    """A board that everybody who is logged in may change, and who has its link may watch."""

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
        """Return the address for those who are logged in."""
        return reverse("board", args=[self.slug])

    def get_share_url(self) -> str:
        """Return the address for whoever is given it."""
        return reverse("shared-board", args=[self.share_token])


class Task(models.Model):
    """A card on a board."""

    class State(models.TextChoices):
        """The columns."""

        TODO = "todo", "To do"
        DOING = "doing", "Doing"
        DONE = "done", "Done"

    #: Drawn by the browser that makes a card, so that it has its key at once, even offline.
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    board = models.ForeignKey(Board, on_delete=models.CASCADE, related_name="tasks")
    title = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    state = models.CharField(max_length=5, choices=State, default=State.TODO)
    #: Among the cards of its column; one between two others has a number between theirs.
    position = models.FloatField(default=0)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )

    objects = MirroredManager()

    class Meta:
        ordering = ("position", "pk")

    def __str__(self) -> str:
        return self.title
