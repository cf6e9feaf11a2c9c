from collab.mirror import ModelMirror, register

from .models import Task
from .serializers import TaskSerializer


@register(Task)
class TaskMirror(ModelMirror):
    """A board's document has its tasks."""

    serializer_class = TaskSerializer
    map_name = "tasks"

    def get_room_names(self, instance):
        return [f"room-{instance.board}"]

    def get_queryset(self, room_name):
        return Task.objects.filter(board=int(room_name.removeprefix("room-")))
