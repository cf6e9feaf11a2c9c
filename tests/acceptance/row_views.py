"""Views that read and change rows that documents open elsewhere contain."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from collab.mirror import current_user
from tests.rows.models import Board, Label, Task

__all__ = ["urlpatterns"]


def note_user(instance: Task, **kwargs: Any) -> None:
    """Note as whom a row was saved, if a client has changed it."""
    if (user := current_user()) is not None:
        Label.objects.create(name=f"{instance.title} by {user.pk}")


post_save.connect(note_user, sender=Task)


def add(request: HttpRequest, title: str) -> HttpResponse:
    board, _ = Board.objects.get_or_create(name="board")
    task = Task.objects.create(board=board, title=title, body=title)
    return JsonResponse({"board": board.pk, "task": str(task.pk)})


def change(request: HttpRequest, pk: int, field: str, value: str) -> HttpResponse:
    task = Task.objects.get(pk=pk)
    setattr(task, field, value)
    task.save(update_fields=[field])
    return JsonResponse({})


def drop(request: HttpRequest, pk: int) -> HttpResponse:
    Task.objects.filter(pk=pk).delete()
    return JsonResponse({})


def rows(request: HttpRequest) -> HttpResponse:
    shown = ("title", "position", "body", "done")
    tasks = Task.objects.all()
    return JsonResponse({task.pk: {name: getattr(task, name) for name in shown} for task in tasks})


def savers(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"names": list(Label.objects.values_list("name", flat=True))})


urlpatterns = [
    path("add/<title>", add),
    path("change/<int:pk>/<field>/<value>", change),
    path("drop/<int:pk>", drop),
    path("rows", rows),
    path("savers", savers),
]
