"""collab.live: subscribers of one task are sent it when it has changed."""

from django.urls import path

from collab.live import GenericAsyncAPIConsumer, ObserverModelInstanceMixin

from .models import Task
from .serializers import TaskSerializer


class TaskConsumer(ObserverModelInstanceMixin, GenericAsyncAPIConsumer):
    """Sends single tasks."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer


websockets = [path("ws/<str:name>", TaskConsumer.as_asgi())]
