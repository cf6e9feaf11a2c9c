"""An admin site of a project's own, whose classes have everyday options of Django's."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.contenttypes.admin import GenericTabularInline
from django.urls import include, path

from collab.editor.admin import (
    CollaborativeAdmin,
    CollaborativeInlineMixin,
    CollaborativeTabularInline,
)
from tests.texts.models import Article, ArticleProxy, Leaflet, Remark, Section

__all__ = ["desk", "urlpatterns"]

desk = admin.AdminSite(name="desk")


class RemarkInline(CollaborativeInlineMixin, GenericTabularInline):
    """Rows that belong to those of any model."""

    model = Remark
    extra = 1


class SectionInline(CollaborativeTabularInline):
    """Rows whose texts are changed elsewhere."""

    model = Section
    extra = 1
    readonly_fields: ClassVar[Any] = ("text",)


@admin.register(Article, site=desk)
class ArticleAdmin(CollaborativeAdmin):
    """A text that is changed elsewhere, and one that is changed in the list."""

    inlines: ClassVar = [RemarkInline, SectionInline]
    readonly_fields: ClassVar[Any] = ("body",)
    list_display = ("title", "summary", "views")
    list_editable = ("summary", "views")


@admin.register(ArticleProxy, site=desk)
class ProxyAdmin(CollaborativeAdmin):
    """Rows by another name."""

    fields: ClassVar = ["title", "summary"]


@admin.register(Section, site=desk)
class SectionAdmin(CollaborativeAdmin):
    """A relation that is entered as a key."""

    raw_id_fields = ("article",)


@admin.register(Leaflet, site=desk)
class LeafletAdmin(CollaborativeAdmin):
    """Rows whose key is drawn."""

    readonly_fields: ClassVar[Any] = ("id",)


urlpatterns = [
    path("desk/", desk.urls),
    path("history/", include("collab.history.urls")),
]
