"""djangochannelsrestframework: each subscriber of one task reads it when it has changed."""

from django.urls import path
from djangochannelsrestframework.generics import GenericAsyncAPIConsumer
from djangochannelsrestframework.observer.generics import ObserverModelInstanceMixin
from djangochannelsrestframework.permissions import AllowAny

from .models import Task
from .serializers import TaskSerializer


class TaskConsumer(ObserverModelInstanceMixin, GenericAsyncAPIConsumer):
    """Sends single tasks."""

    queryset = Task.objects.all()
    serializer_class = TaskSerializer
    permission_classes = (AllowAny,)


websockets = [path("ws/<str:room>", TaskConsumer.as_asgi())]
