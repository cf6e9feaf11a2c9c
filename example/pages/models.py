"""What the project knows of a page; its text is a collab document of the same name."""

import secrets

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.text import Truncator


def new_slug() -> str:
    """Return a name that nobody guesses by counting."""
    return secrets.token_urlsafe(9)


def new_share_token() -> str:
    """Return a secret that stands for the right to read."""
    return secrets.token_urlsafe(18)


class Page(models.Model):
    """A page that everybody who is logged in may write, and who has its link may read."""

    slug = models.CharField(primary_key=True, max_length=32, default=new_slug, editable=False)
    title = models.CharField(max_length=200, default="Untitled")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="pages"
    )
    share_token = models.CharField(
        max_length=64, unique=True, default=new_share_token, editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    #: What the document holds, kept up to date by ``documents.py``.
    text = models.TextField(blank=True, editable=False)
    edited_at = models.DateTimeField(null=True, editable=False)
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Return the address for those who are logged in."""
        return reverse("page", args=[self.slug])

    @property
    def excerpt(self) -> str:
        """The beginning of the text, in one line."""
        return Truncator(" ".join(self.text.split())).chars(160)

    def get_share_url(self) -> str:
        """Return the address for whoever is given it."""
        return reverse("shared-page", args=[self.share_token])
