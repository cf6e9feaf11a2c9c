"""Which rows people may watch one by one; see the dashboard."""

from django.db.models import QuerySet

from collab.live import ModelSubscription, subscribable

from .mirrors import TaskSerializer
from .models import Board, Task


@subscribable(Task)
class TaskSubscription(ModelSubscription[Task]):
    """Tasks, for all who are logged in."""

    serializer_class = TaskSerializer
    filter_fields = ("state", "board")
    # All see the same: however many watch a task, it is looked at once.
    per_user = False

    def get_queryset(self, user: None) -> QuerySet[Task]:
        """Return all: the consumer asks who connects."""
        return Task.objects.select_related("author")


@subscribable(Board)
class BoardSubscription(ModelSubscription[Board]):
    """Boards, for all who are logged in."""

    fields = ("slug", "title", "owner", "created_at")
    per_user = False

    def get_queryset(self, user: None) -> QuerySet[Board]:
        """Return all."""
        return Board.objects.all()
