"""Admin pages on which people edit texts together."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from collab.editor.admin import CollaborativeAdmin, CollaborativeStackedInline

from .models import Article, Entry, Leaflet, Review, Section


class SectionInline(CollaborativeStackedInline):
    model = Section
    extra = 1


@admin.register(Article)
class ArticleAdmin(CollaborativeAdmin):
    inlines: ClassVar = [SectionInline]
    fields: ClassVar = ["title", ("body", "summary"), "views", "note", "due"]
    save_as = True


@admin.register(Entry)
class EntryAdmin(CollaborativeAdmin):
    pass


@admin.register(Review)
class ReviewAdmin(CollaborativeAdmin):
    fields: ClassVar = ["title", "verdict"]


@admin.register(Leaflet)
class LeafletAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A plain admin class."""
