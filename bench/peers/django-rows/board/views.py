"""Views for measurements, and for times that only the server knows."""

from time import perf_counter

from django.db.backends.signals import connection_created
from django.dispatch import receiver
from django.http import JsonResponse
from django.urls import path

from .models import Task

#: Statements that this process has sent to the database, those of all threads.
statements = 0


def _count(execute, sql, params, many, context):
    global statements
    # Of some databases Django begins transactions by a statement of its own.
    statements += not sql.startswith("BEGIN")
    return execute(sql, params, many, context)


@receiver(connection_created)
def _watch(connection, **kwargs):
    # It may have been closed and opened again.
    if _count not in connection.execute_wrappers:
        connection.execute_wrappers.append(_count)


def save(request, pk, title):
    """Save a task with another title."""
    task = Task.objects.get(pk=pk)
    task.title = title
    before, began = statements, perf_counter()
    task.save()
    seconds = perf_counter() - began
    return JsonResponse({"began": began, "seconds": seconds, "statements": statements - before})


def load(request, board):
    """Load all tasks of a board."""
    began = perf_counter()
    number = len(Task.objects.filter(board=board))
    return JsonResponse({"seconds": perf_counter() - began, "number": number})


def count(request):
    """Return the number of statements."""
    return JsonResponse({"statements": statements})


urlpatterns = [
    path("save/<int:pk>/<str:title>", save),
    path("load/<int:board>", load),
    path("count", count),
]
