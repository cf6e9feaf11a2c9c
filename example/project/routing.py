"""Routes of websockets."""

from django.urls import path

from boards.consumers import BoardConsumer
from collab.consumers import YjsConsumer
from dashboard.consumers import DashboardConsumer
from la_suite.routing import websocket_urlpatterns as la_suite

websocket_urlpatterns = [
    path("ws/boards/<str:board>", BoardConsumer.as_asgi()),
    path("ws/live/dashboard", DashboardConsumer.as_asgi()),
    # pages/documents.py says who may open a page; a read-only link's page has a grant. Users whom
    # the admin lets change a meeting may write its agenda.
    path("ws/<path:room>", YjsConsumer.as_asgi()),
    *la_suite,
]
