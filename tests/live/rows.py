"""A consumer for tasks with all actions, and what it serializes them with."""

from __future__ import annotations

from rest_framework import serializers

from collab.live.rest import mixins
from collab.live.rest.generics import GenericAsyncAPIConsumer
from tests.rows.models import Task

__all__ = ["TaskConsumer", "TaskSerializer"]


class TaskSerializer(serializers.ModelSerializer[Task]):
    class Meta:
        model = Task
        fields = ("id", "board", "title", "due", "labels")


class TaskConsumer(
    mixins.CreateModelMixin,
    mixins.DeleteModelMixin,
    mixins.ListModelMixin,
    mixins.PatchModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    GenericAsyncAPIConsumer,
):
    """Lets everybody do everything."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer
