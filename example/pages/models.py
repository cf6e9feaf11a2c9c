"""Pages; the text of a page is a collab document named by its slug."""

import secrets

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.text import Truncator


def new_slug() -> str:
    """Return a random name."""
    return secrets.token_urlsafe(9)


def new_share_token() -> str:
    """Return a secret that grants read access."""
    return secrets.token_urlsafe(18)


class Page(models.Model):
    """A page that all users may write, and that all users with its link may read."""

    slug = models.CharField(primary_key=True, max_length=32, default=new_slug, editable=False)
    title = models.CharField(max_length=200, default="Untitled")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="pages"
    )
    share_token = models.CharField(
        max_length=64, unique=True, default=new_share_token, editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    #: The text of the document, kept up to date by ``documents.py``.
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
        """Return the address for users."""
        return reverse("page", args=[self.slug])

    @property
    def excerpt(self) -> str:
        """The beginning of the text as one line."""
        return Truncator(" ".join(self.text.split())).chars(160)

    def get_share_url(self) -> str:
        """Return the read-only address."""
        return reverse("shared-page", args=[self.share_token])
