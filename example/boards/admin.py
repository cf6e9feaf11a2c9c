"""Boards in Django's admin; tasks moved there move in open boards, too."""

from django.contrib import admin

from collab.mirror.writers.admin import MirroredModelAdmin

from .models import Board, Task


@admin.register(Board)
class BoardAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Titles and owners."""

    list_display = ("title", "owner", "created_at")
    list_select_related = ("owner",)


@admin.register(Task)
class TaskAdmin(MirroredModelAdmin):
    """Tasks, whose column can be changed in the list."""

    list_display = ("title", "state", "board", "author")
    list_editable = ("state",)
    list_filter = ("board", "state")
    list_select_related = ("board", "author")
    search_fields = ("title", "description")
