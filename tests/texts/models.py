"""Models with texts that people edit together."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import uuid4

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models

from collab.access import Access
from collab.editor import CollaborativeTextField


class Article(models.Model):
    """A row with several texts, and columns that are none."""

    title = models.CharField(max_length=100)
    body = CollaborativeTextField(history=True)
    summary = CollaborativeTextField(editor="plain", placeholder="In short")
    views = models.IntegerField(default=0)
    note = models.TextField(blank=True)
    due = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return f"/articles/{self.pk}"


class ArticleProxy(Article):
    class Meta:
        proxy = True


class Review(Article):
    """A row of two tables, each with texts."""

    verdict = CollaborativeTextField(editor="markdown")


class Section(models.Model):
    """A row inside the page of another."""

    article = models.ForeignKey(Article, models.CASCADE, related_name="sections")
    heading = models.CharField(max_length=100)
    text = CollaborativeTextField(editor="plain")

    def __str__(self) -> str:
        return self.heading


class Remark(models.Model):
    """A row inside the page of a row of any model."""

    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveBigIntegerField()
    about = GenericForeignKey()
    text = CollaborativeTextField(editor="plain")

    def __str__(self) -> str:
        return f"Remark {self.pk}"


class Leaflet(models.Model):
    """Its key is drawn, and its document has a name of the project's own."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    text = CollaborativeTextField(editor="code", language="python")

    def __str__(self) -> str:
        return str(self.id)


class Entry(models.Model):
    """Its key is a text, and it says itself who may open it."""

    text = CollaborativeTextField(editor="plain", null=True)
    word = models.CharField(max_length=100, primary_key=True)
    is_open = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural: ClassVar = "entries"

    def __str__(self) -> str:
        return self.word

    def collab_access(self, user: Any) -> Access:
        """Permit all users to write open entries, and to read the others."""
        return Access.WRITE if self.is_open else Access.READ
