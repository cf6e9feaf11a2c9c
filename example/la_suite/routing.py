"""Routes of websockets: for the front end of today, and for y-websocket."""

from django.urls import path

from collab.consumers import YjsConsumer

from .consumers import CollaborationConsumer

websocket_urlpatterns = [
    path("collaboration/ws/", CollaborationConsumer.as_asgi()),
    path("collaboration/ws/<str:room>", YjsConsumer.as_asgi()),
]
