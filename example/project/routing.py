"""Routes of websockets."""

from django.urls import path

from boards.consumers import BoardConsumer
from dashboard.consumers import DashboardConsumer
from pages.consumers import PageConsumer

websocket_urlpatterns = [
    path("ws/boards/<str:board>", BoardConsumer.as_asgi()),
    path("ws/live/dashboard", DashboardConsumer.as_asgi()),
    path("ws/<str:room>", PageConsumer.as_asgi()),
]
