"""Admin pages on which rows are edited while others change them."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from collab.mirror.writers.admin import MirroredModelAdmin, MirroredTabularInline

from .models import Board, Recipe, Task


class TaskInline(MirroredTabularInline):
    model = Task
    fields: ClassVar = ["title", "done", "body"]
    extra = 0


@admin.register(Board)
class BoardAdmin(MirroredModelAdmin):
    inlines: ClassVar = [TaskInline]


@admin.register(Task)
class TaskAdmin(MirroredModelAdmin):
    list_display = ("id", "title", "done")
    list_editable = ("title", "done")
    filter_horizontal = ("labels",)


@admin.register(Recipe)
class RecipeAdmin(MirroredModelAdmin):
    pass
