"""collab.live: a serialized task goes to who has subscribed to its board."""

from django.urls import path

from collab.live import LiveConsumer, action, model_observer

from .models import Task
from .serializers import TaskSerializer


class TaskConsumer(LiveConsumer):
    """Sends all tasks of a board."""

    @model_observer(Task, serializer_class=TaskSerializer)
    async def task_changed(self, message, action, subscribing_request_ids=(), **kwargs):
        for request_id in subscribing_request_ids:
            await self.reply(data=message, action=action, request_id=request_id)

    @task_changed.groups_for_signal
    def task_changed(self, instance, **kwargs):
        yield f"room-{instance.board}"

    @task_changed.groups_for_consumer
    def task_changed(self, board, **kwargs):
        yield f"room-{board}"

    @action()
    async def subscribe(self, request_id, board, **kwargs):
        await self.task_changed.subscribe(request_id=request_id, board=board)
        return {}, 201


websockets = [path("ws/<str:name>", TaskConsumer.as_asgi())]
