from rest_framework.serializers import ModelSerializer

from .models import Task


class TaskSerializer(ModelSerializer):
    """All of a task."""

    class Meta:
        model = Task
        fields = ("id", "board", "title", "state", "position", "done", "due")
