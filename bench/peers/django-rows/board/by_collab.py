"""Tasks are rows in a shared document."""

from django.urls import path

from collab.consumers import YjsConsumer

websockets = [path("ws/<str:room>", YjsConsumer.as_asgi())]
