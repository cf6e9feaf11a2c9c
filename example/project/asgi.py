"""ASGI application: pages over HTTP, documents over websockets."""

import gc
import os

from collab.asgi import get_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = get_application("project.routing.websocket_urlpatterns")

# What is there by now stays: Python need not look whether it is garbage, which would take a while.
gc.collect()
gc.freeze()
