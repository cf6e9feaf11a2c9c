"""Models that users may subscribe to; see the dashboard."""

from django.db.models import QuerySet

from collab.live import ModelSubscription, subscribable

from .mirrors import TaskSerializer
from .models import Board, Task


@subscribable(Task)
class TaskSubscription(ModelSubscription[Task]):
    """Tasks, for all users."""

    serializer_class = TaskSerializer
    filter_fields = ("state", "board")
    # All users see the same, so one query serves all subscribers.
    per_user = False

    def get_queryset(self, user: None) -> QuerySet[Task]:
        """Return all tasks: the consumer checks access."""
        return Task.objects.select_related("author")


@subscribable(Board)
class BoardSubscription(ModelSubscription[Board]):
    """Boards, for all users."""

    fields = ("slug", "title", "owner", "created_at")
    per_user = False

    def get_queryset(self, user: None) -> QuerySet[Board]:
        """Return all boards."""
        return Board.objects.all()
